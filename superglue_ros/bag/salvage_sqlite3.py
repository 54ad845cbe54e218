"""Whatever can still be read of an sqlite3 file that is damaged, or whose recorder was killed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from superglue_ros.bag.raw import RawMessage

_MISSES = 10_000
"""Row numbers in a row that cannot be read, after which no more are tried."""

# By the table itself: its index on time may be what is damaged
_ROWS = "SELECT rowid, topic_id, timestamp, data FROM messages NOT INDEXED WHERE rowid"

Row = tuple[int, int, int, bytes]


def salvage_sqlite3(path: Path, on_problem: Callable[[str], None]) -> Iterator[RawMessage]:
    """The readable messages of an sqlite3 file in the order in which they were written.

    Args:
        path: The file.
        on_problem: Called with a line on each part that cannot be read.
    """
    try:
        with _opened(path) as database:
            # Without this, nothing is read of a file that is shorter than it says
            database.execute("PRAGMA writable_schema = ON")
            topics = {
                number: (str(name), str(kind))
                for number, name, kind in database.execute("SELECT id, name, type FROM topics")
            }
            for _, number, time_ns, data in _rows(database, on_problem):
                if number in topics:
                    yield RawMessage(*topics[number], time_ns, data)
    except sqlite3.Error as error:
        on_problem(str(error))


def write_ahead_log(path: Path) -> Path | None:
    """The file with the newest messages, which a killed recorder left beside it; None for none."""
    log = path.with_name(f"{path.name}-wal")
    return log if log.is_file() and log.stat().st_size else None


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, as a copy where it has a log, since opening it would write to it."""
    log = write_ahead_log(path)
    if log is None:
        uri = f"{path.absolute().as_uri()}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            yield database
        return
    with TemporaryDirectory(prefix="superglue_ros-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as database:
            yield database


def _rows(database: sqlite3.Connection, on_problem: Callable[[str], None]) -> Iterator[Row]:
    """All rows as long as they can be read one after the other, then each by its number."""
    last = 0
    try:
        for row in database.execute(f"{_ROWS} > 0 ORDER BY rowid"):
            last = row[0]
            yield row
        return
    except sqlite3.Error as error:
        on_problem(f"{error}, after message {last}")
    first_lost = number = last + 1
    while number - last <= _MISSES:
        try:
            row = database.execute(f"{_ROWS} = ?", (number,)).fetchone()
        except sqlite3.Error:
            row = None
        if row is not None:
            if number > first_lost:
                on_problem(f"messages {first_lost} to {number - 1} cannot be read")
            last, first_lost = number, number + 1
            yield row
        number += 1
