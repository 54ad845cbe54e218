"""Messages as they lie in a file."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

Buffer = bytes | mmap.mmap


class RawMessage(NamedTuple):
    """A message as it was recorded.

    Attributes:
        topic: Name of its topic.
        message_type: As in sensor_msgs/msg/Image.
        time_ns: When it was recorded, in nanoseconds since the epoch.
        data: The serialized message.
    """

    topic: str
    message_type: str
    time_ns: int
    data: bytes


@contextmanager
def mapped(path: Path) -> Iterator[Buffer]:
    """The content of a file, read as far as it is looked at."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:  # which cannot be mapped
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
