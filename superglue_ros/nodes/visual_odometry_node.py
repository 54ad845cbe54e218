"""visual_odometry_node: tracks in, the way of the camera out; an example, not a SLAM system.

It drifts: nothing is corrected later. Of one camera the scale is unknown and changes along the way;
a scene that is one plane or a camera that only turns gives no start. For more take a back-end that
optimises (the tracks are also published in the layout that such take).
"""

from __future__ import annotations

from collections import deque
from typing import Any

from geometry_msgs.msg import Point, Pose, PoseStamped, Twist, Vector3
from nav_msgs.msg import Odometry as OdometryMessage
from nav_msgs.msg import Path
from rclpy.publisher import Publisher
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from superglue_ros.config import OdometryNodeConfig
from superglue_ros.errors import InputError
from superglue_ros.geometry import Camera
from superglue_ros.geometry.body import Body, BodyMotion
from superglue_ros.geometry.odometry import MonocularOdometry, Motion, State, StereoOdometry
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.nodes.calibration import Calibration
from superglue_ros.nodes.clouds import points_from_message
from superglue_ros.nodes.conversions import tracks_from_message
from superglue_ros.nodes.distributions import TFMessage
from superglue_ros.nodes.frame_inputs import SideStream
from superglue_ros.nodes.frame_node import FrameNode, Messages
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.runner import run_node
from superglue_ros.nodes.transforms import StaticTransforms, quaternion, transform_message
from superglue_ros.partners import RESET_SEC
from superglue_ros.synchroniser import NANOSECONDS, stamp_nanoseconds

LONGEST_PATH = 2000
"""Poses in the path; it is published anew with each."""


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
        self._transform_output: Publisher | None = None
        self._transforms = StaticTransforms()
        self._begin_anew()

    def load(self) -> None:
        """Begin at the origin, without a calibration."""
        self._calibration = Calibration(self, ("",), rectified=self.config.rectified)
        if TFMessage is None and (self.config.publish_tf or self.config.base_frame):
            self.get_logger().warning(
                "publish_tf and base_frame need tf2_msgs, which this ROS has not (apt has "
                "ros-DISTRIBUTION-tf2-msgs; pip has none): odometry goes on without"
            )
        self._begin_anew()

    def release(self) -> None:
        """Let go of the calibration and the landmarks."""
        self._calibration = None
        self._begin_anew()

    def create_outputs(self) -> None:
        """Create the publishers."""
        self._odometry_output = self.add_output(OdometryMessage, "odometry")
        self._path_output = self.add_output(Path, "path")
        self._transform_output = None
        if self.config.publish_tf and TFMessage is not None:
            self._transform_output = self.add_output(TFMessage, "/tf")

    def streams(self) -> list[Stream]:
        """`tracks`, and in mode stereo `points`."""
        streams = [Stream("tracks", TracksMessage)]
        return [*streams, Stream("points", PointCloud2)] if self._is_stereo else streams

    def side_streams(self) -> list[SideStream]:
        """The calibrations, and where the camera is on the body."""
        streams = [] if self._calibration is None else [*self._calibration.streams]
        if self.config.base_frame and TFMessage is not None:
            streams.append((Stream("/tf_static", TFMessage, shared=True), self._transforms.take))
        return streams

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
        self._body: Body | None = None
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

    def _body_of(self, camera_frame: str) -> Body:
        """The body that is followed, from the first pose on."""
        if self._body is None:
            base, mount = self.config.base_frame, None
            if base and TFMessage is not None:
                mount = self._transforms.of(camera_frame, base)
                if mount is None:
                    raise InputError(
                        f"/tf_static does not tell where {camera_frame!r} is in base_frame "
                        f"{base!r}: start robot_state_publisher or static_transform_publisher"
                    )
            self._body = Body(mount, has_scale=self._is_stereo)
        return self._body

    def _publish(self, motion: Motion, header: Header) -> None:
        assert self._odometry_output is not None
        assert self._path_output is not None
        body = self._body_of(header.frame_id).moved(motion, self._stamp_sec)
        here = Header(stamp=header.stamp, frame_id=self.config.odom_frame)
        has_base = self.config.base_frame and TFMessage is not None
        frame = self.config.base_frame if has_base else header.frame_id
        message = _odometry_message(body, here, frame)
        self._odometry_output.publish(message)
        if self._transform_output is not None:
            transform = transform_message(body.pose, here, frame)
            self._transform_output.publish(TFMessage(transforms=[transform]))
        self._poses.append(PoseStamped(header=here, pose=message.pose.pose))
        if self._path_output.get_subscription_count():
            self._path_output.publish(Path(header=here, poses=list(self._poses)))


def _odometry_message(body: BodyMotion, header: Header, child_frame_id: str) -> OdometryMessage:
    message = OdometryMessage(header=header, child_frame_id=child_frame_id)
    (x, y, z), linear, angular = body.pose[1].tolist(), *body.twist.reshape(2, 3).tolist()
    turn = quaternion(body.pose[0])
    message.pose.pose = Pose(position=Point(x=x, y=y, z=z), orientation=turn)
    message.pose.covariance = body.covariance.ravel()
    message.twist.twist = Twist(
        linear=Vector3(**dict(zip("xyz", linear, strict=True))),
        angular=Vector3(**dict(zip("xyz", angular, strict=True))),
    )
    message.twist.covariance = body.twist_covariance.ravel()
    return message


def main() -> None:
    """Run the node until it is told to end."""
    run_node(VisualOdometryNode)
