"""How far the noise of the matches, and the wrong ones among them, leave a pose open.

Two questions. How far is the pose off if it is the right one: its covariance, by propagation of the
points' noise to the pose that minimises the Sampson errors (Hartley and Zisserman, Multiple View
Geometry, 5.2 and 11.4.3). And may another be the right one: with little motion nearly all matches
agree with any direction of it, and a few wrong ones decide which is best.

Sampson errors are linear in small turns: for a motion in direction t, rays y0 turned by R and y1,
the product y1 . (t x R y0) over its gradient.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from superglue_ros.geometry.cameras import Camera, Matrix, Points, bearings
from superglue_ros.geometry.two_view_models import Pose

_PARAMETERS = 5  # of a pose without scale
_NORMAL = 1.4826  # standard deviation over median absolute value, of a normal error
_UNKNOWN_RAD = math.pi
"""Standard deviation of an angle of which nothing is known: it cannot be off by more."""
_RIVALS = 150  # directions about 12 degrees apart, over half a sphere
_RIVAL_DEG = 20.0  # from here on, another direction is another motion
_TURNS = 4  # steps towards the turn that suits a direction best


class PoseEvidence:
    """What matches say of a pose between two views.

    Args:
        pose: R and t, of length 1.
        points0: (K, 2) its inliers, undistorted, in pixels of image 0.
        points1: (K, 2) their partners in image 1.
        cameras: The calibrations.
        max_error_px: Largest error of an inlier.
    """

    def __init__(
        self,
        pose: Pose,
        points0: Points,
        points1: Points,
        cameras: tuple[Camera, Camera],
        max_error_px: float,
    ) -> None:
        """Prepare the rays."""
        self._rotation, self._translation = pose
        self._turned = bearings(points0, cameras[0].matrix) @ self._rotation.T
        self._rays1 = bearings(points1, cameras[1].matrix)
        self._to_pixels = [np.linalg.inv(camera.matrix) for camera in cameras]
        self._max_error_px = max_error_px

    def covariance(self) -> Matrix:
        """The covariance of the pose, if it is the right one.

        Returns:
            (6, 6) of small errors (d, w), d across t: X1 = exp(w) R X0 + t + d, w in radians. A
            direction in which the points do not hold the pose has a variance of pi squared.
        """
        (errors,), (by_turn,), (gradients,) = self._linearised(self._translation[None])
        by_translation = np.cross(self._turned, self._rays1) / gradients[:, None]
        across = np.linalg.svd(self._translation[None])[2][1:]  # (2, 3), both across t
        jacobian = np.column_stack([by_translation @ across.T, by_turn])  # (K, 5)
        spread = np.zeros((6, _PARAMETERS))
        spread[:3, :2], spread[3:, 2:] = across.T, np.eye(3)
        angles = _inverse(jacobian.T @ jacobian, _noise_px(errors))
        return np.asarray(spread @ angles @ spread.T)

    def lead(self) -> float:
        """By how many matches the pose is better than the best of clearly other direction.

        A match counts less the larger its error is for its noise, and none beyond three times that;
        each other direction comes with the small turn that suits it best.
        """
        (errors,), _, _ = self._linearised(self._translation[None])
        limit_px = max(min(3 * _noise_px(errors), self._max_error_px), 1e-6)
        directions = _half_sphere(_RIVALS)
        cosines = np.abs(directions @ self._translation)
        rivals = directions[cosines < math.cos(math.radians(_RIVAL_DEG))]
        rivals_errors = _least_errors(*self._linearised(rivals)[:2], limit_px)
        losses = np.minimum((rivals_errors / limit_px) ** 2, 1).sum(axis=1)
        return float(losses.min() - np.minimum((errors / limit_px) ** 2, 1).sum())

    def _linearised(self, directions: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        """Sampson errors (D, K) in pixels of (D, 3) motions, their change (D, K, 3) by a turn.

        Also the (D, K) gradients that they were divided by.
        """
        lines1 = np.cross(directions[:, None], self._turned[None])
        lines0 = np.cross(self._rays1[None], directions[:, None])
        to_pixels0, to_pixels1 = self._to_pixels
        gradients0 = (lines0 @ self._rotation @ to_pixels0)[..., :2]
        gradients1 = (lines1 @ to_pixels1)[..., :2]
        gradients = np.sqrt((gradients0**2).sum(-1) + (gradients1**2).sum(-1))
        gradients = np.maximum(gradients, 1e-12)
        products = (lines1 * self._rays1).sum(-1)
        by_turn = np.cross(self._turned[None], lines0)
        return products / gradients, by_turn / gradients[..., None], gradients


def _least_errors(errors: Matrix, by_turn: Matrix, limit_px: float) -> Matrix:
    """(D, K) what is left of errors (D, K) after the turns that make them least.

    By iteratively reweighted least squares (Geman and McClure's weights), errors beyond the limit
    counting little.
    """
    turns = np.zeros((len(errors), 3, 1))
    left = errors
    for _ in range(_TURNS):
        weights = 1 / (1 + (left / limit_px) ** 2) ** 2
        weighted = (by_turn * weights[..., None]).transpose(0, 2, 1)
        normal = weighted @ by_turn
        scale = np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-12
        normal += 1e-9 * scale * np.eye(3)  # a turn that changes nothing stays small
        turns = turns - np.linalg.solve(normal, weighted @ left[..., None])
        left = errors + (by_turn @ turns)[..., 0]
    return left


def _noise_px(errors: NDArray[np.float64]) -> float:
    """Standard deviation of the errors before the fit, from those that it has left."""
    free = max(1, len(errors) - _PARAMETERS)
    return float(_NORMAL * (1 + _PARAMETERS / free) * np.median(np.abs(errors)))


def _inverse(information: Matrix, noise_px: float) -> Matrix:
    """(5, 5) covariance of angles, of which none is more than unknown."""
    values, vectors = np.linalg.eigh(information)
    variances = noise_px**2 / np.maximum(values, (noise_px / _UNKNOWN_RAD) ** 2 + 1e-300)
    return np.asarray((vectors * variances) @ vectors.T)


def _half_sphere(count: int) -> Matrix:
    """(D, 3) directions spread evenly (a Fibonacci lattice); a motion and its reverse are one."""
    number = np.arange(count) + 0.5
    height, angle = number / count, math.pi * (1 + math.sqrt(5)) * number
    radius = np.sqrt(1 - height**2)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])


def pose_deviations_deg(covariance: Matrix) -> tuple[float, float]:
    """Standard deviations of the direction of t and of R in degrees, where each is largest."""
    direction, rotation = (
        math.degrees(math.sqrt(max(float(np.linalg.eigvalsh(part)[-1]), 0.0)))
        for part in (covariance[:3, :3], covariance[3:, 3:])
    )
    return direction, rotation
