"""Points in space from matches of a calibrated stereo pair."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from superglue_ros.config import GeometryConfig, StereoConfig
from superglue_ros.errors import InputError
from superglue_ros.geometry.cameras import Camera, Matrix, Points, bearings
from superglue_ros.geometry.two_view_geometry import Case, Flags, Scale, TwoViewGeometry
from superglue_ros.geometry.two_view_models import (
    Pose,
    chance_inliers,
    essential_matrix,
    fundamental_matrix,
    sampson_errors,
)

_MOST_ASIDE = 0.05
"""Share of the baseline by which one camera may stand above the other: real calibrations do."""


@dataclass(frozen=True, eq=False)
class StereoPoints:
    """What a stereo pair sees of its matches.

    Attributes:
        positions: (K, 3) metres in the frame of the rectified left camera, x to the right, y down,
            z forward; NaN where a match is no inlier.
        inliers: (K,) bool: on one row, and nearer than infinity.
        row_errors_px: (K,) distances between the rows of the two points, in pixels of the coarser
            of the rectified images.
    """

    positions: Points
    inliers: Flags
    row_errors_px: Points


@dataclass(frozen=True, eq=False)
class StereoCamera:
    """Two calibrated cameras that look in one direction, one beside the other.

    Attributes:
        left: Calibration of the left camera.
        right: That of the right one. The two projections may differ in focal length, principal
            point and image size; their last columns hold the baseline.
        rectified: Whether the images come rectified; else their points are rectified here.
    """

    left: Camera
    right: Camera
    rectified: bool = True

    def __post_init__(self) -> None:
        """Check that the projections are those of a stereo pair."""
        for side, camera in (("left", self.left), ("right", self.right)):
            focal_lengths = camera.projection[0, 0], camera.projection[1, 1]
            if min(focal_lengths) <= 0:
                raise InputError(
                    f"P of the {side} camera_info gives focal lengths of {focal_lengths[0]:g} and "
                    f"{focal_lengths[1]:g} px; is it that of a calibrated stereo pair?"
                )
        left_m, right_m = self._offsets
        if self.baseline <= 0:
            raise InputError(
                f"the projections give a baseline of {self.baseline:g} m (left Tx/fx "
                f"{left_m[0]:g} m, right {right_m[0]:g} m); is P of the right camera_info that of "
                "a calibrated stereo pair, and are left and right the right way round?"
            )
        if abs(left_m[1] - right_m[1]) > _MOST_ASIDE * self.baseline:
            raise InputError(
                f"the projections set the cameras {abs(left_m[1] - right_m[1]):g} m one above the "
                f"other (left Ty/fy {left_m[1]:g} m, right {right_m[1]:g} m) at a baseline of "
                f"{self.baseline:g} m; their images must be rectified side by side"
            )

    @property
    def baseline(self) -> float:
        """Distance between the cameras in metres: Tx/fx of the left P less that of the right."""
        left_m, right_m = self._offsets
        return left_m[0] - right_m[0]

    @property
    def _offsets(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(Tx/fx, Ty/fy) of both P in metres: where the camera that both are calibrated to is."""
        left, right = (
            (float(p[0, 3] / p[0, 0]), float(p[1, 3] / p[1, 1]))
            for p in (self.left.projection, self.right.projection)
        )
        return left, right

    @property
    def translation(self) -> Matrix:
        """(3,) metres: t of the pose that maps the left camera's points to the right camera's."""
        left_m, right_m = self._offsets
        return np.array([-self.baseline, right_m[1] - left_m[1], 0.0])

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
        (scale_left, centre_left), (scale_right, centre_right) = self._to_coarser
        differences = (left - centre_left) * scale_left - (right - centre_right) * scale_right
        disparities = differences[:, 0]
        focal_x, focal_y = self._focal_lengths_px
        slope = self.translation[1] / self.translation[0] * focal_y / focal_x
        row_errors = np.abs(differences[:, 1] - slope * disparities)
        inliers = (disparities >= config.min_disparity_px) & (
            row_errors <= config.max_epipolar_error_px
        )
        depths = np.full(len(left), np.nan)
        depths[inliers] = focal_x * self.baseline / disparities[inliers]
        rays = bearings(left, self.left.projection[:, :3])
        return StereoPoints(rays * depths[:, None], inliers, row_errors)

    @property
    def _focal_lengths_px(self) -> Matrix:
        """(2,) in x and y of the coarser camera, in whose pixels matches are judged."""
        diagonals = [np.diag(camera.projection)[:2] for camera in (self.left, self.right)]
        return np.asarray(np.min(diagonals, axis=0))

    @property
    def _to_coarser(self) -> list[tuple[Matrix, Matrix]]:
        """Of left and right: (2,) scale to the pixels of the coarser camera, and centre."""
        return [
            (self._focal_lengths_px / np.diag(one.projection)[:2], one.projection[:2, 2])
            for one in (self.left, self.right)
        ]


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
    essential = essential_matrix(rotation, translation / np.linalg.norm(translation))
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
