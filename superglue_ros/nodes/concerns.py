"""What is wrong with the input though it comes: counted, logged once, shown in the diagnostics."""

from __future__ import annotations

import time
from threading import Lock

from superglue_ros.nodes.tally import Tally

HOLD_SEC = 5.0
"""How long a concern is shown after it was last noted."""


class Concerns:
    """Keeps what was noticed of late; several threads may note at once.

    Args:
        tally: Where each note is counted.
    """

    def __init__(self, tally: Tally) -> None:
        """Start with none."""
        self._tally = tally
        self._lock = Lock()
        self._texts: dict[str, tuple[str, float]] = {}
        self._told: set[str] = set()

    def note(self, kind: str, text: str, number: int = 1) -> None:
        """Take note of something.

        Args:
            kind: A few words under which it is counted.
            text: What it is and what to do, in one line.
            number: Messages of which it is true; 0 for what is no matter of single ones.
        """
        if number:
            self._tally.count(f"noticed: {kind}", number)
        with self._lock:
            self._texts[kind] = (text, time.monotonic())

    def current(self) -> list[str]:
        """The text of each kind that was noted of late."""
        self._forget_old()
        return [text for text, _ in self._texts.values()]

    def new(self) -> list[str]:
        """Of these, those of a kind that was not there when this was asked before."""
        self._forget_old()
        texts = [text for kind, (text, _) in self._texts.items() if kind not in self._told]
        self._told = set(self._texts)
        return texts

    def _forget_old(self) -> None:
        since = time.monotonic() - HOLD_SEC
        with self._lock:
            self._texts = {kind: one for kind, one in self._texts.items() if one[1] >= since}
