"""Bags that are cut or have wrong bytes, wherever that is."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from bag_helpers import camera, frame, read, read_or_refused, write_bag, write_ros1_bag
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionMode, StoragePlugin

COUNT = 6
PAGE = 4096  # of sqlite3
MCAP_MAGIC, ROS1_MAGIC = 8, 13  # bytes


def mcap_bag(path: Path, count: int = COUNT, **how: CompressionMode) -> Path:
    return next(write_bag(path, camera(count), **how).glob("*.mcap"))


def mcap_boundaries(data: bytes, begin: int = MCAP_MAGIC, end: int = 0) -> Iterator[int]:
    """Where records begin, in uncompressed chunks too."""
    position = begin
    while position + 9 <= (end or len(data)):
        yield position
        kind, size = struct.unpack_from("<BQ", data, position)
        if kind == 6 and struct.unpack_from("<I", data, position + 9 + 28) == (0,):
            yield from mcap_boundaries(data, position + 9 + 40, position + 9 + size)
        position += 9 + size


def ros1_boundaries(data: bytes, begin: int = ROS1_MAGIC, end: int = 0) -> Iterator[int]:
    position = begin
    while position + 8 <= (end or len(data)):
        yield position
        (header,) = struct.unpack_from("<I", data, position)
        (size,) = struct.unpack_from("<I", data, position + 4 + header)
        data_begin = position + 8 + header
        if b"compression=none" in data[position:data_begin]:
            yield from ros1_boundaries(data, data_begin, data_begin + size)
        position = data_begin + size


def ends_of_frames(data: bytes, count: int = COUNT) -> list[int]:
    """Where the pixels of each frame end, which is where its message does."""
    return [data.index(frame(n).tobytes()) + frame(n).size for n in range(count)]


def frames_before(data: bytes, cut: int) -> list[int]:
    return [n for n, end in enumerate(ends_of_frames(data)) if end <= cut]


@pytest.mark.parametrize("by", [-1, 0, 1, 12])
def test_an_mcap_gives_all_frames_before_a_cut_at_any_boundary(by: int, tmp_path: Path) -> None:
    file = mcap_bag(tmp_path / "bag")
    data = file.read_bytes()
    for boundary in mcap_boundaries(data):
        cut = boundary + by
        file.write_bytes(data[:cut])
        numbers, problems = read_or_refused(file)
        assert numbers == frames_before(data, cut), cut
        assert problems, cut


@pytest.mark.parametrize("by", [-1, 0, 1, 12])
def test_a_ros_1_bag_gives_all_frames_before_a_cut_at_any_boundary(by: int, tmp_path: Path) -> None:
    file = write_ros1_bag(tmp_path / "bag.bag", COUNT, chunk_bytes=40_000)
    data = file.read_bytes()
    for boundary in ros1_boundaries(data):
        cut = boundary + by
        file.write_bytes(data[:cut])
        numbers, problems = read_or_refused(file)
        assert numbers == frames_before(data, cut), cut
        assert problems, cut


def write_compressed(kind: str, path: Path) -> Path:
    if kind == "zstd":
        return mcap_bag(path, compression=CompressionMode.STORAGE)
    compression = Ros1Writer.CompressionFormat[kind.upper()]
    return write_ros1_bag(path.with_suffix(".bag"), COUNT, compression=compression)


@pytest.mark.parametrize("kind", ["zstd", "bz2", "lz4"])
def test_a_cut_chunk_gives_the_frames_that_can_be_decompressed(kind: str, tmp_path: Path) -> None:
    file = write_compressed(kind, tmp_path / "bag")
    data = file.read_bytes()
    found = []
    for share in (0.001, 0.2, 0.5, 0.8, 0.98):
        file.write_bytes(data[: int(share * len(data))])
        numbers, problems = read_or_refused(file)
        assert numbers == list(range(len(numbers)))
        assert problems
        found.append(len(numbers))
    assert found == sorted(found)
    # Nothing is known of a block that is cut: of zstd and bz2 that is as long as this bag
    assert found[-1] >= (COUNT // 2 if kind == "lz4" else 0)


@pytest.mark.parametrize("wrong", [b"\x00" * 9, b"\xff" * 9])
def test_wrong_bytes_at_any_boundary_of_an_mcap_cost_no_more_than_a_chunk(
    wrong: bytes, tmp_path: Path
) -> None:
    count = 110
    file = mcap_bag(tmp_path / "bag", count)
    data = file.read_bytes()
    ends = ends_of_frames(data, count)
    boundaries = list(mcap_boundaries(data))
    chunks = [p for p in boundaries if data[p] == 6]
    assert len(chunks) >= 2
    # All that are not within a chunk, and of those within some
    for boundary in sorted({*boundaries[:4], *boundaries[::23], *boundaries[-14:], *chunks}):
        file.write_bytes(data[:boundary] + wrong + data[boundary + len(wrong) :])
        numbers, problems = read_or_refused(file)
        assert numbers == sorted(set(numbers))
        lost = set(range(count)) - set(numbers)
        hit = max((chunk for chunk in chunks if chunk <= boundary), default=chunks[0])
        following = min((chunk for chunk in chunks if chunk > hit), default=len(data))
        assert lost <= {n for n, end in enumerate(ends) if hit <= end < following}, boundary
        assert problems or not lost, boundary


@pytest.mark.parametrize("wrong", [b"\x00" * 9, b"\xff" * 9])
def test_wrong_bytes_at_any_boundary_of_a_ros_1_bag_cost_no_more_than_a_chunk(
    wrong: bytes, tmp_path: Path
) -> None:
    file = write_ros1_bag(tmp_path / "bag.bag", COUNT, chunk_bytes=40_000)
    data = file.read_bytes()
    ends = ends_of_frames(data)
    chunks = [p for p in ros1_boundaries(data) if b"compression=none" in data[p : p + 60]]
    assert len(chunks) >= 2
    for boundary in ros1_boundaries(data):
        file.write_bytes(data[:boundary] + wrong + data[boundary + len(wrong) :])
        numbers, problems = read_or_refused(file)
        assert numbers == sorted(set(numbers))
        lost = set(range(COUNT)) - set(numbers)
        hit = max((chunk for chunk in chunks if chunk <= boundary), default=chunks[0])
        following = min((chunk for chunk in chunks if chunk > hit), default=len(data))
        assert lost <= {n for n, end in enumerate(ends) if hit <= end < following}, boundary
        assert problems or not lost, boundary


@pytest.mark.parametrize("storage", StoragePlugin)
def test_a_cut_compressed_file_gives_what_can_be_decompressed(
    storage: StoragePlugin, tmp_path: Path
) -> None:
    bag = write_bag(
        tmp_path / "bag", camera(COUNT), storage=storage, compression=CompressionMode.FILE
    )
    file = next(bag.glob("*.zstd"))
    data = file.read_bytes()
    file.write_bytes(data[:-3])
    numbers, problems = read_or_refused(bag)
    assert numbers == list(range(len(numbers)))
    assert any(file.name in problem for problem in problems)
    file.write_bytes(b"")
    assert read_or_refused(bag)[0] == []


def test_compressed_messages_are_read_from_a_cut_file(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(COUNT), compression=CompressionMode.MESSAGE)
    file = next(bag.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:-10])
    numbers, problems = read(bag)
    assert numbers == list(range(COUNT))
    assert problems


def sqlite3_bag(path: Path) -> Path:
    bag = write_bag(path, camera(COUNT), storage=StoragePlugin.SQLITE3)
    return next(bag.glob("*.db3"))


def test_a_cut_sqlite3_file_gives_the_frames_before_the_cut(tmp_path: Path) -> None:
    file = sqlite3_bag(tmp_path / "bag")
    data = file.read_bytes()
    found = []
    for cut in range(0, len(data), PAGE):
        file.write_bytes(data[:cut])
        numbers, problems = read_or_refused(file)
        assert numbers == sorted(set(numbers))
        assert problems
        found.append(len(numbers))
    assert found == sorted(found)
    assert found[-1] >= COUNT - 2


def test_the_newest_messages_are_read_from_the_log_of_a_killed_recorder(tmp_path: Path) -> None:
    """With journal_mode WAL they are in NAME.db3-wal alone; the bag stays as it is."""
    database = next(sqlite3_bag(tmp_path / "bag").parent.glob("*.db3"))
    for file in database.parent.glob("metadata.yaml"):
        file.unlink()
    with closing(sqlite3.connect(database)) as recorder:
        newest = recorder.execute("SELECT * FROM messages ORDER BY rowid DESC").fetchone()
        recorder.execute("DELETE FROM messages WHERE rowid = ?", newest[:1])
        recorder.commit()
        recorder.execute("PRAGMA journal_mode = WAL")
        recorder.execute("PRAGMA wal_autocheckpoint = 0")
        recorder.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", newest)
        recorder.commit()
        copy = tmp_path / "copy"
        shutil.copytree(database.parent, copy)
    before = {file.name: file.read_bytes() for file in copy.iterdir()}
    found, problems = read(copy)
    assert found == list(range(COUNT))
    assert not problems
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == before


def test_a_wrong_page_of_an_sqlite3_file_costs_its_own_frames(tmp_path: Path) -> None:
    file = sqlite3_bag(tmp_path / "bag")
    data = file.read_bytes()
    lost = []
    for page in range(1, len(data) // PAGE):
        wrong = b"\xff" * PAGE
        file.write_bytes(data[: page * PAGE] + wrong + data[(page + 1) * PAGE :])
        try:
            numbers, problems = read_or_refused(file)
        except AssertionError:  # pixels of such a page are white, which nothing can tell
            continue
        assert numbers == sorted(set(numbers))
        assert problems or len(numbers) == COUNT
        lost.append(COUNT - len(numbers))
    assert sum(lost) / len(lost) < COUNT / 2


def test_a_whole_bag_has_no_problems(tmp_path: Path) -> None:
    for file in (mcap_bag(tmp_path / "bag"), sqlite3_bag(tmp_path / "other")):
        assert read(file) == (list(range(COUNT)), [])
