"""Tracks as the back-ends of visual-inertial odometry take them: rays and how fast they move."""

from __future__ import annotations

import numpy as np

from superglue_ros.geometry import Camera, Points
from superglue_ros.tracks.table import TrackTable
from superglue_ros.tracks.tracker import Tracks


class TrackMotion:
    """Undistorts tracks and differentiates them from frame to frame."""

    def __init__(self) -> None:
        """Start without an earlier frame."""
        self._rays = TrackTable(2)
        self._stamp_sec = float("nan")

    def update(self, tracks: Tracks, stamp_sec: float, camera: Camera) -> tuple[Points, Points]:
        """Take the tracks of the next frame.

        Args:
            tracks: T tracks, in pixels of the image as received.
            stamp_sec: When the image was taken.
            camera: Its calibration.

        Returns:
            (T, 2) x and y of the rays (x, y, 1) at which the camera sees them, and (T, 2) by how
            much these change per second; 0 for a track that was not seen in the frame before.
        """
        ideal = camera.undistort(np.asarray(tracks.points, np.float64))
        (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
        rays = (ideal - (cx, cy)) / (fx, fy)
        elapsed_sec = stamp_sec - self._stamp_sec
        velocities = np.zeros_like(rays)
        if elapsed_sec > 0:
            seen = self._rays.has(tracks.ids)
            velocities[seen] = (rays[seen] - self._rays.of(tracks.ids[seen])) / elapsed_sec
        self._rays = TrackTable(2)
        self._rays.put(tracks.ids, rays)
        self._stamp_sec = stamp_sec
        return rays, velocities
