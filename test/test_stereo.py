"""Cameras and triangulation, against points that OpenCV projects."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from superglue_ros.config import GeometryConfig, StereoConfig
from superglue_ros.errors import InputError
from superglue_ros.geometry import Case, Scale
from superglue_ros.geometry.cameras import FISHEYE, Camera
from superglue_ros.geometry.stereo import StereoCamera, stereo_geometry
from superglue_ros.inference.nearest import NearestMatcher
from superglue_ros.inference.sift import SiftExtractor
from superglue_ros.lab.demo.scenes import stereo_scene

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


@pytest.mark.parametrize("rectified", [True, False])
def test_the_geometry_of_a_pair_is_that_of_its_calibration(rectified: bool) -> None:
    pair = rectified_pair()
    stereo = StereoCamera(pair.left, pair.right, rectified=rectified)
    random = np.random.default_rng(0)
    left = random.uniform((100, 0), SIZE, (200, 2))
    right = left - np.column_stack([random.uniform(5, 60, 200), np.zeros(200)])
    right[:50, 1] += 20
    settings = StereoConfig(), GeometryConfig()
    geometry, points = stereo_geometry(stereo, left, right, SIZE, *settings)
    assert (geometry.case, geometry.scale) == (Case.GENERAL, Scale.METRIC)
    np.testing.assert_allclose(geometry.rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(geometry.translation, [-pair.baseline, 0, 0], atol=1e-12)
    assert geometry.inliers.tolist() == points.inliers.tolist() == [False] * 50 + [True] * 150
    assert geometry.median_error_px == pytest.approx(0, abs=1e-9)


def test_the_pose_between_cameras_that_are_not_parallel() -> None:
    R0, R1, P0, P1, *_ = cv2.stereoRectify(
        K, np.zeros(5), K, np.zeros(5), SIZE, ROTATION, TRANSLATION[:, None]
    )
    cameras = (Camera(K, np.zeros(5), "plumb_bob", *one) for one in ((R0, P0), (R1, P1)))
    rotation, translation = StereoCamera(*cameras, rectified=False).pose
    np.testing.assert_allclose(rotation, ROTATION, atol=1e-9)
    np.testing.assert_allclose(translation, TRANSLATION, atol=1e-9)


@pytest.mark.parametrize(("count", "case"), [(10, "TOO_FEW_MATCHES"), (200, "NO_CONSENSUS")])
def test_matches_that_say_nothing_give_no_points(count: int, case: str) -> None:
    random = np.random.default_rng(0)
    left, right = random.uniform((0, 0), SIZE, (2, count, 2))
    settings = StereoConfig(), GeometryConfig()
    geometry, points = stereo_geometry(rectified_pair(), left, right, SIZE, *settings)
    assert geometry.case.name == case
    assert geometry.rotation is None
    if case == "NO_CONSENSUS":
        assert not points.inliers.any()
        assert np.isnan(points.positions).all()


def test_the_depths_of_a_real_pair_are_its_true_ones() -> None:
    """Middlebury's motorcycle at a quarter of its size: 193 mm apart, its disparity measured."""
    scene = stereo_scene()
    focal, offset, baseline = 994.978, 31.086, 0.193001
    left_matrix = np.array([[focal, 0, 311.193], [0, focal, 254.877], [0, 0, 1]])
    right_matrix = left_matrix + np.array([[0, 0, offset], [0, 0, 0], [0, 0, 0]])
    stereo = StereoCamera(
        Camera.pinhole(left_matrix),
        dataclasses.replace(
            Camera.pinhole(right_matrix),
            projection=np.column_stack([right_matrix, [-focal * baseline, 0, 0]]),
        ),
    )
    images = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in scene.frames[0]]
    features0, features1 = SiftExtractor(max_keypoints=1024).extract_batch(images)
    index0, index1 = NearestMatcher().match(features0, features1).pairs.T
    left, right = features0.keypoints[index0], features1.keypoints[index1]
    settings = StereoConfig(), GeometryConfig()
    geometry, points = stereo_geometry(stereo, left, right, features1.image_size, *settings)
    assert geometry.case == Case.GENERAL
    columns, rows = np.rint(left[points.inliers]).astype(int).T
    disparities = scene.disparity[rows, columns]
    known = np.isfinite(disparities)
    true = focal * baseline / (disparities[known] + offset)
    errors = np.abs(points.positions[points.inliers, 2][known] / true - 1)
    assert len(errors) > 150
    assert np.median(errors) < 0.01
    assert (errors < 0.05).mean() > 0.8
