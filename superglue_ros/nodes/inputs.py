"""Subscriptions that follow their publishers, and the pairing of two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from superglue_ros.config import TransportConfig
from superglue_ros.nodes.synchroniser import NANOSECONDS, Synchronisers, stamp_nanoseconds

LIVE_DEPTH = 5
RESET_SEC = 1.0
"""A stamp that is this much older than the last one means that time was set back."""


class TopicInput:
    """A subscription of which the reliability fits the publisher.

    Args:
        node: The node that subscribes.
        message_type: Class of the messages.
        topic: Relative name of the topic.
        config: How to subscribe.
        on_message: Called with each message.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        config: TransportConfig,
        on_message: Callable[[Any], None],
    ) -> None:
        """Subscribe."""
        self._node = node
        self._message_type = message_type
        self._config = config
        self._on_message = on_message
        self.topic = node.resolve_topic_name(topic)
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

    def _subscribe(self) -> Subscription:
        every = self._config.process_every_frame
        history = HistoryPolicy.KEEP_ALL if every else HistoryPolicy.KEEP_LAST
        depth = max(LIVE_DEPTH, self._config.sync_queue_size)
        qos = QoSProfile(history=history, depth=depth, reliability=self._reliability)
        return self._node.create_subscription(
            self._message_type, self.topic, self._on_message, qos
        )

    def _wanted_reliability(self) -> ReliabilityPolicy:
        if self._config.qos != "auto":
            return ReliabilityPolicy[self._config.qos.upper()]
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        offered = {publisher.qos_profile.reliability for publisher in publishers}
        every_one_is_reliable = offered == {ReliabilityPolicy.RELIABLE}
        return (
            ReliabilityPolicy.RELIABLE if every_one_is_reliable else ReliabilityPolicy.BEST_EFFORT
        )


class Pairing:
    """Pairs messages of a left and a right input by their stamps.

    Args:
        library: Whose synchronisers to use.
        config: Exact or approximate, slop and queue.
        on_pair: Called with the left and the right message.
        on_reset: Called where stamps jump back and what was waiting is let go.
    """

    def __init__(
        self,
        library: Synchronisers,
        config: TransportConfig,
        on_pair: Callable[[Any, Any], None],
        on_reset: Callable[[], None],
    ) -> None:
        """Start with nothing waiting."""
        self._library = library
        self._config = config
        self._on_pair = on_pair
        self._on_reset = on_reset
        self._newest = [0, 0]
        self._start()

    def add(self, index: int, message: Any) -> None:
        """Take a message of input `index`, 0 for left and 1 for right."""
        stamp = stamp_nanoseconds(message)
        if stamp < self._newest[index] - RESET_SEC * NANOSECONDS:
            self._newest = [0, 0]
            self._start()
            self._on_reset()
        self._newest[index] = max(stamp, self._newest[index])
        self._filters[index].signalMessage(message)

    def _start(self) -> None:
        self._filters = [self._library.SimpleFilter(), self._library.SimpleFilter()]
        queue_size, slop = self._config.sync_queue_size, self._config.sync_slop_sec
        if self._config.exact_sync or slop == 0:
            pairs = self._library.TimeSynchronizer(self._filters, queue_size)
        else:
            # message_filters wants a difference below the slop: a nanosecond makes it "at most".
            slop += 1 / NANOSECONDS
            pairs = self._library.ApproximateTimeSynchronizer(self._filters, queue_size, slop)
        pairs.registerCallback(self._on_pair)
