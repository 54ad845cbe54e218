"""Between the typed results and the generated messages.

Arrays cross in one piece: out through `array.array`, which rclpy takes as it is, and in through the
buffer protocol. Nothing here loops over keypoints.
"""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage


def features_to_message(features: Features, header: Header) -> FeaturesMessage:
    """Features under the header of their image."""
    width, height = features.image_size
    message = FeaturesMessage(header=header, width=width, height=height)
    message.extractor = features.extractor
    message.keypoints = _floats(_keypoint_rows(features))
    message.descriptor_size = features.descriptors.shape[1]
    message.descriptors = _floats(features.descriptors)
    return message


def features_from_message(message: FeaturesMessage) -> Features:
    """The features that a message carries.

    Returns:
        Features; where the message has no descriptors they are (N, 0).

    Raises:
        InputError: The lengths of the arrays do not fit together, a value is not finite, or there
            are keypoints of an image without pixels.
    """
    keypoints, scores = _keypoints_and_scores("keypoints", message.keypoints)
    if len(keypoints) and not (message.width and message.height):
        raise InputError(
            f"{len(keypoints)} keypoints come from an image of {message.width}x{message.height} "
            "pixels; does the publisher fill in width and height?"
        )
    return Features(
        keypoints=keypoints,
        scores=scores,
        descriptors=_descriptors(message, count=len(keypoints)),
        image_size=(message.width, message.height),
        extractor=message.extractor,
    )


def matches_to_message(
    matches: Matches,
    features: tuple[Features, Features],
    headers: tuple[Header, Header],
) -> MatchesMessage:
    """Matches with the keypoints they belong to, under the headers of both images."""
    (features0, features1), (header0, header1) = features, headers
    message = MatchesMessage(header=header1, header0=header0, header1=header1)
    message.width0, message.height0 = features0.image_size
    message.width1, message.height1 = features1.image_size
    message.matcher = matches.matcher
    message.keypoints0 = _floats(_keypoint_rows(features0))
    message.keypoints1 = _floats(_keypoint_rows(features1))
    message.matches0 = _integers(matches.matches0)
    message.matches1 = _integers(matches.matches1)
    message.matching_scores0 = _floats(matches.matching_scores0)
    message.matching_scores1 = _floats(matches.matching_scores1)
    return message


def matches_from_message(message: MatchesMessage) -> tuple[Features, Features, Matches]:
    """The features, without descriptors, and the matches that a message carries.

    Raises:
        InputError: The lengths of the arrays do not fit together, or a value is not finite.
    """
    features = []
    for index, size in enumerate(
        ((message.width0, message.height0), (message.width1, message.height1))
    ):
        name = f"keypoints{index}"
        keypoints, scores = _keypoints_and_scores(name, getattr(message, name))
        none = np.zeros((len(keypoints), 0), np.float32)
        features.append(Features(keypoints, scores, none, size, extractor=""))
    matches = Matches(
        matches0=np.array(message.matches0, np.int32),
        matches1=np.array(message.matches1, np.int32),
        matching_scores0=_finite("matching_scores0", message.matching_scores0),
        matching_scores1=_finite("matching_scores1", message.matching_scores1),
        matcher=message.matcher,
    )
    _check_indices(matches, features)
    return features[0], features[1], matches


def assignment_to_message(
    assignment: NDArray[np.float32], headers: tuple[Header, Header]
) -> AssignmentMatrixMessage:
    """Assignment probabilities (N+1, M+1) under the headers of both images."""
    rows, columns = assignment.shape
    message = AssignmentMatrixMessage(
        header=headers[1], header0=headers[0], header1=headers[1], rows=rows, columns=columns
    )
    message.data = _floats(assignment)
    return message


def _floats(values: NDArray[np.float32]) -> array.array[float]:
    return array.array("f", np.ascontiguousarray(values, np.float32).tobytes())


def _integers(values: NDArray[np.int32]) -> array.array[int]:
    return array.array("i", np.ascontiguousarray(values, np.int32).tobytes())


def _keypoint_rows(features: Features) -> NDArray[np.float32]:
    """(N, 3): x, y, confidence."""
    return np.column_stack([features.keypoints, features.scores])


def _finite(name: str, values: Sequence[float]) -> NDArray[np.float32]:
    found = np.array(values, np.float32)  # a copy: the result outlives the message
    if not np.isfinite(found).all():
        raise InputError(f"{name} holds values that are not finite; is the publisher sound?")
    return found


def _keypoints_and_scores(
    name: str, values: Sequence[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows = _finite(name, values)
    if rows.size % 3:
        raise InputError(f"{name} must hold 3N values (x, y, confidence), got {rows.size}")
    rows = rows.reshape(-1, 3)
    return rows[:, :2].copy(), rows[:, 2].copy()


def _descriptors(message: FeaturesMessage, *, count: int) -> NDArray[np.float32]:
    values = _finite("descriptors", message.descriptors)
    size = message.descriptor_size if values.size or not count else 0
    if values.size != count * size:
        raise InputError(
            f"descriptors must hold N*D = {count}*{message.descriptor_size} values, "
            f"got {values.size}"
        )
    return values.reshape(count, size)


def _check_indices(matches: Matches, features: Sequence[Features]) -> None:
    for name, indices, own, other in (
        ("matches0", matches.matches0, features[0], features[1]),
        ("matches1", matches.matches1, features[1], features[0]),
    ):
        if len(indices) != len(own):
            raise InputError(f"{name} must hold {len(own)} indices, got {len(indices)}")
        if indices.size and not -1 <= indices.min() <= indices.max() < len(other):
            raise InputError(f"{name} must hold indices from -1 to {len(other) - 1}")
