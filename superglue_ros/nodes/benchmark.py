"""What the nodes take beside the networks: latency, the executor's time, bytes on the wire.

The nodes run as processes of their own, as they do on a robot, and a stereo pair is sent when the
one before is answered.
"""

from __future__ import annotations

import array
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from superglue_ros.benchmark.measure import Timings
from superglue_ros.benchmark.results import NodeRow, StageRow
from superglue_ros.demo.processes import NodeCommand, NodeError, NodeProcesses
from superglue_ros.features import Features, GreyImage, Matches
from superglue_ros.image_decoding import image_decoder
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Timing
from superglue_ros.nodes.conversions import (
    features_from_message,
    features_to_message,
    image_to_message,
    matches_from_message,
    matches_to_message,
)
from superglue_ros.nodes.playback import ros_session
from superglue_ros.synchroniser import header_nanoseconds

NAMESPACE = "/superglue_ros_benchmark"
ARRANGEMENTS = {
    "pipeline_node": ("pipeline_node",),
    "superpoint_node + superglue_node": ("superpoint_node", "superglue_node"),
}

_NETWORK_STAGES = ("extract", "match")
_START_TIMEOUT_SEC = 120.0
_ANSWER_TIMEOUT_SEC = 60.0
_WARM_UP_FRAMES = 2
_SPIN_SEC = 0.05


def measure_stages(images: Sequence[GreyImage], keypoints: int, repeats: int) -> list[StageRow]:
    """Time what happens to messages, in this process.

    Args:
        images: (H, W) uint8; the first one is decoded.
        keypoints: Of each image.
        repeats: How often each is done.
    """
    features, matches = _results(keypoints)
    colour = image_to_message(cv2.cvtColor(images[0], cv2.COLOR_GRAY2BGR), Header())
    jpeg = CompressedImage(format="jpeg", data=cv2.imencode(".jpg", images[0])[1].tobytes())
    grey = _grey_message(images[0])
    decoder, header = image_decoder(), Header()
    described = features_to_message(features, header)
    found = matches_to_message(matches, (features, features), (header, header))
    wire = {name: serialize_message(m) for name, m in (("features", described), ("matches", found))}
    stages: dict[str, tuple[Callable[[], object], int]] = {
        "decode mono8": (lambda: decoder.decode(grey), len(grey.data)),
        "decode bgr8": (lambda: decoder.decode(colour), len(colour.data)),
        "decode jpeg": (lambda: decoder.decode(jpeg), len(jpeg.data)),
        "fill features": (lambda: features_to_message(features, header), 0),
        "read features": (lambda: features_from_message(described), 0),
        "fill matches": (
            lambda: matches_to_message(matches, (features, features), (header, header)),
            0,
        ),
        "read matches": (lambda: matches_from_message(found), 0),
        "serialise features": (lambda: serialize_message(described), len(wire["features"])),
        "serialise matches": (lambda: serialize_message(found), len(wire["matches"])),
        "deserialise features": (
            lambda: deserialize_message(wire["features"], FeaturesMessage),
            len(wire["features"]),
        ),
    }
    return [
        StageRow(name, keypoints, size, *_timed(function, repeats))
        for name, (function, size) in stages.items()
    ]


def measure_nodes(
    images: Sequence[GreyImage],
    parameters: Mapping[str, Any],
    frames: int,
    on_frame: Callable[[str], None],
) -> list[NodeRow]:
    """Time a stereo pair through each of `ARRANGEMENTS`.

    Args:
        images: Left and right, (H, W) uint8.
        parameters: Of all nodes, as far as they have them.
        frames: How many pairs are timed.
        on_frame: Called after each with the arrangement's name.

    Raises:
        NodeError: A node ended, or did not answer.
        InputError: A node's executable is not there.
    """
    rows = []
    for name, executables in ARRANGEMENTS.items():
        commands = [
            NodeCommand(one, NAMESPACE, {**parameters, "mode": "stereo", "qos": "reliable"})
            for one in executables
        ]
        with (
            tempfile.TemporaryDirectory() as folder,
            ros_session(),
            NodeProcesses(commands, Path(folder)) as processes,
        ):
            client = _Client(images, processes, len(commands))
            try:
                client.connect()
                rows.append(client.measure(name, frames, lambda name=name: on_frame(name)))  # type: ignore[misc]
            finally:
                client.close()
    return rows


class _Client:
    """Sends a stereo pair and awaits its matches and the nodes' timing."""

    def __init__(
        self, images: Sequence[GreyImage], processes: NodeProcesses, node_count: int
    ) -> None:
        self._processes = processes
        self._node_count = node_count
        self._messages = [_grey_message(image) for image in images]
        self._arrivals: dict[int, float] = {}
        self._timings: dict[int, list[Timing]] = {}
        self._bytes = 0
        self._node = rclpy.create_node("benchmark", namespace=NAMESPACE)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        self._publishers = [
            self._node.create_publisher(Image, f"{side}/image", qos) for side in ("left", "right")
        ]
        self._node.create_subscription(MatchesMessage, "matches", self._on_matches, qos, raw=True)
        self._node.create_subscription(Timing, "timing", self._on_timing, qos)

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
        for _ in range(_WARM_UP_FRAMES):
            self._answered()

    def measure(self, name: str, frames: int, on_frame: Callable[[], None]) -> NodeRow:
        """Time so many frames."""
        latencies, networks, inside = Timings(), [], []
        begin = self._executor_seconds()
        for _ in range(frames):
            sent, stamp = self._answered()
            latencies.wall_ms.append(1e3 * (self._arrivals[stamp] - sent))
            timings = self._timings[stamp]
            networks.append(sum(_network_ms(one) for one in timings))
            inside.append(sum(_duration_ms(one, "total") for one in timings) - networks[-1])
            on_frame()
        beside = np.array(latencies.wall_ms) - np.array(networks)
        return NodeRow(
            name=name,
            frames=frames,
            latency_p50_ms=latencies.percentile(50),
            latency_p95_ms=latencies.percentile(95),
            networks_p50_ms=float(np.median(networks)),
            beside_p50_ms=float(np.median(beside)),
            beside_p95_ms=float(np.percentile(beside, 95)),
            inside_p50_ms=float(np.median(inside)),
            executor_cpu_ms=1e3 * (self._executor_seconds() - begin) / frames,
            matches_bytes=self._bytes,
        )

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
        self._bytes = len(data)
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


def _network_ms(message: Timing) -> float:
    return sum(_duration_ms(message, stage) for stage in _NETWORK_STAGES)


def _duration_ms(message: Timing, stage: str) -> float:
    """The duration of a stage, 0 where there was none."""
    durations = dict(zip(message.stages, message.durations_ms, strict=True))
    return float(durations.get(stage, 0.0))


def _grey_message(image: GreyImage) -> Image:
    height, width = image.shape
    return Image(
        height=height,
        width=width,
        encoding="mono8",
        step=width,
        data=array.array("B", image.tobytes()),
    )


def _results(count: int) -> tuple[Features, Matches]:
    random = np.random.default_rng(0)
    features = Features(
        keypoints=random.random((count, 2), np.float32),
        scores=random.random(count, np.float32),
        descriptors=random.random((count, 256), np.float32),
        image_size=(640, 480),
        extractor="",
    )
    indices = np.arange(count, dtype=np.int32)
    return features, Matches(indices, indices, features.scores, features.scores, matcher="")


def _timed(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and 95th percentile, in milliseconds."""
    function()
    durations = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        durations.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(durations)), float(np.percentile(durations, 95))
