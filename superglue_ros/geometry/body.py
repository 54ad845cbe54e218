"""From the poses of a camera to the motion of the body that it is fixed to.

A pose here is (R, t) of one frame in another: p_outer = R p_inner + t. What is not known has a
variance of UNKNOWN, as filters take it: large, and finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from superglue_ros.geometry.cameras import Matrix
from superglue_ros.geometry.odometry import Motion
from superglue_ros.geometry.two_view_models import Pose

UNKNOWN = 1e6
"""Square metres, or squares of metres or radians per second."""

BODY_FROM_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""From x to the right, y down, z forward to x forward, y to the left, z up (REP 103)."""

_PLACE, _TURN = slice(0, 3), slice(3, 6)


@dataclass(frozen=True, eq=False)
class BodyMotion:
    """What Odometry messages tell of one frame.

    Attributes:
        pose: Of the body in the frame of odometry.
        covariance: (6, 6) of its place and attitude, in the axes of the frame of odometry.
        twist: (6,) metres and radians per second, in the axes of the body.
        twist_covariance: (6, 6).
    """

    pose: Pose
    covariance: Matrix
    twist: Matrix
    twist_covariance: Matrix


class Body:
    """Follows a body by the camera on it.

    Args:
        camera_in_body: The camera's (optical) frame in the body's; None where the body is the
            camera's frame itself, and the frame of odometry is that turned to x forward, z up.
        has_scale: Whether lengths are metres; if not, all that is made of lengths is unknown.
    """

    def __init__(self, camera_in_body: Pose | None, *, has_scale: bool) -> None:
        """Start before the first pose."""
        self._camera_in_body = camera_in_body
        self._has_scale = has_scale
        self._last: tuple[float, Pose, Matrix] | None = None

    def moved(self, motion: Motion, stamp_sec: float) -> BodyMotion:
        """The motion of the body at the next pose of the camera."""
        pose = self._pose(motion.pose)
        covariance = self._covariance(motion, pose)
        twist, deviation = np.zeros(6), UNKNOWN * np.eye(6)
        if self._last is not None and stamp_sec > self._last[0]:
            elapsed_sec = stamp_sec - self._last[0]
            twist = _twist(self._last[1], pose, elapsed_sec)
            # Covariances sum up over the frames: what this one has added is that of the step.
            step = (covariance - self._last[2]) / elapsed_sec**2
            axes = np.kron(np.eye(2), pose[0].T)
            deviation = axes @ step @ axes.T
        self._last = stamp_sec, pose, covariance
        if not self._has_scale:
            covariance, deviation = _without_lengths(covariance), _without_lengths(deviation)
        return BodyMotion(pose, covariance, twist, deviation)

    def _pose(self, world_to_camera: Pose) -> Pose:
        rotation, translation = world_to_camera
        turn, place = rotation.T, -rotation.T @ translation  # of the camera in its first frame
        if self._camera_in_body is None:
            return BODY_FROM_OPTICAL @ turn, BODY_FROM_OPTICAL @ place
        mount, offset = self._camera_in_body
        body_turn = mount @ turn @ mount.T
        return body_turn, mount @ place + offset - body_turn @ offset

    def _covariance(self, motion: Motion, pose: Pose) -> Matrix:
        if self._camera_in_body is None:
            axes = np.kron(np.eye(2), BODY_FROM_OPTICAL)
            return np.asarray(axes @ motion.covariance @ axes.T)
        mount, offset = self._camera_in_body
        axes = np.kron(np.eye(2), mount)
        lever = np.eye(6)  # the body is moved by what the camera turns: a x b of its offset
        lever[_PLACE, _TURN] = _cross_matrix(pose[0] @ offset)
        lever = lever @ axes
        return np.asarray(lever @ motion.covariance @ lever.T)


def _twist(before: Pose, now: Pose, elapsed_sec: float) -> Matrix:
    """(6,) how a body moves from one pose to the next, in its axes at the second."""
    straight = now[0].T @ (now[1] - before[1])
    turn = cv2.Rodrigues(before[0].T @ now[0])[0].ravel()  # about an axis that both share
    return np.concatenate([straight, turn]) / elapsed_sec


def _without_lengths(covariance: Matrix) -> Matrix:
    unknown = np.zeros((6, 6))
    unknown[_PLACE, _PLACE] = UNKNOWN * np.eye(3)
    unknown[_TURN, _TURN] = covariance[_TURN, _TURN]
    return unknown


def _cross_matrix(vector: Matrix) -> Matrix:
    x, y, z = vector.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
