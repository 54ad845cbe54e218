"""What became of the messages that a node received."""

from __future__ import annotations

from collections import Counter
from threading import Lock

from superglue_ros.drops import Drop


class Tally:
    """Counts messages; several threads may count at once."""

    def __init__(self) -> None:
        """Start at zero."""
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def count(self, what: str, number: int = 1) -> None:
        """Add messages of which something is known: that they were received or processed."""
        with self._lock:
            self._counts[what] += number

    def drop(self, reason: Drop, number: int = 1) -> None:
        """Add messages that were dropped."""
        self.count(reason.count_name, number)

    def so_far(self) -> Counter[str]:
        """A copy of the counts that are not zero."""
        with self._lock:
            return +self._counts
