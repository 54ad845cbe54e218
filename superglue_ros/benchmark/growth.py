"""How time and memory grow, each point in a process of its own that does only this."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from superglue_ros.benchmark.contenders import Ours, Task
from superglue_ros.benchmark.measure import in_turns
from superglue_ros.benchmark.results import Row
from superglue_ros.benchmark.run import figures, stereo_images
from superglue_ros.config import SuperGlueConfig, SuperPointConfig
from superglue_ros.errors import InputError
from superglue_ros.inference.device import select_device
from superglue_ros.inference.engines.samples import sample_pair

KIBIBYTES = 1024
_REPEATS = 5


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


POINTS = (
    *(Point("keypoints", keypoints=count) for count in (256, 512, 1024, 2048)),
    *(
        Point("size", width=width, height=height)
        for width, height in ((320, 240), (640, 480), (960, 720), (1280, 960))
    ),
    *(Point("batch", batch=count) for count in (1, 2, 4, 8)),
    *(Point("cameras", batch=count) for count in (1, 2, 4)),
)


def measure_growth(device: str, weights: str, on_point: Callable[[str], None]) -> Iterator[Row]:
    """Measure each of `POINTS`.

    Args:
        device: As the setting.
        weights: Path of SuperGlue weights.
        on_point: Called after each with what was measured.

    Raises:
        InputError: A process failed.
    """
    for point in POINTS:
        argument = json.dumps({"point": asdict(point), "device": device, "weights": weights})
        done = subprocess.run(
            [sys.executable, "-m", "superglue_ros.benchmark.growth", argument],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise InputError(f"{point} failed: {done.stderr.strip().splitlines()[-1:]}")
        on_point(f"growth with {point.axis}")
        yield Row(**json.loads(done.stdout.splitlines()[-1]))


def _measure(point: Point, device: torch.device, weights: str) -> Row:
    """Measure one point in this process, which has done nothing else."""
    ours = Ours(
        Task(
            SuperPointConfig(max_keypoints=point.keypoints, device=str(device), resize=0),
            SuperGlueConfig(weights=weights, device=str(device)),
        )
    )
    timings = in_turns({"": _function(point, ours, device)}, _REPEATS, device)[""]
    return Row(
        stage=f"growth with {point.axis}",
        contender=ours.name,
        engine=ours.engine,
        precision=ours.precision,
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
    row = _measure(Point(**given["point"]), select_device(given["device"]), given["weights"])
    print(json.dumps(asdict(row)))


if __name__ == "__main__":
    _main(sys.argv[1])
