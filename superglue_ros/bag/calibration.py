"""The calibrations that a bag holds of its cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    """

    source: str
    cameras: tuple[Camera, Camera] | None = None
    stereo: StereoCamera | None = None


def find_calibration(reader: BagReader, topics: Sequence[str], config: BagConfig) -> Calibration:
    """The calibration by the first message of each camera's.

    Args:
        reader: The bag.
        topics: The topics of the images, one or left and right.
        config: Names the topics of the calibrations, where they are not beside the images.

    Raises:
        InputError: A topic that is named holds no calibration.
    """
    named = (config.camera_info, config.right_camera_info)[: len(topics)]
    sources = [given or _beside(topic) for topic, given in zip(topics, named, strict=True)]
    messages = [reader.first_message(source, CAMERA_INFO) for source in sources]
    for message, given, source in zip(messages, named, sources, strict=True):
        if message is None and given:
            raise InputError(f"{reader.path} has no calibration (CameraInfo) on {given}")
        if message is None:
            return Calibration(f"none: no calibration on {source}")
    try:
        cameras = [
            Camera.from_info(
                message, rectified=config.rectified, image_size=_image_size(reader, topic)
            )
            for message, topic in zip(messages, topics, strict=True)
        ]
        camera0, camera1 = cameras[0], cameras[-1]
        stereo = None
        if len(topics) > 1:
            stereo = StereoCamera(camera0, camera1, rectified=config.rectified)
    except InputError as error:
        return Calibration(f"none: {', '.join(sources)}: {error}")
    return Calibration(", ".join(sources), (camera0, camera1), stereo)


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
