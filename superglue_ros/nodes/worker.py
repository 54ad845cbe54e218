"""A thread that works on frames, so that callbacks only hand over."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from superglue_ros.drops import Drop

Item = TypeVar("Item")
Job = Callable[[], None]


class Worker(Generic[Item]):
    """Processes items one after the other in a thread of its own.

    Live, it keeps the newest item only: one that arrives while another waits takes its place.
    Where every item counts, `put` waits for room instead, and so makes the sender wait.

    Args:
        process: Called with each item; it must not raise.
        keep_every_item: Whether to wait rather than to replace.
        on_dropped: Called with each item that is not going to be processed, and the reason.
    """

    def __init__(
        self,
        process: Callable[[Item], None],
        *,
        keep_every_item: bool,
        on_dropped: Callable[[Item, Drop], None],
    ) -> None:
        """Start the thread."""
        self._process = process
        self._keep_every_item = keep_every_item
        self._on_dropped = on_dropped
        self._waiting: deque[Item] = deque()
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._busy = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing in work and nothing waiting."""
        with self._changed:
            return not (self._busy or self._waiting or self._jobs)

    def put(self, item: Item, timeout_sec: float | None = None) -> bool:
        """Hand over an item.

        Returns:
            Whether it was taken; False where every item counts and there was no room in time.
        """
        dropped = []
        with self._changed:
            if self._keep_every_item:
                has_room = self._changed.wait_for(
                    lambda: self._stopping or not self._waiting, timeout_sec
                )
                if not has_room:
                    return False
            elif self._waiting:
                dropped.append((self._waiting.popleft(), Drop.NEWER_FRAME))
            if self._stopping:
                dropped.append((item, Drop.DEACTIVATED))
            else:
                self._waiting.append(item)
                self._changed.notify_all()
        for one, reason in dropped:
            self._on_dropped(one, reason)
        return True

    def run(self, job: Job) -> None:
        """Run a job, which must not raise, in the thread before the next item."""
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()

    def stop(self, timeout_sec: float) -> bool:
        """Let the item in work end and drop what waits.

        Returns:
            Whether the thread has ended within the time.
        """
        with self._changed:
            self._stopping = True
            dropped = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for item in dropped:
            self._on_dropped(item, Drop.DEACTIVATED)
        self._thread.join(timeout_sec)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.wait_for(lambda: self._stopping or self._waiting or self._jobs)
                if self._stopping and not self._jobs:  # somebody awaits the answer to each job
                    return
                self._busy = True
                job = self._jobs.popleft() if self._jobs else None
                item = self._waiting.popleft() if job is None else None
                self._changed.notify_all()
            if job is not None:
                job()
            elif item is not None:
                self._process(item)
