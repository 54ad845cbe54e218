"""Points in space from matches of a calibrated stereo pair."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from superglue_ros.config import GeometryConfig, StereoConfig
from superglue_ros.errors import InputError
from superglue_ros.geometry.cameras import Camera, Matrix, Points
from superglue_ros.geometry.two_view_geometry import Case, Flags, Scale, TwoViewGeometry
from superglue_ros.geometry.two_view_models import (
    Pose,
    chance_inliers,
    essential_matrix,
    fundamental_matrix,
    sampson_errors,
)


@dataclass(frozen=True, eq=False)
class StereoPoints:
    """What a stereo pair sees of its matches.

    Attributes:
        positions: (K, 3) metres in the frame of the rectified left camera, x to the right, y down,
            z forward; NaN where a match is no inlier.
        inliers: (K,) bool: on one row, and nearer than infinity.
        row_errors_px: (K,) distances between the rows of the two points in pixels.
    """

    positions: Points
    inliers: Flags
    row_errors_px: Points


@dataclass(frozen=True, eq=False)
class StereoCamera:
    """Two calibrated cameras that look in one direction, one beside the other.

    Attributes:
        left: Calibration of the left camera.
        right: That of the right one; the last column of its projection holds the baseline.
        rectified: Whether the images come rectified; else their points are rectified here.
    """

    left: Camera
    right: Camera
    rectified: bool = True

    def __post_init__(self) -> None:
        """Check that the projections are those of a stereo pair."""
        if self.focal_length_px <= 0 or self.baseline <= 0:
            raise InputError(
                f"the projections give a focal length of {self.focal_length_px:g} px and a "
                f"baseline of {self.baseline:g} m; is P of the right camera_info that of a "
                "calibrated stereo pair, and are left and right the right way round?"
            )

    @property
    def focal_length_px(self) -> float:
        """Focal length of the rectified images."""
        return float(self.right.projection[0, 0])

    @property
    def baseline(self) -> float:
        """Distance between the cameras in metres."""
        if self.focal_length_px <= 0:
            return 0.0
        return float(-self.right.projection[0, 3] / self.focal_length_px)

    @property
    def translation(self) -> Matrix:
        """(3,) metres: t of the pose that maps the left camera's points to the right camera's."""
        return np.array([-self.baseline, 0.0, 0.0])

    @property
    def pose(self) -> Pose:
        """R and t in metres from the left to the right camera, both as they are, not rectified."""
        back = self.right.rectification.T
        return back @ self.left.rectification, back @ self.translation

    def triangulate(self, left: Points, right: Points, config: StereoConfig) -> StereoPoints:
        """Find the points that two views of one moment show.

        Args:
            left: (K, 2) matched points in pixels of the left image as received.
            right: (K, 2) their partners in the right image.
            config: What makes a match an inlier.
        """
        if not self.rectified:
            left, right = self.left.rectify(left), self.right.rectify(right)
        (fx, _, cx), (_, fy, cy), _ = self.left.projection[:, :3].tolist()
        right_cx = float(self.right.projection[0, 2])
        disparities = (left[:, 0] - cx) - (right[:, 0] - right_cx)
        row_errors = np.abs(left[:, 1] - right[:, 1])
        inliers = (disparities >= config.min_disparity_px) & (
            row_errors <= config.max_epipolar_error_px
        )
        depths = np.full(len(left), np.nan)
        depths[inliers] = fx * self.baseline / disparities[inliers]
        sideways = (left - np.array([cx, cy])) / np.array([fx, fy]) * depths[:, None]
        return StereoPoints(np.column_stack([sideways, depths]), inliers, row_errors)


def stereo_geometry(
    stereo: StereoCamera,
    left: Points,
    right: Points,
    image_size: tuple[int, int],
    stereo_config: StereoConfig,
    config: GeometryConfig,
) -> tuple[TwoViewGeometry, StereoPoints]:
    """The geometry of a calibrated pair, which is known, and what its matches show.

    Args:
        stereo: The cameras.
        left: (K, 2) matched points in pixels of the left image as received.
        right: (K, 2) their partners in the right image.
        image_size: (width, height) of the right image in pixels.
        stereo_config: What makes a match an inlier.
        config: How many there must be.

    Returns:
        The geometry in metres and the points; no points where fewer matches than chance explains
        agree with the calibration.
    """
    points = stereo.triangulate(left, right, stereo_config)
    nothing = TwoViewGeometry(Case.TOO_FEW_MATCHES, np.zeros(len(left), bool))
    if len(left) < config.min_inliers:
        return nothing, points
    count = int(np.count_nonzero(points.inliers))
    if count < max(config.min_inliers, chance_inliers(len(left), image_size, config)):
        none = np.full_like(points.positions, np.nan)
        nowhere = StereoPoints(none, nothing.inliers, points.row_errors_px)
        return dataclasses.replace(nothing, case=Case.NO_CONSENSUS), nowhere
    rotation, translation = stereo.pose
    essential = essential_matrix(rotation, translation / stereo.baseline)
    fundamental = fundamental_matrix(essential, stereo.left.matrix, stereo.right.matrix)
    ideal = stereo.left.undistort(left), stereo.right.undistort(right)
    errors = sampson_errors(fundamental, *ideal)
    geometry = TwoViewGeometry(
        Case.GENERAL,
        points.inliers,
        float(np.median(errors[points.inliers])),
        fundamental=fundamental,
        essential=essential,
        rotation=rotation,
        translation=translation,
        scale=Scale.METRIC,
    )
    return geometry, points
