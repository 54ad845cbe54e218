"""Features and Matches: what they hold, and arrays that do not belong together."""

from __future__ import annotations

import numpy as np
import pytest

from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches

Shape = tuple[int, ...]


def features(keypoints: Shape, scores: Shape, descriptors: Shape) -> Features:
    return Features(
        keypoints=np.zeros(keypoints, np.float32),
        scores=np.zeros(scores, np.float32),
        descriptors=np.zeros(descriptors, np.float32),
        image_size=(640, 480),
        extractor="zeros",
    )


def matches(matches0: list[int], matches1: list[int], /, **arrays: np.ndarray) -> Matches:
    given = {
        "matches0": np.array(matches0, np.int32),
        "matches1": np.array(matches1, np.int32),
        "matching_scores0": np.linspace(0.1, 0.9, len(matches0), dtype=np.float32),
        "matching_scores1": np.zeros(len(matches1), np.float32),
    }
    return Matches(**(given | arrays), matcher="by hand")


def test_the_length_of_features_is_the_number_of_keypoints() -> None:
    assert len(features((3, 2), (3,), (3, 256))) == 3
    assert len(features((0, 2), (0,), (0, 256))) == 0


def test_features_may_carry_no_descriptors() -> None:
    assert features((3, 2), (3,), (3, 0)).descriptors.shape == (3, 0)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 3), (3,), (3, 8)), r"keypoints must be \(N, 2\), got \(3, 3\)"),
        (((6,), (3,), (3, 8)), r"keypoints must be \(N, 2\), got \(6,\)"),
        (((3, 2), (2,), (3, 8)), r"scores must be \(3\), got \(2,\)"),
        (((3, 2), (3, 1), (3, 8)), r"scores must be \(3\), got \(3, 1\)"),
        (((3, 2), (3,), (8, 3)), r"descriptors must be \(3, D\), got \(8, 3\)"),
    ],
)
def test_features_that_do_not_fit_together_are_refused(
    shapes: tuple[Shape, Shape, Shape], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        features(*shapes)


def test_pairs_and_confidences_leave_out_what_is_unmatched() -> None:
    found = matches([2, -1, 0, -1], [2, -1, 0])
    assert len(found) == 2
    assert found.pairs.tolist() == [[0, 2], [2, 0]]
    assert found.pairs.dtype == np.int32
    np.testing.assert_array_equal(found.confidences, found.matching_scores0[[0, 2]])


@pytest.mark.parametrize(("count0", "count1"), [(0, 0), (0, 3), (3, 0), (2, 3)])
def test_no_matches_give_empty_pairs(count0: int, count1: int) -> None:
    found = matches([-1] * count0, [-1] * count1)
    assert len(found) == 0
    assert found.pairs.shape == (0, 2)
    assert found.confidences.shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"matching_scores0": np.zeros(3, np.float32)},
        {"matching_scores1": np.zeros(2, np.float32)},
        {"matches1": np.zeros((3, 1), np.int32)},
        {"assignment": np.zeros((2, 3), np.float32)},
        {"assignment": np.zeros((4, 3), np.float32)},
    ],
)
def test_matches_that_do_not_fit_together_are_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        matches([-1, -1], [-1, -1, -1], **wrong)


def test_the_assignment_has_a_row_and_a_column_more_than_keypoints() -> None:
    assignment = np.zeros((3, 4), np.float32)
    assert matches([-1, -1], [-1] * 3, assignment=assignment).assignment is assignment
