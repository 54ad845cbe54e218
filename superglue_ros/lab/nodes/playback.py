"""The demonstration's cameras and recorder: a scene goes out on topics, answers come back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from superglue_ros.bag.definitions import make, message_types
from superglue_ros.bag.picture_messages import picture_messages
from superglue_ros.bag.writer import BagWriter
from superglue_ros.config import DrawingConfig
from superglue_ros.drawing import BgrImage
from superglue_ros.lab.demo.processes import NodeError
from superglue_ros.lab.demo.results import Pair
from superglue_ros.lab.demo.scenes import Scene
from superglue_ros.msg import Features, Matches
from superglue_ros.nodes.conversions import image_to_message, matches_from_message
from superglue_ros.nodes.shared_memory import make_room
from superglue_ros.synchroniser import NANOSECONDS, header_nanoseconds, stamp_nanoseconds

SPIN_SEC = 0.1
START_TIMEOUT_SEC = 120.0
ANSWER_TIMEOUT_SEC = 60.0
FIRST_PATIENCE_SEC = 5.0

_HEADERS = ("header", "header0")


@contextmanager
def ros_session() -> Iterator[None]:
    """Use rclpy, leaving Ctrl-C to Python."""
    make_room()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


@dataclass(frozen=True, eq=False)
class Arrival:
    """A message and the time of its arrival in nanoseconds since the epoch."""

    message: Any
    time_ns: int


class Player:
    """Plays a scene as cameras would and takes what the nodes make of it; a context manager.

    A frame is sent when its time has come and the one before is answered, so that the times
    measured are those of the work and not of a queue.

    Args:
        scene: What the cameras see.
        namespace: The absolute namespace of the nodes.
        bag: Where images, features and matches are recorded as they arrive.
        check_nodes: Called now and then; raises where a node has ended.
    """

    def __init__(
        self, scene: Scene, namespace: str, bag: BagWriter, check_nodes: Callable[[], None]
    ) -> None:
        """Create the publishers and subscriptions."""
        self._scene = scene
        self._bag = bag
        self._check_nodes = check_nodes
        self._arrivals: dict[tuple[str, int], Arrival] = {}
        self._counts: Counter[str] = Counter()
        self._recorded: set[int] = set()
        self._node = rclpy.create_node("demo_player", namespace=namespace)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._publishers = [
            self._node.create_publisher(Image, topic, self._qos())
            for topic in self._topics("image")
        ]
        for topic in self._topics("image"):
            self._subscribe(Image, "sensor_msgs/msg/Image", topic)
        for topic in self._topics("features"):
            self._subscribe(Features, "superglue_ros/msg/Features", topic)
        self._subscribe(Matches, "superglue_ros/msg/Matches", "matches")

    def __enter__(self) -> Player:
        """Return the player."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the topics."""
        self._executor.shutdown(timeout_sec=0)
        self._node.destroy_node()

    def wait_for_nodes(self) -> None:
        """Show the first frame, unrecorded, until the nodes have made matches of it.

        Raises:
            NodeError: A node has ended, or there are no matches in time.
        """
        deadline = time.monotonic() + START_TIMEOUT_SEC
        self._spin_until(self._is_connected, START_TIMEOUT_SEC)
        # A single camera's first frame has nothing to be matched to, but it has features
        awaited = "matches" if self._scene.mode == "stereo" else "features"
        patience = FIRST_PATIENCE_SEC
        while time.monotonic() < deadline:
            stamp = self._publish(self._scene.frames[0])
            self._spin_until(partial(self._has, stamp, awaited), patience)
            if self._has(stamp, "matches"):
                return
            awaited = "matches"
            patience *= 2
        raise self._failure("the nodes gave no matches", START_TIMEOUT_SEC)

    def play(self, on_frame: Callable[[], None]) -> list[Pair]:
        """Play the scene once.

        Args:
            on_frame: Called after each frame.

        Returns:
            The pairs of images that were matched.

        Raises:
            NodeError: A node has ended, or a frame is not answered in time.
        """
        answer = (*self._topics("image"), *self._topics("features"), "matches")
        pairs = []
        for frame in self._scene.frames:
            next_frame = time.monotonic() + self._scene.period_sec
            stamp = self._publish(frame, recorded=True)
            if not self._spin_until(partial(self._has, stamp, *answer), ANSWER_TIMEOUT_SEC):
                raise self._failure("a frame was not answered", ANSWER_TIMEOUT_SEC)
            matches = self._arrivals["matches", stamp]
            if self._is_recorded(matches.message):
                pairs.append(self._pair(matches))
                self._write_pictures(pairs[-1], matches)
            on_frame()
            self._spin_until(lambda: False, next_frame - time.monotonic())
        return pairs

    def _topics(self, kind: str) -> list[str]:
        return [f"{camera}{kind}" for camera in self._scene.cameras]

    def _subscribe(self, message_type: type, type_name: str, topic: str) -> None:
        absolute_topic = self._node.resolve_topic_name(topic)

        def on_message(data: bytes) -> None:
            now = time.time_ns()
            message = deserialize_message(data, message_type)
            self._arrivals[topic, stamp_nanoseconds(message)] = Arrival(message, now)
            self._counts[absolute_topic] += 1
            if self._is_recorded(message):
                self._bag.write(absolute_topic, type_name, data, now)

        self._counts[absolute_topic] = 0
        self._node.create_subscription(message_type, topic, on_message, self._qos(), raw=True)

    @staticmethod
    def _qos() -> QoSProfile:
        return QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)

    def _is_connected(self) -> bool:
        """Whether both nodes are seen at both ends; this node is at one end of each topic."""
        images, features = self._topics("image"), self._topics("features")
        heard = all(self._node.count_subscribers(topic) > 1 for topic in (*images, *features))
        return heard and all(self._node.count_publishers(t) for t in (*features, "matches"))

    def _publish(self, frame: tuple[BgrImage, ...], *, recorded: bool = False) -> int:
        """Publish an image for each camera; returns their stamp in nanoseconds."""
        messages = [
            image_to_message(
                image, Header(frame_id=f"{camera.replace('/', '_')}camera_optical_frame")
            )
            for image, camera in zip(frame, self._scene.cameras, strict=True)
        ]
        now = time.time_ns()
        if recorded:
            self._recorded.add(now)
        for message, publisher in zip(messages, self._publishers, strict=True):
            message.header.stamp = Time(sec=now // NANOSECONDS, nanosec=now % NANOSECONDS)
            publisher.publish(message)
        return now

    def _has(self, stamp: int, *topics: str) -> bool:
        return all((topic, stamp) in self._arrivals for topic in topics)

    def _spin_until(self, condition: Callable[[], bool], timeout_sec: float) -> bool:
        """Receive until the condition holds; returns whether it does."""
        deadline = time.monotonic() + timeout_sec
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._check_nodes()
            self._executor.spin_once(timeout_sec=SPIN_SEC)
        return True

    def _is_recorded(self, message: Any) -> bool:
        """Whether a message is about recorded images only."""
        headers = [getattr(message, name) for name in _HEADERS if hasattr(message, name)]
        return all(header_nanoseconds(header) in self._recorded for header in headers)

    def _pair(self, matches: Arrival) -> Pair:
        stamp0, stamp1 = (
            header_nanoseconds(header)
            for header in (matches.message.header0, matches.message.header1)
        )
        image_topics = self._topics("image")
        features_ns = max(self._arrivals[t, stamp1].time_ns for t in self._topics("features"))
        features0, features1, found = matches_from_message(matches.message)
        return Pair(
            images=(
                _image(self._arrivals[image_topics[0], stamp0].message),
                _image(self._arrivals[image_topics[-1], stamp1].message),
            ),
            features=(features0, features1),
            matches=found,
            extraction_ms=(features_ns - stamp1) / 1e6,
            matching_ms=(matches.time_ns - features_ns) / 1e6,
        )

    def _write_pictures(self, pair: Pair, matches: Arrival) -> None:
        """Record what there is to see of a pair, as match_visualizer_node publishes it."""
        given = matches.message.header
        stamp = make(
            "builtin_interfaces/msg/Time", sec=given.stamp.sec, nanosec=given.stamp.nanosec
        )
        header = make("std_msgs/msg/Header", stamp=stamp, frame_id=given.frame_id)
        messages = picture_messages(
            pair.images, pair.features, pair.matches, header, DrawingConfig()
        )
        for topic, message in messages.items():
            name = message.__msgtype__
            data = bytes(message_types().serialize_cdr(message, name))
            self._bag.write(self._node.resolve_topic_name(topic), name, data, matches.time_ns)

    def _failure(self, what: str, after_sec: float) -> NodeError:
        counts = ", ".join(f"{topic} {count}" for topic, count in self._counts.items())
        return NodeError(f"{what} within {after_sec:.0f} s; messages received: {counts}")


def _image(message: Image) -> BgrImage:
    return np.array(message.data, np.uint8).reshape(message.height, message.width, 3)
