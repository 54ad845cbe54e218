"""Measuring several things in turns, so that what else goes on here meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass
class Timings:
    """Runs of one thing.

    Attributes:
        wall_ms: Duration of each run in milliseconds.
        cpu_ms: For each run the processor time of this process, all threads together.
    """

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The duration in milliseconds below which this share (0 to 100) of the runs stay."""
        return float(np.percentile(self.wall_ms, share))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turns(
    functions: Mapping[str, Callable[[], object]],
    repeats: int,
    device: torch.device,
    on_run: Callable[[], None] = lambda: None,
) -> dict[str, Timings]:
    """Run each function once to warm it, then each in its turn so many times.

    Args:
        functions: What to measure, by name.
        repeats: Runs of each.
        device: Is waited for before and after each run.
        on_run: Called after each run, the first ones included.

    Returns:
        The runs by name. Interrupted by Ctrl-C it raises, and nothing is kept of this round.
    """
    timings = {name: Timings() for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            synchronise(device)
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            synchronise(device)
            if turn:
                timings[name].wall_ms.append(1e3 * (time.perf_counter() - wall))
                timings[name].cpu_ms.append(1e3 * (time.process_time() - cpu))
            on_run()
    return timings
