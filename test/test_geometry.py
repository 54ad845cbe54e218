"""Two-view geometry: known scenes with noise and wrong matches, and each degenerate case."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from superglue_ros.config import GeometryConfig
from superglue_ros.errors import InputError
from superglue_ros.geometry import Camera, Case, TwoViewGeometry, estimate_two_view_geometry
from superglue_ros.geometry.pose_uncertainty import pose_deviations_deg
from superglue_ros.geometry.two_view_models import sampson_errors, transfer_errors
from superglue_ros.images import read_image
from superglue_ros.inference.nearest import NearestMatcher
from superglue_ros.inference.sift import SiftExtractor

Array = NDArray[np.float64]

DATA = Path(__file__).parents[2] / "shared" / "data"
SIZE = (640, 480)
K = np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]])
CAMERAS = (Camera.pinhole(K), Camera.pinhole(K))
ROTATION = cv2.Rodrigues(np.array([0.03, 0.13, 0.02]))[0]
TRANSLATION = np.array([0.8, 0.1, 0.2])
STILL = np.zeros(3)


class View(NamedTuple):
    points0: Array
    points1: Array
    right: NDArray[np.bool_]


def matched_views(
    rotation: Array = ROTATION,
    translation: Array = TRANSLATION,
    *,
    count: int = 500,
    plane: bool = False,
    noise_px: float = 0.5,
    wrong_share: float = 0.0,
    seed: int = 0,
) -> View:
    """What two cameras see of points 3 to 10 m ahead, or on an oblique plane."""
    random = np.random.default_rng(seed)
    points0 = random.uniform((20, 20), (620, 460), (6 * count, 2))
    rays = np.column_stack([points0, np.ones(len(points0))]) @ np.linalg.inv(K).T
    depths = 5 / (1 - 0.4 * rays[:, 0]) if plane else random.uniform(3, 10, len(rays))
    space1 = (rays * depths[:, None]) @ rotation.T + translation
    projected = space1 @ K.T
    points1 = projected[:, :2] / projected[:, 2:]
    seen = (points1 > 0).all(1) & (points1 < SIZE).all(1)
    points0, points1 = points0[seen][:count], points1[seen][:count]
    right = np.ones(count, bool)
    right[random.permutation(count)[: round(wrong_share * count)]] = False
    points0 = points0 + random.normal(0, noise_px, points0.shape)
    points1 = points1 + random.normal(0, noise_px, points1.shape)
    points1[~right] = random.uniform((0, 0), SIZE, (int((~right).sum()), 2))
    return View(points0, points1, right)


def estimate(view: View, *, calibrated: bool = True, **settings: float) -> TwoViewGeometry:
    cameras = CAMERAS if calibrated else None
    config = GeometryConfig(**settings)  # type: ignore[arg-type]
    return estimate_two_view_geometry(view.points0, view.points1, SIZE, cameras, config)


def rotation_error_deg(found: TwoViewGeometry, rotation: Array) -> float:
    assert found.rotation is not None
    cosine = (np.trace(found.rotation.T @ rotation) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def direction_error_deg(found: TwoViewGeometry, translation: Array) -> float:
    assert found.translation is not None
    cosine = found.translation @ translation / np.linalg.norm(translation)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


@pytest.mark.parametrize("wrong_share", [0.0, 0.5, 0.8])
def test_the_pose_is_found_among_noise_and_wrong_matches(wrong_share: float) -> None:
    view = matched_views(wrong_share=wrong_share, count=1000)
    found = estimate(view)
    assert found.case == Case.GENERAL
    assert rotation_error_deg(found, ROTATION) < 0.3
    assert direction_error_deg(found, TRANSLATION) < 1.0
    assert np.linalg.norm(found.translation) == pytest.approx(1)
    assert found.inliers[view.right].mean() > 0.97
    assert found.inliers[~view.right].sum() <= 0.03 * len(view.right)
    assert found.median_error_px == pytest.approx(0.6745 * 0.5, rel=0.2)  # of a normal error


def test_the_matrices_of_a_pose_belong_together() -> None:
    found = estimate(matched_views(noise_px=0.0))
    x, y, z = found.translation
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    np.testing.assert_allclose(found.essential, skew @ found.rotation, atol=1e-12)
    expected = np.linalg.inv(K).T @ found.essential @ np.linalg.inv(K)
    np.testing.assert_allclose(found.fundamental, expected / np.linalg.norm(expected), atol=1e-12)
    assert found.homography is None


@pytest.mark.parametrize("wrong_share", [0.0, 0.5])
def test_without_calibration_there_is_a_fundamental_matrix_and_no_pose(wrong_share: float) -> None:
    view = matched_views(wrong_share=wrong_share)
    found = estimate(view, calibrated=False)
    clean = matched_views(noise_px=0.0, seed=1)
    assert found.case == Case.GENERAL
    assert np.median(sampson_errors(found.fundamental, clean.points0, clean.points1)) < 0.2
    assert (found.essential, found.rotation, found.translation) == (None, None, None)


@pytest.mark.parametrize("wrong_share", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("calibrated", [False, True])
def test_a_plane_is_named_and_gives_its_homography(wrong_share: float, calibrated: bool) -> None:
    view = matched_views(plane=True, wrong_share=wrong_share)
    found = estimate(view, calibrated=calibrated)
    clean = matched_views(plane=True, noise_px=0.0, seed=1)
    assert found.case == Case.PLANAR
    assert found.inliers[view.right].mean() > 0.95
    assert np.median(transfer_errors(found.homography, clean.points0, clean.points1)) < 0.3
    assert found.fundamental is None


def test_a_plane_alone_gives_the_right_pose_or_none() -> None:
    given = 0
    for seed in range(8):
        random = np.random.default_rng(seed)
        rotation = cv2.Rodrigues(random.normal(0, 0.1, 3))[0]
        translation = random.normal(0, 0.5, 3)
        found = estimate(matched_views(rotation, translation, plane=True, seed=seed, count=300))
        assert found.case == Case.PLANAR
        if found.rotation is not None:
            given += 1
            assert rotation_error_deg(found, rotation) < 1
            assert direction_error_deg(found, translation) < 5
    assert 0 < given < 8


def test_enough_points_off_a_plane_make_the_case_general() -> None:
    wall, things = matched_views(plane=True, count=300), matched_views(count=100, seed=1)
    found = estimate(View(*(np.concatenate(both) for both in zip(wall, things, strict=True))))
    assert found.case == Case.GENERAL
    assert rotation_error_deg(found, ROTATION) < 0.3
    assert direction_error_deg(found, TRANSLATION) < 1.5


@pytest.mark.parametrize("wrong_share", [0.0, 0.5, 0.8])
def test_a_camera_that_only_turns_has_a_rotation_and_no_translation(wrong_share: float) -> None:
    found = estimate(matched_views(translation=STILL, wrong_share=wrong_share))
    assert found.case == Case.PURE_ROTATION
    assert rotation_error_deg(found, ROTATION) < 0.1
    np.testing.assert_array_equal(found.translation, STILL)
    assert (found.essential, found.fundamental) == (None, None)


def test_without_calibration_a_turn_looks_like_a_plane() -> None:
    found = estimate(matched_views(translation=STILL), calibrated=False)
    assert (found.case, found.rotation) == (Case.PLANAR, None)


@pytest.mark.parametrize("wrong_share", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("calibrated", [False, True])
def test_identical_images_show_no_motion(wrong_share: float, calibrated: bool) -> None:
    view = matched_views(np.eye(3), STILL, noise_px=0.2, wrong_share=wrong_share)
    found = estimate(view, calibrated=calibrated)
    assert found.case == Case.NO_MOTION
    np.testing.assert_array_equal(found.rotation, np.eye(3))
    np.testing.assert_array_equal(found.translation, STILL)
    assert found.inliers[view.right].all()


@pytest.mark.parametrize("count", [0, 1, 19])
def test_too_few_matches_are_named(count: int) -> None:
    found = estimate(matched_views(count=count))
    assert found.case == Case.TOO_FEW_MATCHES
    assert found.inliers.tolist() == [False] * count
    assert np.isnan(found.median_error_px)


@pytest.mark.parametrize("count", [30, 100, 500, 2000])
@pytest.mark.parametrize("calibrated", [False, True])
def test_chance_matches_give_no_geometry(count: int, calibrated: bool) -> None:
    found = estimate(matched_views(count=count, wrong_share=1.0), calibrated=calibrated)
    assert found.case == Case.NO_CONSENSUS
    assert not found.inliers.any()
    assert found.rotation is None
    assert found.fundamental is None


def test_few_right_matches_with_little_motion_give_the_right_direction_or_none() -> None:
    """Nearly all matches agree with any direction; a few wrong ones decide which is best."""
    cases = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        translation = random.normal(size=3)
        translation *= 0.05 / np.linalg.norm(translation)
        view = matched_views(ROTATION, translation, count=250, wrong_share=0.88, seed=seed)
        found = estimate(view)
        cases.append(found.case)
        if found.case in (Case.GENERAL, Case.PLANAR) and found.translation is not None:
            assert direction_error_deg(found, translation) < 20
        if found.case == Case.UNCERTAIN:
            assert found.rotation is found.translation is found.pose_covariance is None
            assert found.essential is not None
    assert Case.UNCERTAIN in cases


def test_the_covariance_tells_how_far_poses_are_off() -> None:
    """Squared errors over their covariance have the mean of a chi-squared variable: 2 and 3."""
    true = TRANSLATION / np.linalg.norm(TRANSLATION)
    of_direction, of_rotation = [], []
    for seed in range(40):
        found = estimate(matched_views(count=200, seed=seed))
        assert found.pose_covariance is not None
        across = np.linalg.svd(found.translation[None])[2][1:]
        off = across @ (true - found.translation)
        turn = cv2.Rodrigues(ROTATION @ found.rotation.T)[0][:, 0]
        parts = found.pose_covariance[:3, :3], found.pose_covariance[3:, 3:]
        of_direction.append(off @ np.linalg.solve(across @ parts[0] @ across.T, off))
        of_rotation.append(turn @ np.linalg.solve(parts[1], turn))
        assert abs(found.translation @ parts[0] @ found.translation) < 1e-12
    assert 1.2 < np.mean(of_direction) < 3.5
    assert 2.0 < np.mean(of_rotation) < 5.0


def test_a_pose_less_certain_than_asked_for_is_not_given() -> None:
    view = matched_views(count=60)
    found = estimate(view)
    assert found.case == Case.GENERAL
    deviation_deg = max(pose_deviations_deg(found.pose_covariance))
    assert 0.05 < deviation_deg < 3
    assert estimate(view, max_pose_deviation_deg=0.9 * deviation_deg).case == Case.UNCERTAIN


@pytest.mark.parametrize("place", [(7.0, 9.0), None])
def test_matches_on_one_point_or_one_line_give_no_pose(place: tuple[float, float] | None) -> None:
    along = np.linspace(10, 400, 60)
    points = np.full((60, 2), place) if place else np.column_stack([along, along])
    found = estimate(View(points, points + 30, np.ones(60, bool)))
    assert found.case not in (Case.GENERAL, Case.NO_MOTION)
    assert found.translation is None or not found.translation.any()


def test_the_same_matches_give_the_same_geometry() -> None:
    view = matched_views(wrong_share=0.5)
    first, second = estimate(view), estimate(view)
    np.testing.assert_array_equal(first.essential, second.essential)


def test_a_distorted_image_gives_the_same_pose() -> None:
    view = matched_views(noise_px=0.0)
    distortion = np.array([-0.25, 0.08, 0.001, -0.001, 0.0])
    bent = Camera(K, distortion, "plumb_bob", np.eye(3), CAMERAS[0].projection)
    points0, points1 = (
        cv2.projectPoints(
            np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(K).T,
            np.zeros(3),
            np.zeros(3),
            K,
            distortion,
        )[0][:, 0]
        for points in (view.points0, view.points1)
    )
    found = estimate_two_view_geometry(points0, points1, SIZE, (bent, bent))
    assert rotation_error_deg(found, ROTATION) < 0.01
    assert direction_error_deg(found, TRANSLATION) < 0.05


def test_errors_are_distances_in_pixels() -> None:
    sideways = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # rows are epipolar lines
    points0, points1 = np.array([[10.0, 20.0]]), np.array([[90.0, 24.0]])
    assert sampson_errors(sideways, points0, points1) == pytest.approx(4 / np.sqrt(2))
    assert transfer_errors(np.eye(3), points0, points0 + np.array([3, 4])) == pytest.approx(5)


def test_a_homography_that_sends_a_point_to_infinity_has_no_finite_error() -> None:
    flat = np.diag([1.0, 1.0, 0.0])
    assert transfer_errors(flat, np.ones((1, 2)), np.ones((1, 2))).tolist() == [np.inf]


@pytest.mark.parametrize(
    "points", [np.zeros((30, 3)), np.full((30, 2), np.nan), np.zeros(30)], ids=["xyz", "nan", "1d"]
)
def test_points_that_are_none_are_refused(points: Array) -> None:
    with pytest.raises(InputError, match=r"\(K, 2\)"):
        estimate_two_view_geometry(points, points, SIZE)


def test_points_that_are_not_matched_are_refused() -> None:
    with pytest.raises(InputError, match="30, 31"):
        estimate_two_view_geometry(np.zeros((30, 2)), np.zeros((31, 2)), SIZE)


def test_the_pose_of_a_real_calibrated_pair() -> None:
    """Strecha's fountain: neighbours 1.6 m apart, the ground truth by laser scanner."""
    pairs = DATA / "strecha_pairs.txt"
    if not pairs.is_file():
        pytest.skip("the images are not here")
    name0, name1, _, _, *numbers = pairs.read_text().splitlines()[0].split()
    values = np.array(numbers, float)
    cameras = tuple(Camera.pinhole(values[at : at + 9].reshape(3, 3)) for at in (0, 9))
    pose = values[18:].reshape(4, 4)
    images = [read_image(DATA / name) for name in (name0, name1)]
    extractor = SiftExtractor(max_keypoints=1024)
    features0, features1 = extractor.extract_batch(images)
    index0, index1 = NearestMatcher().match(features0, features1).pairs.T
    found = estimate_two_view_geometry(
        features0.keypoints[index0], features1.keypoints[index1], features1.image_size, cameras
    )
    assert found.case == Case.GENERAL
    assert rotation_error_deg(found, pose[:3, :3]) < 0.5
    assert direction_error_deg(found, pose[:3, 3]) < 2.0
