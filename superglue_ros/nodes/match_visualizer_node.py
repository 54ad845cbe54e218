"""match_visualizer_node: images and their matches in, pictures and markers out."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, PointCloud2
from visualization_msgs.msg import ImageMarker, MarkerArray

from superglue_ros.config import MatchVisualizerNodeConfig
from superglue_ros.drawing import Image, TrackTails, draw_matches
from superglue_ros.drawing.colours import Flags
from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches
from superglue_ros.geometry import Case
from superglue_ros.image_decoding import image_decoder
from superglue_ros.markers import image_markers, point_markers
from superglue_ros.match_statistics import match_statistics
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import MatchStatistics
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.msg import TwoViewGeometry as TwoViewGeometryMessage
from superglue_ros.nodes.album import Album, Exhibit
from superglue_ros.nodes.clouds import read_points
from superglue_ros.nodes.conversions import (
    matches_from_message,
    tracks_from_message,
    two_view_geometry_from_message,
)
from superglue_ros.nodes.frame_inputs import SideStream
from superglue_ros.nodes.frame_node import FrameNode, Messages
from superglue_ros.nodes.image_source import image_stream
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.runner import run_node
from superglue_ros.nodes.transitions import logged
from superglue_ros.nodes.upright_frame import UprightFrame
from superglue_ros.nodes.visual_outputs import PictureOutput, make
from superglue_ros.rerun_log import RerunLog
from superglue_ros.synchroniser import stamp_nanoseconds

_EXTRAS = ("geometry", "tracks")
_RATE_FRAMES = 20
_LONGEST_MS = 60_000.0  # an older image was stamped by another clock, or is played from a bag


class MatchVisualizerNode(FrameNode[MatchVisualizerNodeConfig]):
    """Draws matches while somebody watches; takes no part in the matching."""

    node_name = "match_visualizer_node"
    config_type = MatchVisualizerNodeConfig

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__(**node_options)
        self._decoder = image_decoder()
        self._log: RerunLog | None = None
        self._upright: UprightFrame | None = None

    # Life cycle

    def load(self) -> None:
        """Open what is shown in Rerun, where that is wanted."""
        if self.config.rerun:
            self._log = RerunLog(self.config.rerun, self.config)

    def release(self) -> None:
        """Close it."""
        if self._upright is not None:
            self._upright.close()
            self._upright = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def destroy_node(self) -> None:
        """Close what is open, and the node."""
        self.release()
        super().destroy_node()

    def create_outputs(self) -> None:
        """Create the publishers."""
        self._pictures, self._marked = (
            PictureOutput(self.add_output, self.resolve_topic_name(topic))
            for topic in ("match_image", "marker_image")
        )
        self._line_output = self.add_output(ImageMarker, "image_markers")
        self._keypoint_output = self.add_output(ImageMarker, "keypoint_markers")
        self._statistics_output = self.add_output(MatchStatistics, "match_statistics")
        self._marker_output = self.add_output(MarkerArray, "markers")
        self._upright = UprightFrame(self, self.config.upright_frame)

    def apply_settings(self) -> None:
        """Show what comes next as the settings are now."""
        if self._log is not None:
            self._log.config = self.config

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin with nothing kept."""
        stereo = self.config.mode == "stereo"
        topics = ("left/image", "right/image") if stereo else ("image",)
        self._image_streams = [image_stream(topic, self.config) for topic in topics]
        self._tails = TrackTails()
        self._arrivals_sec: deque[float] = deque(maxlen=_RATE_FRAMES)
        capacity = self.config.sync_queue_size
        self._album = Album(topics, _EXTRAS, capacity, self._has_publisher, self.hand_over)
        return super().on_activate(state)

    # Inputs

    def streams(self) -> list[Stream]:
        """The matches; what they are drawn on is kept in the album."""
        return [Stream("matches", MatchesMessage)]

    def side_streams(self) -> list[SideStream]:
        """The images, and what is drawn beside the matches where somebody publishes it."""
        camera = "left/" if self.config.mode == "stereo" else ""
        return [
            *((stream, partial(self._album.add, stream.topic)) for stream in self._image_streams),
            (Stream(f"{camera}camera_info", CameraInfo), self._on_camera_info),
            (Stream("geometry", TwoViewGeometryMessage), partial(self._album.add, "geometry")),
            (Stream("tracks", TracksMessage), self._on_tracks),
            (Stream("points", PointCloud2), self._on_points),
        ]

    def take(self, *messages: Any) -> None:
        """Let the matches wait for what belongs to them."""
        self._arrivals_sec.append(time.monotonic())
        (matches,) = messages
        if self._upright is not None:
            stereo = self.config.mode == "stereo"
            self._upright.tell(matches.header0 if stereo else matches.header1)
        self._album.add_matches(matches, self._milliseconds_since(matches))

    def _milliseconds_since(self, message: Any) -> float:
        """From the stamp of a message to now; 0 where it is of another clock."""
        age_ms = (self.get_clock().now().nanoseconds - stamp_nanoseconds(message)) / 1e6
        return age_ms if 0 < age_ms < _LONGEST_MS else 0.0

    def _has_publisher(self, topic: str) -> bool:
        stream = next(stream for stream in self._image_streams if stream.topic == topic)
        return bool(self.count_publishers(self._full_name(stream)))

    def _full_name(self, stream: Stream) -> str:
        return f"{self.resolve_topic_name(stream.topic)}{stream.suffix}"

    def _on_tracks(self, message: Any) -> None:
        if not (self._is_drawing or self._log):
            self._tails = TrackTails()
            return
        try:
            tracks, _ = tracks_from_message(message)
            self._album.add("tracks", message, self._tails.update(tracks))
        except Exception as error:
            self.on_failure(error)

    def _on_points(self, message: Any) -> None:
        marks = self._marker_output.get_subscription_count() > 0
        if not (marks or self._log):
            return
        try:
            positions, confidences = read_points(message)
            if marks:
                self._marker_output.publish(
                    point_markers(make, positions, confidences, message.header)
                )
            if self._log is not None:
                self._log.log_points(positions, confidences, stamp_ns=stamp_nanoseconds(message))
        except Exception as error:
            self.on_failure(error)

    def _on_camera_info(self, message: Any) -> None:
        """Take the calibration of the camera that points are seen by, where it is one."""
        projection = np.array(message.p, np.float64).reshape(3, 4)[:, :3]
        if self._log is not None and projection[0, 0] > 0:
            size = (message.width, message.height)
            self._log.log_camera(projection, size, stamp_ns=stamp_nanoseconds(message))

    # Pictures

    @property
    def _is_drawing(self) -> bool:
        return self._pictures.is_watched

    def process(self, messages: Messages) -> None:
        """Draw a pair of images, and mark its keypoints, for those who watch."""
        exhibit: Exhibit = messages[0]
        numbers = (self._statistics_output, self._line_output, self._keypoint_output)
        counts = any(output.get_subscription_count() for output in numbers)
        draws, shows = self._is_drawing or self._log is not None, self._marked.is_watched
        if not (counts or draws or shows):
            return
        features0, features1, matches = matches_from_message(exhibit.matches)
        inliers = _inliers(exhibit.extras[0], matches)
        if counts:
            self._publish_numbers(exhibit, (features0, features1), matches, inliers)
        if not (draws or shows):
            return
        self._check_image1(exhibit)
        if shows:
            with self.stopwatch.stage("publish"):
                decode = partial(self._decoder.decode_colour, exhibit.image1)
                self._marked.publish(decode, exhibit.header, exhibit.image1)
        if draws:
            self._draw(exhibit, (features0, features1), matches, inliers)

    def _publish_numbers(
        self,
        exhibit: Exhibit,
        features: tuple[Features, Features],
        matches: Matches,
        inliers: Flags | None,
    ) -> None:
        """Publish the statistics of a pair, and its marks for image 1."""
        if self._statistics_output.get_subscription_count():
            fields = match_statistics(features, matches, inliers, exhibit.milliseconds)
            self._statistics_output.publish(MatchStatistics(header=exhibit.header, **fields))
        outputs = (self._keypoint_output, self._line_output)
        if not any(output.get_subscription_count() for output in outputs):
            return
        shown = inliers if self.config.colour == "inlier" else None
        markers = image_markers(make, features, matches, shown, exhibit.header)
        for output, marker in zip(outputs, markers, strict=True):
            output.publish(marker)

    def _draw(
        self,
        exhibit: Exhibit,
        features: tuple[Features, Features],
        matches: Matches,
        inliers: Flags | None,
    ) -> None:
        """Draw a pair, for topics and for Rerun."""
        tails = exhibit.extras[1]
        with self.stopwatch.stage("decode"):
            image0, image1 = self._decode(exhibit)
        if self._log is not None:
            with self.stopwatch.stage("log"):
                self._log.log_pair(
                    (image0, image1),
                    features,
                    matches,
                    stamp_ns=stamp_nanoseconds(exhibit),
                    inliers=inliers,
                    tails=tails,
                    milliseconds=exhibit.milliseconds,
                )
        if not self._is_drawing:
            return
        with self.stopwatch.stage("draw"):
            picture = draw_matches(
                image0,
                image1,
                *features,
                matches,
                self.config,
                inliers=inliers,
                tails=tails,
                notes=self._notes(has_image0=image0 is not None),
            )
        with self.stopwatch.stage("publish"):
            self._pictures.publish(lambda: picture, exhibit.header)

    def _check_image1(self, exhibit: Exhibit) -> None:
        if exhibit.image1 is None:
            stream = self._image_streams[-1]
            name = self._full_name(stream)
            why = "it was lost" if self._has_publisher(stream.topic) else "nobody publishes there"
            raise InputError(f"no image on {name} has the stamp of the matches: {why}")

    def _decode(self, exhibit: Exhibit) -> tuple[Image | None, Image]:
        given = (exhibit.image0, exhibit.image1)
        image0, image1 = (
            None if one is None else self._decoder.decode_colour(one) for one in given
        )
        assert image1 is not None
        return image0, image1

    def _notes(self, *, has_image0: bool) -> list[str]:
        """What the picture says beside its counts."""
        count = len(self._arrivals_sec)
        elapsed_sec = self._arrivals_sec[-1] - self._arrivals_sec[0]
        rate = [f"{(count - 1) / elapsed_sec:.1f} Hz"] if elapsed_sec else []
        return rate if has_image0 else [*rate, "image 0 is not there"]


def _inliers(message: Any, matches: Matches) -> Flags | None:
    """Which matches agree with the geometry; None where there is none of them."""
    if message is None:
        return None
    geometry, pairs = two_view_geometry_from_message(message)
    is_of_them = np.array_equal(pairs, matches.pairs)
    return geometry.inliers if is_of_them and geometry.case != Case.TOO_FEW_MATCHES else None


def main() -> None:
    """Run the node until it is told to end."""
    run_node(MatchVisualizerNode)
