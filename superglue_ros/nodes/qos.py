"""The quality of service of everything that the nodes subscribe to and publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from superglue_ros.config import TransportConfig
from superglue_ros.nodes.distributions import PublisherEventCallbacks, SubscriptionEventCallbacks

NO_SUBSCRIPTION_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)
NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)
"""No events are asked for.

What rclpy's own would tell, `TopicInput.problem` tells of inputs, and their readers of outputs. An
event that comes while its subscription or publisher is being destroyed can end the process (rclpy
9.1.2, `EventsExecutor`), and each is one thing more that `SingleThreadedExecutor` looks through.
"""

LIVE_DEPTH = 5
_OUTPUT_DEPTH = 10
REPORTS = QoSProfile(depth=10)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Delivery(NamedTuple):
    """What a subscription asks of its publishers; it hears none that offers less."""

    reliability: ReliabilityPolicy
    durability: DurabilityPolicy

    def __str__(self) -> str:
        """As in "reliable, transient_local"."""
        latched = self.durability == DurabilityPolicy.TRANSIENT_LOCAL
        return f"{self.reliability.name.lower()}{', transient_local' if latched else ''}"


def fitting_delivery(publishers: Sequence[Any], config: TransportConfig) -> Delivery:
    """What to ask for so as to hear all publishers of a topic, and the best that they have.

    What was published before (latched, as transient_local is known from ROS 1) comes where every
    publisher keeps it, and only to who is reliable.

    Args:
        publishers: What the graph of nodes knows of each; may be none.
        config: The reliability that the user wants, or auto.
    """
    offered = [publisher.qos_profile for publisher in publishers]
    reliability = _reliability({one.reliability for one in offered}, config)
    latched = {one.durability for one in offered} == {DurabilityPolicy.TRANSIENT_LOCAL}
    if latched and reliability == ReliabilityPolicy.RELIABLE:
        return Delivery(reliability, DurabilityPolicy.TRANSIENT_LOCAL)
    return Delivery(reliability, DurabilityPolicy.VOLATILE)


def _reliability(offered: set[ReliabilityPolicy], config: TransportConfig) -> ReliabilityPolicy:
    if config.qos != "auto":
        return ReliabilityPolicy[config.qos.upper()]
    # To subscribe anew loses what was under way: who wants every frame expects a reliable one.
    expected = {ReliabilityPolicy.RELIABLE} if config.process_every_frame else set()
    all_reliable = (offered or expected) == {ReliabilityPolicy.RELIABLE}
    return ReliabilityPolicy.RELIABLE if all_reliable else ReliabilityPolicy.BEST_EFFORT


def input_qos(delivery: Delivery, depth: int, config: TransportConfig) -> QoSProfile:
    """Of an input; at least LIVE_DEPTH of the newest messages wait for the node, or all."""
    return QoSProfile(
        history=_history(config),
        depth=max(LIVE_DEPTH, depth),
        reliability=delivery.reliability,
        durability=delivery.durability,
    )


def output_qos(config: TransportConfig) -> QoSProfile:
    """Of results: reliable, so that either kind of reader hears them."""
    return QoSProfile(
        history=_history(config), depth=_OUTPUT_DEPTH, reliability=ReliabilityPolicy.RELIABLE
    )


def _history(config: TransportConfig) -> HistoryPolicy:
    return HistoryPolicy.KEEP_ALL if config.process_every_frame else HistoryPolicy.KEEP_LAST
