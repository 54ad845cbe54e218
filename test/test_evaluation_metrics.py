"""The evaluation's figures against cases made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from superglue_ros.lab.evaluation import metrics
from superglue_ros.lab.evaluation.pairs import (
    DisparityTruth,
    HomographyTruth,
    ImagePair,
    PoseTruth,
)
from superglue_ros.lab.evaluation.runner import summarise

BLANK = np.zeros((100, 200), np.uint8)
SHIFT = np.array([[1.0, 0, 10], [0, 1, 5], [0, 0, 1]])
NO_PAIRS = np.zeros((0, 2), np.int32)


def all_pairs(count: int) -> np.ndarray:
    return np.stack([np.arange(count)] * 2, axis=1).astype(np.int32)


@pytest.fixture
def grid() -> np.ndarray:
    x, y = np.meshgrid(np.arange(10, 180, 20.0), np.arange(10, 90, 20.0))
    return np.stack([x.ravel(), y.ravel()], axis=1)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([0.0, 0.0], 1.0),
        ([5.0], 0.75),  # the curve rises from 0 at 0 to 1 at 5 and stays until 10
        ([np.inf, 20.0], 0.0),
        ([5.0, np.inf], 0.375),
        ([], 0.0),
    ],
)
def test_area_under_the_curve_by_hand(errors: list[float], expected: float) -> None:
    assert metrics.area_under_curve(errors, [10.0]) == [pytest.approx(expected)]


def test_perfect_matches_of_a_homography(grid: np.ndarray) -> None:
    pytest.importorskip("poselib")
    pair = ImagePair("made up", BLANK, BLANK, HomographyTruth(SHIFT))
    judgement = pair.truth.judge(grid, grid + np.array([10, 5]), all_pairs(len(grid)), pair)
    assert judgement.right.all()
    assert judgement.errors["DLT"] == pytest.approx(0, abs=1e-6)
    assert judgement.errors["RANSAC"] == pytest.approx(0, abs=1e-4)
    inside = metrics.is_inside(grid + np.array([10, 5]), pair.size1).sum()
    assert judgement.counts["possible"] == judgement.counts["found"] == inside


def test_shifted_matches_of_a_homography(grid: np.ndarray) -> None:
    pytest.importorskip("poselib")
    pair = ImagePair("made up", BLANK, BLANK, HomographyTruth(SHIFT))
    two_off = pair.truth.judge(grid, grid + np.array([12, 5]), all_pairs(len(grid)), pair)
    assert two_off.right.all()
    assert two_off.counts["within 1px"] == 0
    assert two_off.errors["DLT"] == pytest.approx(2, abs=1e-6)
    four_off = pair.truth.judge(grid, grid + np.array([14, 5]), all_pairs(len(grid)), pair)
    assert not four_off.right.any()
    assert four_off.counts["possible"] == 0


def test_no_matches_have_no_homography_and_no_pose() -> None:
    none = np.zeros((0, 2))
    pair = ImagePair("made up", BLANK, BLANK, HomographyTruth(SHIFT))
    judgement = pair.truth.judge(none, none, NO_PAIRS, pair)
    assert judgement.errors == {"DLT": np.inf, "RANSAC": np.inf}
    assert judgement.counts["possible"] == 0
    pose = PoseTruth(np.eye(3), np.eye(3), np.eye(3), np.array([1.0, 0, 0]))
    assert pose.judge(none, none, NO_PAIRS, pair).errors == {"pose": 180.0}


def test_possible_matches_are_mutual_nearest_within_three_pixels() -> None:
    keypoints0 = np.array([[10.0, 10], [12, 10], [50, 50], [195, 50]])
    keypoints1 = np.array([[21.0, 15], [63, 55], [90, 90]])
    # the first two compete for the same one; the third misses by 3; the last leaves the image
    possible = metrics.possible_matches(SHIFT, keypoints0, keypoints1, (200, 100))
    assert possible.sum() == 2
    assert possible[2]
    assert not possible[3]
    assert not metrics.possible_matches(SHIFT, keypoints0, np.zeros((0, 2)), (200, 100)).any()


def test_points_behind_the_image_are_never_right() -> None:
    behind = np.diag([1.0, 1.0, -1.0])
    assert np.isinf(metrics.transfer_errors(behind, np.ones((1, 2)), np.ones((1, 2)))).all()


def rotation_about_y(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def test_pose_errors_by_hand() -> None:
    assert metrics.rotation_error_deg(rotation_about_y(7), np.eye(3)) == pytest.approx(7)
    x, diagonal = np.array([2.0, 0, 0]), np.array([1.0, 1, 0])
    assert metrics.translation_error_deg(x, diagonal) == pytest.approx(45)
    assert metrics.translation_error_deg(-x, x) == 0
    assert metrics.translation_error_deg(np.zeros(3), x) == 180


def two_cameras() -> tuple[PoseTruth, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    points = random.uniform((-2, -1, 4), (2, 1, 8), (60, 3))
    K = np.array([[120.0, 0, 100], [0, 120, 50], [0, 0, 1]])
    rotation, translation = rotation_about_y(6), np.array([-0.7, 0.1, 0.05])
    seen = points @ rotation.T + translation
    pixels0, pixels1 = ((p @ K.T)[:, :2] / (p @ K.T)[:, 2:] for p in (points, seen))
    return PoseTruth(K, K, rotation, translation), pixels0, pixels1


def test_the_pose_of_perfect_matches_is_found() -> None:
    pytest.importorskip("poselib")
    truth, points0, points1 = two_cameras()
    pair = ImagePair("made up", BLANK, BLANK, truth)
    judgement = truth.judge(points0, points1, all_pairs(60), pair)
    assert judgement.right.all()
    assert judgement.errors["pose"] < 0.1


def test_matches_off_their_epipolar_lines_are_wrong() -> None:
    pytest.importorskip("poselib")
    truth, points0, points1 = two_cameras()
    pair = ImagePair("made up", BLANK, BLANK, truth)
    judgement = truth.judge(points0, points1 + np.array([0, 12]), all_pairs(60), pair)
    assert judgement.right.mean() < 0.1


def test_epipolar_errors_by_hand() -> None:
    """Camera 1 is moved sideways: lines are rows, and a match d off its row errs by 2 d^2."""
    error = metrics.epipolar_errors(
        np.array([[3.0, 4.0]]),
        np.array([[9.0, 4.1]]),
        np.eye(3),
        np.eye(3),
        np.eye(3),
        np.array([5.0, 0, 0]),
    )
    assert error[0] == pytest.approx(2 * 0.1**2)


def test_disparity_judges_where_it_is_known() -> None:
    disparity = np.full((100, 200), 20.0)
    disparity[:, 100:] = np.inf
    keypoints0 = np.array([[50.0, 10], [60, 20], [70, 30], [150, 40]])
    keypoints1 = keypoints0 - [20, 0] + [[0, 0], [2, 0], [0, 4], [0, 0]]
    pair = ImagePair("made up", BLANK, BLANK, DisparityTruth(disparity))
    judgement = pair.truth.judge(keypoints0, keypoints1, all_pairs(4), pair)
    assert judgement.judged.tolist() == [True, True, True, False]
    assert judgement.right.tolist() == [True, True, False, False]
    assert judgement.counts["within 1px"] == 1


def test_a_summary_is_the_mean_in_percent_with_areas_for_errors() -> None:
    figures = [
        {"keypoints": 100.0, "precision": 1.0, "pose": 0.0},
        {"keypoints": 50.0, "precision": 0.5, "pose": 180.0},
    ]
    summary = summarise(figures)
    assert summary["pairs"] == 2
    assert summary["keypoints"] == 75
    assert summary["precision"] == 75
    assert summary["pose AUC@5"] == pytest.approx(50)
