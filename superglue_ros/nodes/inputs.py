"""Subscriptions that follow their publishers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from superglue_ros.config import TransportConfig
from superglue_ros.nodes.events import NO_SUBSCRIPTION_EVENTS

LIVE_DEPTH = 5


class Stream(NamedTuple):
    """A topic to subscribe to.

    Attributes:
        topic: Relative name, which may be remapped.
        message_type: Class of its messages.
        suffix: What follows the name after remapping, as in IMAGE/compressed.
    """

    topic: str
    message_type: type
    suffix: str = ""


class TopicInput:
    """A subscription of which the reliability fits the publisher.

    Args:
        node: The node that subscribes.
        config: How to subscribe.
        depth: Messages that may wait for the node, of the newest; LIVE_DEPTH at least.
        stream: What to subscribe to.
        on_message: Called with each message.

    Attributes:
        topic: The full name of the topic.
        received: Messages that came.
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
        self._depth = max(LIVE_DEPTH, depth)
        self._on_message = on_message
        self.topic = node.resolve_topic_name(stream.topic) + stream.suffix
        self.received = 0
        self._reliability = self._wanted_reliability()
        self._subscription = self._subscribe()

    def follow_publisher(self) -> None:
        """Subscribe anew where the publisher's reliability has changed."""
        wanted = self._wanted_reliability()
        if wanted != self._reliability:
            self.close()
            self._reliability = wanted
            self._subscription = self._subscribe()
            self._node.get_logger().info(f"{self.topic}: now subscribed {wanted.name.lower()}")

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def problem(self) -> str:
        """Why nothing comes, as far as the graph of nodes tells; empty where it does not."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        if not publishers:
            return f"no publisher on {self.topic}"
        wanted = _type_name(self._message_type)
        types = {publisher.topic_type for publisher in publishers}
        if wanted not in types:
            return f"{self.topic} carries {', '.join(sorted(types))}, not {wanted}"
        offered = {publisher.qos_profile.reliability for publisher in publishers}
        asks_for_more = self._reliability == ReliabilityPolicy.RELIABLE
        if asks_for_more and offered == {ReliabilityPolicy.BEST_EFFORT}:
            return f"incompatible QoS: {self.topic} is published best_effort; set qos to auto"
        return "" if self.received else f"nothing has come on {self.topic} from its publisher"

    def _receive(self, message: Any) -> None:
        self.received += 1
        self._on_message(message)

    def _subscribe(self) -> Subscription:
        every = self._config.process_every_frame
        history = HistoryPolicy.KEEP_ALL if every else HistoryPolicy.KEEP_LAST
        qos = QoSProfile(history=history, depth=self._depth, reliability=self._reliability)
        return self._node.create_subscription(
            self._message_type,
            self.topic,
            self._receive,
            qos,
            event_callbacks=NO_SUBSCRIPTION_EVENTS,
        )

    def _wanted_reliability(self) -> ReliabilityPolicy:
        if self._config.qos != "auto":
            return ReliabilityPolicy[self._config.qos.upper()]
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        offered = {publisher.qos_profile.reliability for publisher in publishers}
        # To subscribe anew loses what was under way: who wants every frame expects a reliable one.
        expected = {ReliabilityPolicy.RELIABLE} if self._config.process_every_frame else set()
        all_reliable = (offered or expected) == {ReliabilityPolicy.RELIABLE}
        return ReliabilityPolicy.RELIABLE if all_reliable else ReliabilityPolicy.BEST_EFFORT


def _type_name(message_type: type) -> str:
    """As in sensor_msgs/msg/Image."""
    package, kind, *_ = message_type.__module__.split(".")
    return f"{package}/{kind}/{message_type.__name__}"
