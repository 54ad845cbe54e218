"""The frames of a bag: one image, or the left and the right one of one moment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.reader import BagReader, Recorded
from superglue_ros.config import SyncConfig
from superglue_ros.drops import Drop
from superglue_ros.joining import REMEDY, Joining, StampCheck, without_meaning
from superglue_ros.synchroniser import NANOSECONDS, stamp_nanoseconds, synchronisers


class Period(NamedTuple):
    """A part of a recording, in nanoseconds since the epoch, both ends included."""

    begin_ns: int
    end_ns: int

    @classmethod
    def of(cls, reader: BagReader, config: BagConfig) -> Period:
        """The part of a bag that a run works on."""
        end_ns = reader.start_ns + round(config.end * NANOSECONDS)
        begin_ns = reader.start_ns + round(config.start * NANOSECONDS)
        return cls(begin_ns, end_ns if config.end else reader.end_ns)


@dataclass(frozen=True)
class Frame:
    """The images of one moment, not yet decoded.

    Attributes:
        index: Its number in the bag, from 0, whatever is left out of it.
        images: The message of each camera.
    """

    index: int
    images: tuple[Recorded, ...]


class Frames:
    """The frames of a bag in the order of their recording.

    Args:
        reader: The bag.
        topics: The topic of each camera.
        config: Which part of the bag, and which messages belong together.

    Attributes:
        topics: The topic of each camera.
        dropped: Messages that made no frame, by reason; complete after the last frame.
        problems: A line on each topic whose images could not be paired; complete after the last.
        notes: A line on what may surprise; complete after the last frame.
    """

    def __init__(self, reader: BagReader, topics: Sequence[str], config: BagConfig) -> None:
        """Take the bag; iterating reads it."""
        self.dropped: Counter[str] = Counter()
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._reader = reader
        self.topics = tuple(topics)
        self._config = config

    @property
    def expected(self) -> int:
        """About how many frames there are, by the counts of the bag."""
        known = {topic.name: topic.count for topic in self._reader.image_topics()}
        count = min(known.get(topic, 0) for topic in self.topics)
        recorded_ns = self._reader.end_ns - self._reader.start_ns
        period = Period.of(self._reader, self._config)
        wanted_ns = min(period.end_ns, self._reader.end_ns) - period.begin_ns
        share = wanted_ns / recorded_ns if recorded_ns else 1.0
        return math.ceil(count * share / self._config.every)

    def __iter__(self) -> Iterator[Frame]:
        """The frames within the wanted time, each Nth of them."""
        joined = self._stereo() if len(self.topics) > 1 else self._mono()
        for index, images in enumerate(joined):
            if index % self._config.every == 0:
                yield Frame(index, images)

    def _mono(self) -> Iterator[tuple[Recorded, ...]]:
        """Each image, in the order of recording, which needs no stamps."""
        check, faults = StampCheck(), Counter[Drop]()
        for one in self._messages():
            fault = check.fault(one)
            faults.update([] if fault is None else [fault])
            yield (one,)
        if faults:
            self.notes.append(
                f"{self.topics[0]}: {without_meaning(faults)}; frames are in the order of "
                "recording, and frames of one stamp have no tracks"
            )

    def _stereo(self) -> Iterator[tuple[Recorded, ...]]:
        found: list[tuple[Recorded, ...]] = []
        joining = Joining(
            synchronisers(),
            self._config.part(SyncConfig),
            None,  # a bag is read as fast as frames are used: nothing is dropped for want of room
            len(self.topics),
            lambda *pair: found.append(pair),
            _nothing,
            arrival_ns=lambda one: int(one.time_ns),
        )
        shared: dict[str, Counter[Drop]] = {topic: Counter() for topic in self.topics}
        by_stamp = self._config.sync_by == "stamp"
        for one in self._of_own_stamps(shared) if by_stamp else self._messages():
            joining.add(self.topics.index(one.topic), one)
            yield from found
            found.clear()
        for index, topic in enumerate(self.topics):
            self.dropped[f"no partner for {topic}"] += joining.unpaired(index)
            self.dropped[f"no partner for {topic}"] += joining.waiting(index)
            faults = joining.refused(index) + shared[topic]
            for fault, number in faults.items():
                self.dropped[f"{fault}, {topic}"] += number
            if faults:
                self.problems.append(f"{topic}: {without_meaning(faults)}, not paired; {REMEDY}")

    def _of_own_stamps(self, shared: dict[str, Counter[Drop]]) -> Iterator[Recorded]:
        """The images but for those of one stamp with another of their topic, which are counted.

        A bag can be looked ahead in: not even the first image of such a stamp is paired.
        """
        held: dict[str, Recorded] = {}
        ambiguous: dict[str, int] = {}
        last = [None] * len(self.topics)
        for topic, one in chain(
            ((m.topic, m) for m in self._messages()), zip(self.topics, last, strict=True)
        ):
            before = held.pop(topic, None)
            if one is not None:
                held[topic] = one
            if before is None:
                continue
            stamp = stamp_nanoseconds(before)
            if one is not None and stamp == stamp_nanoseconds(one) and _differ(before, one):
                ambiguous[topic] = stamp
            if stamp and ambiguous.get(topic) == stamp:
                shared[topic][Drop.REPEATED_STAMP] += 1
            else:
                yield before

    def _messages(self) -> Iterator[Recorded]:
        for one in self._reader.messages(self.topics, *Period.of(self._reader, self._config)):
            stamp = one.header.stamp
            if stamp.sec < 0 or stamp.nanosec >= NANOSECONDS:
                self.dropped["impossible stamp"] += 1
            else:
                yield one


def _differ(one: Recorded, other: Recorded) -> bool:
    """Whether two images are not the same one, recorded twice."""
    return not np.array_equal(one.message.data, other.message.data)


def _nothing() -> None:
    """Stamps that jump back are no event in a bag."""
