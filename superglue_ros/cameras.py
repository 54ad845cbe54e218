"""Calibrated cameras: from the pixels of an image as received to those of an ideal camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.errors import InputError

Points = NDArray[np.float64]
Matrix = NDArray[np.float64]

FISHEYE = "equidistant"
DISTORTION_MODELS = ("", "plumb_bob", "rational_polynomial", FISHEYE)
_PRECISE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-6)
# OpenCV 4 has the function that takes a criterion under a name of its own.
_undistort_points = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibration, in the terms of sensor_msgs/CameraInfo.

    Attributes:
        matrix: (3, 3) K: focal lengths and principal point of the image as received, in pixels.
        distortion: (D,) D, empty for none.
        distortion_model: plumb_bob, rational_polynomial, equidistant, or empty for none.
        rectification: (3, 3) R: rotation into the rectified camera's frame.
        projection: (3, 4) P of the rectified image; its last column holds the stereo baseline.
    """

    matrix: Matrix
    distortion: Matrix
    distortion_model: str
    rectification: Matrix
    projection: Matrix

    def __post_init__(self) -> None:
        """Check that there is a calibration and that its distortion model is known."""
        if not (self.matrix[0, 0] > 0 and self.matrix[1, 1] > 0):
            raise InputError("the camera is not calibrated: K has no focal length")
        if self.distortion_model not in DISTORTION_MODELS:
            known = ", ".join(filter(None, DISTORTION_MODELS))
            raise InputError(
                f"distortion model {self.distortion_model!r} is unknown; known are {known}"
            )

    @classmethod
    def pinhole(cls, matrix: Matrix) -> Camera:
        """A camera without distortion, its images rectified as they are."""
        projection = np.column_stack([matrix, np.zeros(3)])
        return cls(matrix, np.zeros(0), "", np.eye(3), projection)

    def undistort(self, points: Points) -> Points:
        """Where an ideal camera of the same K would see what is seen at `points`.

        Args:
            points: (N, 2) in pixels of the image as received.

        Returns:
            (N, 2) in pixels.
        """
        return self._ideal(points, np.eye(3), self.matrix)

    def rectify(self, points: Points) -> Points:
        """Where the rectified image of `projection` would show what is seen at `points`.

        Args:
            points: (N, 2) in pixels of the image as received.

        Returns:
            (N, 2) in pixels.
        """
        return self._ideal(points, self.rectification, self.projection[:, :3])

    def _ideal(self, points: Points, rotation: Matrix, matrix: Matrix) -> Points:
        if not len(points):
            return np.zeros((0, 2))
        given = np.asarray(points, np.float64).reshape(-1, 1, 2)
        if self.distortion_model == FISHEYE:
            ideal = cv2.fisheye.undistortPoints(
                given, self.matrix, self.distortion[:4], R=rotation, P=matrix
            )
        else:
            ideal = _undistort_points(
                given, self.matrix, self.distortion, R=rotation, P=matrix, criteria=_PRECISE
            )
        return np.asarray(ideal, np.float64).reshape(-1, 2)


def bearings(points: Points, matrix: Matrix) -> Points:
    """(N, 3) rays (x, y, 1) of the (N, 2) pixels of an ideal camera of that K."""
    return np.asarray(homogeneous(points) @ np.linalg.inv(matrix).T)


def homogeneous(points: Points) -> Points:
    """(N, 2) points with a third coordinate of 1."""
    return np.column_stack([points, np.ones(len(points))])
