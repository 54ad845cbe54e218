"""The typed result of the geometry of two views; `two_view_estimation` finds it.

Pixel convention: (0, 0) is the centre of the top-left pixel. Poses map points of camera 0 to
camera 1: X1 = R X0 + t, x to the right, y down, z forward.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Matrix = NDArray[np.float64]


class Case(enum.IntEnum):
    """What the matches turned out to show; the numbers of the TwoViewGeometry message."""

    GENERAL = 0  # motion with parallax: epipolar geometry, and a pose where calibrated
    TOO_FEW_MATCHES = 1  # nothing was estimated
    NO_CONSENSUS = 2  # no model holds for more matches than chance explains
    NO_MOTION = 3  # both images show the same from the same place
    PURE_ROTATION = 4  # calibrated: a rotation without translation
    PLANAR = 5  # a plane, too little parallax or, uncalibrated, a turn: a homography; see rotation
    UNCERTAIN = 6  # calibrated: epipolar geometry, but the noise leaves the pose open


class Scale(enum.IntEnum):
    """What is known of the length of a translation; the numbers of the TwoViewGeometry message."""

    NONE = 0  # there is no translation, or it is zero
    UP_TO = 1  # its length is unknown and set to 1
    METRIC = 2  # it is in metres


@dataclass(frozen=True, eq=False)
class TwoViewGeometry:
    """The geometry of a pair of views.

    Where cameras were given the matrices hold for undistorted pixels.

    Attributes:
        case: What the matches show; which of the rest there is depends on it.
        inliers: (K,) bool, which matches agree with the model.
        median_error_px: Median over the inliers of the distance to the model in pixels: Sampson's
            for an epipolar geometry, the distance in image 1 for a homography; NaN without a model.
        fundamental: (3, 3) F with x1^T F x0 = 0; cases GENERAL and UNCERTAIN.
        essential: (3, 3) E; cases GENERAL and UNCERTAIN with cameras.
        homography: (3, 3) H with x1 ~ H x0; cases NO_MOTION, PURE_ROTATION and PLANAR.
        rotation: (3, 3) R; cases GENERAL and PURE_ROTATION with cameras, NO_MOTION, and PLANAR with
            cameras where one pose only is possible: a plane alone often allows two.
        translation: (3,) t, where there is R: zero in cases NO_MOTION and PURE_ROTATION.
        scale: What its length is worth.
        pose_covariance: (6, 6) of small errors (d, w): X1 = exp(w) R X0 + t + d, w in radians; d is
            across t where the scale is unknown. None where it is not known.
    """

    case: Case
    inliers: Flags
    median_error_px: float = math.nan
    fundamental: Matrix | None = None
    essential: Matrix | None = None
    homography: Matrix | None = None
    rotation: Matrix | None = None
    translation: Matrix | None = None
    scale: Scale = Scale.NONE
    pose_covariance: Matrix | None = None
