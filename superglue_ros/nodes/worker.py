"""A thread that works on frames, so that callbacks only hand over."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Processes items one after the other in a thread of its own.

    Live, it keeps the newest item only: one that arrives while another waits takes its place.
    Where every item counts, `put` waits for room instead, and so makes the sender wait.

    Args:
        process: Called with each item; it must not raise.
        keep_every_item: Whether to wait rather than to replace.
        on_replaced: Called with each item that was replaced unprocessed.
    """

    def __init__(
        self,
        process: Callable[[Item], None],
        *,
        keep_every_item: bool,
        on_replaced: Callable[[Item], None],
    ) -> None:
        """Start the thread."""
        self._process = process
        self._keep_every_item = keep_every_item
        self._on_replaced = on_replaced
        self._waiting: deque[Item] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over an item; after `stop` it is let go."""
        replaced = None
        with self._changed:
            if self._keep_every_item:
                self._changed.wait_for(lambda: self._stopping or not self._waiting)
            elif self._waiting:
                replaced = self._waiting.popleft()
            if not self._stopping:
                self._waiting.append(item)
                self._changed.notify_all()
        if replaced is not None:
            self._on_replaced(replaced)

    def stop(self, timeout_sec: float) -> bool:
        """Let the item in work end and drop the others.

        Returns:
            Whether the thread has ended within the time.
        """
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout_sec)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or bool(self._waiting))
                if self._stopping:
                    return
                item = self._waiting.popleft()
                self._changed.notify_all()
            self._process(item)
