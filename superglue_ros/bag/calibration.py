"""The calibrations that a bag holds of its cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.reader import BagReader
from superglue_ros.errors import InputError
from superglue_ros.geometry import Camera
from superglue_ros.geometry.stereo import StereoCamera
from superglue_ros.image_decoding import image_decoder

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


@dataclass(frozen=True)
class Calibration:
    """What is known of the cameras of a pair.

    Attributes:
        source: Where it is from, or why there is none.
        cameras: Those of image 0 and of image 1; None where they are not known.
        stereo: Both as a stereo camera, in mode stereo.
        notes: A line on what may surprise.
    """

    source: str
    cameras: tuple[Camera, Camera] | None = None
    stereo: StereoCamera | None = None
    notes: list[str] = field(default_factory=list)


def find_calibration(reader: BagReader, topics: Sequence[str], config: BagConfig) -> Calibration:
    """The calibration by the first message of each camera's that is one.

    Args:
        reader: The bag.
        topics: The topics of the images, one or left and right.
        config: Names the topics of the calibrations, where they are not beside the images.

    Raises:
        InputError: A topic that is named holds no calibration.
    """
    named = (config.camera_info, config.right_camera_info)[: len(topics)]
    sources = [given or _beside(topic) for topic, given in zip(topics, named, strict=True)]
    types = reader.topic_types()
    for given, source in zip(named, sources, strict=True):
        if types.get(source) == CAMERA_INFO:
            continue
        if given:
            raise InputError(f"{reader.path} has no calibration (CameraInfo) on {given}")
        return Calibration(f"none: no calibration on {source}")
    try:
        cameras = [_camera(reader, *of_one, config) for of_one in zip(sources, topics, strict=True)]
        camera0, camera1 = cameras[0], cameras[-1]
        stereo = None
        if len(topics) > 1:
            stereo = StereoCamera(camera0, camera1, rectified=config.rectified)
    except InputError as error:
        return Calibration(f"none: {error}")
    notes = [
        f"the images of {topic} are rectified again by {source}, while their name says that they "
        "are rectified; give --rectified if they are"
        for source, topic, camera in zip(sources, topics, cameras, strict=True)
        if not config.rectified and not camera.is_rectified and _says_rectified(topic)
    ]
    return Calibration(", ".join(sources), (camera0, camera1), stereo, notes)


def _camera(reader: BagReader, source: str, topic: str, config: BagConfig) -> Camera:
    """The camera by the first message that tells one: some drivers begin with empty ones.

    Raises:
        InputError: There is none; the text is what is wrong with the first.
    """
    image_size = _image_size(reader, topic)
    first_error = ""
    for one in reader.messages([source], reader.start_ns, reader.end_ns):
        try:
            return Camera.from_info(one.message, rectified=config.rectified, image_size=image_size)
        except InputError as error:
            first_error = first_error or str(error)
    raise InputError(f"{source}: {first_error or 'no message can be read'}")


def _says_rectified(topic: str) -> bool:
    """Whether a topic is called as image_proc calls those of rectified images."""
    return any(part.startswith(("image_rect", "rect")) for part in topic.split("/"))


def _image_size(reader: BagReader, topic: str) -> tuple[int, int] | None:
    """(width, height) of the first image of a topic; None where it is not readable."""
    message: Any = reader.first_message(topic, reader.topic_types().get(topic, ""))
    if message is None:
        return None
    try:
        height, width = image_decoder().decode(message).shape
    except InputError:
        return None
    return width, height


def _beside(topic: str) -> str:
    """Where image_transport has the calibration of an image topic."""
    path = PurePosixPath(topic)
    if path.name == "compressed":
        path = path.parent
    return str(path.parent / "camera_info")
