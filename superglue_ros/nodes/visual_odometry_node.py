"""visual_odometry_node: tracks in, the way of the camera out; an example, not a SLAM system.

It drifts: nothing is corrected later. Of one camera the scale is unknown and changes along the way;
a scene that is one plane or a camera that only turns gives no start. For more take a back-end that
optimises (the tracks are also published in the layout that such take).
"""

from __future__ import annotations

from collections import deque
from typing import Any

import cv2
import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from nav_msgs.msg import Odometry as OdometryMessage
from nav_msgs.msg import Path
from rclpy.publisher import Publisher
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from superglue_ros.config import OdometryNodeConfig
from superglue_ros.errors import InputError
from superglue_ros.geometry import Camera, Matrix
from superglue_ros.geometry.odometry import MonocularOdometry, Motion, State, StereoOdometry
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.nodes.calibration import Calibration
from superglue_ros.nodes.clouds import points_from_message
from superglue_ros.nodes.conversions import tracks_from_message
from superglue_ros.nodes.frame_inputs import SideStream
from superglue_ros.nodes.frame_node import FrameNode, Messages
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.runner import run_node
from superglue_ros.partners import RESET_SEC
from superglue_ros.synchroniser import NANOSECONDS, stamp_nanoseconds

LONGEST_PATH = 2000
"""Poses in the path; it is published anew with each."""

BODY_FROM_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""From x to the right, y down, z forward to x forward, y to the left, z up (REP 103)."""


class VisualOdometryNode(FrameNode[OdometryNodeConfig]):
    """Publishes where a camera is, from its tracks and, in mode stereo, points; it drifts."""

    node_name = "visual_odometry_node"
    config_type = OdometryNodeConfig

    _stamp_sec: float

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__(**node_options)
        self._calibration: Calibration | None = None
        self._odometry_output: Publisher | None = None
        self._path_output: Publisher | None = None
        self._begin_anew()

    def load(self) -> None:
        """Begin at the origin, without a calibration."""
        self._calibration = Calibration(self, ("",), rectified=self.config.rectified)
        self._begin_anew()

    def release(self) -> None:
        """Let go of the calibration and the landmarks."""
        self._calibration = None
        self._begin_anew()

    def create_outputs(self) -> None:
        """Create the publishers."""
        self._odometry_output = self.add_output(OdometryMessage, "odometry")
        self._path_output = self.add_output(Path, "path")

    def streams(self) -> list[Stream]:
        """`tracks`, and in mode stereo `points`."""
        streams = [Stream("tracks", TracksMessage)]
        return [*streams, Stream("points", PointCloud2)] if self._is_stereo else streams

    def side_streams(self) -> list[SideStream]:
        """The calibrations."""
        return [] if self._calibration is None else self._calibration.streams

    def apply_settings(self) -> None:
        """Take over live settings that have changed, with the next frame."""
        self._odometry.config = self.config

    def facts(self) -> dict[str, str]:
        """Where the calibration is from, and how the odometry is."""
        state = "" if self._calibration is None else self._calibration.state
        return {"calibration": state, "odometry": self._state.value}

    def process(self, messages: Messages) -> None:
        """Publish the pose of one frame, where there is one."""
        tracks = messages[0]
        stamp_sec = stamp_nanoseconds(tracks) / NANOSECONDS
        if stamp_sec < self._stamp_sec - RESET_SEC:
            self.warn("stamps jumped back: odometry begins anew")
            self._begin_anew()
        self._stamp_sec = stamp_sec
        with self.stopwatch.stage("locate"):
            motion = self._located(messages)
        if motion.state == State.LOST:
            self.warn("odometry is lost: it goes on from the last pose")
        self._state = motion.state
        if motion.state == State.TRACKING:
            self._publish(motion, tracks.header)

    @property
    def _is_stereo(self) -> bool:
        return self.config.mode == "stereo"

    def _begin_anew(self) -> None:
        kind = StereoOdometry if self._is_stereo else MonocularOdometry
        self._odometry: StereoOdometry | MonocularOdometry = kind(self.config)
        self._poses: deque[PoseStamped] = deque(maxlen=LONGEST_PATH)
        self._state = State.STARTING
        self._stamp_sec = float("-inf")

    def _located(self, messages: Messages) -> Motion:
        tracks, image_size = tracks_from_message(messages[0])
        camera = self._camera(image_size)
        if isinstance(self._odometry, StereoOdometry):
            positions, keypoints = points_from_message(messages[1])
            return self._odometry.update(tracks, keypoints, positions, camera)
        return self._odometry.update(tracks, image_size, camera)

    def _camera(self, image_size: tuple[int, int]) -> Camera:
        assert self._calibration is not None
        cameras = self._calibration.cameras([image_size])
        if cameras is None:
            raise InputError(f"odometry needs a calibration: {self._calibration.state}")
        return cameras[0]

    def _publish(self, motion: Motion, header: Header) -> None:
        assert self._odometry_output is not None
        assert self._path_output is not None
        here = Header(stamp=header.stamp, frame_id=self.config.odom_frame)
        message = OdometryMessage(header=here, child_frame_id=header.frame_id)
        message.pose.pose = _pose_message(motion)
        turn = np.kron(np.eye(2), BODY_FROM_OPTICAL)
        message.pose.covariance = (turn @ motion.covariance @ turn.T).ravel()
        self._odometry_output.publish(message)
        self._poses.append(PoseStamped(header=here, pose=message.pose.pose))
        if self._path_output.get_subscription_count():
            self._path_output.publish(Path(header=here, poses=list(self._poses)))


def _pose_message(motion: Motion) -> Pose:
    """Of the camera's (optical) frame in the frame of odometry."""
    rotation, translation = motion.pose
    place = BODY_FROM_OPTICAL @ (-rotation.T @ translation)
    x, y, z, w = _quaternion(BODY_FROM_OPTICAL @ rotation.T)
    return Pose(
        position=Point(x=place[0], y=place[1], z=place[2]),
        orientation=Quaternion(x=x, y=y, z=z, w=w),
    )


def _quaternion(rotation: Matrix) -> list[float]:
    """x, y, z, w of a rotation."""
    vector = cv2.Rodrigues(rotation)[0].ravel()
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 0 else vector
    return [*(axis * np.sin(angle / 2)).tolist(), float(np.cos(angle / 2))]


def main() -> None:
    """Run the node until it is told to end."""
    run_node(VisualOdometryNode)
