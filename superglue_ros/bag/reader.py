"""Images out of recorded bags: ROS 2 (mcap and sqlite3, compressed, split) and ROS 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from superglue_ros.bag.definitions import message_types
from superglue_ros.bag.raw import RawMessage
from superglue_ros.bag.storage import open_storages
from superglue_ros.synchroniser import NANOSECONDS

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    Attributes:
        name: Its name.
        message_type: Type of its messages.
        count: The number of its messages.
        rate_hz: Messages a second, on average over the bag; 0 where that cannot be told.
    """

    name: str
    message_type: str
    count: int
    rate_hz: float


@dataclass(frozen=True)
class Recorded:
    """A message and when it was recorded.

    Attributes:
        topic: Name of its topic.
        time_ns: When it was recorded, in nanoseconds since the epoch.
        message: The message, with the attributes that the same message has in rclpy.
    """

    topic: str
    time_ns: int
    message: Any

    @property
    def header(self) -> Any:
        """The header of the message."""
        return self.message.header


class BagReader:
    """Reads a bag; a context manager.

    Args:
        path: A .mcap, .db3 or .bag file, or the folder of a ROS 2 bag.

    Raises:
        InputError: There is nothing that could be a bag.

    Attributes:
        problems: A line on each part of the bag that cannot be read.
        notes: A line on each thing that is left out and is no fault.
        start_ns: When the first message was recorded, in nanoseconds since the epoch.
        end_ns: When the last message was recorded.
    """

    def __init__(self, path: Path) -> None:
        """Open the files of the bag."""
        self.path = path
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._storages = open_storages(path, self.note)
        with_content = [storage for storage in self._storages if storage.topics]
        self.start_ns = min((storage.start_ns for storage in with_content), default=0)
        self.end_ns = max((storage.end_ns for storage in with_content), default=0)

    def __enter__(self) -> BagReader:
        """The reader itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files."""
        for storage in self._storages:
            storage.close()

    def image_topics(self) -> list[Topic]:
        """The topics of images, by name."""
        counts: Counter[tuple[str, str]] = Counter()
        for storage in self._storages:
            for name, content in storage.topics.items():
                counts[name, content.message_type] += content.count
        duration_sec = (self.end_ns - self.start_ns) / NANOSECONDS
        return [
            Topic(name, kind, count, count / duration_sec if duration_sec else 0.0)
            for (name, kind), count in sorted(counts.items())
            if kind in IMAGE_TYPES
        ]

    def topic_types(self) -> dict[str, str]:
        """The type of the messages of each topic, by its name."""
        found = {
            name: content.message_type
            for storage in self._storages
            for name, content in storage.topics.items()
        }
        return dict(sorted(found.items()))

    def connection(self, topic: str) -> Connection | None:
        """What the bag says of a topic; None where its files are damaged."""
        found = (storage.connection(topic) for storage in self._storages)
        return next((one for one in found if one is not None), None)

    def raw_messages(
        self, topics: Collection[str], begin_ns: int, end_ns: int
    ) -> Iterator[tuple[RawMessage, bool]]:
        """The messages of some topics within a time, and whether they are serialized as of ROS 1.

        The files come one after the other.
        """
        for storage in self._storages:
            for raw in storage.messages(set(topics), begin_ns, end_ns):
                yield raw, storage.is_ros1

    def first_message(self, topic: str, message_type: str) -> Any:
        """The first readable message of a topic; None where it has none of that type."""
        if self.topic_types().get(topic) != message_type:
            return None
        for raw, is_ros1 in self.raw_messages([topic], self.start_ns, self.end_ns):
            with suppress(Exception):  # whatever wrong bytes come to
                return _deserialized(raw, ros1=is_ros1)
        return None

    def messages(self, topics: Sequence[str], begin_ns: int, end_ns: int) -> Iterator[Recorded]:
        """The messages of some topics of images within a time; the files one after the other."""
        for raw, is_ros1 in self.raw_messages(topics, begin_ns, end_ns):
            try:
                message = _deserialized(raw, ros1=is_ros1)
            except Exception as error:  # whatever wrong bytes come to
                self.note(f"a message of {raw.topic} at {raw.time_ns} is damaged: {error}")
            else:
                yield Recorded(raw.topic, raw.time_ns, message)

    def listing(self) -> str:
        """The image topics in one line, with counts and rates, and what is not readable."""
        topics = [
            f"{topic.name} ({topic.message_type}, {topic.count} messages, {topic.rate_hz:.3g} Hz)"
            for topic in self.image_topics()
        ]
        problems = "".join(f"; not readable: {problem}" for problem in self.problems[:3])
        return f"its image topics: {', '.join(topics) or 'none'}{problems}"

    def note(self, problem: str) -> None:
        """Add a line to the problems, once."""
        if problem not in self.problems:
            self.problems.append(problem)


def _deserialized(raw: RawMessage, *, ros1: bool) -> Any:
    if ros1:
        return _ros1_types().deserialize_ros1(raw.data, raw.message_type)
    return message_types().deserialize_cdr(raw.data, raw.message_type)


@lru_cache(maxsize=1)
def _ros1_types() -> Typestore:
    return get_typestore(Stores.ROS1_NOETIC)
