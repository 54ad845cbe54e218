"""Joining of messages by their stamps.

message_filters does it where the ROS installation has it; a ROS from pip has not, so classes of the
same interface stand in. `synchronisers` is the one place of that choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

NANOSECONDS = 1_000_000_000


class SimpleFilter:
    """A source of messages that callbacks can be attached to (message_filters.SimpleFilter)."""

    def __init__(self) -> None:
        """Start with no callbacks."""
        self._callbacks: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def registerCallback(self, cb: Callable[..., None], *args: Any) -> int:  # noqa: N802
        """Call `cb(*messages, *args)` for each output; returns the callback's number."""
        self._callbacks.append((cb, args))
        return len(self._callbacks) - 1

    def signalMessage(self, *msg: Any) -> None:  # noqa: N802
        """Hand messages to the callbacks."""
        for callback, args in self._callbacks:
            callback(*msg, *args)


class ApproximateTimeSynchronizer(SimpleFilter):
    """Joins messages, one of each input, whose stamps differ by less than `slop` seconds.

    Each message is used once, with those of the others that are nearest to it in time and belong
    together; the oldest that overflow a queue are let go.

    Args:
        fs: The inputs.
        queue_size: Messages of each kept while the others are awaited.
        slop: Seconds.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int, slop: float) -> None:
        """Attach to the inputs."""
        super().__init__()
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self._queue_size = queue_size
        self._slop = round(slop * NANOSECONDS)
        for index, source in enumerate(fs):
            source.registerCallback(self._add, index)

    def _belong_together(self, stamps: Sequence[int]) -> bool:
        return max(stamps) - min(stamps) < self._slop

    def _add(self, message: Any, index: int) -> None:
        stamp = stamp_nanoseconds(message)
        own = self.queues[index]
        own[stamp] = message
        while len(own) > self._queue_size:
            del own[min(own)]
        if stamp not in own:
            return
        candidates = [
            [stamp] if queue is own else self._nearest_first(queue, stamp) for queue in self.queues
        ]
        for stamps in product(*candidates):
            if self._belong_together(stamps):
                joined = [queue.pop(at) for queue, at in zip(self.queues, stamps, strict=True)]
                self.signalMessage(*joined)
                return

    def _nearest_first(self, queue: dict[int, Any], stamp: int) -> list[int]:
        """The stamps in a queue that may belong to a message of another one."""
        near = [other for other in queue if abs(other - stamp) <= self._slop]
        return sorted(near, key=lambda other: abs(other - stamp))


class TimeSynchronizer(ApproximateTimeSynchronizer):
    """Joins messages, one of each input, whose stamps are equal."""

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        """Attach to the inputs."""
        super().__init__(fs, queue_size, slop=0.0)

    def _belong_together(self, stamps: Sequence[int]) -> bool:
        return max(stamps) == min(stamps)


class Synchronisers(NamedTuple):
    """The classes of one library; see message_filters."""

    library: str
    SimpleFilter: type
    TimeSynchronizer: type
    ApproximateTimeSynchronizer: type


BUILT_IN = Synchronisers("built-in", SimpleFilter, TimeSynchronizer, ApproximateTimeSynchronizer)


def synchronisers() -> Synchronisers:
    """The synchronisers of this installation."""
    try:
        import message_filters
    except ImportError:
        return BUILT_IN
    return Synchronisers(
        "message_filters",
        message_filters.SimpleFilter,
        message_filters.TimeSynchronizer,
        message_filters.ApproximateTimeSynchronizer,
    )


def stamp_nanoseconds(message: Any) -> int:
    """The stamp in the header of a message, in nanoseconds."""
    return header_nanoseconds(message.header)


def header_nanoseconds(header: Any) -> int:
    """The stamp in a header, in nanoseconds."""
    return int(header.stamp.sec * NANOSECONDS + header.stamp.nanosec)
