"""Calibrated cameras: from the pixels of an image as received to those of an ideal camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.errors import InputError

Points = NDArray[np.float64]
Matrix = NDArray[np.float64]

FISHEYE = "equidistant"
_OPENCV_LENGTHS = (0, 4, 5, 8, 12, 14)
DISTORTION_LENGTHS = {
    "": (0,),
    # Drivers name either of the two; what the numbers mean is told by how many they are
    "plumb_bob": _OPENCV_LENGTHS,
    "rational_polynomial": _OPENCV_LENGTHS,
    FISHEYE: (4,),
}
"""By distortion model the numbers of coefficients that it can have."""
_SAME_MODEL = {
    **dict.fromkeys(("none", "pinhole", "no_distortion"), ""),
    **dict.fromkeys(("radtan", "radial_tangential", "brown_conrady"), "plumb_bob"),
    **dict.fromkeys(("rational", "opencv8"), "rational_polynomial"),
    **dict.fromkeys(("fisheye", "equi", "kannala_brandt", "kannala_brandt4"), FISHEYE),
}
"""What drivers and calibration tools call the models of sensor_msgs/distortion_models.hpp."""
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
            raise InputError("the camera is not calibrated: no focal length")
        if not np.allclose(self.matrix[2], (0, 0, 1)):
            raise InputError("the last row of a camera matrix must be 0 0 1")
        if not np.allclose(self.rectification @ self.rectification.T, np.eye(3), atol=1e-3):
            raise InputError("the rectification R of the camera is no rotation")
        if self.distortion_model not in DISTORTION_LENGTHS:
            known = ", ".join(filter(None, DISTORTION_LENGTHS))
            raise InputError(
                f"distortion model {self.distortion_model!r} is unknown; known are {known}"
            )
        lengths = DISTORTION_LENGTHS[self.distortion_model]
        if len(self.distortion) not in lengths:
            raise InputError(
                f"distortion model {self.distortion_model!r} has {', '.join(map(str, lengths))} "
                f"coefficients, got {len(self.distortion)}"
            )

    @classmethod
    def pinhole(cls, matrix: Matrix) -> Camera:
        """A camera without distortion, its images rectified as they are."""
        projection = np.column_stack([matrix, np.zeros(3)])
        return cls(matrix, np.zeros(0), "", np.eye(3), projection)

    @classmethod
    def from_info(
        cls, message: Any, *, rectified: bool, image_size: tuple[int, int] | None = None
    ) -> Camera:
        """The camera of a sensor_msgs/CameraInfo, of rclpy or of rosbags, of ROS 2 or of ROS 1.

        Its K and P are of the whole sensor; binning and region of interest are applied to them as
        image_geometry does it.

        Args:
            message: The message.
            rectified: Whether the images come rectified, so that P alone holds for them.
            image_size: (width, height) of the images, which it must be of where it is given.

        Raises:
            InputError: It holds no calibration that can be used, or that of another resolution.
        """
        received = _received(message, image_size)
        projection = received @ _matrix_of(message, "p", (3, 4))
        if rectified:
            return cls(projection[:, :3], np.zeros(0), "", np.eye(3), projection)
        rotation = _matrix_of(message, "r", (3, 3))
        model, distortion = _distortion_of(message)
        return cls(
            received @ _matrix_of(message, "k", (3, 3)),
            distortion,
            model,
            rotation if rotation.any() else np.eye(3),
            projection,
        )

    @property
    def is_rectified(self) -> bool:
        """Whether its images need no rectifying."""
        undistorted = not self.distortion.any() and self.distortion_model != FISHEYE
        return undistorted and np.allclose(self.rectification, np.eye(3), atol=1e-6)

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


def _matrix_of(message: Any, name: str, shape: tuple[int, ...]) -> Matrix:
    """A matrix of a CameraInfo, of which the names are capitals in ROS 1."""
    values = np.array(getattr(message, name, getattr(message, name.upper(), ())), np.float64)
    if not np.isfinite(values).all() or (-1 not in shape and values.size != math.prod(shape)):
        raise InputError(f"camera_info holds no matrix {name.upper()} of finite numbers")
    return values.reshape(shape)


def _received(message: Any, image_size: tuple[int, int] | None) -> Matrix:
    """(3, 3) from pixels of the whole sensor, of which K and P are, to those of the images."""
    size, roi = (message.width, message.height), message.roi
    if image_size == size and (roi.width, roi.height) in ((0, 0), size):
        return np.eye(3)  # whatever binning says: the images have every pixel that K is of
    binning = np.maximum(1, (message.binning_x, message.binning_y))
    region = np.array((roi.width or size[0], roi.height or size[1]))
    least = region // binning
    if image_size is not None and not (
        (least <= image_size).all() and (image_size <= -(-region // binning)).all()
    ):
        made_of = "" if (least == size).all() else f" (of {size[0]}x{size[1]}, binning and ROI)"
        raise InputError(
            f"camera_info is of {least[0]}x{least[1]} pixels{made_of}, the images are of "
            f"{image_size[0]}x{image_size[1]}"
        )
    scale_x, scale_y = (1 / binning).tolist()
    return np.array(
        [
            [scale_x, 0, -roi.x_offset * scale_x],
            [0, scale_y, -roi.y_offset * scale_y],
            [0, 0, 1],
        ]
    )


def _distortion_of(message: Any) -> tuple[str, Matrix]:
    """Model and coefficients of a CameraInfo, by the names and lengths of `DISTORTION_LENGTHS`.

    Zeros after the last coefficient that a model has are left out: drivers with arrays of one
    length for all models send them.
    """
    given = _matrix_of(message, "d", (-1,))
    name = message.distortion_model.strip().lower().replace(" ", "_").replace("-", "_")
    model = _SAME_MODEL.get(name, name)
    if model not in DISTORTION_LENGTHS:
        return message.distortion_model, given
    if not model and given.any():
        raise InputError(
            f"camera_info has {len(given)} distortion coefficients and the distortion model "
            f"{message.distortion_model!r}; the driver must name their model, plumb_bob say"
        )
    used = int(np.flatnonzero(given)[-1]) + 1 if given.any() else 0
    fitting = [n for n in DISTORTION_LENGTHS[model] if used <= n <= len(given)]
    return model, given if len(given) in fitting else given[: min(fitting, default=len(given))]


def bearings(points: Points, matrix: Matrix) -> Points:
    """(N, 3) rays (x, y, 1) of the (N, 2) pixels of an ideal camera of that K."""
    return np.asarray(homogeneous(points) @ np.linalg.inv(matrix).T)


def homogeneous(points: Points) -> Points:
    """(N, 2) points with a third coordinate of 1."""
    return np.column_stack([points, np.ones(len(points))])
