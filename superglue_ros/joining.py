"""The joining of several inputs to frames, by their stamps; from topics and from bags alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from superglue_ros.config import SyncConfig
from superglue_ros.partners import RESET_SEC
from superglue_ros.synchroniser import NANOSECONDS, Synchronisers, stamp_nanoseconds

RECENT = 5
UNLIMITED = 10**6
UNSETTLED = 1000
"""Messages after stamps jumped back during which some inputs may not have come to the jump yet."""


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
    ) -> None:
        """Start with nothing waiting."""
        self._library = library
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

    def add(self, index: int, message: Any) -> None:
        """Take a message of one input."""
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

    def waiting(self, index: int) -> int:
        """Messages of one input that wait for their partners."""
        return len(self._synchroniser.queues[index])

    def problem(self) -> str:
        """Why nothing is joined; empty while an input is silent."""
        if not all(self._recent):
            return ""
        gap = min(max(stamps) - min(stamps) for stamps in product(*self._recent))
        slop_sec = 0.0 if self._config.exact_sync else self._config.sync_slop_sec
        return (
            f"never synchronised: stamps differ by {gap / 1e6:.3g} ms or more, "
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
        self._on_joined(*messages)
