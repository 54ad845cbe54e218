"""The stages, one condition after the other, all contenders of a condition in turns.

- extract: images to keypoints with descriptors.
- match: features of two images to matches.
- pair: two images to matches, which is end to end without ROS.
- pairs: the same for many pairs at once, as offline; ours alone, on GPUs alone.

`superglue_ros.benchmark.growth` measures what grows with what, `superglue_ros.nodes.benchmark` the
nodes themselves.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from superglue_ros.benchmark.contenders import (
    Contender,
    Ours,
    Plain,
    SiftBruteForce,
    Task,
    Transformers,
    same_share,
)
from superglue_ros.benchmark.floor import (
    Ceilings,
    Work,
    measure_ceilings,
    superglue_work,
    superpoint_work,
)
from superglue_ros.benchmark.measure import Timings, in_turns
from superglue_ros.benchmark.results import Results, Row, describe_machine
from superglue_ros.benchmark.weights import every_layer
from superglue_ros.config import SuperGlueConfig, SuperPointConfig
from superglue_ros.demo.scenes import stereo_scene
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.inference.device import select_device
from superglue_ros.inference.engines.samples import sample_image, sample_pair

Size = tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """What is measured: every combination of what a stage depends on.

    Attributes:
        keypoints: Keypoints of an image.
        sizes: (width, height) of the images in pixels, multiples of 8.
        batches: Images that are extracted from at once.
        devices: As the setting `device`.
        precisions: As the setting `precision`.
        engines: As the setting `engine`.
        repeats: Runs of each contender under each condition.
        peers: Whether other implementations are measured beside ours.
    """

    keypoints: tuple[int, ...] = (256, 512, 1024, 2048)
    sizes: tuple[Size, ...] = ((320, 240), (640, 480), (1280, 960))
    batches: tuple[int, ...] = (1, 2, 4)
    devices: tuple[str, ...] = ("auto",)
    precisions: tuple[str, ...] = ("auto",)
    engines: tuple[str, ...] = ("auto", "torch")
    repeats: int = 10
    peers: bool = True


OFFLINE_PAIRS = 32

SHORT = Plan(keypoints=(512, 1024), sizes=((640, 480),), batches=(1, 2), repeats=5)


def run(plan: Plan, results: Results, on_run: Callable[[str], None] = lambda _: None) -> None:
    """Measure, and add each row to the results as it comes.

    Args:
        plan: What to measure.
        results: Is filled; what it holds when this is interrupted is whole as far as it goes.
        on_run: Called after every run with what was done.

    Raises:
        InputError: A value of the plan cannot be used.
    """
    results.machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        weights = every_layer(Path(folder) / "superglue.safetensors")
        for name in plan.devices:
            device = select_device(name)
            ceilings = measure_ceilings(device)
            results.ceilings[str(device)] = asdict(ceilings)
            bench = Bench(plan, device, ceilings, weights, on_run)
            for row in bench.rows():
                results.rows.append(row)


class Bench:
    """A plan on one device.

    Args:
        plan: What to measure.
        device: Where.
        ceilings: What the device does at most.
        weights: Path of SuperGlue weights of which every layer counts.
        on_run: Called after every run with what was done.
    """

    def __init__(
        self,
        plan: Plan,
        device: torch.device,
        ceilings: Ceilings,
        weights: str,
        on_run: Callable[[str], None],
    ) -> None:
        """Remember what to do."""
        self._plan = plan
        self._device = device
        self._ceilings = ceilings
        self._weights = weights
        self._on_run = on_run

    def rows(self) -> Iterator[Row]:
        """Every row of the plan."""
        for count in self._plan.keypoints:
            contenders = self._contenders(count)
            yield from self._match(contenders, count)
            for size in self._plan.sizes:
                yield from self._pair(contenders, count, size)
                if self._device.type == "cuda":
                    yield from self._pairs(contenders, count, size)
        for size in self._plan.sizes:
            for batch in self._plan.batches:
                yield from self._extract(contenders, size, batch)

    def _contenders(self, count: int) -> dict[str, Contender]:
        task = Task(
            SuperPointConfig(
                max_keypoints=count, device=str(self._device), resize=0, subpixel="off"
            ),
            SuperGlueConfig(weights=self._weights, device=str(self._device)),
        )
        contenders: dict[str, Contender] = {}
        for engine in self._plan.engines:
            for precision in self._plan.precisions:
                contenders[f"ours {engine} {precision}"] = Ours(
                    Task(
                        task.superpoint.updated(engine=engine, precision=precision),
                        task.superglue.updated(engine=engine, precision=precision),
                    )
                )
        if self._plan.peers:
            contenders["plain"] = Plain(task)
            contenders["sift"] = SiftBruteForce(task)
            try:
                contenders["transformers"] = Transformers(task)
            except ImportError:
                self._on_run("transformers is not installed")
        return contenders

    def _match(self, contenders: Mapping[str, Contender], count: int) -> Iterator[Row]:
        pair = sample_pair(count, 256, self._device)
        work = superglue_work(count, count, SuperGlueConfig().sinkhorn_iterations)
        functions = {name: (lambda one=one: one.match(pair)) for name, one in contenders.items()}
        yield from self._measured("match", contenders, functions, work, count)

    def _pair(self, contenders: Mapping[str, Contender], count: int, size: Size) -> Iterator[Row]:
        images = stereo_images(size)
        work = superpoint_work(*size) * 2
        work += superglue_work(count, count, SuperGlueConfig().sinkhorn_iterations)
        functions = {name: (lambda one=one: one.pair(images)) for name, one in contenders.items()}
        yield from self._measured("pair", contenders, functions, work, count, size)

    def _pairs(self, contenders: Mapping[str, Contender], count: int, size: Size) -> Iterator[Row]:
        image0, image1 = stereo_images(size)
        pairs = [(image0, image1)] * OFFLINE_PAIRS
        work = superpoint_work(*size) * 2
        work += superglue_work(count, count, SuperGlueConfig().sinkhorn_iterations)
        ours = {name: one for name, one in contenders.items() if isinstance(one, Ours)}
        functions = {name: (lambda one=one: one.pairs(pairs)[0]) for name, one in ours.items()}
        work *= OFFLINE_PAIRS
        yield from self._measured("pairs", ours, functions, work, count, size, OFFLINE_PAIRS)

    def _extract(
        self, contenders: Mapping[str, Contender], size: Size, batch: int
    ) -> Iterator[Row]:
        images = (stereo_images(size) * batch)[:batch]
        work = superpoint_work(*size) * batch
        functions = {
            name: (lambda one=one: one.extract(images)) for name, one in contenders.items()
        }
        count = self._plan.keypoints[-1]
        yield from self._measured("extract", contenders, functions, work, count, size, batch)

    def _measured(
        self,
        stage: str,
        contenders: Mapping[str, Contender],
        functions: Mapping[str, Callable[[], object]],
        work: Work,
        keypoints: int,
        size: Size = (0, 0),
        batch: int = 1,
    ) -> Iterator[Row]:
        results: dict[str, Any] = {}

        def keeping(name: str) -> Callable[[], None]:
            return lambda: results.update({name: functions[name]()})

        label = f"{stage} {keypoints} keypoints" + (f" {size[0]}x{size[1]}" if any(size) else "")
        timings = in_turns(
            {name: keeping(name) for name in functions},
            self._plan.repeats,
            self._device,
            lambda: self._on_run(label),
        )
        for name, one in contenders.items():
            network = name != "sift"
            # Keypoints of their own selection come in an order of their own
            comparable = network and (stage == "match" or one.name in (Ours.name, Plain.name))
            yield Row(
                stage=stage,
                contender=one.name,
                engine=one.engine,
                precision=one.precision,
                device=str(self._device) if network else "cpu",
                width=size[0],
                height=size[1],
                keypoints=keypoints,
                batch=batch,
                same_matches=_compared(name, results)
                if comparable and stage != "extract"
                else None,
                floor_ms=self._ceilings.floor_ms(work) if network else 0.0,
                **figures(timings[name], batch),
            )


def figures(timings: Timings, batch: int) -> dict[str, Any]:
    """The fields of a row that come from its runs."""
    p50, p95, p99 = (timings.percentile(share) for share in (50, 95, 99))
    return {
        "runs": len(timings.wall_ms),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "per_second": 1e3 * batch / p50,
        "cpu_ms": sorted(timings.cpu_ms)[len(timings.cpu_ms) // 2],
    }


def stereo_images(size: Size) -> list[GreyImage]:
    """A real stereo pair at a size (width, height); a generated one where it is not installed."""
    try:
        frame = stereo_scene().frames[0]
    except InputError:
        left = sample_image(size[1], size[0] + 8)
        return [left[:, 8:].copy(), left[:, :-8].copy()]
    grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in frame]
    return [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in grey]


def _compared(name: str, results: Mapping[str, Any]) -> float | None:
    """The share of plain PyTorch's matches that another has too; None where there are none."""
    if "plain" not in results:
        return None
    share = same_share(results[name], results["plain"])
    return None if math.isnan(share) else share


def steps(plan: Plan) -> int:
    """How many runs a plan has, near enough for a progress bar."""
    ours = len(plan.engines) * len(plan.precisions)
    conditions = len(plan.keypoints) * (1 + len(plan.sizes)) + len(plan.sizes) * len(plan.batches)
    return len(plan.devices) * conditions * (plan.repeats + 1) * (ours + (3 if plan.peers else 0))
