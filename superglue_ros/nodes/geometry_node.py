"""geometry_node: matches in, geometry, points in space and tracks out."""

from __future__ import annotations

from typing import Any

from rclpy.publisher import Publisher
from sensor_msgs.msg import PointCloud, PointCloud2
from std_msgs.msg import Header

from superglue_ros.config import GeometryNodeConfig
from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches
from superglue_ros.geometry import Camera, Case, TwoViewGeometry, estimate_two_view_geometry
from superglue_ros.geometry.stereo import StereoCamera, StereoPoints, stereo_geometry
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.msg import TwoViewGeometry as TwoViewGeometryMessage
from superglue_ros.nodes.calibration import Calibration
from superglue_ros.nodes.clouds import points_to_message, tracks_to_cloud
from superglue_ros.nodes.conversions import (
    matches_from_message,
    tracks_to_message,
    two_view_geometry_to_message,
)
from superglue_ros.nodes.frame_inputs import SideStream
from superglue_ros.nodes.frame_node import FrameNode, Messages
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.runner import run_node
from superglue_ros.synchroniser import NANOSECONDS
from superglue_ros.tracks import Tracker
from superglue_ros.tracks.motion import TrackMotion

TRACKED = ("sequential", "keyframe")


class GeometryNode(FrameNode[GeometryNodeConfig]):
    """Finds the geometry of matched images, points in space of stereo pairs, tracks of sequences.

    The calibrations are optional: without them there are fundamental matrices and homographies.
    """

    node_name = "geometry_node"
    config_type = GeometryNodeConfig

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__(**node_options)
        self._calibration: Calibration | None = None
        self._tracker = Tracker()
        self._motion = TrackMotion()
        self._last_case = ""
        self._geometry_output: Publisher | None = None
        self._points_output: Publisher | None = None
        self._tracks_output: Publisher | None = None
        self._cloud_output: Publisher | None = None

    def load(self) -> None:
        """Begin without calibrations and tracks."""
        prefixes = ("left/", "right/") if self.config.mode == "stereo" else ("",)
        self._calibration = Calibration(self, prefixes, rectified=self.config.rectified)
        self._tracker, self._motion = Tracker(self.config), TrackMotion()

    def release(self) -> None:
        """Let go of the calibrations and the tracks."""
        self._calibration = None
        self._tracker, self._motion = Tracker(), TrackMotion()

    def create_outputs(self) -> None:
        """Create the publishers that the mode has something for."""
        self._points_output = self._tracks_output = self._cloud_output = None
        self._geometry_output = self.add_output(TwoViewGeometryMessage, "geometry")
        if self.config.mode == "stereo":
            self._points_output = self.add_output(PointCloud2, "points")
        elif self.config.mode in TRACKED:
            self._tracks_output = self.add_output(TracksMessage, "tracks")
            self._cloud_output = self.add_output(PointCloud, "track_points")

    def streams(self) -> list[Stream]:
        """The matches."""
        return [Stream("matches", MatchesMessage)]

    def side_streams(self) -> list[SideStream]:
        """The calibrations."""
        return [] if self._calibration is None else self._calibration.streams

    def apply_settings(self) -> None:
        """Take over live settings that have changed, with the next frame."""
        self._tracker.config = self.config

    def facts(self) -> dict[str, str]:
        """Where the calibration is from, and what the last matches showed."""
        state = "" if self._calibration is None else self._calibration.state
        return {"calibration": state, "last geometry": self._last_case}

    def process(self, messages: Messages) -> None:
        """Publish what one message of matches shows."""
        (message,) = messages
        with self.stopwatch.stage("decode"):
            features0, features1, matches = matches_from_message(message)
        cameras = self._cameras(features0, features1)
        with self.stopwatch.stage("geometry"):
            geometry, points = self._geometry(features0, features1, matches, cameras)
        self._last_case = geometry.case.name
        headers = (message.header0, message.header1)
        with self.stopwatch.stage("publish"):
            assert self._geometry_output is not None
            self._geometry_output.publish(
                two_view_geometry_to_message(geometry, matches.pairs, headers)
            )
            if points is not None:
                self._publish_points(points, matches, message)
        if self._tracks_output is not None:
            self._track(message, features0, features1, matches, geometry, cameras)

    def _cameras(self, features0: Features, features1: Features) -> list[Camera] | None:
        """The left and the right camera, or the one; None where they are not known."""
        assert self._calibration is not None
        sizes = [features0.image_size, features1.image_size]
        if self.config.mode == "stereo":
            return self._calibration.cameras(sizes)
        if self.config.mode == "template" or sizes[0] != sizes[1]:
            return None  # image 0 is of another camera
        return self._calibration.cameras(sizes[1:])

    def _geometry(
        self,
        features0: Features,
        features1: Features,
        matches: Matches,
        cameras: list[Camera] | None,
    ) -> tuple[TwoViewGeometry, StereoPoints | None]:
        ends = matches.points(features0, features1)
        size, config = features1.image_size, self.config
        if cameras is not None and config.mode == "stereo":
            stereo = self._stereo(*cameras)
            if stereo is not None:
                geometry, points = stereo_geometry(stereo, *ends, size, config, config)
                if geometry.case == Case.NO_CONSENSUS:
                    self.warn("the matches do not fit the calibration of the stereo pair")
                return geometry, points
        known = None if cameras is None else (cameras[0], cameras[-1])
        return estimate_two_view_geometry(*ends, size, known, config), None

    def _stereo(self, left: Camera, right: Camera) -> StereoCamera | None:
        try:
            return StereoCamera(left, right, rectified=self.config.rectified)
        except InputError as error:
            assert self._calibration is not None
            self._calibration.refuse(str(error))
            return None

    def _publish_points(
        self, points: StereoPoints, matches: Matches, message: MatchesMessage
    ) -> None:
        assert self._points_output is not None
        here = points.inliers
        self._points_output.publish(
            points_to_message(
                points.positions[here],
                matches.confidences[here],
                matches.pairs[here, 0],
                message.header0,
            )
        )

    def _track(
        self,
        message: MatchesMessage,
        features0: Features,
        features1: Features,
        matches: Matches,
        geometry: TwoViewGeometry,
        cameras: list[Camera] | None,
    ) -> None:
        """Hand the ids on along the matches that fit the geometry, and publish the tracks."""
        assert self._tracks_output is not None
        assert self._cloud_output is not None
        with self.stopwatch.stage("track"):
            stamps_sec = seconds_of(message.header0), seconds_of(message.header1)
            tracks = self._tracker.update(
                stamps_sec,
                features0.keypoints,
                features1.keypoints,
                matches.pairs[geometry.inliers],
                matches.are_refined[geometry.inliers],
            )
        self._tracks_output.publish(
            tracks_to_message(tracks, features1.image_size, message.header1)
        )
        if cameras is not None:
            motion = self._motion.update(tracks, stamps_sec[1], cameras[-1])
            self._cloud_output.publish(tracks_to_cloud(tracks, *motion, message.header1))


def seconds_of(header: Header) -> float:
    """The stamp of a header in seconds."""
    return float(header.stamp.sec + header.stamp.nanosec / NANOSECONDS)


def main() -> None:
    """Run the node until it is told to end."""
    run_node(GeometryNode)
