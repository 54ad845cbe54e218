"""Thousands of frames with faults in them: the nodes live on, keep their memory, lose no count.

`pytest test/test_faults.py --fault-frames 10000` is the long run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_helpers import (
    Collector,
    NodeProcess,
    Ros,
    header,
    image_message,
    ros_context,
    small_image,
    wait_until,
)
from sensor_msgs.msg import Image
from superglue_ros.msg import TwoViewGeometry as TwoViewGeometryMessage

FAULTS = (
    "dropped",
    "duplicated",
    "late",
    "reordered",
    "truncated",
    "black",
    "wrong encoding",
    "size changes",
    "stamps reset",
)
FAULT_SHARE = 0.4
FRAME_NANOSEC = 50_000_000
SETTINGS = {"device": "cpu", "qos": "reliable", "input_timeout_sec": 0.0}
RSS_GROWTH = 1.05
NODES = ("superpoint_node", "superglue_node", "geometry_node")
QUIET_SEC = 2.5
DEAD_FRAMES = 10
CAMERAS = {"stereo": ("left/", "right/"), "sequential": ("",)}
"""The prefixes of the topics in each mode."""

WINDOW = 300
DEEP = QoSProfile(depth=2 * WINDOW, reliability=ReliabilityPolicy.RELIABLE)
CAMERA_PERIOD_SEC = 0.02

ros = pytest.fixture(ros_context)


@dataclass
class FaultyCamera:
    """A camera, or two, that lets each fault happen now and then, the same way for each seed.

    Attributes:
        cameras: The prefix of each one's topics.
        happened: How often each fault happened.
    """

    cameras: tuple[str, ...]
    seed: int
    happened: Counter[str] = field(default_factory=Counter)

    def frames(self, count: int) -> Iterator[list[tuple[str, Image]]]:
        """For each frame the messages to publish, in order, and on which side."""
        random = np.random.default_rng(self.seed)
        now = 10**15
        for number in range(count):
            now += FRAME_NANOSEC
            fault = str(random.choice(FAULTS)) if random.random() < FAULT_SHARE else ""
            self.happened[fault or "none"] += 1
            now -= 500 * 10**9 if fault == "stamps reset" else 0
            yield self._frame(fault, now, random, small_image(number % 7))

    def _frame(
        self, fault: str, now: int, random: np.random.Generator, image: np.ndarray
    ) -> list[tuple[str, Image]]:
        if fault == "size changes":
            image = small_image(1, width=8 * int(random.integers(1, 12)), height=40)
        pixels = np.zeros_like(image) if fault == "black" else image
        stamp = now - 10 * FRAME_NANOSEC if fault == "late" else now
        pair = [
            (one, image_message(pixels, header(stamp // 10**9, stamp % 10**9, f"{one}camera")))
            for one in self.cameras
        ]
        victim = pair[int(random.integers(2)) % len(pair)]
        if fault == "dropped":
            pair.remove(victim)
        elif fault == "duplicated":
            pair.append(victim)
        elif fault == "reordered":
            pair.reverse()
        elif fault == "truncated":
            victim[1].data = victim[1].data[: len(victim[1].data) // 2]
        elif fault == "wrong encoding":
            victim[1].encoding = "32FC1"
        return pair


def rss_of(process: NodeProcess) -> int:
    """Memory in use by a process, in KiB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def counts_of(diagnostics: Collector, name: str) -> dict[str, int]:
    """The newest counts that a node has told of."""
    statuses = [one for message in diagnostics.messages for one in message.status]
    newest = next((one for one in reversed(statuses) if one.name.endswith(f"{name}: frames")), None)
    pairs = [] if newest is None else newest.values
    kinds = ("received", "processed", "waiting", "dropped", "noticed")
    return {
        pair.key: int(pair.value)
        for pair in pairs
        if pair.key.split(":")[0] in kinds and pair.value.isdigit()
    }


def adds_up(counts: dict[str, int]) -> bool:
    """Whether every message that was received is accounted for."""
    others = sum(
        value
        for name, value in counts.items()
        if name != "received" and not name.startswith("noticed")
    )
    return 0 < counts.get("received", 0) == others


class Chain:
    """The nodes as processes behind a faulty camera."""

    def __init__(self, ros: Ros, mode: str, **settings: Any) -> None:
        self._ros = ros
        self._mode = mode
        self._settings = SETTINGS | settings
        self._diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
        self.answers = ros.collector(TwoViewGeometryMessage, "geometry")
        self._publishers = {one: ros.publisher(Image, f"{one}image", DEEP) for one in CAMERAS[mode]}
        superpoint_mode = "stereo" if mode == "stereo" else "mono"
        self.superpoint = ros.run(
            "superpoint_node", max_keypoints=32, mode=superpoint_mode, **self._settings
        )
        self.start_superglue()
        self.geometry = ros.run(
            "geometry_node", mode=mode, process_every_frame=settings["process_every_frame"]
        )
        ros.wait_for_subscribers(*self._publishers.values())
        self.sent = 0
        self.connect(first_second=1)

    def start_superglue(self) -> None:
        self.superglue = self._ros.run(
            "superglue_node", sinkhorn_iterations=5, mode=self._mode, **self._settings
        )

    def connect(self, first_second: int) -> None:
        """Send good pairs until one is answered: then all of the topics have found each other."""
        wait_until(
            lambda: "listening to" in self.superglue.output, "superglue_node", timeout_sec=120
        )
        for second in range(first_second, first_second + 60):
            good = header(second)
            self.publish([(one, image_message(small_image(), good)) for one in self._publishers])
            if self.answers.find(second, timeout_sec=1.0):
                return
        counts = {name: self.counts(name) for name in NODES}
        pytest.fail(f"no answer; {counts}; superglue_node printed {self.superglue.output}")

    def publish(self, messages: list[tuple[str, Image]]) -> None:
        for camera, message in messages:
            self._publishers[camera].publish(message)
            self.sent += 1

    def counts(self, name: str = "superpoint_node") -> dict[str, int]:
        """What a node has told of last."""
        return counts_of(self._diagnostics, name)

    def wait_until_settled(self) -> None:
        """Return once it has told for seconds that all is accounted for and nothing changes."""
        told: list[dict[str, int]] = []

        def is_settled() -> bool:
            told.append(self.counts())
            return all(adds_up(self.counts(name)) for name in ("superpoint_node", "geometry_node"))

        quiet_since = time.monotonic()
        while time.monotonic() < quiet_since + QUIET_SEC:
            wait_until(is_settled, "every message to be accounted for", timeout_sec=60)
            if told[-1] != told[0]:
                told, quiet_since = [told[-1]], time.monotonic()
            time.sleep(0.1)

    def has_caught_up(self) -> bool:
        return self.sent - self.counts().get("received", 0) < WINDOW


@pytest.mark.parametrize("mode", CAMERAS)
@pytest.mark.parametrize("every_frame", [True, False], ids=["every frame", "newest frame"])
def test_nodes_live_through_faults_and_a_peer_that_is_killed(
    ros: Ros, request: pytest.FixtureRequest, every_frame: bool, mode: str
) -> None:
    count = request.config.getoption("--fault-frames") // 2
    chain = Chain(ros, mode, process_every_frame=every_frame)
    camera = FaultyCamera(CAMERAS[mode], seed=4)
    rss = []
    for number, messages in enumerate(camera.frames(count)):
        chain.publish(messages)
        if every_frame:
            wait_until(chain.has_caught_up, "the node to keep up", timeout_sec=60)
        else:
            time.sleep(CAMERA_PERIOD_SEC)
        if number == count // 3:
            chain.superglue.close()
            chain.start_superglue()
        if every_frame and number == count // 3 + DEAD_FRAMES:
            # What the dead one was to get waits in the middleware, which is no leak of ours.
            wait_until(lambda: "listening to" in chain.superglue.output, "superglue_node again")
        if number in (count // 2, count - 1):
            rss.append(rss_of(chain.superpoint))
    chain.wait_until_settled()
    counts = chain.counts()
    if every_frame:
        assert counts["received"] == chain.sent
        assert "dropped: a newer frame came first" not in counts
    assert counts["processed"] > 0
    assert counts["dropped: bad input"] > 0
    assert counts["noticed: black image"] > 0
    assert counts["noticed: stamp that goes back"] > 0
    assert counts["dropped: came twice"] == counts["noticed: message that came twice"] > 0
    assert set(camera.happened) == {"none", *FAULTS}
    assert chain.superpoint.is_running
    assert chain.superglue.is_running
    assert chain.geometry.is_running
    found = chain.counts("geometry_node")
    assert found["processed"] > 0
    assert "dropped: internal error" not in {**counts, **found}

    chain.connect(first_second=2 * 10**6)
    assert rss[1] <= rss[0] * RSS_GROWTH, f"memory grew from {rss[0]} to {rss[1]} KiB"
    print(f"\n{count} frames: {dict(camera.happened)}\n{counts}\nRSS {rss} KiB\ngeometry {found}")
