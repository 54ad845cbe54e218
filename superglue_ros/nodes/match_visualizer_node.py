"""match_visualizer_node: images and their matches in, pictures and markers out."""

from __future__ import annotations

import array
import time
from collections import deque
from functools import partial
from typing import Any

import cv2
import numpy as np
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import ImageMarker, MarkerArray

from superglue_ros.config import MatchVisualizerNodeConfig
from superglue_ros.drawing import BgrImage, TrackTails, draw_matches
from superglue_ros.drawing.colours import Flags
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage, Matches
from superglue_ros.geometry import Case
from superglue_ros.image_decoding import image_decoder
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.msg import TwoViewGeometry as TwoViewGeometryMessage
from superglue_ros.nodes.album import Album, Exhibit
from superglue_ros.nodes.conversions import (
    image_to_message,
    matches_from_message,
    tracks_from_message,
    two_view_geometry_from_message,
)
from superglue_ros.nodes.frame_inputs import SideStream
from superglue_ros.nodes.frame_node import FrameNode, Messages
from superglue_ros.nodes.image_source import image_stream
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.markers import image_markers, point_markers, read_points
from superglue_ros.nodes.runner import run_node
from superglue_ros.nodes.transitions import logged
from superglue_ros.rerun_log import RerunLog
from superglue_ros.synchroniser import stamp_nanoseconds

_EXTRAS = ("geometry", "tracks")
_RATE_FRAMES = 20
_JPEG_QUALITY = 90


class MatchVisualizerNode(FrameNode[MatchVisualizerNodeConfig]):
    """Draws matches while somebody watches; takes no part in the matching."""

    node_name = "match_visualizer_node"
    config_type = MatchVisualizerNodeConfig

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__(**node_options)
        self._decoder = image_decoder()
        self._log: RerunLog | None = None

    # Life cycle

    def load(self) -> None:
        """Open what is shown in Rerun, where that is wanted."""
        if self.config.rerun:
            self._log = RerunLog(self.config.rerun, self.config)

    def release(self) -> None:
        """Close it."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def destroy_node(self) -> None:
        """Close what is open, and the node."""
        self.release()
        super().destroy_node()

    def create_outputs(self) -> None:
        """Create the publishers."""
        topic = self.resolve_topic_name("match_image")  # remapped, it takes its like with it
        self._image_output = self.add_output(Image, topic)
        self._compressed_output = self.add_output(CompressedImage, f"{topic}/compressed")
        self._image_marker_output = self.add_output(ImageMarker, "image_markers")
        self._marker_output = self.add_output(MarkerArray, "markers")

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
        self._album.add_matches(*messages)

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
                self._marker_output.publish(point_markers(positions, confidences, message.header))
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
        outputs = (self._image_output, self._compressed_output)
        return any(output.get_subscription_count() for output in outputs)

    def process(self, messages: Messages) -> None:
        """Draw a pair of images, and mark its keypoints, for those who watch."""
        exhibit: Exhibit = messages[0]
        marks = self._image_marker_output.get_subscription_count() > 0
        draws = self._is_drawing
        if not (marks or draws or self._log):
            return
        features0, features1, matches = matches_from_message(exhibit.matches)
        inliers = _inliers(exhibit.extras[0], matches)
        if marks:
            shown = inliers if self.config.colour == "inlier" else None
            for marker in image_markers((features0, features1), matches, shown, exhibit.header):
                self._image_marker_output.publish(marker)
        if not (draws or self._log):
            return
        with self.stopwatch.stage("decode"):
            image0, image1 = self._decode(exhibit)
        if self._log is not None:
            with self.stopwatch.stage("log"):
                self._log.log_pair(
                    (image0, image1),
                    (features0, features1),
                    matches,
                    stamp_ns=stamp_nanoseconds(exhibit),
                    inliers=inliers,
                    tails=exhibit.extras[1],
                )
        if not draws:
            return
        with self.stopwatch.stage("draw"):
            picture = draw_matches(
                image0,
                image1,
                features0,
                features1,
                matches,
                self.config,
                inliers=inliers,
                tails=exhibit.extras[1],
                notes=self._notes(has_image0=image0 is not None),
            )
        with self.stopwatch.stage("publish"):
            self._publish(picture, exhibit.header)

    def _decode(self, exhibit: Exhibit) -> tuple[GreyImage | None, GreyImage]:
        if exhibit.image1 is None:
            stream = self._image_streams[-1]
            name = self._full_name(stream)
            why = "it was lost" if self._has_publisher(stream.topic) else "nobody publishes there"
            raise InputError(f"no image on {name} has the stamp of the matches: {why}")
        image0 = None if exhibit.image0 is None else self._decoder.decode(exhibit.image0)
        return image0, self._decoder.decode(exhibit.image1)

    def _notes(self, *, has_image0: bool) -> list[str]:
        """What the picture says beside its counts."""
        count = len(self._arrivals_sec)
        elapsed_sec = self._arrivals_sec[-1] - self._arrivals_sec[0]
        rate = [f"{(count - 1) / elapsed_sec:.1f} Hz"] if elapsed_sec else []
        return rate if has_image0 else [*rate, "image 0 is not there"]

    def _publish(self, picture: BgrImage, header: Header) -> None:
        if self._image_output.get_subscription_count():
            self._image_output.publish(image_to_message(picture, header))
        if self._compressed_output.get_subscription_count():
            _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
            message.data = array.array("B", data.tobytes())
            self._compressed_output.publish(message)


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
