"""What a benchmark gives: rows of figures and what they were measured on."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from superglue_ros.installation import version

FORMAT = 2
"""Number of the layout of the JSON file; it changes where a field changes its meaning."""


@dataclass(frozen=True)
class Row:
    """One thing measured under one condition.

    Attributes:
        stage: What was done; see `superglue_ros.lab.benchmark.run`.
        contender: Who did it.
        engine: What ran the networks.
        precision: As the setting.
        computes_in: What the networks' numbers were.
        device: Where they ran.
        width: Width of the images in pixels; 0 where there are none.
        height: Their height.
        keypoints: Of an image, at most.
        batch: Images, or pairs, that were given at once.
        runs: How often it was measured.
        p50_ms: Median duration, in milliseconds.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        per_second: Images, or pairs, a second by the median.
        cpu_ms: Median processor time, all threads together; 0 where it was not measured.
        floor_ms: What the hardware would need at least; 0 where that is not counted.
        peak_mib: Most memory, of the device or of a process that does only this; 0 if not measured.
        same_matches: Share of plain PyTorch's matches that are the same; None where not compared.
    """

    stage: str
    contender: str
    engine: str
    precision: str
    computes_in: str
    device: str
    width: int
    height: int
    keypoints: int
    batch: int
    runs: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    per_second: float
    cpu_ms: float = 0.0
    floor_ms: float = 0.0
    peak_mib: float = 0.0
    same_matches: float | None = None


@dataclass(frozen=True)
class StageRow:
    """What happens to a message, measured in one process.

    Attributes:
        stage: What was done.
        width: Width of the image in pixels; 0 where it does not matter.
        height: Its height.
        keypoints: Of an image; 0 where they do not matter.
        size_bytes: Of the message or image; 0 where it does not matter.
        p50_ms: Median duration, in milliseconds.
        p95_ms: 95th percentile.
    """

    stage: str
    width: int
    height: int
    keypoints: int
    size_bytes: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class NodeRow:
    """A stereo pair through nodes in processes of their own; milliseconds.

    Attributes:
        name: The nodes.
        engine: As the setting.
        precision: As the setting.
        device: As the setting.
        width: Width of the images in pixels.
        height: Their height.
        keypoints: Of an image, at most.
        frames: Pairs that were timed, one after the other.
        latency_p50_ms: From before the images are published until the matches have come.
        latency_p95_ms: 95th percentile.
        latency_p99_ms: 99th percentile.
        decode_p50_ms: What the nodes say of decoding, all of them together; so with the next ones.
        extract_p50_ms: Of extracting; 0 where both networks run in one go.
        match_p50_ms: Of matching.
        publish_p50_ms: Of filling the messages and publishing them.
        beside_p50_ms: Latency less extracting and matching: messages, transport, waiting.
        beside_p95_ms: 95th percentile.
        inside_p50_ms: What of it is within the nodes, from the arrival of the last message of a
            frame until its results are published.
        executor_cpu_ms: Processor time of the nodes' executors for a pair.
        images_bytes: Size of both Image messages on the wire.
        features_bytes: Of both Features messages; 0 where there are none.
        matches_bytes: Of the Matches message.
    """

    name: str
    engine: str
    precision: str
    device: str
    width: int
    height: int
    keypoints: int
    frames: int
    latency_p50_ms: float
    latency_p95_ms: float
    latency_p99_ms: float
    decode_p50_ms: float
    extract_p50_ms: float
    match_p50_ms: float
    publish_p50_ms: float
    beside_p50_ms: float
    beside_p95_ms: float
    inside_p50_ms: float
    executor_cpu_ms: float
    images_bytes: int
    features_bytes: int
    matches_bytes: int


@dataclass(frozen=True)
class BagRow:
    """Matching over a bag beside its networks alone.

    Attributes:
        engine: What ran the networks.
        precision: As the setting.
        device: Where they ran.
        keypoints: Of an image, at most.
        batch: Frames that were extracted from at once.
        frames: Frames of a round.
        rounds: How often it was measured.
        run_hz: Frames a second from bag to bag, the median over the rounds.
        networks_hz: Of the networks alone.
        share: Median of the former over the latter.
    """

    engine: str
    precision: str
    device: str
    keypoints: int
    batch: int
    frames: int
    rounds: int
    run_hz: float
    networks_hz: float
    share: float


@dataclass
class Results:
    """Rows in the order in which they came, and what they were measured on.

    Attributes:
        machine: Hardware and software, by name.
        ceilings: Of the devices, by device and name.
        rows: The figures.
        stages: Of messages.
        nodes: Of nodes.
        bags: Of bags.
        left_out: What was not measured, and why.
        complete: Whether the benchmark came to its end.
    """

    machine: dict[str, str | int] = field(default_factory=dict)
    ceilings: dict[str, dict[str, float]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    stages: list[StageRow] = field(default_factory=list)
    nodes: list[NodeRow] = field(default_factory=list)
    bags: list[BagRow] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    complete: bool = False

    @property
    def count(self) -> int:
        """How many rows there are by now."""
        return len(self.rows) + len(self.stages) + len(self.nodes) + len(self.bags)

    def to_json(self) -> dict[str, Any]:
        """For the JSON file."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


def describe_machine() -> dict[str, str | int]:
    """Hardware, software and load, as far as they decide the figures."""
    described: dict[str, str | int] = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "superglue_ros": version(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if find_spec("onnxruntime"):
        described["onnxruntime"] = import_module("onnxruntime").__version__
    if torch.cuda.is_available():
        described["gpu"] = torch.cuda.get_device_name()
    return described


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
