"""Cameras and triangulation, against points that OpenCV projects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from superglue_ros.cameras import FISHEYE, Camera
from superglue_ros.config import StereoConfig
from superglue_ros.errors import InputError
from superglue_ros.stereo import StereoCamera

Array = NDArray[np.float64]

SIZE = (640, 480)
K = np.array([[420.0, 0, 310.0], [0, 425.0, 236.0], [0, 0, 1]])
DISTORTIONS = {
    "plumb_bob": np.array([-0.28, 0.09, 0.001, -0.0005, 0.0]),
    "rational_polynomial": np.array([0.2, -0.1, 0.001, 0.0005, 0.01, 0.5, -0.05, 0.02]),
    FISHEYE: np.array([0.02, -0.01, 0.004, -0.001]),
}
ROTATION = cv2.Rodrigues(np.array([0.01, -0.02, 0.005]))[0]
TRANSLATION = np.array([-0.12, 0.002, 0.001])


def project(space: Array, model: str, rotation: Array, translation: Array) -> Array:
    rotated = (space @ rotation.T + translation)[:, None]
    projector = cv2.fisheye.projectPoints if model == FISHEYE else cv2.projectPoints
    zero = np.zeros((3, 1))
    found, _ = projector(rotated, zero, zero, K, DISTORTIONS[model])
    return np.asarray(found[:, 0], np.float64)


def points_ahead(count: int = 200) -> Array:
    random = np.random.default_rng(3)
    return random.uniform((-1.5, -1, 2), (1.5, 1, 6), (count, 3))


def rectified_pair(baseline: float = 0.1) -> StereoCamera:
    left, right = np.column_stack([K, np.zeros(3)]), np.column_stack([K, np.zeros(3)])
    right[0, 3] = -K[0, 0] * baseline
    return StereoCamera(
        *(Camera(K, np.zeros(0), "", np.eye(3), projection) for projection in (left, right))
    )


@pytest.mark.parametrize("model", DISTORTIONS)
def test_undistorted_points_are_those_of_an_ideal_camera(model: str) -> None:
    space = points_ahead()
    camera = Camera(K, DISTORTIONS[model], model, np.eye(3), np.zeros((3, 4)))
    ideal = space @ K.T
    found = camera.undistort(project(space, model, np.eye(3), np.zeros(3)))
    np.testing.assert_allclose(found, ideal[:, :2] / ideal[:, 2:], atol=0.01)


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial"])
def test_points_of_raw_images_are_rectified_and_triangulated(model: str) -> None:
    distortion = DISTORTIONS[model]
    R0, R1, P0, P1, *_ = cv2.stereoRectify(
        K,
        distortion,
        K,
        distortion,
        SIZE,
        ROTATION,
        TRANSLATION[:, None],
        flags=cv2.CALIB_ZERO_DISPARITY,
    )
    stereo = StereoCamera(
        Camera(K, distortion, model, R0, P0),
        Camera(K, distortion, model, R1, P1),
        rectified=False,
    )
    space = points_ahead()
    left = project(space, model, np.eye(3), np.zeros(3))
    right = project(space, model, ROTATION, TRANSLATION)
    found = stereo.triangulate(left, right, StereoConfig())
    assert found.inliers.all()
    assert found.row_errors_px.max() < 0.05
    np.testing.assert_allclose(found.positions, space @ R0.T, rtol=0.01, atol=0.005)
    assert stereo.baseline == pytest.approx(np.linalg.norm(TRANSLATION), rel=1e-6)


def test_a_rectified_pair_gives_points_in_metres_of_the_left_camera() -> None:
    left = np.array([[310.0, 236.0], [352.0, 236.0], [310.0, 321.0]])
    right = left - [21.0, 0.0]  # 420 px * 0.1 m / 21 px = 2 m
    found = rectified_pair().triangulate(left, right, StereoConfig())
    expected = [[0, 0, 2], [0.2, 0, 2], [0, 0.4, 2]]
    np.testing.assert_allclose(found.positions, expected, atol=1e-9)


def test_matches_off_their_row_at_infinity_and_behind_are_no_points() -> None:
    left = np.array([[300.0, 100.0]] * 4)
    right = np.array([[290.0, 101.0], [290.0, 103.0], [299.5, 100.0], [305.0, 100.0]])
    settings = StereoConfig(max_epipolar_error_px=1.5, min_disparity_px=1.0)
    found = rectified_pair().triangulate(left, right, settings)
    assert found.inliers.tolist() == [True, False, False, False]
    assert np.isfinite(found.positions).all(1).tolist() == [True, False, False, False]
    assert found.row_errors_px.tolist() == [1.0, 3.0, 0.0, 0.0]


@pytest.mark.parametrize("rectified", [True, False])
def test_no_matches_give_no_points(rectified: bool) -> None:
    pair = rectified_pair()
    stereo = StereoCamera(pair.left, pair.right, rectified=rectified)
    nothing = np.zeros((0, 2))
    assert stereo.triangulate(nothing, nothing, StereoConfig()).positions.shape == (0, 3)


def test_left_and_right_exchanged_are_refused() -> None:
    with pytest.raises(InputError, match="right way round"):
        rectified_pair(baseline=-0.1)


def test_a_camera_without_calibration_is_refused() -> None:
    with pytest.raises(InputError, match="not calibrated"):
        Camera(np.zeros((3, 3)), np.zeros(0), "", np.eye(3), np.zeros((3, 4)))


def test_an_unknown_distortion_model_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="kannala"):
        Camera(K, np.zeros(4), "kannala", np.eye(3), np.zeros((3, 4)))
