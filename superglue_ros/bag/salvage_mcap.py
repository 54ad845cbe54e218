"""Whatever can still be read of a damaged mcap file: truncated, or with bytes that are wrong.

The records are those of https://mcap.dev/spec. A file whose end is missing has lost its index, so
it is read from the front. A chunk that does not decompress, or whose checksum is wrong, is left out
whole; where a record makes no sense, reading goes on with the next one that does.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from superglue_ros.bag.raw import Buffer, RawMessage, mapped
from superglue_ros.bag.salvage_zstd import decompressed_part

MAGIC = b"\x89MCAP0\r\n"

_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
_FOOTER, _FOOTER_SIZE = 0x02, 9 + 20 + len(MAGIC)
_HEAD = 9  # bytes: kind and size
_CANDIDATE = re.compile(rb"[\x01-\x0f].{4}\x00{4}", re.DOTALL)
_CHAIN = 3  # records in a row that are taken for no coincidence


class _Record(NamedTuple):
    """A record: where its data begin and end, and whether they are whole."""

    kind: int
    begin: int
    end: int
    is_whole: bool


def salvage_mcap(path: Path, on_problem: Callable[[str], None]) -> Iterator[RawMessage]:
    """The readable messages of an mcap file in their order in the file.

    Args:
        path: The file.
        on_problem: Called with a line on each part that cannot be read.
    """
    with mapped(path) as file:
        if file[: len(MAGIC)] != MAGIC:
            on_problem("it does not begin as an mcap file")
            return
        records = _McapRecords(on_problem)
        _read_summary(file, records)
        position = len(MAGIC)
        while position < len(file):
            record = _record(file, position)
            if record is not None and record.kind == _DATA_END:
                return
            if record is None:
                following = _next_record(file, position + 1)
                on_problem(f"bytes {position} to {following} make no sense")
            elif not record.is_whole:
                following = _next_record(file, record.begin)
                on_problem(f"the record at byte {position} is cut")
                record = record._replace(end=following)
            else:
                following = record.end
            if record is not None:
                try:
                    yield from records.messages(record, file)
                except Exception as error:  # whatever decompressors and wrong bytes come to
                    on_problem(f"the record at byte {position} is damaged: {error or type(error)}")
            position = following
        on_problem("its end is missing")


class _McapRecords:
    """The records of one mcap file, read in their order."""

    def __init__(self, on_problem: Callable[[str], None]) -> None:
        self._on_problem = on_problem
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str]] = {}

    def messages(self, record: _Record, data: Buffer) -> Iterator[RawMessage]:
        """The messages that a record holds."""
        if record.kind not in (_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK):
            return
        body = data[record.begin : record.end]
        if record.kind == _CHUNK:
            yield from self._chunk(body, is_whole=record.is_whole)
        elif not record.is_whole:
            return
        elif record.kind == _SCHEMA:
            number = struct.unpack_from("<H", body)[0]
            self._schemas[number] = _string(body, 2)
        elif record.kind == _CHANNEL:
            number, schema = struct.unpack_from("<HH", body)
            self._channels[number] = (_string(body, 4), self._schemas.get(schema, ""))
        else:
            number, _, time_ns = struct.unpack_from("<HIQ", body)
            if number in self._channels:
                yield RawMessage(*self._channels[number], time_ns, body[22:])

    def _chunk(self, body: bytes, *, is_whole: bool) -> Iterator[RawMessage]:
        uncompressed_size, checksum = struct.unpack_from("<QI", body, 16)
        compression = _string(body, 28)
        begin = 28 + 4 + len(compression)
        (stored_size,) = struct.unpack_from("<Q", body, begin)
        stored = body[begin + 8 : begin + 8 + stored_size]
        records = _decompressed(stored, compression)
        if is_whole and len(records) != uncompressed_size:
            raise ValueError(f"{len(records)} bytes where {uncompressed_size} are announced")
        if is_whole and checksum and zlib.crc32(records) != checksum:
            raise ValueError("wrong checksum")
        position = 0
        while position < len(records):
            record = _record(records, position)
            if record is None or not record.is_whole:
                if is_whole:
                    self._on_problem(f"a chunk is damaged {position} bytes after its beginning")
                position = _next_record(records, position + 1)
            else:
                yield from self.messages(record, records)
                position = record.end


def _read_summary(file: Buffer, records: _McapRecords) -> None:
    """Take schemas and channels from the end of the file, where that is there and sound.

    Else they come before their first message, in a chunk that may be the one that is damaged.
    """
    footer = _record(file, len(file) - _FOOTER_SIZE)
    if footer is None or footer.kind != _FOOTER or file[-len(MAGIC) :] != MAGIC:
        return
    (position,) = struct.unpack_from("<Q", file, footer.begin)
    while position > 0 and (record := _record(file, position)) is not None and record.is_whole:
        if record.kind in (_SCHEMA, _CHANNEL):
            with suppress(struct.error, UnicodeDecodeError):
                list(records.messages(record, file))
        position = record.end


def _record(data: Buffer, position: int) -> _Record | None:
    """The record at a position; None where there is none."""
    if not 0 <= position <= len(data) - _HEAD:
        return None
    kind, size = struct.unpack_from("<BQ", data, position)
    if kind == 0 or _DATA_END < kind < 0x80:  # those from there on are private to whoever wrote
        return None
    begin = position + _HEAD
    return _Record(kind, begin, min(begin + size, len(data)), is_whole=begin + size <= len(data))


def _next_record(file: Buffer, position: int) -> int:
    """Where the next records begin, or the end of the file."""
    for found in _CANDIDATE.finditer(file, position):
        end = found.start()
        for _ in range(_CHAIN):
            record = _record(file, end)
            if record is None or not record.is_whole:
                break
            end = record.end
        else:
            return found.start()
        if end == len(file):
            return found.start()
    return len(file)


def _string(body: bytes, offset: int) -> str:
    (size,) = struct.unpack_from("<I", body, offset)
    return body[offset + 4 : offset + 4 + size].decode()


def _decompressed(data: bytes, compression: str) -> bytes:
    """The records of a chunk, of one that is cut those before the cut."""
    if compression == "":
        return data
    if compression == "lz4":
        from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]

        return bytes(LZ4FrameDecompressor().decompress(data))
    if compression == "zstd":
        return decompressed_part(data)
    raise ValueError(f"compression {compression!r} is not known")
