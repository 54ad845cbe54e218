"""What two views tell of each other: epipolar geometry, homography, relative pose.

PoseLib estimates; what is here decides which of its models the matches bear out. A fundamental or
essential matrix can be fitted to anything: to noise, to a plane, to a camera that only turned. So
the simplest explanation that the matches allow is taken and named, and there is a pose only where
it is determined (Hartley and Zisserman, Multiple View Geometry, 11.9 and 13).

Pixel convention: (0, 0) is the centre of the top-left pixel. Poses map points of camera 0 to
camera 1: X1 = R X0 + t, x to the right, y down, z forward.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
import poselib
from numpy.typing import NDArray

from superglue_ros.cameras import Camera, Matrix, Points, bearings, homogeneous
from superglue_ros.config import GeometryConfig
from superglue_ros.errors import InputError

Flags = NDArray[np.bool_]

# The 95 % quantiles of the error to a line (one dimension) and to a point (two) differ by
# sqrt(5.99 / 3.84); the error to a point has the noise of both images in it, Sampson's that of one.
POINT_TO_LINE_ERROR = math.sqrt(5.99 / 3.84) * math.sqrt(2)
# So far beyond the threshold, noise alone leaves no point.
CLEARLY_OFF = 1.5
# A simpler model that leaves out a smaller share of the matches explains them.
LEFT_OUT_SHARE = 0.1


class Case(enum.IntEnum):
    """What the matches turned out to show; the values are those of TwoViewGeometry.msg."""

    GENERAL = 0  # motion with parallax: epipolar geometry, and a pose where calibrated
    TOO_FEW_MATCHES = 1  # nothing was estimated
    NO_CONSENSUS = 2  # no model holds for more matches than chance explains
    NO_MOTION = 3  # both images show the same from the same place
    PURE_ROTATION = 4  # calibrated: a rotation without translation
    PLANAR = 5  # a plane or, uncalibrated, a camera that only turned: homography, no pose


@dataclass(frozen=True, eq=False)
class TwoViewGeometry:
    """The geometry of a pair of views.

    Where cameras were given the matrices hold for undistorted pixels.

    Attributes:
        case: What the matches show; which of the rest there is depends on it.
        inliers: (K,) bool, which matches agree with the model.
        median_error_px: Median over the inliers of the distance to the model in pixels: Sampson's
            for an epipolar geometry, the distance in image 1 for a homography; NaN without a model.
        fundamental: (3, 3) F with x1^T F x0 = 0; case GENERAL.
        essential: (3, 3) E; case GENERAL with cameras.
        homography: (3, 3) H with x1 ~ H x0; cases NO_MOTION, PURE_ROTATION and PLANAR.
        rotation: (3, 3) R; cases GENERAL and PURE_ROTATION with cameras, and NO_MOTION.
        translation: (3,) t: of length 1, as its scale is unknown, in case GENERAL with cameras;
            zero in cases NO_MOTION and PURE_ROTATION.
    """

    case: Case
    inliers: Flags
    median_error_px: float = math.nan
    fundamental: Matrix | None = None
    essential: Matrix | None = None
    homography: Matrix | None = None
    rotation: Matrix | None = None
    translation: Matrix | None = None


@dataclass(frozen=True, eq=False)
class _Fit:
    """A model, which matches are its inliers, and its error at each in pixels."""

    matrix: Matrix
    inliers: Flags
    errors: NDArray[np.float64]

    @property
    def count(self) -> int:
        return int(np.count_nonzero(self.inliers))

    @property
    def median_error_px(self) -> float:
        return float(np.median(self.errors[self.inliers]))


def estimate_two_view_geometry(
    points0: Points,
    points1: Points,
    image_size: tuple[int, int],
    cameras: tuple[Camera, Camera] | None = None,
    config: GeometryConfig | None = None,
) -> TwoViewGeometry:
    """Find the geometry that matched points bear out.

    Args:
        points0: (K, 2) matched points in pixels of image 0 as received.
        points1: (K, 2) their partners in image 1.
        image_size: (width, height) of image 1 in pixels.
        cameras: The calibrations; without them there is no pose.
        config: Settings; the defaults where None.

    Returns:
        The geometry; its `case` says what there is. The same input gives the same result.

    Raises:
        InputError: The points are not two arrays (K, 2) of finite numbers.
    """
    config = config or GeometryConfig()
    points0, points1 = _checked(points0), _checked(points1)
    if len(points0) != len(points1):
        raise InputError(f"points0 and points1 must be matched, got {len(points0)}, {len(points1)}")
    if len(points0) < config.min_inliers:
        return TwoViewGeometry(Case.TOO_FEW_MATCHES, np.zeros(len(points0), bool))
    if cameras is not None:
        points0, points1 = cameras[0].undistort(points0), cameras[1].undistort(points1)

    homography = _fit_homography(points0, points1, config)
    pose, epipolar = _fit_epipolar(points0, points1, cameras, config)
    chance = _chance_inliers(len(points0), image_size, config)
    if max(homography.count, epipolar.count) < max(config.min_inliers, chance):
        return TwoViewGeometry(Case.NO_CONSENSUS, np.zeros(len(points0), bool))
    if not _has_parallax(homography, epipolar, image_size, config):
        return _without_parallax(points0, points1, homography, cameras, config)
    return TwoViewGeometry(
        Case.GENERAL,
        epipolar.inliers,
        epipolar.median_error_px,
        fundamental=epipolar.matrix,
        essential=None if pose is None else essential_matrix(*pose),
        rotation=None if pose is None else pose[0],
        translation=None if pose is None else pose[1],
    )


def essential_matrix(rotation: Matrix, translation: Matrix) -> Matrix:
    """(3, 3) E = [t]x R."""
    x, y, z = translation
    return np.asarray(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ rotation)


def fundamental_matrix(essential: Matrix, matrix0: Matrix, matrix1: Matrix) -> Matrix:
    """(3, 3) F = K1^-T E K0^-1, of norm 1."""
    fundamental = np.linalg.inv(matrix1).T @ essential @ np.linalg.inv(matrix0)
    return np.asarray(fundamental / np.linalg.norm(fundamental))


def sampson_errors(fundamental: Matrix, points0: Points, points1: Points) -> NDArray[np.float64]:
    """(K,) Sampson distances in pixels of (K, 2) matched points to an epipolar geometry."""
    rays0, rays1 = homogeneous(points0), homogeneous(points1)
    lines1, lines0 = rays0 @ fundamental.T, rays1 @ fundamental
    gradient = np.sqrt((lines0[:, :2] ** 2).sum(1) + (lines1[:, :2] ** 2).sum(1))
    return np.asarray(np.abs((rays1 * lines1).sum(1)) / np.maximum(gradient, 1e-12))


def transfer_errors(homography: Matrix, points0: Points, points1: Points) -> NDArray[np.float64]:
    """(K,) distances in pixels of image 1 from H x0 to x1; infinite where H x0 is no point."""
    moved = homogeneous(points0) @ homography.T
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.linalg.norm(moved[:, :2] / moved[:, 2:] - points1, axis=1)
    return np.where(np.isfinite(errors), errors, np.inf)


def _checked(points: Points) -> Points:
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise InputError(f"points must be (K, 2) finite numbers, got {points.shape}")
    return points


def _point_error_px(config: GeometryConfig) -> float:
    return config.max_epipolar_error_px * POINT_TO_LINE_ERROR


def _ransac(config: GeometryConfig, **threshold: float) -> dict[str, float]:
    iterations = config.max_ransac_iterations
    return {"max_iterations": iterations, "min_iterations": min(500, iterations), **threshold}


def _chance_inliers(count: int, image_size: tuple[int, int], config: GeometryConfig) -> float:
    """Inliers that an epipolar geometry may find among so many wrong matches.

    Those expected for one placed blindly, six standard deviations for the choice of the best of
    many, and those through which its seven degrees of freedom lead it.
    """
    width, height = image_size
    band_px = 2 * math.sqrt(2) * config.max_epipolar_error_px
    share = min(1.0, band_px * math.hypot(width, height) / max(1, width * height))
    expected = count * share
    return expected + 6 * math.sqrt(expected) + 10


def _has_parallax(
    homography: _Fit, epipolar: _Fit, image_size: tuple[int, int], config: GeometryConfig
) -> bool:
    """Whether an epipolar geometry holds for more than a homography and chance explain."""
    if homography.count < config.min_inliers:
        return True
    off = homography.errors > CLEARLY_OFF * _point_error_px(config)
    left_out = int(np.count_nonzero(epipolar.inliers & off))
    chance = _chance_inliers(int(np.count_nonzero(off)), image_size, config)
    return left_out >= max(chance, LEFT_OUT_SHARE * epipolar.count)


def _fit_homography(points0: Points, points1: Points, config: GeometryConfig) -> _Fit:
    threshold = _point_error_px(config)
    options = _ransac(config, max_reproj_error=threshold)
    matrix, _ = poselib.estimate_homography(points0, points1, options, {})
    return _homography_fit(np.asarray(matrix), points0, points1, threshold)


def _homography_fit(matrix: Matrix, points0: Points, points1: Points, threshold: float) -> _Fit:
    errors = transfer_errors(matrix, points0, points1)
    return _Fit(matrix, errors <= threshold, errors)


def _fit_epipolar(
    points0: Points,
    points1: Points,
    cameras: tuple[Camera, Camera] | None,
    config: GeometryConfig,
) -> tuple[tuple[Matrix, Matrix] | None, _Fit]:
    """The pose, None without cameras, and the fundamental matrix."""
    threshold = config.max_epipolar_error_px
    options = _ransac(config, max_epipolar_error=threshold)
    pose = None
    if cameras is None:
        found, _ = poselib.estimate_fundamental(points0, points1, options, {})
        fundamental = np.asarray(found)
    else:
        known = [_poselib_camera(camera) for camera in cameras]
        found, _ = poselib.estimate_relative_pose(points0, points1, *known, options, {})
        pose = np.asarray(found.R), np.asarray(found.t) / max(np.linalg.norm(found.t), 1e-12)
        essential = essential_matrix(*pose)
        fundamental = fundamental_matrix(essential, cameras[0].matrix, cameras[1].matrix)
    errors = sampson_errors(fundamental, points0, points1)
    return pose, _Fit(fundamental, errors <= threshold, errors)


def _poselib_camera(camera: Camera) -> dict[str, object]:
    (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
    return {"model": "PINHOLE", "width": 0, "height": 0, "params": [fx, fy, cx, cy]}


def _without_parallax(
    points0: Points,
    points1: Points,
    homography: _Fit,
    cameras: tuple[Camera, Camera] | None,
    config: GeometryConfig,
) -> TwoViewGeometry:
    """Tell apart the ways in which one homography can explain the matches."""
    moved = np.linalg.norm(points1 - points0, axis=1)[homography.inliers]
    if np.median(moved) <= config.min_motion_px:
        still = _homography_fit(np.eye(3), points0, points1, _point_error_px(config))
        return _turned(Case.NO_MOTION, still, np.eye(3))
    if cameras is not None:
        rotation, turned = _fit_rotation(points0, points1, homography, cameras, config)
        off = turned.errors > CLEARLY_OFF * _point_error_px(config)
        left_out = np.count_nonzero(homography.inliers & off)
        if left_out < LEFT_OUT_SHARE * homography.count:
            return _turned(Case.PURE_ROTATION, turned, rotation)
    return TwoViewGeometry(
        Case.PLANAR,
        homography.inliers,
        homography.median_error_px,
        homography=homography.matrix / np.linalg.norm(homography.matrix),
    )


def _turned(case: Case, fit: _Fit, rotation: Matrix) -> TwoViewGeometry:
    return TwoViewGeometry(
        case,
        fit.inliers,
        fit.median_error_px,
        homography=fit.matrix / np.linalg.norm(fit.matrix),
        rotation=rotation,
        translation=np.zeros(3),
    )


def _fit_rotation(
    points0: Points,
    points1: Points,
    homography: _Fit,
    cameras: tuple[Camera, Camera],
    config: GeometryConfig,
) -> tuple[Matrix, _Fit]:
    """The rotation that best turns the rays of the homography's inliers into their partners'."""
    matrix0, matrix1 = cameras[0].matrix, cameras[1].matrix
    rays0, rays1 = (
        rays / np.linalg.norm(rays, axis=1, keepdims=True)
        for rays in (
            bearings(points0[homography.inliers], matrix0),
            bearings(points1[homography.inliers], matrix1),
        )
    )
    # Kabsch: the closest rotation is the orthogonal part of the correlation, with determinant 1
    left, _, right = np.linalg.svd(rays1.T @ rays0)
    proper = np.diag([1.0, 1.0, np.linalg.det(left @ right)])
    rotation = left @ proper @ right
    turning = matrix1 @ rotation @ np.linalg.inv(matrix0)
    return rotation, _homography_fit(turning, points0, points1, _point_error_px(config))
