"""Cameras and triangulation, against points that OpenCV projects."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

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


def projecting_pair(left: tuple[float, ...], right: tuple[float, ...]) -> StereoCamera:
    """Rectified cameras by fx, fy, cx, cy, Tx, Ty of their P."""
    cameras = []
    for fx, fy, cx, cy, tx, ty in (left, right):
        projection = np.array([[fx, 0, cx, tx], [0, fy, cy, ty], [0, 0, 1, 0]])
        cameras.append(Camera(projection[:, :3], np.zeros(0), "", np.eye(3), projection))
    return StereoCamera(*cameras)


KITTI_COLOUR = (721.5, 721.5, 609.6, 172.9, 45.0, 0.0), (721.5, 721.5, 609.6, 172.9, -340.0, 0.0)
HALF_SIZE = (500, 500, 320, 240, 0, 0), (250, 250, 160, 120, -25, 0)
TWO_FOCI = (635.6, 635.6, 414.7, 292.3, 0, 0), (639.7, 641.0, 388.9, 290.1, -63.97, 0)
ASKEW = (700, 700, 600, 170, 0, 0), (700, 700, 600, 170, -350, 1.75)


@pytest.mark.parametrize("projections", [KITTI_COLOUR, HALF_SIZE, TWO_FOCI, ASKEW])
def test_each_camera_has_its_own_projection_and_place(
    projections: tuple[tuple[float, ...], tuple[float, ...]],
) -> None:
    """What both P make of points of the frame they are calibrated to is triangulated exactly."""
    pair = projecting_pair(*projections)
    left_m, right_m = (
        np.array([one.projection[0, 3] / one.projection[0, 0], one.projection[1, 3] / 700.0, 0])
        for one in (pair.left, pair.right)
    )
    space = points_ahead() * [1, 1, 3]
    seen = [
        (np.column_stack([space, np.ones(len(space))]) @ one.projection.T)
        for one in (pair.left, pair.right)
    ]
    left, right = (one[:, :2] / one[:, 2:] for one in seen)
    found = pair.triangulate(left, right, StereoConfig())
    assert pair.baseline == pytest.approx(left_m[0] - right_m[0])
    assert found.inliers.all()
    np.testing.assert_allclose(found.row_errors_px, 0, atol=1e-9)
    np.testing.assert_allclose(found.positions, space + left_m, atol=1e-9)
    np.testing.assert_allclose(pair.translation, right_m - left_m, atol=1e-12)


def test_the_baseline_of_kitti_colour_cameras_counts_from_the_left_colour_one() -> None:
    pair = projecting_pair(*KITTI_COLOUR)
    found = pair.triangulate(np.array([[609.6, 172.9]]), np.array([[589.6, 172.9]]), StereoConfig())
    np.testing.assert_allclose(found.positions, [[0, 0, 385 / 20]], atol=1e-9)


def test_rows_are_compared_in_pixels_of_the_coarser_image() -> None:
    pair = projecting_pair(*HALF_SIZE)
    left, right = np.array([[320.0, 240.0]]), np.array([[150.0, 122.0]])
    assert pair.triangulate(left, right, StereoConfig()).row_errors_px.tolist() == [2.0]


def test_cameras_one_above_the_other_are_refused_with_both_values() -> None:
    with pytest.raises(InputError, match=r"one above the other.*left Ty/fy 0 m, right -0.5 m"):
        projecting_pair((700, 700, 600, 170, 0, 0), (700, 700, 600, 170, -70, -350))


def info(model: str = "plumb_bob", d: tuple[float, ...] = (), **more: object) -> SimpleNamespace:
    fields = {
        "width": 1280,
        "height": 960,
        "distortion_model": model,
        "d": d,
        "k": (500, 0, 640, 0, 510, 480, 0, 0, 1),
        "r": np.eye(3).ravel(),
        "p": (480, 0, 630, -48, 0, 490, 470, 0, 0, 0, 1, 0),
        "binning_x": 0,
        "binning_y": 0,
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    }
    return SimpleNamespace(**(fields | more))


ORBBEC = (-0.0306, 0.0352, -0.00013, -0.00014, -0.01204)


@pytest.mark.parametrize(
    ("model", "given", "taken_as", "used"),
    [
        ("plumb_bob", (*ORBBEC, 0, 0, 0), "plumb_bob", (*ORBBEC, 0, 0, 0)),
        ("plumb_bob", (*ORBBEC, 0), "plumb_bob", ORBBEC),
        ("plumb_bob", (*ORBBEC, 0.1, 0.2, 0.3), "plumb_bob", (*ORBBEC, 0.1, 0.2, 0.3)),
        ("rational_polynomial", ORBBEC, "rational_polynomial", ORBBEC),
        ("equidistant", (0.01, 0.002, 0, 0, 0), FISHEYE, (0.01, 0.002, 0, 0)),
        ("fisheye", (0.01, 0.002, 0, 0), FISHEYE, (0.01, 0.002, 0, 0)),
        ("Kannala-Brandt4", (0.01, 0.002, 0, 0.1), FISHEYE, (0.01, 0.002, 0, 0.1)),
        ("", (0, 0, 0, 0, 0), "", ()),
        ("none", (), "", ()),
        ("None", (0, 0, 0, 0), "", ()),
        ("radtan", (0.1, 0.2, 0, 0), "plumb_bob", (0.1, 0.2, 0, 0)),
    ],
)
def test_calibrations_of_drivers_are_taken_for_what_they_are(
    model: str, given: tuple[float, ...], taken_as: str, used: tuple[float, ...]
) -> None:
    camera = Camera.from_info(info(model, given), rectified=False)
    assert (camera.distortion_model, tuple(camera.distortion)) == (taken_as, used)


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        ("equidistant", (0.1, 0, 0, 0, 0.1), "has 4 coefficients, got 5"),
        ("plumb_bob", (0.1, 0.2, 0.3), "got 3"),
        ("", (0.1, 0, 0, 0, 0), "must name their model"),
        ("double_sphere", (0, 0), "'double_sphere' is unknown"),
    ],
)
def test_distortion_that_means_nothing_known_is_refused(
    model: str, given: tuple[float, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Camera.from_info(info(model, given), rectified=False)


def test_binning_and_region_of_interest_are_applied_as_image_geometry_does() -> None:
    """Expected: image_geometry's fromCameraInfo, which subtracts the offset, then divides."""
    roi = SimpleNamespace(x_offset=320, y_offset=240, width=640, height=480)
    message = info(binning_x=2, binning_y=4, roi=roi)
    camera = Camera.from_info(message, rectified=False, image_size=(320, 120))
    assert camera.matrix.tolist() == [[250, 0, 160], [0, 127.5, 60], [0, 0, 1]]
    assert camera.projection.tolist() == [[240, 0, 155, -24], [0, 122.5, 57.5, 0], [0, 0, 1, 0]]
    with pytest.raises(InputError, match=r"is of 320x120 pixels .of 1280x960, binning and ROI"):
        Camera.from_info(message, rectified=False, image_size=(640, 480))


def test_binning_of_images_that_have_all_pixels_changes_nothing() -> None:
    message = info(binning_x=2, binning_y=2)
    camera = Camera.from_info(message, rectified=False, image_size=(1280, 960))
    assert camera.matrix[0].tolist() == [500, 0, 640]
