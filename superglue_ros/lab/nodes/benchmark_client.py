"""What sends stereo pairs to nodes and takes the time until they are answered."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from superglue_ros.features import GreyImage
from superglue_ros.lab.benchmark.measure import Timings
from superglue_ros.lab.demo.processes import NodeError, NodeProcesses
from superglue_ros.lab.nodes.benchmark_messages import grey_message
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Timing
from superglue_ros.synchroniser import header_nanoseconds

NAMESPACE = "/superglue_ros_benchmark"

_STAGES = ("decode", "extract", "match", "publish")
_START_TIMEOUT_SEC = 120.0
_ANSWER_TIMEOUT_SEC = 60.0
_WARM_UP_FRAMES = 2
_SPIN_SEC = 0.05


class Client:
    """Sends a stereo pair and awaits its matches and the nodes' timing."""

    def __init__(
        self, images: Sequence[GreyImage], processes: NodeProcesses, nodes: Sequence[str]
    ) -> None:
        self._processes = processes
        self._node_count = len(nodes)
        self._messages = [grey_message(image) for image in images]
        self._arrivals: dict[int, float] = {}
        self._timings: dict[int, list[Timing]] = {}
        self._bytes = dict.fromkeys(("images_bytes", "features_bytes", "matches_bytes"), 0)
        self._bytes["images_bytes"] = sum(len(serialize_message(one)) for one in self._messages)
        self._node = rclpy.create_node("benchmark", namespace=NAMESPACE)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self._publishers = [
            self._node.create_publisher(Image, f"{side}/image", qos) for side in ("left", "right")
        ]
        self._node.create_subscription(MatchesMessage, "matches", self._on_matches, qos, raw=True)
        for node in nodes:
            self._node.create_subscription(Timing, f"{node}/timing", self._on_timing, qos)

    def close(self) -> None:
        """Leave the topics."""
        self._executor.shutdown(timeout_sec=0)
        self._node.destroy_node()

    def connect(self) -> None:
        """Wait until the nodes answer."""
        heard = lambda: all(publisher.get_subscription_count() for publisher in self._publishers)  # noqa: E731
        self._spin_until(heard, _START_TIMEOUT_SEC)
        deadline = time.monotonic() + _START_TIMEOUT_SEC
        while time.monotonic() < deadline:
            stamp = self._send()
            if self._spin_until(lambda stamp=stamp: stamp in self._arrivals, 2.0, must=False):  # type: ignore[misc]
                break
        self._weigh_features()
        for _ in range(_WARM_UP_FRAMES):
            self._answered()

    def _weigh_features(self) -> None:
        """Learn the size of the Features of a pair; nobody listens to them while it is timed."""
        sizes: dict[str, int] = {}
        subscriptions = [
            self._node.create_subscription(
                FeaturesMessage,
                f"{side}/features",
                lambda data, side=side: sizes.update({side: len(data)}),
                QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE),
                raw=True,
            )
            for side in ("left", "right")
        ]
        if self._node_count > 1:
            found = lambda: all(self._node.count_publishers(s.topic_name) for s in subscriptions)  # noqa: E731
            self._spin_until(found, _START_TIMEOUT_SEC)
            while len(sizes) < len(subscriptions):
                self._answered()
        for subscription in subscriptions:
            self._node.destroy_subscription(subscription)
        self._bytes["features_bytes"] = sum(sizes.values())

    def measure(self, frames: int, on_frame: Callable[[int], None]) -> dict[str, Any]:
        """Time so many frames; returns the fields of a row that come of them."""
        latencies = Timings()
        stages: dict[str, list[float]] = {name: [] for name in (*_STAGES, "total")}
        begin = self._executor_seconds()
        for number in range(frames):
            sent, stamp = self._answered()
            latencies.wall_ms.append(1e3 * (self._arrivals[stamp] - sent))
            for name, durations in stages.items():
                durations.append(sum(_duration_ms(one, name) for one in self._timings[stamp]))
            on_frame(number + 1)
        networks = np.add(stages["extract"], stages["match"])
        beside = np.array(latencies.wall_ms) - networks
        return {
            "frames": frames,
            **{f"latency_p{share}_ms": latencies.percentile(share) for share in (50, 95, 99)},
            **{f"{name}_p50_ms": float(np.median(stages[name])) for name in _STAGES},
            "beside_p50_ms": float(np.median(beside)),
            "beside_p95_ms": float(np.percentile(beside, 95)),
            "inside_p50_ms": float(np.median(np.array(stages["total"]) - networks)),
            "executor_cpu_ms": 1e3 * (self._executor_seconds() - begin) / frames,
            **self._bytes,
        }

    def _answered(self) -> tuple[float, int]:
        """Send a pair and wait for all that comes of it; returns when it was sent, its stamp."""
        stamp = self._send()
        sent = self._sent
        self._spin_until(
            lambda: (
                stamp in self._arrivals and len(self._timings.get(stamp, ())) == self._node_count
            ),
            _ANSWER_TIMEOUT_SEC,
        )
        return sent, stamp

    def _send(self) -> int:
        stamp = time.time_ns()
        self._sent = time.perf_counter()
        for publisher, message in zip(self._publishers, self._messages, strict=True):
            message.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
            publisher.publish(message)
        return stamp

    def _on_matches(self, data: bytes) -> None:
        now = time.perf_counter()
        self._bytes["matches_bytes"] = len(data)
        header = deserialize_message(data, MatchesMessage).header
        self._arrivals[header_nanoseconds(header)] = now

    def _on_timing(self, message: Timing) -> None:
        self._timings.setdefault(header_nanoseconds(message.header), []).append(message)

    def _spin_until(
        self, condition: Callable[[], bool], timeout_sec: float, *, must: bool = True
    ) -> bool:
        deadline = time.monotonic() + timeout_sec
        while not condition():
            if time.monotonic() > deadline:
                if must:
                    raise NodeError(f"the nodes did not answer within {timeout_sec:.0f} s")
                return False
            self._processes.check()
            self._executor.spin_once(timeout_sec=_SPIN_SEC)
        return True

    def _executor_seconds(self) -> float:
        """Processor time so far of the nodes' first threads, which run their executors."""
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0
        for process in self._processes.process_ids:
            fields = Path(f"/proc/{process}/task/{process}/stat").read_text().rpartition(")")[2]
            total += sum(int(field) for field in fields.split()[11:13])
        return total / ticks


def _duration_ms(message: Timing, stage: str) -> float:
    """The duration of a stage, 0 where there was none."""
    durations = dict(zip(message.stages, message.durations_ms, strict=True))
    return float(durations.get(stage, 0.0))
