"""The models that can relate two views, fitted by PoseLib, and how far matches are from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import poselib
from numpy.typing import NDArray

from superglue_ros.config import GeometryConfig
from superglue_ros.geometry.cameras import Camera, Matrix, Points, bearings, homogeneous
from superglue_ros.geometry.two_view_geometry import Flags

Pose = tuple[Matrix, Matrix]

# The 95 % quantiles of the error to a line (one dimension) and to a point (two) differ by
# sqrt(5.99 / 3.84); the error to a point has the noise of both images in it, Sampson's that of one.
POINT_TO_LINE_ERROR = math.sqrt(5.99 / 3.84) * math.sqrt(2)
_FRONT_SHARE = 0.9  # of a plane's points that must lie in front of a camera


@dataclass(frozen=True, eq=False)
class Fit:
    """A model, which matches are its inliers, and its error at each in pixels."""

    matrix: Matrix
    inliers: Flags
    errors: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of inliers."""
        return int(np.count_nonzero(self.inliers))

    @property
    def median_error_px(self) -> float:
        """Median error of the inliers."""
        return float(np.median(self.errors[self.inliers]))


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


def chance_inliers(count: int, image_size: tuple[int, int], config: GeometryConfig) -> float:
    """Inliers that an epipolar geometry may find among so many wrong matches.

    Those expected for one placed blindly, six standard deviations for the choice of the best of
    many, and those through which its seven degrees of freedom lead it.
    """
    expected = count * _chance_share(image_size, config)
    return expected + 6 * math.sqrt(expected) + 10


def chance_lead(count: int, image_size: tuple[int, int], config: GeometryConfig) -> float:
    """By how many matches one direction of motion may lead because of so many wrong matches.

    Four standard deviations of those that it finds, and a few that count where there are none.
    """
    return 4 * math.sqrt(count * _chance_share(image_size, config)) + 3


def _chance_share(image_size: tuple[int, int], config: GeometryConfig) -> float:
    """Share of wrong matches that lie near their epipolar line, at its longest, by chance."""
    width, height = image_size
    band_px = 2 * math.sqrt(2) * config.max_epipolar_error_px
    return min(1.0, band_px * math.hypot(width, height) / max(1, width * height))


def point_error_px(config: GeometryConfig) -> float:
    """Largest distance of an inlier from the point that a homography sends it to."""
    return config.max_epipolar_error_px * POINT_TO_LINE_ERROR


def _ransac(config: GeometryConfig, **threshold: float) -> dict[str, float]:
    iterations = config.max_ransac_iterations
    return {"max_iterations": iterations, "min_iterations": min(500, iterations), **threshold}


def fit_homography(points0: Points, points1: Points, config: GeometryConfig) -> Fit:
    """The homography from image 0 to image 1 that holds for most matches."""
    threshold = point_error_px(config)
    options = _ransac(config, max_reproj_error=threshold)
    matrix, _ = poselib.estimate_homography(points0, points1, options, {})
    return homography_fit(np.asarray(matrix), points0, points1, threshold)


def homography_fit(matrix: Matrix, points0: Points, points1: Points, threshold: float) -> Fit:
    """A homography that is known, with its inliers."""
    errors = transfer_errors(matrix, points0, points1)
    return Fit(matrix, errors <= threshold, errors)


def fit_epipolar(
    points0: Points,
    points1: Points,
    cameras: tuple[Camera, Camera] | None,
    config: GeometryConfig,
) -> tuple[tuple[Matrix, Matrix] | None, Fit]:
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
    return pose, Fit(fundamental, errors <= threshold, errors)


def _poselib_camera(camera: Camera) -> dict[str, object]:
    (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
    return {"model": "PINHOLE", "width": 0, "height": 0, "params": [fx, fy, cx, cy]}


def fit_rotation(
    points0: Points,
    points1: Points,
    homography: Fit,
    cameras: tuple[Camera, Camera],
    config: GeometryConfig,
) -> tuple[Matrix, Fit]:
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
    return rotation, homography_fit(turning, points0, points1, point_error_px(config))


def poses_of_plane(homography: Fit, points0: Points, cameras: tuple[Camera, Camera]) -> list[Pose]:
    """The poses under which a plane in front of the camera gives a homography: none to two.

    The length of each translation is 1 (Hartley and Zisserman, 13.1; Malis and Vargas, 2007).
    """
    matrix0, matrix1 = cameras[0].matrix, cameras[1].matrix
    between_rays = np.linalg.inv(matrix1) @ homography.matrix @ matrix0
    _, rotations, translations, normals = cv2.decomposeHomographyMat(between_rays, np.eye(3))
    rays = bearings(points0[homography.inliers], matrix0)
    return [
        (rotation, translation[:, 0] / max(np.linalg.norm(translation), 1e-12))
        for rotation, translation, normal in zip(rotations, translations, normals, strict=True)
        if np.mean(rays @ normal[:, 0] > 0) >= _FRONT_SHARE
    ]
