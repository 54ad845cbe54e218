"""Subscriptions that follow their publishers, and the joining of several of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from superglue_ros.config import TransportConfig
from superglue_ros.nodes.synchroniser import NANOSECONDS, Synchronisers, stamp_nanoseconds
from superglue_ros.partners import RESET_SEC

LIVE_DEPTH = 5
UNLIMITED = 10**6


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
        stream: What to subscribe to.
        config: How to subscribe.
        on_message: Called with each message.

    Attributes:
        topic: The full name of the topic.
        received: Messages that came.
    """

    def __init__(
        self,
        node: Node,
        stream: Stream,
        config: TransportConfig,
        on_message: Callable[[Any], None],
    ) -> None:
        """Subscribe."""
        self._node = node
        self._message_type = stream.message_type
        self._config = config
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
        depth = max(LIVE_DEPTH, self._config.sync_queue_size)
        qos = QoSProfile(history=history, depth=depth, reliability=self._reliability)
        return self._node.create_subscription(self._message_type, self.topic, self._receive, qos)

    def _wanted_reliability(self) -> ReliabilityPolicy:
        if self._config.qos != "auto":
            return ReliabilityPolicy[self._config.qos.upper()]
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        offered = {publisher.qos_profile.reliability for publisher in publishers}
        all_reliable = offered == {ReliabilityPolicy.RELIABLE}
        return ReliabilityPolicy.RELIABLE if all_reliable else ReliabilityPolicy.BEST_EFFORT


class Joining:
    """Joins the messages of several inputs by their stamps.

    Args:
        library: Whose synchronisers to use.
        config: Exact or approximate, slop and queue.
        count: The number of inputs.
        on_joined: Called with one message of each input.
        on_reset: Called where stamps jump back and what was waiting is let go.
    """

    def __init__(
        self,
        library: Synchronisers,
        config: TransportConfig,
        count: int,
        on_joined: Callable[..., None],
        on_reset: Callable[[], None],
    ) -> None:
        """Start with nothing waiting."""
        self._library = library
        self._config = config
        self._on_joined = on_joined
        self._on_reset = on_reset
        self._added = [0] * count
        self._joined = 0
        self._recent: list[deque[int]] = []
        self._start()

    def add(self, index: int, message: Any) -> None:
        """Take a message of one input."""
        stamp = stamp_nanoseconds(message)
        recent = self._recent[index]
        if recent and stamp < max(recent) - RESET_SEC * NANOSECONDS:
            self._start()
            self._on_reset()
        self._recent[index].append(stamp)
        self._added[index] += 1
        self._filters[index].signalMessage(message)
        if self._config.process_every_frame:
            self._let_go_of_orphans()

    def unpaired(self, index: int) -> int:
        """Messages of one input that will not find their partners any more."""
        return self._added[index] - self._joined - len(self._synchroniser.queues[index])

    def waiting(self, index: int) -> int:
        """Messages of one input that wait for their partners."""
        return len(self._synchroniser.queues[index])

    def problem(self) -> str:
        """Why nothing is joined; empty while an input is silent."""
        if not all(self._recent):
            return ""
        gap = min(max(stamps) - min(stamps) for stamps in product(*self._recent))
        slop_sec = 0.0 if self._config.exact_sync else self._config.sync_slop_sec
        return (
            f"never synchronised: stamps differ by {gap / 1e6:.3g} ms or more, "
            f"allowed are {slop_sec * 1e3:g} ms"
        )

    def _start(self) -> None:
        count = len(self._added)
        every = self._config.process_every_frame
        queue_size = UNLIMITED if every else self._config.sync_queue_size
        self._recent = [deque(maxlen=LIVE_DEPTH) for _ in range(count)]
        self._filters = [self._library.SimpleFilter() for _ in range(count)]
        if self._config.exact_sync or self._config.sync_slop_sec == 0:
            self._synchroniser = self._library.TimeSynchronizer(self._filters, queue_size)
        else:
            # message_filters wants a difference below the slop: a nanosecond makes it "at most".
            slop_sec = self._config.sync_slop_sec + 1 / NANOSECONDS
            self._synchroniser = self._library.ApproximateTimeSynchronizer(
                self._filters, queue_size, slop_sec
            )
        self._synchroniser.registerCallback(self._join)

    def _let_go_of_orphans(self) -> None:
        """Drop what is too old to find a partner any more.

        Where every frame counts this takes the place of the queue's limit: inputs are read in turn,
        so that one of which messages were lost runs ahead of the others, by any number.
        """
        if not all(self._recent):
            return
        slack_sec = self._config.sync_slop_sec + RESET_SEC
        horizon = min(max(recent) for recent in self._recent) - slack_sec * NANOSECONDS
        for queue in self._synchroniser.queues:
            for stamp in [stamp for stamp in queue if stamp < horizon]:
                del queue[stamp]

    def _join(self, *messages: Any) -> None:
        # Both libraries take the messages out of the queues only after or before this call;
        # counted here, they are out of them whenever the counts are read.
        self._joined += 1
        self._on_joined(*messages)


def _type_name(message_type: type) -> str:
    """As in sensor_msgs/msg/Image."""
    package, kind, *_ = message_type.__module__.split(".")
    return f"{package}/{kind}/{message_type.__name__}"
