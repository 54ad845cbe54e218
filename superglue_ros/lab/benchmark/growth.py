"""How time and memory grow, each point in a process of its own that does only this."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from superglue_ros.config import SuperGlueConfig, SuperPointConfig
from superglue_ros.inference.device import select_device
from superglue_ros.inference.engines.samples import sample_pair
from superglue_ros.lab.benchmark.contenders import Ours, Task
from superglue_ros.lab.benchmark.measure import in_turns
from superglue_ros.lab.benchmark.plan import Plan
from superglue_ros.lab.benchmark.results import Results, Row, describe_machine
from superglue_ros.lab.benchmark.run import OnProgress, figures, stereo_images
from superglue_ros.lab.benchmark.weights import every_layer

KIBIBYTES = 1024


@dataclass(frozen=True)
class Point:
    """One condition.

    Attributes:
        axis: What grows: keypoints, size, batch or cameras.
        keypoints: Keypoints of an image.
        width: Of the images in pixels.
        height: Of the images in pixels.
        batch: Images at once, or cameras of which each image is matched to the one before.
    """

    axis: str
    keypoints: int = 1024
    width: int = 640
    height: int = 480
    batch: int = 1


def points(plan: Plan) -> list[Point]:
    """The values of a plan, each as the only one that differs from what a `Point` is by itself."""
    return [
        *(Point("keypoints", keypoints=count) for count in plan.keypoints),
        *(Point("size", width=width, height=height) for width, height in plan.sizes),
        *(Point(axis, batch=count) for axis in ("batch", "cameras") for count in plan.batches),
    ]


def run(plan: Plan, results: Results, on_progress: OnProgress = lambda *_: None) -> None:
    """Measure each of `points` on the plan's first device, and add the rows as they come.

    A point whose process fails, for want of memory say, is left out.

    Args:
        plan: What to measure.
        results: Is filled; what it holds when this is interrupted is whole as far as it goes.
        on_progress: Called before each point and after the last.
    """
    results.machine = describe_machine()
    wanted = points(plan)
    with tempfile.TemporaryDirectory() as folder:
        weights = every_layer(Path(folder) / "superglue.safetensors")
        for index, point in enumerate(wanted):
            on_progress(f"growth with {point.axis}", index / len(wanted))
            argument = {"point": asdict(point), "plan": asdict(plan), "weights": weights}
            done = subprocess.run(
                [sys.executable, "-m", "superglue_ros.lab.benchmark.growth", json.dumps(argument)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
                results.left_out.append(f"{point}: {last[0]}")
            else:
                results.rows.append(Row(**json.loads(done.stdout.splitlines()[-1])))
    on_progress("growth", 1.0)


def _measure(point: Point, plan: Plan, weights: str) -> Row:
    """Measure one point in this process, which has done nothing else."""
    device = select_device(plan.devices[0])
    how: dict[str, Any] = {"device": str(device), "engine": plan.engines[0]}
    how["precision"] = plan.precisions[0]
    ours = Ours(
        Task(
            SuperPointConfig(max_keypoints=point.keypoints, resize=0, **how),
            SuperGlueConfig(weights=weights, **how),
        )
    )
    timings = in_turns({"": _function(point, ours, device)}, plan.repeats, device)[""]
    return Row(
        stage=f"growth with {point.axis}",
        contender=ours.name,
        engine=ours.engine,
        precision=ours.precision,
        computes_in=ours.computes_in,
        device=str(device),
        width=point.width,
        height=point.height,
        keypoints=point.keypoints,
        batch=point.batch,
        peak_mib=_peak_mebibytes(device),
        **figures(timings, point.batch),
    )


def _function(point: Point, ours: Ours, device: torch.device) -> Callable[[], object]:
    if point.axis == "keypoints":
        pair = sample_pair(point.keypoints, 256, device)
        return lambda: ours.match(pair)
    images = (stereo_images((point.width, point.height)) * point.batch)[: point.batch]
    if point.axis != "cameras":
        return lambda: ours.extract(images)
    before = ours.extract(images)

    def frame() -> None:
        for earlier, now in zip(before, ours.extract(images), strict=True):
            ours.match((earlier, now))

    return frame


def _peak_mebibytes(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    # Not getrusage, whose figure a process takes over from the one that started it
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / KIBIBYTES
    return 0.0


def _main(argument: str) -> None:
    given: dict[str, Any] = json.loads(argument)
    row = _measure(Point(**given["point"]), Plan(**given["plan"]), given["weights"])
    print(json.dumps(asdict(row)))


if __name__ == "__main__":
    _main(sys.argv[1])
