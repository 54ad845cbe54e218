"""Between the typed results and the generated messages.

Arrays cross in one piece: out through `array.array`, which rclpy takes as it is, and in through the
buffer protocol. Nothing here loops over keypoints. What the fields hold: `superglue_ros.messages`.
"""

from __future__ import annotations

import array
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from superglue_ros.drawing import BgrImage
from superglue_ros.features import Features, IndexArray, Matches
from superglue_ros.geometry import TwoViewGeometry
from superglue_ros.messages import (
    FieldValues,
    features_fields,
    features_from_message,
    matches_fields,
    matches_from_message,
    tracks_fields,
    tracks_from_message,
    two_view_geometry_fields,
    two_view_geometry_from_message,
)
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.msg import TwoViewGeometry as TwoViewGeometryMessage
from superglue_ros.tracks import Tracks

__all__ = [
    "assignment_to_message",
    "features_from_message",
    "features_to_message",
    "image_to_message",
    "matches_from_message",
    "matches_to_message",
    "tracks_from_message",
    "tracks_to_message",
    "two_view_geometry_from_message",
    "two_view_geometry_to_message",
]

Message = TypeVar("Message")

_TYPE_CODES = {"uint8": "B", "int32": "i", "int64": "q", "float32": "f"}


def image_to_message(image: BgrImage, header: Header) -> Image:
    """A colour image (H, W, 3) under a header."""
    height, width, channels = image.shape
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="bgr8",
        step=width * channels,
        data=array.array("B", image.tobytes()),
    )


def features_to_message(features: Features, header: Header) -> FeaturesMessage:
    """Features under the header of their image."""
    return _filled(FeaturesMessage(header=header), features_fields(features))


def matches_to_message(
    matches: Matches,
    features: tuple[Features, Features],
    headers: tuple[Header, Header],
) -> MatchesMessage:
    """Matches with the keypoints they belong to, under the headers of both images."""
    header0, header1 = headers
    message = MatchesMessage(header=header1, header0=header0, header1=header1)
    return _filled(message, matches_fields(matches, *features))


def assignment_to_message(
    assignment: NDArray[np.float32], headers: tuple[Header, Header]
) -> AssignmentMatrixMessage:
    """Assignment probabilities (N+1, M+1) under the headers of both images."""
    rows, columns = assignment.shape
    message = AssignmentMatrixMessage(
        header=headers[1], header0=headers[0], header1=headers[1], rows=rows, columns=columns
    )
    return _filled(message, {"data": assignment})


def two_view_geometry_to_message(
    geometry: TwoViewGeometry, pairs: IndexArray, headers: tuple[Header, Header]
) -> TwoViewGeometryMessage:
    """The geometry of the (K, 2) matched pairs of keypoints, under the headers of both images."""
    header0, header1 = headers
    message = TwoViewGeometryMessage(header=header1, header0=header0, header1=header1)
    return _filled(message, two_view_geometry_fields(geometry, pairs))


def tracks_to_message(tracks: Tracks, image_size: tuple[int, int], header: Header) -> TracksMessage:
    """Tracks under the header of their image, of that size (width, height) in pixels."""
    return _filled(TracksMessage(header=header), tracks_fields(tracks, image_size))


def _filled(message: Message, fields: FieldValues) -> Message:
    """The message with fields of these values."""
    for name, value in fields.items():
        setattr(message, name, _array(value) if isinstance(value, np.ndarray) else value)
    return message


def _array(values: NDArray[Any]) -> array.array[float] | NDArray[np.float64]:
    """The values as rclpy takes them: fixed numbers of float64 stay what they are."""
    if values.dtype == np.float64:
        return values
    return array.array(_TYPE_CODES[values.dtype.name], np.ascontiguousarray(values).tobytes())
