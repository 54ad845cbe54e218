"""Why messages are dropped: the reasons by which they are counted, in nodes and bags alike."""

from __future__ import annotations

from enum import Enum


class Drop(str, Enum):
    """A reason for which a message makes no result."""

    BAD_INPUT = "bad input"
    DEACTIVATED = "the node was deactivated"
    DEVICE_ERROR = "device error"
    DISABLED = "the node is disabled"
    DUPLICATE = "came twice"
    IMPOSSIBLE_STAMP = "impossible stamp"
    INTERNAL_ERROR = "internal error"
    NEWER_FRAME = "a newer frame came first"
    NO_PARTNER = "no partner"
    REPEATED_STAMP = "stamp is that of another message"
    ZERO_STAMP = "stamp is 0"

    def __str__(self) -> str:
        """The reason in words."""
        return self.value

    @property
    def count_name(self) -> str:
        """The name of its count."""
        return f"dropped: {self.value}"
