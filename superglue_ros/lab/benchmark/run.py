"""The stages, one condition after the other, all contenders of a condition in turns.

- extract: images to keypoints with descriptors.
- match: features of two images to matches, not refined, which no peer does.
- refine: as many matches aligned on their patches.
- pair: two images to matches, which is end to end without ROS.
- pairs: the same for many pairs at once, as offline; ours alone, on GPUs alone.

`lab.benchmark.growth` measures what grows with what, `lab.nodes.benchmark` the nodes themselves,
decoding and publishing among them.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import torch

from superglue_ros.config import SuperGlueConfig, SuperPointConfig
from superglue_ros.errors import DeviceError, InputError
from superglue_ros.features import GreyImage
from superglue_ros.inference.device import device_errors, select_device
from superglue_ros.inference.engines.samples import sample_image, sample_pair, sample_patches
from superglue_ros.lab.benchmark.conditions import Condition, conditions, contender_count
from superglue_ros.lab.benchmark.contenders import (
    Contender,
    Ours,
    Plain,
    SiftBruteForce,
    Task,
    Transformers,
    same_share,
)
from superglue_ros.lab.benchmark.floor import (
    Ceilings,
    measure_ceilings,
)
from superglue_ros.lab.benchmark.measure import Timings, in_turns
from superglue_ros.lab.benchmark.plan import Plan, Size
from superglue_ros.lab.benchmark.results import Results, Row, describe_machine
from superglue_ros.lab.benchmark.weights import every_layer
from superglue_ros.lab.demo.scenes import stereo_scene

OnProgress = Callable[[str, float], None]
"""Called with what was done, and with the share of all that is done by now."""


def run(plan: Plan, results: Results, on_progress: OnProgress = lambda *_: None) -> None:
    """Measure, and add each row to the results as it comes.

    Args:
        plan: What to measure.
        results: Is filled; what it holds when this is interrupted is whole as far as it goes.
        on_progress: Called after every run.

    Raises:
        InputError: A value of the plan cannot be used.
    """
    results.machine = describe_machine()
    ceilings = {device: measure_ceilings(device) for device in map(select_device, plan.devices)}
    results.ceilings = {str(device): asdict(measured) for device, measured in ceilings.items()}
    steps = [(device, one) for device in ceilings for one in conditions(plan, device)]
    costs = [
        ceilings[device].floor_ms(one.work, "fp32") * contender_count(plan, one)
        for device, one in steps
    ]
    if plan.peers and find_spec("transformers") is None:
        results.left_out.append("transformers: it is not installed")
    done = 0.0
    with tempfile.TemporaryDirectory() as folder:
        weights = every_layer(Path(folder) / "superglue.safetensors")
        benches = {device: Bench(plan, device, ceilings[device], weights) for device in ceilings}
        for (device, condition), cost in zip(steps, costs, strict=True):
            on_run = _within(on_progress, str(condition), done / sum(costs), cost / sum(costs))
            try:
                with device_errors(device):
                    results.rows += benches[device].rows(condition, on_run)
            except DeviceError as error:
                results.left_out.append(f"{condition}: {error}")
            done += cost


def _within(
    on_progress: OnProgress, text: str, begin: float, size: float
) -> Callable[[float], None]:
    """Report the share of a part as that of the whole."""
    return lambda share: on_progress(text, begin + share * size)


class Bench:
    """A plan on one device.

    Args:
        plan: What to measure.
        device: Where.
        ceilings: What the device does at most.
        weights: Path of SuperGlue weights of which every layer counts.
    """

    def __init__(self, plan: Plan, device: torch.device, ceilings: Ceilings, weights: str) -> None:
        """Remember what to do."""
        self._plan = plan
        self._device = device
        self._ceilings = ceilings
        self._weights = weights
        self._contenders: dict[str, Contender] = {}
        self._contenders_keypoints = 0

    def rows(self, condition: Condition, on_run: Callable[[float], None]) -> list[Row]:
        """Measure all contenders under a condition.

        Args:
            condition: The condition.
            on_run: Called after every run with the share of the runs that are done.
        """
        if condition.keypoints != self._contenders_keypoints:
            self._contenders = {}  # before there are others: they take memory
            self._contenders = self._loaded(condition.keypoints)
            self._contenders_keypoints = condition.keypoints
        functions = self._functions(condition)
        found: dict[str, Any] = {}

        def keeping(name: str) -> Callable[[], None]:
            return lambda: found.update({name: functions[name]()})

        shares = iter(range(1, (self._plan.repeats + 1) * len(functions) + 1))
        timings = in_turns(
            {name: keeping(name) for name in functions},
            self._plan.repeats,
            self._device,
            lambda: on_run(next(shares) / (self._plan.repeats + 1) / len(functions)),
        )
        return [self._row(condition, name, timings[name], found) for name in functions]

    def _loaded(self, count: int) -> dict[str, Contender]:
        device = str(self._device)
        task = Task(
            SuperPointConfig(max_keypoints=count, device=device, resize=0, subpixel="off"),
            SuperGlueConfig(weights=self._weights, device=device, refinement=False),
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
            with suppress(ImportError):
                contenders["transformers"] = Transformers(task)
        return contenders

    def _functions(self, condition: Condition) -> dict[str, Callable[[], object]]:
        """What each contender does under a condition, all on the same input."""
        contenders = self._contenders.items()
        if condition.stage == "match":
            pair = sample_pair(condition.keypoints, 256, self._device)
            return {name: partial(one.match, pair) for name, one in contenders}
        if condition.stage == "refine":
            patches = sample_patches(condition.keypoints, self._device)
            name, ours = next((n, one) for n, one in contenders if isinstance(one, Ours))
            return {name: partial(ours.refine, patches)}
        left, right = stereo_images(condition.size)
        if condition.stage == "pair":
            return {name: partial(one.pair, [left, right]) for name, one in contenders}
        if condition.stage == "pairs":
            pairs = [(left, right)] * condition.batch
            return {
                name: partial(one.pairs, pairs) for name, one in contenders if isinstance(one, Ours)
            }
        images = ([left, right] * condition.batch)[: condition.batch]
        return {name: partial(one.extract, images) for name, one in contenders}

    def _row(
        self, condition: Condition, name: str, timings: Timings, found: Mapping[str, Any]
    ) -> Row:
        one = self._contenders[name]
        network = name != "sift"
        return Row(
            stage=condition.stage,
            contender=one.name,
            engine=one.engine,
            precision=one.precision,
            computes_in=one.computes_in,
            device=str(self._device) if network else "cpu",
            width=condition.size[0],
            height=condition.size[1],
            keypoints=condition.keypoints,
            batch=condition.batch,
            same_matches=_compared(one, condition.stage, found.get(name), found.get("plain")),
            floor_ms=self._ceilings.floor_ms(condition.work, one.computes_in) if network else 0.0,
            **figures(timings, condition.batch),
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


def _compared(one: Contender, stage: str, found: Any, plain: Any) -> float | None:
    """The share of plain PyTorch's matches that another has too; None where there are none."""
    # Keypoints of their own selection come in an order of their own
    comparable = stage == "match" or one.name in (Ours.name, Plain.name)
    if (
        plain is None
        or stage in ("extract", "refine")
        or one.name == SiftBruteForce.name
        or not comparable
    ):
        return None
    share = same_share(found, plain)
    return None if math.isnan(share) else share
