"""What a node tells of itself: /diagnostics once a second, and the timing of each frame."""

from __future__ import annotations

import platform
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_msgs.msg import Header

from superglue_ros.drops import Drop
from superglue_ros.msg import Timing
from superglue_ros.nodes.qos import REPORTS
from superglue_ros.timing import StageStatistics

PERIOD_SEC = 1.0
WINDOW_SEC = 10.0
"""Rates and shares are those of so many seconds."""

MUCH_DROPPED = 0.5
FEWEST_DROPPED = 10
DROPPED = "dropped: "
WANTED = (Drop.DISABLED.count_name, Drop.DEACTIVATED.count_name)
"""What somebody asked for is no fault."""


class Report(NamedTuple):
    """What a node says of itself.

    Attributes:
        problem: What is wrong now, empty where nothing is.
        facts: Device, weights, licences and the like.
        counts: Messages received, processed and dropped by reason since the start.
        stages: Duration of each stage.
    """

    problem: str
    facts: Mapping[str, str]
    counts: Mapping[str, int]
    stages: Mapping[str, StageStatistics]


class Reporter:
    """Publishes a node's state and its timings.

    Args:
        node: The node that reports.
    """

    def __init__(self, node: Node) -> None:
        """Create the publishers."""
        self._clock = node.get_clock()
        self._full_name = node.get_fully_qualified_name()
        # As diagnostic_updater has it, with `use_fqn` where there is a namespace: two nodes of one
        # name are two entries
        name = node.get_name() if node.get_namespace() == "/" else self._full_name
        self._status_name = f"{name}: frames"
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", REPORTS)
        self._timing = node.create_publisher(Timing, "~/timing", REPORTS)
        self._frames = 0
        self._window = deque([(time.monotonic(), Counter[str]())])

    def frame(self, header: Header, durations_ms: Mapping[str, float]) -> None:
        """Count a frame, and publish its stages while somebody listens."""
        self._frames += 1
        if self._timing.get_subscription_count():
            message = Timing(header=header, node=self._full_name, stages=list(durations_ms))
            message.durations_ms = list(durations_ms.values())
            self._timing.publish(message)

    def much_dropped(self, counts: Mapping[str, int]) -> str:
        """Which share of the messages was dropped of late, and why; empty where it is small."""
        recent = self._recent(counts)
        dropped = {
            what: number
            for what, number in recent.items()
            if what.startswith(DROPPED) and what not in WANTED
        }
        number, received = sum(dropped.values()), recent["received"]
        if number < FEWEST_DROPPED or number <= MUCH_DROPPED * received:
            return ""
        reason = max(dropped, key=lambda what: dropped[what])
        return (
            f"{number} of the last {max(number, received)} messages were dropped, most of them "
            f"because: {reason.removeprefix(DROPPED)}"
        )

    def publish(self, report: Report) -> None:
        """Publish the node's state."""
        now = time.monotonic()
        rates = self._rates(report.counts, now)
        status = DiagnosticStatus(name=self._status_name, hardware_id=platform.node())
        status.level = DiagnosticStatus.WARN if report.problem else DiagnosticStatus.OK
        status.message = report.problem or _running(rates["frames"], report.stages)
        values = dict(report.facts)
        values |= {name: str(count) for name, count in report.counts.items()}
        values |= {f"{name} rate [Hz]": f"{rate:.2f}" for name, rate in rates.items()}
        for name, statistics in report.stages.items():
            values[f"{name} p50 [ms]"] = f"{statistics.p50_ms:.2f}"
            values[f"{name} p95 [ms]"] = f"{statistics.p95_ms:.2f}"
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._clock.now().to_msg()
        self._diagnostics.publish(message)
        self._remember(report.counts, now)

    def _rates(self, counts: Mapping[str, int], now: float) -> dict[str, float]:
        recent = self._recent(counts)
        elapsed = max(now - self._window[0][0], 1e-6)
        return {name: recent[name] / elapsed for name in ("frames", "received", "processed")}

    def _recent(self, counts: Mapping[str, int]) -> Counter[str]:
        """What was counted since the window began."""
        now = self._counted(counts)
        now.subtract(self._window[0][1])
        return now

    def _counted(self, counts: Mapping[str, int]) -> Counter[str]:
        return Counter({**counts, "frames": self._frames})

    def _remember(self, counts: Mapping[str, int], now: float) -> None:
        self._window.append((now, self._counted(counts)))
        while now - self._window[0][0] > WINDOW_SEC:
            self._window.popleft()


def _running(rate: float, stages: Mapping[str, StageStatistics]) -> str:
    """How fast a node without problems is, in one line."""
    if "total" not in stages:
        return "running, no frame yet"
    total = stages["total"]
    return (
        f"running: {rate:.1f} frames/s, {total.p50_ms:.0f} ms from input to output "
        f"({total.p95_ms:.0f} ms at most for 95 %)"
    )
