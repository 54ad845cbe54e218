"""Matches and tracks as tables, and matches as NumPy files."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from superglue_ros.bag.outputs import Summary, WriteResult
from superglue_ros.bag.results import FrameResult, ImageOrigin, MatchedPair
from superglue_ros.npz import write_npz

Row = tuple[str | int, ...]

_NPZ_FOLDER = "pairs"


class Table:
    """A CSV file with some lines for each pair.

    Args:
        name: Name of the file.
        columns: Its first line.
        rows: The lines of a pair.
    """

    def __init__(
        self, name: str, columns: Sequence[str], rows: Callable[[MatchedPair], Iterable[Row]]
    ) -> None:
        """Take what makes the lines."""
        self._name = name
        self._columns = columns
        self._rows = rows

    @contextmanager
    def part(self, folder: Path) -> Iterator[WriteResult]:
        """See `Output`."""
        with (folder / self._name).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")

            def write(result: FrameResult) -> None:
                for pair in result.pairs:
                    writer.writerows(self._rows(pair))

            yield write

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """See `Output`."""
        with (folder / self._name).open("wb") as file:
            file.write(",".join(self._columns).encode() + b"\n")
            for part in parts:
                with (part / self._name).open("rb") as lines:
                    shutil.copyfileobj(lines, file)


class NpzFiles:
    """pairs/000000.npz and so on."""

    @contextmanager
    def part(self, folder: Path) -> Iterator[WriteResult]:
        """See `Output`."""
        yield lambda result: _write_npz_files(folder / _NPZ_FOLDER, result)

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """See `Output`."""
        (folder / _NPZ_FOLDER).mkdir()
        for part in parts:
            for path in (part / _NPZ_FOLDER).glob("*.npz"):
                shutil.copyfile(path, folder / _NPZ_FOLDER / path.name)


def matches_table() -> Table:
    """A line for each match."""
    columns = ("pair", "stamp0", "stamp1", "x0", "y0", "x1", "y1", "confidence")
    return Table("matches.csv", columns, _match_rows)


def tracks_table() -> Table:
    """A line for each track in each frame."""
    return Table("tracks.csv", ("stamp", "id", "x", "y", "length"), _track_rows)


def _match_rows(pair: MatchedPair) -> Iterable[Row]:
    stamps = (_stamp(pair.view0.origin), _stamp(pair.view1.origin))
    values = np.column_stack(
        [
            *pair.matches.points(pair.view0.features, pair.view1.features),
            pair.matches.confidences,
        ]
    )
    return [(pair.number, *stamps, *(_number(value) for value in row)) for row in values]


def _track_rows(pair: MatchedPair) -> Iterable[Row]:
    tracks = pair.tracks
    if tracks is None:
        return []
    stamp = _stamp(pair.view1.origin)
    return [
        (stamp, int(track), _number(x), _number(y), int(length))
        for track, (x, y), length in zip(tracks.ids, tracks.points, tracks.lengths, strict=True)
    ]


def _write_npz_files(folder: Path, result: FrameResult) -> None:
    for pair in result.pairs:
        path = folder / f"{pair.number:06}.npz"
        write_npz(path, pair.view0.features, pair.view1.features, pair.matches)


def _stamp(origin: ImageOrigin) -> str:
    return f"{origin.sec}.{origin.nanosec:09}"


def _number(value: float) -> str:
    return f"{value:.9g}"
