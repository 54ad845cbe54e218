"""The calibrations that a bag holds of its cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.reader import BagReader
from superglue_ros.cameras import Camera
from superglue_ros.errors import InputError

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

Cameras = tuple[Camera, Camera]


def find_cameras(
    reader: BagReader, topics: Sequence[str], config: BagConfig
) -> tuple[Cameras | None, str]:
    """The cameras of the two images of a pair, by the first message of their calibration.

    Args:
        reader: The bag.
        topics: The topics of the images, one or left and right.
        config: Names the topics of the calibrations, where they are not beside the images.

    Returns:
        The cameras, or None where there is none that can be used; and in words where they are from,
        or why there are none.

    Raises:
        InputError: A topic that is named holds no calibration.
    """
    named = (config.camera_info, config.right_camera_info)[: len(topics)]
    found = []
    sources = []
    for topic, given in zip(topics, named, strict=True):
        source = given or _beside(topic)
        message = reader.first_message(source, CAMERA_INFO)
        if message is None and given:
            raise InputError(f"{reader.path} has no calibration (CameraInfo) on {given}")
        if message is None:
            return None, f"none: no calibration on {source}"
        try:
            found.append(Camera.from_info(message, rectified="rect" in PurePosixPath(topic).name))
        except InputError as error:
            return None, f"none: {source}: {error}"
        sources.append(source)
    return (found[0], found[-1]), ", ".join(sources)


def _beside(topic: str) -> str:
    """Where image_transport has the calibration of an image topic."""
    path = PurePosixPath(topic)
    if path.name == "compressed":
        path = path.parent
    return str(path.parent / "camera_info")
