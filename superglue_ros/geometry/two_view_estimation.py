"""What two views tell of each other: epipolar geometry, homography, relative pose.

PoseLib estimates; what is here decides which of its models the matches bear out. A fundamental or
essential matrix can be fitted to anything: to noise, to a plane, to a camera that only turned. So
the simplest explanation that the matches allow is taken and named, and there is a pose only where
it is determined (Hartley and Zisserman, Multiple View Geometry, 11.9 and 13).

Pixel convention: (0, 0) is the centre of the top-left pixel. Poses map points of camera 0 to
camera 1: X1 = R X0 + t, x to the right, y down, z forward.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from superglue_ros.config import GeometryConfig
from superglue_ros.errors import InputError
from superglue_ros.geometry.cameras import Camera, Matrix, Points
from superglue_ros.geometry.pose_uncertainty import PoseEvidence, pose_deviations_deg
from superglue_ros.geometry.two_view_geometry import Case, Scale, TwoViewGeometry
from superglue_ros.geometry.two_view_models import (
    Fit,
    Pose,
    chance_inliers,
    chance_lead,
    essential_matrix,
    fit_epipolar,
    fit_homography,
    fit_rotation,
    fundamental_matrix,
    homography_fit,
    point_error_px,
    poses_of_plane,
    sampson_errors,
)

# So far beyond the threshold, noise alone leaves no point.
CLEARLY_OFF = 1.5
# A simpler model that leaves out a smaller share of the matches explains them.
LEFT_OUT_SHARE = 0.1
# Poses of the essential matrix and of the homography of one motion differ by noise.
SAME_POSE_DEG = 15.0


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

    homography = fit_homography(points0, points1, config)
    pose, epipolar = fit_epipolar(points0, points1, cameras, config)
    chance = chance_inliers(len(points0), image_size, config)
    if max(homography.count, epipolar.count) < max(config.min_inliers, chance):
        return TwoViewGeometry(Case.NO_CONSENSUS, np.zeros(len(points0), bool))
    if not _has_parallax(homography, epipolar, image_size, config):
        return _without_parallax(points0, points1, homography, pose, cameras, image_size, config)
    found = TwoViewGeometry(
        Case.GENERAL, epipolar.inliers, epipolar.median_error_px, fundamental=epipolar.matrix
    )
    if pose is None or cameras is None:
        return found
    found = dataclasses.replace(found, essential=essential_matrix(*pose))
    covariance = _certainty(pose, points0, points1, epipolar, cameras, image_size, config)
    if covariance is None:
        return dataclasses.replace(found, case=Case.UNCERTAIN)
    return _with_pose(found, pose, covariance)


def _certainty(
    pose: Pose,
    points0: Points,
    points1: Points,
    fit: Fit,
    cameras: tuple[Camera, Camera],
    image_size: tuple[int, int],
    config: GeometryConfig,
) -> Matrix | None:
    """The covariance of a pose that was found with these inliers; None where it may be another."""
    inliers0, inliers1 = points0[fit.inliers], points1[fit.inliers]
    evidence = PoseEvidence(pose, inliers0, inliers1, cameras, config.max_epipolar_error_px)
    covariance = evidence.covariance()
    if max(pose_deviations_deg(covariance)) > config.max_pose_deviation_deg:
        return None
    wrong = len(points0) - fit.count
    return covariance if evidence.lead() >= chance_lead(wrong, image_size, config) else None


def _with_pose(geometry: TwoViewGeometry, pose: Pose, covariance: Matrix) -> TwoViewGeometry:
    rotation, translation = pose
    return dataclasses.replace(
        geometry,
        rotation=rotation,
        translation=translation,
        scale=Scale.UP_TO,
        pose_covariance=covariance,
    )


def _checked(points: Points) -> Points:
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise InputError(f"points must be (K, 2) finite numbers, got {points.shape}")
    return points


def _has_parallax(
    homography: Fit, epipolar: Fit, image_size: tuple[int, int], config: GeometryConfig
) -> bool:
    """Whether an epipolar geometry holds for more than a homography and chance explain."""
    off = homography.errors > CLEARLY_OFF * point_error_px(config)
    left_out = int(np.count_nonzero(epipolar.inliers & off))
    chance = chance_inliers(int(np.count_nonzero(off)), image_size, config)
    return left_out >= max(chance, LEFT_OUT_SHARE * epipolar.count)


def _without_parallax(
    points0: Points,
    points1: Points,
    homography: Fit,
    pose: Pose | None,
    cameras: tuple[Camera, Camera] | None,
    image_size: tuple[int, int],
    config: GeometryConfig,
) -> TwoViewGeometry:
    """Tell apart the ways in which one homography can explain the matches."""
    moved = np.linalg.norm(points1 - points0, axis=1)[homography.inliers]
    if np.median(moved) <= config.min_motion_px:
        still = homography_fit(np.eye(3), points0, points1, point_error_px(config))
        return _turned(Case.NO_MOTION, still, np.eye(3))
    if cameras is not None:
        rotation, turned = fit_rotation(points0, points1, homography, cameras, config)
        off = turned.errors > CLEARLY_OFF * point_error_px(config)
        left_out = np.count_nonzero(homography.inliers & off)
        if left_out < LEFT_OUT_SHARE * homography.count:
            return _turned(Case.PURE_ROTATION, turned, rotation)
    if pose is not None and cameras is not None:
        possible = poses_of_plane(homography, points0, cameras)
        if not _is_confirmed(pose, possible, points0, points1, cameras, config):
            pose = None
    found = TwoViewGeometry(
        Case.PLANAR,
        homography.inliers,
        homography.median_error_px,
        homography=homography.matrix / np.linalg.norm(homography.matrix),
    )
    if pose is None or cameras is None:
        return found
    covariance = _certainty(pose, points0, points1, homography, cameras, image_size, config)
    return found if covariance is None else _with_pose(found, pose, covariance)


def _is_confirmed(
    pose: Pose,
    possible: list[Pose],
    points0: Points,
    points1: Points,
    cameras: tuple[Camera, Camera],
    config: GeometryConfig,
) -> bool:
    """Whether a pose is one that the plane allows, and no other holds for nearly as many matches.

    Args:
        pose: As the essential matrix has it.
        possible: As the plane has it.
        points0: (K, 2) undistorted.
        points1: (K, 2) undistorted.
        cameras: The calibrations.
        config: Settings.
    """

    def support(candidate: Pose) -> int:
        essential = essential_matrix(*candidate)
        fundamental = fundamental_matrix(essential, cameras[0].matrix, cameras[1].matrix)
        errors = sampson_errors(fundamental, points0, points1)
        return int(np.count_nonzero(errors <= config.max_epipolar_error_px))

    agreeing = [other for other in possible if _angle_deg(pose, other) <= SAME_POSE_DEG]
    others = [other for other in possible if _angle_deg(pose, other) > SAME_POSE_DEG]
    rival = max((support(other) for other in others), default=0)
    return bool(agreeing) and rival < (1 - LEFT_OUT_SHARE) * support(pose)


def _angle_deg(pose0: Pose, pose1: Pose) -> float:
    """The larger of the angles between two rotations and between two directions."""
    cosines = (np.trace(pose0[0].T @ pose1[0]) - 1) / 2, pose0[1] @ pose1[1]
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())


def _turned(case: Case, fit: Fit, rotation: Matrix) -> TwoViewGeometry:
    return TwoViewGeometry(
        case,
        fit.inliers,
        fit.median_error_px,
        homography=fit.matrix / np.linalg.norm(fit.matrix),
        rotation=rotation,
        translation=np.zeros(3),
    )
