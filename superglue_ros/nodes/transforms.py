"""Transforms by their messages alone (tf2_msgs): where the body is asked for, odometry is told.

tf2_ros is not needed: what is fixed on a robot stands in /tf_static, and /tf takes what is sent.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from std_msgs.msg import Header

from superglue_ros.geometry import Matrix
from superglue_ros.geometry.two_view_models import Pose

_LONGEST_CHAIN = 100


class StaticTransforms:
    """Keeps /tf_static, and finds the place of one frame in another in it."""

    def __init__(self) -> None:
        """Start without any."""
        self._parents: dict[str, tuple[str, Pose]] = {}

    def take(self, message: Any) -> None:
        """Take a message of /tf_static."""
        for one in message.transforms:
            pose = _pose_of(one.transform)
            self._parents[_bare(one.child_frame_id)] = (_bare(one.header.frame_id), pose)

    def of(self, inner: str, outer: str) -> Pose | None:
        """R and t of a frame in another one; None where no fixed transforms lead there."""
        root0, (rotation0, translation0) = self._to_root(_bare(outer))
        root1, (rotation1, translation1) = self._to_root(_bare(inner))
        if root0 != root1:
            return None
        return rotation0.T @ rotation1, rotation0.T @ (translation1 - translation0)

    def _to_root(self, frame: str) -> tuple[str, Pose]:
        rotation, translation = np.eye(3), np.zeros(3)
        for _ in range(_LONGEST_CHAIN):  # a circle has no root
            if frame not in self._parents:
                break
            frame, (turn, shift) = self._parents[frame]
            rotation, translation = turn @ rotation, turn @ translation + shift
        return frame, (rotation, translation)


def transform_message(pose: Pose, header: Header, child_frame_id: str) -> TransformStamped:
    """The transform of a frame in that of the header."""
    x, y, z = pose[1].tolist()
    transform = Transform(translation=Vector3(x=x, y=y, z=z), rotation=quaternion(pose[0]))
    return TransformStamped(header=header, child_frame_id=child_frame_id, transform=transform)


def quaternion(rotation: Matrix) -> Quaternion:
    """The quaternion of a rotation matrix."""
    vector = cv2.Rodrigues(rotation)[0].ravel()
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 0 else vector
    x, y, z = (axis * np.sin(angle / 2)).tolist()
    return Quaternion(x=x, y=y, z=z, w=float(np.cos(angle / 2)))


def _pose_of(transform: Any) -> Pose:
    place, turn = transform.translation, transform.rotation
    vector = np.array([turn.x, turn.y, turn.z])
    sine = float(np.linalg.norm(vector))
    angle = 2 * np.arctan2(sine, turn.w)
    rotation = cv2.Rodrigues(vector / sine * angle)[0] if sine > 0 else np.eye(3)
    return rotation, np.array([place.x, place.y, place.z])


def _bare(frame: str) -> str:
    """Without the slash that ROS 1 had."""
    return frame.lstrip("/")
