"""The joining of several inputs to frames, by their stamps; from topics and from bags alike."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

from superglue_ros.config import SyncConfig
from superglue_ros.drops import Drop
from superglue_ros.partners import RESET_SEC
from superglue_ros.synchroniser import (
    BUILT_IN,
    NANOSECONDS,
    Synchronisers,
    stamp_nanoseconds,
)

RECENT = 5
UNLIMITED = 10**6
UNSETTLED = 1000
"""Messages after stamps jumped back during which some inputs may not have come to the jump yet."""

REMEDY = "let the driver stamp them, or set sync_by to arrival to pair by when messages came"


class StampCheck:
    """Finds the stamps of one input that do not tell when its messages are from.

    A message that is there twice costs its copy; where most stamps repeat, of a driver that counts
    whole seconds say, the first of each is as good as any, and none of them is taken.
    """

    def __init__(self) -> None:
        """Start before the first message."""
        self._last_ns: int | None = None
        self._repeats: deque[bool] = deque(maxlen=2 * RECENT)

    def fault(self, message: Any) -> Drop | None:
        """Why the stamp of the next message says nothing; None where it does."""
        stamp = stamp_nanoseconds(message)
        last, self._last_ns = self._last_ns, stamp
        if stamp == 0:
            return Drop.ZERO_STAMP
        mostly = len(self._repeats) > 2 and 2 * sum(self._repeats) > len(self._repeats)
        self._repeats.append(stamp == last)
        return Drop.REPEATED_STAMP if stamp == last or mostly else None


class _Stamp(NamedTuple):
    sec: int
    nanosec: int


class _Header(NamedTuple):
    stamp: _Stamp


class _Arrival(NamedTuple):
    """A message under the time at which it came."""

    header: _Header
    message: Any


class Joining:
    """Joins the messages of several inputs by their stamps.

    Args:
        library: Whose synchronisers to use.
        config: Exact or approximate, and the slop.
        queue_size: Messages of one input kept while the others are awaited; None for all that may
            still find a partner.
        count: The number of inputs.
        on_joined: Called with one message of each input.
        on_reset: Called where stamps jump back.
        arrival_ns: When a message came, for joining by that.

    Attributes:
        joined: How many times it has joined messages.
    """

    def __init__(
        self,
        library: Synchronisers,
        config: SyncConfig,
        queue_size: int | None,
        count: int,
        on_joined: Callable[..., None],
        on_reset: Callable[[], None],
        arrival_ns: Callable[[Any], int] = lambda message: time.monotonic_ns(),
    ) -> None:
        """Start with nothing waiting."""
        self._by_arrival = config.sync_by == "arrival"
        # message_filters takes no stamps but those of real messages
        self._library = BUILT_IN if self._by_arrival else library
        self._arrival_ns = arrival_ns
        self._checks = [StampCheck() for _ in range(count)]
        self._refused: list[Counter[Drop]] = [Counter() for _ in range(count)]
        self._config = config
        self._queue_size = queue_size
        self._on_joined = on_joined
        self._on_reset = on_reset
        self._added = [0] * count
        self.joined = 0
        self._met: list[int] = []
        self._recent: list[deque[int]] = []
        self._unsettled = 0
        self._joined_before_reset = -1
        self._start()

    def add(self, index: int, message: Any) -> Drop | None:
        """Take a message of one input; returns why it is refused, None where it is not.

        What has a stamp without meaning is refused: its partner could be any.
        """
        if self._by_arrival:
            when = _Header(_Stamp(*divmod(self._arrival_ns(message), NANOSECONDS)))
            message = _Arrival(when, message)
        else:
            fault = self._checks[index].fault(message)
            if fault is not None:
                self._refused[index][fault] += 1
                return fault
        self._take(index, message)
        return None

    def _take(self, index: int, message: Any) -> None:
        stamp = stamp_nanoseconds(message)
        recent = self._recent[index]
        if recent and stamp < max(recent) - RESET_SEC * NANOSECONDS:
            self._set_back(index)
        self._recent[index].append(stamp)
        self._added[index] += 1
        if self._queue_size is not None:
            self._filters[index].signalMessage(message)
            return
        waiting = [list(queue) for queue in self._synchroniser.queues]
        self._met = []
        self._filters[index].signalMessage(message)
        self._let_go_of_passed(waiting)
        self._let_go_of_orphans()

    def unpaired(self, index: int) -> int:
        """Messages of one input that will not find their partners any more."""
        return self._added[index] - self.joined - len(self._synchroniser.queues[index])

    def refused(self, index: int) -> Counter[Drop]:
        """Messages of one input that were refused, by reason."""
        return self._refused[index]

    def waiting(self, index: int) -> int:
        """Messages of one input that wait for their partners."""
        return len(self._synchroniser.queues[index])

    def problem(self) -> str:
        """Why nothing is joined; empty while an input is silent."""
        if not all(self._recent):
            refused = sum(self._refused, Counter())
            return f"{without_meaning(refused)}: {REMEDY}" if refused else ""
        gap = min(max(stamps) - min(stamps) for stamps in product(*self._recent))
        slop_sec = 0.0 if self._config.exact_sync else self._config.sync_slop_sec
        what = "arrivals" if self._by_arrival else "stamps"
        return (
            f"never synchronised: {what} differ by {gap / 1e6:.3g} ms or more, "
            f"allowed are {slop_sec * 1e3:g} ms"
        )

    def _start(self) -> None:
        count = len(self._added)
        queue_size = UNLIMITED if self._queue_size is None else self._queue_size
        self._recent = [deque(maxlen=RECENT) for _ in range(count)]
        self._filters = [self._library.SimpleFilter() for _ in range(count)]
        if self._config.exact_sync or self._config.sync_slop_sec == 0:
            self._synchroniser = self._library.TimeSynchronizer(self._filters, queue_size)
        else:
            # message_filters wants a difference below the slop: a nanosecond makes it "at most".
            slop_sec = self._config.sync_slop_sec + 1 / NANOSECONDS
            self._synchroniser = self._library.ApproximateTimeSynchronizer(
                self._filters, queue_size, slop_sec
            )
        self._synchroniser.registerCallback(self._join)

    def _set_back(self, index: int) -> None:
        """Take note that the stamps of an input jump back."""
        if self._queue_size is not None:
            # The oldest stamps overflow a queue first: these would be the new ones.
            self._start()
        else:
            # The partners of what waits are still to come where the others are behind.
            self._recent[index].clear()
            if self.joined > self._joined_before_reset:
                self._unsettled, self._joined_before_reset = UNSETTLED, self.joined
        self._on_reset()

    def _let_go_of_passed(self, waiting: Sequence[Sequence[int]]) -> None:
        """Drop what came well before messages that have met, as each input comes in order.

        Args:
            waiting: For each input the stamps that waited before, in the order of arrival.
        """
        for queue, stamps, met in zip(self._synchroniser.queues, waiting, self._met, strict=False):
            earlier = stamps[: stamps.index(met)] if met in stamps else stamps
            for stamp in earlier:
                if abs(stamp - met) > self._slack:
                    queue.pop(stamp, None)

    def _let_go_of_orphans(self) -> None:
        """Drop what is too old to find a partner any more.

        Where every frame counts this takes the place of the queue's limit: inputs are read in turn,
        so that one of which messages were lost runs ahead of the others, by any number. Where some
        are before a jump of the stamps and some behind it, what is too old cannot be told.
        """
        self._unsettled = max(0, self._unsettled - 1)
        if self._unsettled or not all(self._recent):
            return
        horizon = min(max(recent) for recent in self._recent) - self._slack
        for queue in self._synchroniser.queues:
            for stamp in [stamp for stamp in queue if stamp < horizon]:
                del queue[stamp]

    @property
    def _slack(self) -> float:
        """Nanoseconds by which messages of one input may come out of order."""
        return (self._config.sync_slop_sec + RESET_SEC) * NANOSECONDS

    def _join(self, *messages: Any) -> None:
        # Both libraries take the messages out of the queues only after or before this call;
        # counted here, they are out of them whenever the counts are read.
        self.joined += 1
        self._met = [stamp_nanoseconds(message) for message in messages]
        self._on_joined(*(one.message for one in messages) if self._by_arrival else messages)


def without_meaning(faults: Counter[Drop]) -> str:
    """In words that stamps say nothing, by `StampCheck`'s faults and how many have them."""
    counts = ", ".join(f"of {number} the {fault}" for fault, number in faults.most_common())
    return f"stamps do not tell which messages belong together ({counts})"
