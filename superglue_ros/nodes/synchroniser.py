"""Pairing of messages by their stamps.

message_filters does it where the ROS installation has it; a ROS from pip has not, so classes of the
same interface stand in. `synchronisers` is the one place of that choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Pairs messages whose stamps differ by less than `slop` seconds.

    Each message is used once, with the nearest in time of the others; the oldest that overflow a
    queue are let go.

    Args:
        fs: Two filters.
        queue_size: Messages of each kept while the other is awaited.
        slop: Seconds.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int, slop: float) -> None:
        """Attach to the filters."""
        super().__init__()
        self._queue_size = queue_size
        self._slop = round(slop * NANOSECONDS)
        self._queues: list[dict[int, Any]] = [{} for _ in fs]
        for index, source in enumerate(fs):
            source.registerCallback(self._add, index)

    def _matches(self, difference: int) -> bool:
        return difference < self._slop

    def _add(self, message: Any, index: int) -> None:
        own, other = self._queues[index], self._queues[1 - index]
        stamp = stamp_nanoseconds(message)
        nearest = min(other, key=lambda candidate: abs(candidate - stamp), default=None)
        if nearest is None or not self._matches(abs(nearest - stamp)):
            own[stamp] = message
            while len(own) > self._queue_size:
                del own[min(own)]
            return
        pair = (message, other.pop(nearest))
        self.signalMessage(*(pair if index == 0 else pair[::-1]))


class TimeSynchronizer(ApproximateTimeSynchronizer):
    """Pairs messages whose stamps are equal."""

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        """Attach to the filters."""
        super().__init__(fs, queue_size, slop=0.0)

    def _matches(self, difference: int) -> bool:
        return difference == 0


class Synchronisers(NamedTuple):
    """The classes of one library; see message_filters."""

    library: str
    SimpleFilter: type
    TimeSynchronizer: type
    ApproximateTimeSynchronizer: type


def synchronisers() -> Synchronisers:
    """The synchronisers of this installation."""
    try:
        import message_filters
    except ImportError:
        return Synchronisers(
            "built-in", SimpleFilter, TimeSynchronizer, ApproximateTimeSynchronizer
        )
    return Synchronisers(
        "message_filters",
        message_filters.SimpleFilter,
        message_filters.TimeSynchronizer,
        message_filters.ApproximateTimeSynchronizer,
    )


def stamp_nanoseconds(message: Any) -> int:
    """The stamp in the header of a message, in nanoseconds."""
    stamp = message.header.stamp
    return int(stamp.sec * NANOSECONDS + stamp.nanosec)
