"""Points in space from matches of a calibrated stereo pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from superglue_ros.cameras import Camera, Matrix, Points
from superglue_ros.config import StereoConfig
from superglue_ros.errors import InputError
from superglue_ros.two_view_geometry import Flags


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
