"""The conditions of a plan, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from superglue_ros.config import SuperGlueConfig
from superglue_ros.lab.benchmark.floor import Work, refinement_work, superglue_work, superpoint_work
from superglue_ros.lab.benchmark.plan import Plan, Size

_OFFLINE_PAIRS = 32

_PEERS = 3


@dataclass(frozen=True)
class Condition:
    """What all contenders are measured under in their turns.

    Attributes:
        stage: What is done.
        keypoints: Of an image, at most.
        size: (width, height) of the images; zeros where there are none.
        batch: Images, or pairs, that are given at once.
    """

    stage: str
    keypoints: int
    size: Size = (0, 0)
    batch: int = 1

    def __str__(self) -> str:
        """In a few words."""
        size = f" {self.size[0]}x{self.size[1]}" if any(self.size) else ""
        return f"{self.stage}{size}, {self.keypoints} keypoints"

    @property
    def work(self) -> Work:
        """What it costs at least."""
        iterations = SuperGlueConfig().sinkhorn_iterations
        matching = superglue_work(self.keypoints, self.keypoints, iterations)
        if self.stage == "match":
            return matching
        if self.stage == "refine":
            return refinement_work(self.keypoints)
        extracting = superpoint_work(*self.size)
        one = extracting if self.stage == "extract" else extracting * 2 + matching
        return one * self.batch


def conditions(plan: Plan, device: torch.device) -> Iterator[Condition]:
    """Those of a plan on a device, in the order in which they are measured."""
    for count in plan.keypoints:
        yield Condition("match", count)
        yield Condition("refine", count)
        for size in plan.sizes:
            yield Condition("pair", count, size)
            if device.type == "cuda":
                yield Condition("pairs", count, size, _OFFLINE_PAIRS)
    for size in plan.sizes:
        for batch in plan.batches:
            yield Condition("extract", plan.keypoints[-1], size, batch)


def contender_count(plan: Plan, condition: Condition) -> int:
    """How many are measured under a condition, where no package is missing."""
    ours = len(plan.engines) * len(plan.precisions)
    if condition.stage == "refine":
        return 1
    return ours + (_PEERS if plan.peers and condition.stage != "pairs" else 0)
