"""The one way in which nodes subscribe: an input that follows its publishers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.subscription import Subscription

from superglue_ros.config import TransportConfig
from superglue_ros.nodes.qos import (
    NO_SUBSCRIPTION_EVENTS,
    Delivery,
    fitting_delivery,
    input_qos,
)
from superglue_ros.synchroniser import stamp_nanoseconds

RECENT_STAMPS = 30


class Stream(NamedTuple):
    """A topic to subscribe to.

    Attributes:
        topic: Relative name, which may be remapped.
        message_type: Class of its messages.
        suffix: What follows the name after remapping, as in IMAGE/compressed.
        shared: Whether several publishers are as it should be.
    """

    topic: str
    message_type: type
    suffix: str = ""
    shared: bool = False

    def full_name(self, node: Node) -> str:
        """The name that the topic has for a node."""
        return f"{node.resolve_topic_name(self.topic)}{self.suffix}"


class TopicInput:
    """A subscription of which reliability and durability fit the publishers.

    Args:
        node: The node that subscribes.
        config: How to subscribe.
        depth: Messages that may wait for the node, of the newest; LIVE_DEPTH at least.
        stream: What to subscribe to.
        on_message: Called with each message.

    Attributes:
        topic: The full name of the topic.
        received: Messages that came.
        message_bytes: Of the data of the last one, where its messages have such.
        stamps: Of the last messages, in nanoseconds.
        shared: Whether several publishers are as it should be.
        publishers: The full names of the nodes that publish, as of the last look.
    """

    def __init__(
        self,
        node: Node,
        config: TransportConfig,
        depth: int,
        stream: Stream,
        on_message: Callable[[Any], None],
    ) -> None:
        """Subscribe."""
        self._node = node
        self._message_type = stream.message_type
        self._config = config
        self._depth = depth
        self._on_message = on_message
        self.topic = stream.full_name(node)
        self.received = 0
        self.message_bytes = 0
        self.shared = stream.shared
        self.publishers: list[str] = []
        self._arrival_sec: float | None = None
        self.stamps: deque[int] = deque(maxlen=RECENT_STAMPS)
        self._had_before: list[int] = []
        self._delivery = self._wanted_delivery()
        self._subscription = self._subscribe()

    def follow_publishers(self) -> None:
        """Subscribe anew where what the publishers offer has changed."""
        wanted = self._wanted_delivery()
        if wanted != self._delivery:
            self.close()
            self._delivery = wanted
            if wanted.durability == DurabilityPolicy.TRANSIENT_LOCAL:
                self._had_before = list(self.stamps)
            self._subscription = self._subscribe()
            self._node.get_logger().info(f"{self.topic}: now subscribed {wanted}")

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    @property
    def silence_sec(self) -> float | None:
        """Seconds since the last message came; None before the first."""
        return None if self._arrival_sec is None else time.monotonic() - self._arrival_sec

    def problem(self, timeout_sec: float) -> str:
        """Why nothing comes; empty where something does.

        Args:
            timeout_sec: How long it may be silent.
        """
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        if not publishers:
            return f"no publisher on {self.topic}"
        wanted = _type_name(self._message_type)
        types = {publisher.topic_type for publisher in publishers}
        if wanted not in types:
            return f"{self.topic} carries {', '.join(sorted(types))}, not {wanted}"
        offered = {publisher.qos_profile.reliability for publisher in publishers}
        asks_for_more = self._delivery.reliability == ReliabilityPolicy.RELIABLE
        if asks_for_more and offered == {ReliabilityPolicy.BEST_EFFORT}:
            return f"incompatible QoS: {self.topic} is published best_effort; set qos to auto"
        silence_sec = self.silence_sec
        if silence_sec is None:
            return f"nothing has come on {self.topic} from its publisher"
        if silence_sec < timeout_sec:
            return ""
        return f"{self.topic}, which has a publisher, has been silent for {silence_sec:.0f} s"

    def _receive(self, message: Any) -> None:
        if hasattr(message, "header") and self._has_come(stamp_nanoseconds(message)):
            return
        self.received += 1
        self.message_bytes = len(getattr(message, "data", ()))
        self._arrival_sec = time.monotonic()
        self._on_message(message)

    def _has_come(self, stamp: int) -> bool:
        """Whether a message is one that the publisher keeps and gives to who subscribes anew."""
        if stamp in self._had_before:
            return True
        self._had_before = []
        self.stamps.append(stamp)
        return False

    def _subscribe(self) -> Subscription:
        return self._node.create_subscription(
            self._message_type,
            self.topic,
            self._receive,
            input_qos(self._delivery, self._depth, self._config),
            event_callbacks=NO_SUBSCRIPTION_EVENTS,
        )

    def _wanted_delivery(self) -> Delivery:
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        self.publishers = [
            f"{one.node_namespace.rstrip('/')}/{one.node_name}" for one in publishers
        ]
        return fitting_delivery(publishers, self._config)


def _type_name(message_type: type) -> str:
    """As in sensor_msgs/msg/Image."""
    package, kind, *_ = message_type.__module__.split(".")
    return f"{package}/{kind}/{message_type.__name__}"
