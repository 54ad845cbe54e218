"""What the match_visualizer_node publishes, made while somebody watches."""

from __future__ import annotations

import array
import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from superglue_ros.drawing import BgrImage
from superglue_ros.nodes.conversions import image_to_message

AddOutput = Callable[[type, str], Any]

JPEG_QUALITY = 90


@cache
def _message_class(name: str) -> Any:
    package, kind, message_type = name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), message_type)


def make(name: str, **fields: Any) -> Any:
    """A message of rclpy; see `markers.Make`."""
    return _message_class(name)(**fields)


class PictureOutput:
    """An image topic with its JPEG beside it, as image_transport has it.

    Args:
        add_output: Creates a publisher of a type on a topic.
        topic: The full name; remapped, it takes its like with it.
    """

    def __init__(self, add_output: AddOutput, topic: str) -> None:
        """Create both publishers."""
        self._raw = add_output(Image, topic)
        self._compressed = add_output(CompressedImage, f"{topic}/compressed")

    @property
    def is_watched(self) -> bool:
        """Whether anybody subscribes to either."""
        return any(one.get_subscription_count() for one in (self._raw, self._compressed))

    def publish(self, picture: Callable[[], BgrImage], header: Header, given: Any = None) -> None:
        """Publish a picture in the ways that are watched.

        Args:
            picture: Makes it, (H, W, 3) uint8 BGR; not asked where it is not needed.
            header: What it is published under.
            given: A message that has it already, an Image or a CompressedImage, or None.
        """
        for output, message_type, convert in (
            (self._raw, Image, image_to_message),
            (self._compressed, CompressedImage, _jpeg),
        ):
            if output.get_subscription_count():
                has_it = isinstance(given, message_type)
                output.publish(given if has_it else convert(picture(), header))


def _jpeg(picture: BgrImage, header: Header) -> CompressedImage:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
    message.data = array.array("B", np.asarray(data).tobytes())
    return message
