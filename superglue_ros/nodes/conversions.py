"""Between the typed results and the generated messages.

Arrays cross in one piece: out through `array.array`, which rclpy takes as it is, and in through the
buffer protocol. Nothing here loops over keypoints. What the fields hold: `superglue_ros.messages`.
"""

from __future__ import annotations

import array
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from superglue_ros.features import Features, Matches
from superglue_ros.messages import (
    FieldValues,
    features_fields,
    features_from_message,
    matches_fields,
    matches_from_message,
)
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage

__all__ = [
    "assignment_to_message",
    "features_from_message",
    "features_to_message",
    "matches_from_message",
    "matches_to_message",
]

Message = TypeVar("Message")


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


def _filled(message: Message, fields: FieldValues) -> Message:
    """The message with fields of these values."""
    for name, value in fields.items():
        setattr(message, name, _array(value) if isinstance(value, np.ndarray) else value)
    return message


def _array(values: NDArray[np.float32] | NDArray[np.int32]) -> array.array[float]:
    kind = "i" if values.dtype == np.int32 else "f"
    return array.array(kind, np.ascontiguousarray(values).tobytes())
