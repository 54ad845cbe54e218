"""What a node tells of itself: /diagnostics once a second, and the timing of each frame."""

from __future__ import annotations

import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import Header

from superglue_ros.msg import Timing
from superglue_ros.nodes.qos import REPORTS
from superglue_ros.timing import StageStatistics

PERIOD_SEC = 1.0


class Reporter:
    """Publishes a node's state and its timings.

    Args:
        node: The node that reports.
    """

    def __init__(self, node: Node) -> None:
        """Create the publishers."""
        self._node = node
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", REPORTS)
        self._timing = node.create_publisher(Timing, "timing", REPORTS)
        self._last_counts: dict[str, int] = {}
        self._last_time = time.monotonic()

    def timing(self, header: Header, durations_ms: Mapping[str, float]) -> None:
        """Publish the stages of one frame while somebody listens."""
        if self._timing.get_subscription_count():
            message = Timing(header=header, stages=list(durations_ms))
            message.durations_ms = list(durations_ms.values())
            self._timing.publish(message)

    def diagnostics(
        self,
        problem: str,
        facts: Mapping[str, str],
        counts: Mapping[str, int],
        stages: Mapping[str, StageStatistics],
    ) -> None:
        """Publish the node's state.

        Args:
            problem: What is wrong now, empty where nothing is.
            facts: Device, weights, licences and the like.
            counts: Messages received, processed and dropped by reason since the start.
            stages: Duration of each stage.
        """
        status = DiagnosticStatus(name=f"{self._node.get_fully_qualified_name().lstrip('/')}")
        status.level = DiagnosticStatus.WARN if problem else DiagnosticStatus.OK
        status.message = problem or "running"
        values = dict(facts)
        values |= {name: str(count) for name, count in counts.items()}
        values |= {f"{name} rate [Hz]": f"{rate:.2f}" for name, rate in self._rates(counts).items()}
        for name, statistics in stages.items():
            values[f"{name} p50 [ms]"] = f"{statistics.p50_ms:.2f}"
            values[f"{name} p95 [ms]"] = f"{statistics.p95_ms:.2f}"
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _rates(self, counts: Mapping[str, int]) -> dict[str, float]:
        now = time.monotonic()
        elapsed = max(now - self._last_time, 1e-6)
        rates = {
            name: (counts[name] - self._last_counts.get(name, 0)) / elapsed
            for name in ("received", "processed")
            if name in counts
        }
        self._last_counts, self._last_time = dict(counts), now
        return rates
