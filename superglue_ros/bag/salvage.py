"""Whatever can still be read of a damaged storage file: truncated, or with bytes that are wrong.

The mcap records are those of https://mcap.dev/spec. A file whose end is missing has lost its index,
so it is read from the front; a chunk that does not decompress, or whose checksum is wrong, is left
out whole.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


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


def salvage_mcap(path: Path, on_problem: Callable[[str], None]) -> Iterator[RawMessage]:
    """The readable messages of an mcap file in their order in the file.

    Args:
        path: The file.
        on_problem: Called with a line on each part that cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            on_problem("it does not begin as an mcap file")
            return
        records = _McapRecords()
        while head := file.read(9):
            offset = file.tell()
            kind, size = struct.unpack("<BQ", head) if len(head) == 9 else (0, 0)
            if kind == _DATA_END:
                return
            # Never asks for more than there is: a wrong size must not exhaust the memory
            body = file.read(min(size, path.stat().st_size - offset))
            if len(head) < 9 or (len(body) < size and kind != _CHUNK):
                on_problem(f"it ends within a record at byte {offset}")
                return
            if len(body) < size:
                on_problem(f"it ends within a chunk at byte {offset}")
            try:
                yield from records.messages(kind, body)
            except Exception as error:  # whatever decompressors and wrong bytes come to
                on_problem(f"the record at byte {offset} is damaged: {error or type(error)}")


def salvage_sqlite3(path: Path, on_problem: Callable[[str], None]) -> Iterator[RawMessage]:
    """The readable messages of an sqlite3 file in the order in which they were written.

    Args:
        path: The file.
        on_problem: Called with a line on each part that cannot be read.
    """
    uri = f"{path.absolute().as_uri()}?immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as database:
            topics = {
                number: (str(name), str(kind))
                for number, name, kind in database.execute("SELECT id, name, type FROM topics")
            }
            # By the table itself: its index on time may be what is damaged
            rows = database.execute(
                "SELECT topic_id, timestamp, data FROM messages NOT INDEXED ORDER BY rowid"
            )
            for number, time_ns, data in rows:
                if number in topics:
                    yield RawMessage(*topics[number], time_ns, data)
    except sqlite3.Error as error:
        on_problem(str(error))


class _McapRecords:
    """The records of one mcap file, read in their order."""

    def __init__(self) -> None:
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}

    def messages(self, kind: int, body: bytes) -> Iterator[RawMessage]:
        """The messages that a record holds."""
        if kind == _SCHEMA:
            number = struct.unpack_from("<H", body)[0]
            self._schemas[number] = _string(body, 2)
        elif kind == _CHANNEL:
            number, schema = struct.unpack_from("<HH", body)
            self._channels[number] = (_string(body, 4), self._schemas.get(schema, ""))
        elif kind == _MESSAGE:
            number, _, time_ns = struct.unpack_from("<HIQ", body)
            if number in self._channels:
                yield RawMessage(*self._channels[number], time_ns, body[22:])
        elif kind == _CHUNK:
            yield from self._chunk(body)

    def _chunk(self, body: bytes) -> Iterator[RawMessage]:
        uncompressed_size, checksum = struct.unpack_from("<QI", body, 16)
        compression = _string(body, 28)
        begin = 28 + 4 + len(compression)
        (stored_size,) = struct.unpack_from("<Q", body, begin)
        stored = body[begin + 8 : begin + 8 + stored_size]
        whole = len(stored) == stored_size
        records = _decompressed(stored, compression) if whole or compression else stored
        if whole and len(records) != uncompressed_size:
            raise ValueError(f"{len(records)} bytes where {uncompressed_size} are announced")
        if whole and checksum and zlib.crc32(records) != checksum:
            raise ValueError("wrong checksum")
        position = 0
        while position + 9 <= len(records):
            kind, size = struct.unpack_from("<BQ", records, position)
            position += 9 + size
            if position > len(records):
                return
            yield from self.messages(kind, records[position - size : position])


def _string(body: bytes, offset: int) -> str:
    (size,) = struct.unpack_from("<I", body, offset)
    return body[offset + 4 : offset + 4 + size].decode()


def _decompressed(data: bytes, compression: str) -> bytes:
    if compression == "":
        return data
    if compression == "lz4":
        from lz4.frame import decompress  # type: ignore[import-untyped]

        return bytes(decompress(data))
    if compression == "zstd":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        return bytes(zstd.decompress(data))
    raise ValueError(f"compression {compression!r} is not known")
