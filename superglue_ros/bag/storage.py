"""The storage files of a bag, each read as well as it can be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rosbags import rosbag1, rosbag2
from rosbags.interfaces import Connection

from superglue_ros.bag.raw import RawMessage
from superglue_ros.bag.salvage_mcap import salvage_mcap
from superglue_ros.bag.salvage_ros1 import salvage_ros1
from superglue_ros.bag.salvage_sqlite3 import salvage_sqlite3, write_ahead_log
from superglue_ros.bag.salvage_zstd import SUFFIX as COMPRESSED
from superglue_ros.bag.salvage_zstd import decompressed, decompressed_message
from superglue_ros.errors import InputError

Salvage = Callable[[Path, Callable[[str], None]], Iterator[RawMessage]]
Library = rosbag1.Reader | rosbag2.Reader

_SALVAGES: dict[str, Salvage] = {
    ".mcap": salvage_mcap,
    ".db3": salvage_sqlite3,
    ".bag": salvage_ros1,
}
SUFFIXES = tuple(_SALVAGES)


@dataclass(frozen=True)
class TopicContent:
    """What a file holds of one topic."""

    message_type: str
    count: int


class Storage:
    """One file of a bag, or a whole one that is compressed.

    Args:
        path: The file or folder.
        on_problem: Called with a line on each part that cannot be read.

    Attributes:
        topics: What it holds, by the name of the topic.
        start_ns: When its first message was recorded; 0 where it has none.
        end_ns: When its last message was recorded.
    """

    def __init__(self, path: Path, on_problem: Callable[[str], None]) -> None:
        """Open it."""
        self.path = path
        self._on_problem = on_problem
        self._library: Library | None = None
        self._salvage = _SALVAGES.get(path.suffix, _salvage_compressed)
        self.topics: dict[str, TopicContent] = {}
        self.start_ns = self.end_ns = 0
        # The library reads compressed ones with their metadata.yaml alone, and no write-ahead log
        if path.suffix == COMPRESSED or write_ahead_log(path) is not None:
            self._survey(self._report)
            return
        try:
            self._library = _open(path)
        except Exception as error:  # damaged files come to all sorts in a library
            self._report(str(error))
            self._survey(lambda _: None)
        else:
            self._take_contents(self._library)

    @property
    def is_ros1(self) -> bool:
        """Whether its messages are serialized as ROS 1 does."""
        return self.path.suffix == ".bag"

    def messages(self, topics: set[str], begin_ns: int, end_ns: int) -> Iterator[RawMessage]:
        """The messages of some topics within a time, both ends included.

        In the order of their recording where the file is whole.
        """
        if self._library is None:
            yield from self._salvaged(topics, begin_ns, end_ns)
            return
        last_ns = 0
        at_last: Counter[str] = Counter()  # of one time there may be several
        count = 0
        try:
            for raw in _read(self._library, topics, begin_ns, end_ns):
                if raw.time_ns > last_ns:
                    last_ns = raw.time_ns
                    at_last.clear()
                at_last[raw.topic] += 1
                count += 1
                yield raw if self.is_ros1 else decompressed_message(raw)
        except Exception as error:
            self._report(f"{error}; reading on from the front")
            for raw in self._salvaged(topics, max(begin_ns, last_ns), end_ns):
                if raw.time_ns == last_ns and at_last[raw.topic]:
                    at_last[raw.topic] -= 1
                else:
                    yield raw
        else:
            expected = sum(self.topics[topic].count for topic in topics if topic in self.topics)
            if begin_ns <= self.start_ns and self.end_ns <= end_ns and count < expected:
                self._report(
                    f"it gives {count} of {expected} messages of {', '.join(sorted(topics))}"
                )

    def connection(self, topic: str) -> Connection | None:
        """What the file says of a topic; None where it is damaged or has none."""
        if self._library is None:
            return None
        return next((one for one in self._library.connections if one.topic == topic), None)

    def close(self) -> None:
        """Close the file."""
        if self._library is not None:
            self._library.close()

    def _salvaged(self, topics: set[str], begin_ns: int, end_ns: int) -> Iterator[RawMessage]:
        for raw in self._salvage(self.path, self._report):
            if raw.topic in topics and begin_ns <= raw.time_ns <= end_ns:
                yield raw if self.is_ros1 else decompressed_message(raw)

    def _survey(self, on_problem: Callable[[str], None]) -> None:
        """Look through a file that has lost its index."""
        counts: Counter[tuple[str, str]] = Counter()
        for raw in self._salvage(self.path, on_problem):
            counts[raw.topic, raw.message_type] += 1
            self.start_ns = min(self.start_ns or raw.time_ns, raw.time_ns)
            self.end_ns = max(self.end_ns, raw.time_ns)
        self.topics = {topic: TopicContent(kind, n) for (topic, kind), n in counts.items()}

    def _take_contents(self, library: Library) -> None:
        for name, info in library.topics.items():
            self.topics[name] = TopicContent(info.msgtype or "", info.msgcount)
        if library.message_count:
            self.start_ns, self.end_ns = library.start_time, library.end_time - 1

    def _report(self, problem: str) -> None:
        self._on_problem(f"{self.path.name}: {' '.join(problem.split())}")


def open_storages(path: Path, on_problem: Callable[[str], None]) -> list[Storage]:
    """Open the files of a bag, in the order of their recording.

    Args:
        path: A file, or the folder of a ROS 2 bag, with its metadata.yaml or without.
        on_problem: Called with a line on each part that cannot be read.

    Raises:
        InputError: There is nothing that could be a bag.
    """
    if not path.exists():
        raise InputError(f"there is no bag {path}")
    if path.is_dir() and not _is_compressed(path):
        files = sorted(storage_files(path), key=_number)
    else:
        files = [path] if path.is_dir() or is_storage(path) else []
    if not files:
        raise InputError(f"{path} is no bag: expected {', '.join(SUFFIXES)} or a folder of them")
    storages = [Storage(file, on_problem) for file in files]
    return sorted(storages, key=lambda storage: storage.start_ns)


def is_storage(path: Path) -> bool:
    """Whether a file is called as those of a bag are, compressed or not."""
    return _decompressed_name(path).suffix in SUFFIXES


def storage_files(folder: Path) -> list[Path]:
    """The files of bags in a folder, of those that are there compressed too the plain ones alone.

    A recorder that is killed while it compresses a file leaves both, and the plain one is whole.
    """
    files = [path for path in folder.iterdir() if is_storage(path) and path.is_file()]
    return [
        path for path in files if path.suffix != COMPRESSED or path.with_suffix("") not in files
    ]


def storage_name(path: Path) -> str:
    """The name of a file of a bag without what tells its format."""
    return _decompressed_name(path).stem


def _decompressed_name(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == COMPRESSED else path


def _number(path: Path) -> tuple[int, str]:
    """Split bags are numbered: 10 comes after 9."""
    digits = re.findall(r"\d+", storage_name(path))
    return int(digits[-1]) if digits else -1, path.name


def _is_compressed(folder: Path) -> bool:
    """Whether the bag was compressed by rosbag2 itself, which the library undoes for the whole."""
    try:
        with rosbag2.Reader(folder) as reader:
            return reader.compression_mode is not None
    except Exception:
        return False


def _open(path: Path) -> Library:
    library = rosbag1.Reader(path) if path.suffix == ".bag" else rosbag2.Reader(path)
    library.open()
    return library


def _read(library: Library, topics: set[str], begin_ns: int, end_ns: int) -> Iterator[RawMessage]:
    wanted = [one for one in library.connections if one.topic in topics]
    if not wanted:
        return
    for connection, time_ns, data in library.messages(wanted, begin_ns, end_ns + 1):
        yield RawMessage(connection.topic, connection.msgtype, time_ns, data)


def _salvage_compressed(path: Path, on_problem: Callable[[str], None]) -> Iterator[RawMessage]:
    if path.suffix != COMPRESSED:
        return
    with decompressed(path, on_problem) as inner:
        yield from _SALVAGES[inner.suffix](inner, on_problem)
