"""How long each stage of the work takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

HISTORY = 200


@dataclass(frozen=True)
class StageStatistics:
    """Percentiles of a stage's durations over the last frames, in milliseconds."""

    p50_ms: float
    p95_ms: float


class Stopwatch:
    """Durations of the stages of one frame and of the last ones.

    Attributes:
        frame_ms: Milliseconds by stage of the frame in work.
    """

    def __init__(self) -> None:
        """Start with nothing measured."""
        self.frame_ms: dict[str, float] = {}
        self._history: dict[str, deque[float]] = {}

    def begin_frame(self) -> None:
        """Forget the stages of the frame before."""
        self.frame_ms = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the `with` block takes to a stage of the frame in work."""
        begin = time.perf_counter()
        yield
        self.add(name, (time.perf_counter() - begin) * 1e3)

    def add(self, name: str, duration_ms: float) -> None:
        """Add a time that was measured elsewhere."""
        self.frame_ms[name] = self.frame_ms.get(name, 0.0) + duration_ms

    def end_frame(self) -> None:
        """Put the stages of the frame into the statistics."""
        for name, duration_ms in self.frame_ms.items():
            self._history.setdefault(name, deque(maxlen=HISTORY)).append(duration_ms)

    def statistics(self) -> dict[str, StageStatistics]:
        """Percentiles by stage, in the order in which the stages came."""
        return {
            name: StageStatistics(*(float(p) for p in np.percentile(list(durations), (50, 95))))
            for name, durations in list(self._history.items())
        }
