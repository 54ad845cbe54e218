"""Visual odometry: the poses of a camera from its tracks, chained; an example of their use.

The camera is located by points in space that its tracks have shown before (landmarks). Those come
from stereo, or from the tracks themselves once they have been seen from places far enough apart.
Nothing is corrected later: there is no bundle adjustment and no loop is closed, so errors add up
(drift), of one camera in scale too, which is unknown from the start.

Poses map points of the world to the camera, X = R W + t; the world is the first camera's frame, x
to the right, y down, z forward.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import poselib

from superglue_ros.config import GeometryConfig, OdometryConfig
from superglue_ros.features import IndexArray
from superglue_ros.geometry.cameras import Camera, Matrix, Points, bearings
from superglue_ros.geometry.two_view_estimation import estimate_two_view_geometry
from superglue_ros.geometry.two_view_geometry import Case, Flags
from superglue_ros.geometry.two_view_models import Pose
from superglue_ros.tracks import Ids, Tracks, TrackTable

_START_FACTOR = 3  # times as many landmarks as a pose needs must be there at the start


class State(enum.Enum):
    """What odometry knows of the newest frame."""

    STARTING = "starting"  # there are no landmarks yet
    TRACKING = "tracking"
    LOST = "lost"  # too few landmarks were found again: a new start from the last pose


@dataclass(frozen=True, eq=False)
class Motion:
    """The odometry of one frame.

    Attributes:
        state: Whether the pose is one; else it is that of an earlier frame.
        pose: R and t; in metres with stereo, else in units of the first motion.
        landmarks: How many the pose rests on.
        covariance: (6, 6) of the camera's place and attitude in the axes of the world, summed up
            over the frames; drift is not in it where it comes from landmarks that are wrong.
    """

    state: State
    pose: Pose
    landmarks: int
    covariance: Matrix


class Odometry:
    """Locates a camera by its landmarks; a subclass says where these come from.

    Args:
        config: Settings; the defaults where None.
    """

    def __init__(self, config: OdometryConfig | None = None) -> None:
        """Start at the origin without landmarks."""
        self.config = config or OdometryConfig()
        self.pose: Pose = (np.eye(3), np.zeros(3))
        self.landmarks = TrackTable(3)
        self._covariance = np.zeros((6, 6))
        self._was_tracking = False

    def _located(self, tracks: Tracks, points: Points, matrix: Matrix) -> Motion:
        """Find the pose from the (T, 2) ideal points of the tracks, for a camera of that K."""
        self.landmarks.drop(tracks.ended)
        known = self.landmarks.has(tracks.ids)
        ids, seen = tracks.ids[known], points[known]
        space = self.landmarks.of(ids)
        found = _resect(seen, space, matrix, self.config)
        if found is None:
            state = State.LOST if self._was_tracking else State.STARTING
            self.landmarks, self._was_tracking = TrackTable(3), False
            return Motion(state, self.pose, 0, self._covariance)
        self._was_tracking = True
        self.pose, right = found
        self.landmarks.drop(ids[~right])
        self._covariance = self._covariance + _covariance(
            self.pose, seen[right], space[right], matrix
        )
        return Motion(State.TRACKING, self.pose, int(right.sum()), self._covariance)


class StereoOdometry(Odometry):
    """Landmarks from a stereo camera, in metres."""

    def update(
        self, tracks: Tracks, keypoints: IndexArray, positions: Points, camera: Camera
    ) -> Motion:
        """Take the next frame.

        Args:
            tracks: Of the left camera, in pixels as received.
            keypoints: (P,) which of the left keypoints the points belong to.
            positions: (P, 3) metres in the frame of the rectified left camera.
            camera: The left camera.
        """
        points = camera.rectify(np.asarray(tracks.points, np.float64))
        motion = self._located(tracks, points, camera.projection[:, :3])
        _, rows, of_points = np.intersect1d(tracks.keypoints, keypoints, return_indices=True)
        new = ~self.landmarks.has(tracks.ids[rows])
        rotation, translation = self.pose
        here = positions[of_points[new]]
        self.landmarks.put(tracks.ids[rows[new]], (here - translation) @ rotation)
        return motion


class MonocularOdometry(Odometry):
    """Landmarks triangulated from the tracks of one camera; their scale is that of the start."""

    def __init__(self, config: OdometryConfig | None = None) -> None:
        """Start at the origin without landmarks."""
        super().__init__(config)
        self._reference = TrackTable(2)  # the points of the tracks where the start is tried
        self._sights = TrackTable(6)  # whence they were first seen: a centre and a ray

    def update(self, tracks: Tracks, image_size: tuple[int, int], camera: Camera) -> Motion:
        """Take the next frame.

        Args:
            tracks: In pixels as received.
            image_size: (width, height) in pixels.
            camera: The calibration.
        """
        points = camera.undistort(np.asarray(tracks.points, np.float64))
        self._sights.drop(tracks.ended)
        motion = self._located(tracks, points, camera.matrix)
        if motion.state == State.TRACKING:
            self._triangulate(tracks, points, camera.matrix)
            return motion
        if motion.state == State.LOST:
            self._reference, self._sights = TrackTable(2), TrackTable(6)
        self._start(tracks, points, image_size, camera.matrix)
        return motion

    def _start(
        self, tracks: Tracks, points: Points, image_size: tuple[int, int], matrix: Matrix
    ) -> None:
        """Make landmarks of two views, once they are far enough apart."""
        common = self._reference.has(tracks.ids)
        if common.sum() < self.config.min_landmarks:
            self._reference = TrackTable(2)
            self._reference.put(tracks.ids, points)
            return
        before = self._reference.of(tracks.ids[common])
        camera = Camera.pinhole(matrix)
        config = GeometryConfig(min_inliers=max(self.config.min_landmarks, 8))
        found = estimate_two_view_geometry(
            before, points[common], image_size, (camera, camera), config
        )
        if found.case != Case.GENERAL or found.rotation is None or found.translation is None:
            return
        rotation, translation = before_pose = self.pose
        self._see(tracks.ids[common][found.inliers], before[found.inliers], matrix)
        self.pose = found.rotation @ rotation, found.rotation @ translation + found.translation
        self._triangulate(tracks, points, matrix)
        if len(self.landmarks) < _START_FACTOR * self.config.min_landmarks:
            self.pose = before_pose
            self.landmarks, self._sights = TrackTable(3), TrackTable(6)
            return
        self._reference = TrackTable(2)

    def _see(self, ids: Ids, points: Points, matrix: Matrix) -> None:
        """Remember from where the tracks are seen that were not seen before."""
        rotation, translation = self.pose
        centre = -rotation.T @ translation
        rays = bearings(points, matrix) @ rotation
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        new = ~self._sights.has(ids)
        centres = np.broadcast_to(centre, (int(new.sum()), 3))
        self._sights.put(ids[new], np.column_stack([centres, rays[new]]))

    def _triangulate(self, tracks: Tracks, points: Points, matrix: Matrix) -> None:
        """Make landmarks of tracks that are seen from places far enough apart."""
        self._see(tracks.ids, points, matrix)
        candidates = ~self.landmarks.has(tracks.ids)
        ids, points = tracks.ids[candidates], points[candidates]
        if not len(ids):
            return
        rotation, translation = self.pose
        centres, rays0 = np.split(self._sights.of(ids), 2, axis=1)
        rays1 = bearings(points, matrix) @ rotation
        rays1 /= np.linalg.norm(rays1, axis=1, keepdims=True)
        space, parallax_deg = _midpoints(centres, rays0, -rotation.T @ translation, rays1)
        errors, _ = _errors((rotation, translation), points, space, matrix)
        good = (parallax_deg >= self.config.min_parallax_deg) & (
            errors <= self.config.max_reprojection_error_px
        )
        good &= ((space - centres) * rays0).sum(1) > 0
        self.landmarks.put(ids[good], space[good])


def _resect(
    points: Points, space: Points, matrix: Matrix, config: OdometryConfig
) -> tuple[Pose, Flags] | None:
    """The pose from which a camera sees points in space, and which agree; None for too few."""
    if len(points) < config.min_landmarks:
        return None
    (fx, _, cx), (_, fy, cy), _ = matrix.tolist()
    camera = {"model": "PINHOLE", "width": 0, "height": 0, "params": [fx, fy, cx, cy]}
    ransac = {"max_reproj_error": config.max_reprojection_error_px}
    found, _ = poselib.estimate_absolute_pose(points, space, camera, ransac, {})
    pose = np.asarray(found.R), np.asarray(found.t)
    errors, _ = _errors(pose, points, space, matrix)
    right = errors <= config.max_reprojection_error_px
    return (pose, right) if right.sum() >= config.min_landmarks else None


def _errors(pose: Pose, points: Points, space: Points, matrix: Matrix) -> tuple[Points, Points]:
    """(N,) distances in pixels of points from where space is seen, and space in the camera."""
    here = space @ pose[0].T + pose[1]
    depths = np.where(here[:, 2:] > 1e-9, here[:, 2:], np.nan)
    seen = (here / depths) @ matrix.T
    errors = np.linalg.norm(seen[:, :2] - points, axis=1)
    return np.where(np.isfinite(errors), errors, np.inf), here


def _covariance(pose: Pose, points: Points, space: Points, matrix: Matrix) -> Matrix:
    """(6, 6) covariance of the place and attitude of a camera that sees these points in space."""
    errors, here = _errors(pose, points, space, matrix)
    x, y, z = here.T
    zero = np.zeros(len(z))
    by_place = np.stack(
        [
            np.column_stack([matrix[0, 0] / z, zero, -matrix[0, 0] * x / z**2]),
            np.column_stack([zero, matrix[1, 1] / z, -matrix[1, 1] * y / z**2]),
        ],
        axis=1,
    )  # (N, 2, 3), pixels by movement of the points in the camera's frame
    by_turn = np.cross(here[:, None], by_place)
    jacobian = np.concatenate([by_place, by_turn], axis=2).reshape(-1, 6)
    variance = float((errors**2).sum() / max(1, 2 * len(errors) - 6))
    inside = np.linalg.pinv(jacobian.T @ jacobian) * variance
    axes = np.kron(np.eye(2), pose[0].T)
    return np.asarray(axes @ inside @ axes.T)


def _midpoints(
    centres0: Points, rays0: Points, centre1: Points, rays1: Points
) -> tuple[Points, Points]:
    """(N, 3) points nearest to two lines of sight each, and the angles between these in degrees."""
    apart = centre1 - centres0
    cosines = np.clip((rays0 * rays1).sum(1), -1, 1)
    along0, along1 = (apart * rays0).sum(1), (apart * rays1).sum(1)
    sine_squared = np.maximum(1 - cosines**2, 1e-12)
    ends0 = centres0 + ((along0 - cosines * along1) / sine_squared)[:, None] * rays0
    ends1 = centre1 + ((cosines * along0 - along1) / sine_squared)[:, None] * rays1
    return (ends0 + ends1) / 2, np.degrees(np.arccos(cosines))
