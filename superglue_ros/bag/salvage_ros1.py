"""Whatever can still be read of a damaged ROS 1 bag.

The records are those of https://wiki.ros.org/Bags/Format/2.0. A bag whose end is missing has lost
its index, so it is read from the front. Where a record makes no sense, reading goes on with the
next chunk.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rosbags.typesys.msg import normalize_msgtype

from superglue_ros.bag.raw import Buffer, RawMessage, mapped
from superglue_ros.synchroniser import NANOSECONDS

_MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 0x02, 0x05, 0x07
_KNOWN = range(0x02, 0x08)
_CHUNK_FIELD = b"\x04\x00\x00\x00op=\x05"
_HEADER_SPAN = 100  # bytes within which the header of a chunk ends


class _Record(NamedTuple):
    """A record: its header's fields, where its data begin and end, and whether they are whole."""

    fields: dict[bytes, bytes]
    begin: int
    end: int
    is_whole: bool


def salvage_ros1(path: Path, on_problem: Callable[[str], None]) -> Iterator[RawMessage]:
    """The readable messages of a ROS 1 bag in their order in the file.

    Args:
        path: The file.
        on_problem: Called with a line on each part that cannot be read.
    """
    with mapped(path) as file:
        if file[: len(_MAGIC)] != _MAGIC:
            on_problem("it does not begin as a ROS 1 bag")
            return
        reading = _Reading(on_problem)
        _read_index(file, reading)
        position = len(_MAGIC)
        while position < len(file):
            record = _record(file, position)
            if record is None:
                following = _next_chunk(file, position + 1)
                on_problem(f"bytes {position} to {following} make no sense")
                position = following
                continue
            if not record.is_whole:
                on_problem(f"the record at byte {position} is cut")
                record = record._replace(end=_next_chunk(file, record.begin))
            try:
                yield from reading.messages(record, file)
            except Exception as error:  # whatever decompressors and wrong bytes come to
                on_problem(f"the record at byte {position} is damaged: {error or type(error)}")
            position = record.end


class _Reading:
    """The records of one bag, read in their order."""

    def __init__(self, on_problem: Callable[[str], None]) -> None:
        self._on_problem = on_problem
        self._connections: dict[bytes, tuple[str, str]] = {}

    def messages(self, record: _Record, data: Buffer) -> Iterator[RawMessage]:
        """The messages that a record holds."""
        fields, operation = record.fields, record.fields[b"op"][0]
        if operation not in (_CHUNK, _CONNECTION, _MESSAGE):
            return
        body = data[record.begin : record.end]
        if operation == _CHUNK:
            yield from self._chunk(_decompressed(body, fields[b"compression"]))
        elif not record.is_whole:
            return
        elif operation == _CONNECTION:
            kind = normalize_msgtype(_fields(body)[b"type"].decode())
            self._connections[fields[b"conn"]] = (fields[b"topic"].decode(), kind)
        elif operation == _MESSAGE and fields[b"conn"] in self._connections:
            sec, nanosec = struct.unpack("<II", fields[b"time"])
            topic = self._connections[fields[b"conn"]]
            yield RawMessage(*topic, sec * NANOSECONDS + nanosec, body)

    def _chunk(self, records: bytes) -> Iterator[RawMessage]:
        position = 0
        while position < len(records):
            record = _record(records, position)
            if record is None:
                self._on_problem(f"a chunk is damaged {position} bytes after its beginning")
                return
            yield from self.messages(record, records)
            position = record.end


def _read_index(file: Buffer, reading: _Reading) -> None:
    """Take the connections from the end of the file, where that is there and sound.

    Else they come before their first message, in a chunk that may be the one that is damaged.
    """
    head = _record(file, len(_MAGIC))
    if head is None or b"index_pos" not in head.fields:
        return
    position = int.from_bytes(head.fields[b"index_pos"], "little")
    while (record := _record(file, position)) is not None and record.is_whole:
        if record.fields[b"op"][0] == _CONNECTION:
            with suppress(KeyError, ValueError, struct.error):
                list(reading.messages(record, file))
        position = record.end


def _record(data: Buffer, position: int) -> _Record | None:
    """The record at a position; None where there is none."""
    try:
        (header_size,) = struct.unpack_from("<I", data, position)
        header_end = position + 4 + header_size
        fields = _fields(data[position + 4 : header_end])
        (size,) = struct.unpack_from("<I", data, header_end)
    except (struct.error, ValueError):
        return None
    if len(fields.get(b"op", b"")) != 1 or fields[b"op"][0] not in _KNOWN:
        return None
    end = header_end + 4 + size
    return _Record(fields, header_end + 4, min(end, len(data)), is_whole=end <= len(data))


def _fields(header: bytes) -> dict[bytes, bytes]:
    """Names and values; raises ValueError or struct.error where they do not fill the header."""
    fields = {}
    position = 0
    while position < len(header):
        (size,) = struct.unpack_from("<I", header, position)
        position += 4 + size
        name, separator, value = header[position - size : position].partition(b"=")
        if not separator or position > len(header):
            raise ValueError("no field")
        fields[name] = value
    return fields


def _next_chunk(file: Buffer, position: int) -> int:
    """Where the next chunk begins, or the end of the file."""
    while (found := file.find(_CHUNK_FIELD, position)) >= 0:
        for begin in range(max(position, found - _HEADER_SPAN), found):
            record = _record(file, begin)
            if record is not None and begin < found < record.begin:
                return begin
        position = found + 1
    return len(file)


def _decompressed(data: bytes, compression: bytes) -> bytes:
    """The records of a chunk, of one that is cut those before the cut."""
    if compression == b"none":
        return data
    if compression == b"bz2":
        return bz2.BZ2Decompressor().decompress(data)
    if compression == b"lz4":
        from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]

        return bytes(LZ4FrameDecompressor().decompress(data))
    raise ValueError(f"compression {compression!r} is not known")
