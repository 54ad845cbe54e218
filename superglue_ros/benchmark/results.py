"""What a benchmark gives: rows of figures and what they were measured on."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from superglue_ros.installation import version

FORMAT = 1
"""Number of the layout of the JSON file; it changes where a field changes its meaning."""


@dataclass(frozen=True)
class Row:
    """One thing measured under one condition.

    Attributes:
        stage: What was done; see `superglue_ros.benchmark.run`.
        contender: Who did it.
        engine: What ran the networks.
        precision: Of the networks' numbers.
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
        keypoints: Of an image.
        size_bytes: Of the message or image; 0 where it does not matter.
        p50_ms: Median duration, in milliseconds.
        p95_ms: 95th percentile.
    """

    stage: str
    keypoints: int
    size_bytes: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class NodeRow:
    """A stereo pair through nodes in processes of their own; milliseconds.

    Attributes:
        name: The nodes.
        frames: Pairs that were timed.
        latency_p50_ms: From before the images are published until the matches have come.
        latency_p95_ms: 95th percentile.
        networks_p50_ms: What the nodes say of extracting and matching.
        beside_p50_ms: What is left of the latency: decoding, messages, transport, waiting.
        beside_p95_ms: 95th percentile.
        inside_p50_ms: What is left of it within the nodes, from the arrival of the last message of
            a frame until its results are published.
        executor_cpu_ms: Processor time of the nodes' executors for a pair.
        matches_bytes: Size of the Matches message on the wire.
    """

    name: str
    frames: int
    latency_p50_ms: float
    latency_p95_ms: float
    networks_p50_ms: float
    beside_p50_ms: float
    beside_p95_ms: float
    inside_p50_ms: float
    executor_cpu_ms: float
    matches_bytes: int


@dataclass
class Results:
    """Rows in the order in which they came, and what they were measured on.

    Attributes:
        machine: Hardware and software, by name.
        ceilings: Of the devices, by device and name.
        rows: The figures.
        stages: Of messages.
        nodes: Of nodes.
        complete: Whether the benchmark came to its end.
    """

    machine: dict[str, str | int] = field(default_factory=dict)
    ceilings: dict[str, dict[str, float]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    stages: list[StageRow] = field(default_factory=list)
    nodes: list[NodeRow] = field(default_factory=list)
    complete: bool = False

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
