"""The bag that a run writes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rosbags.rosbag2 import Reader

from superglue_ros.bag.messages import write_result
from superglue_ros.bag.outputs import Outputs, Summary, WriteResult
from superglue_ros.bag.pass_through import PassThrough
from superglue_ros.bag.picture_messages import write_pictures
from superglue_ros.bag.raw import RawMessage
from superglue_ros.bag.results import FrameResult
from superglue_ros.bag.writer import BagWriter
from superglue_ros.config import DrawingConfig

_NAME = "bag"


class BagOutput:
    """Features, matches and what was made of them as messages.

    Args:
        passed: What is copied from the input.
        outputs: What is wanted.
        drawing: How pictures are drawn.
    """

    def __init__(self, passed: PassThrough, outputs: Outputs, drawing: DrawingConfig) -> None:
        """Take what decides the content."""
        self._passed = passed
        self._drawing = drawing
        self._outputs = outputs

    @contextmanager
    def part(self, folder: Path) -> Iterator[WriteResult]:
        """See `Output`."""
        with BagWriter(folder / _NAME) as bag:

            def write(result: FrameResult) -> None:
                write_result(
                    bag,
                    result,
                    with_descriptors=self._outputs.descriptors,
                    with_geometry=self._outputs.geometry,
                )
                if self._outputs.pictures:
                    write_pictures(bag, result, self._drawing)

            yield write

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """See `Output`."""
        with BagWriter(folder) as bag:
            for topic, message_type, types in self._passed.topics():
                bag.declare(topic, message_type, types)
            own = _messages([part / _NAME for part in parts])
            for one in heapq.merge(self._passed.messages(), own, key=lambda one: one.time_ns):
                bag.write(one.topic, one.message_type, one.data, one.time_ns)


def _messages(bags: Sequence[Path]) -> Iterator[RawMessage]:
    for path in bags:
        with Reader(path) as reader:
            for connection, time_ns, data in reader.messages():
                yield RawMessage(connection.topic, connection.msgtype, time_ns, data)
