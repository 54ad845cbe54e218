"""A recorded bag in, a bag of features and matches out, whole or not at all."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.export import export
from superglue_ros.bag.frames import Frame, Frames
from superglue_ros.bag.journal import Journal
from superglue_ros.bag.matching import FrameMatching, FrameResult
from superglue_ros.bag.reader import BagReader
from superglue_ros.bag.topics import choose_topics
from superglue_ros.errors import InputError
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.synchroniser import NANOSECONDS

PART_FRAMES = 64
"""Frames after which what is done is safe from whatever happens; at least, see `_part_size`."""


@dataclass(frozen=True)
class Outputs:
    """What to write.

    Attributes:
        descriptors: Whether Features hold their descriptors, 1 MiB an image at 1024 keypoints.
        npz: Whether to write an .npz file of each pair.
        csv: Whether to write the matches as a table.
    """

    descriptors: bool = False
    npz: bool = False
    csv: bool = False


@dataclass
class Summary:
    """What a run did.

    Attributes:
        topics: The topics of the images.
        frames: Frames that were read, unusable ones included.
        pairs: Pairs of images that were matched.
        mean_keypoints: Keypoints of an image, on average.
        mean_matches: Matches of a pair, on average.
        dropped: Messages and frames that gave no features, by reason.
        problems: A line on each part of the input that cannot be read.
        recorded_sec: Length of the recording.
        elapsed_sec: How long this run took.
    """

    topics: tuple[str, ...]
    frames: int = 0
    pairs: int = 0
    mean_keypoints: float = 0.0
    mean_matches: float = 0.0
    dropped: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    recorded_sec: float = 0.0
    elapsed_sec: float = 0.0


class BagRun:
    """Matches over one bag.

    Args:
        input_path: The bag.
        output: Folder of the bag to write; it must not exist yet.
        config: Which images are matched.
        outputs: What to write.
    """

    def __init__(self, input_path: Path, output: Path, config: BagConfig, outputs: Outputs) -> None:
        """Take the paths and the settings."""
        self._input = input_path
        self._output = output
        self._config = config
        self._outputs = outputs

    def run(
        self,
        extractor: SuperPointExtractor,
        matcher: SuperGlueMatcher,
        *,
        resume: bool = False,
        on_frame: Callable[[int, int], None] = lambda done, total: None,
    ) -> Summary:
        """Write the output.

        Args:
            extractor: The extractor.
            matcher: The matcher.
            resume: Whether to go on with an interrupted run.
            on_frame: Called with the frames that are done and those expected, after each.

        Raises:
            InputError: The input is no bag or leaves a doubt about the topics, or the output exists
                or cannot be written.
        """
        begin = time.perf_counter()
        if self._output.exists():
            raise InputError(f"{self._output} exists already; name another or remove it")
        try:
            with BagReader(self._input) as reader:
                summary = self._run(reader, extractor, matcher, resume, on_frame)
        except OSError as error:
            raise InputError(
                f"cannot write {self._output}: {error.strerror or error}; what is done is kept for "
                "--resume"
            ) from error
        summary.elapsed_sec = time.perf_counter() - begin
        return summary

    def _run(
        self,
        reader: BagReader,
        extractor: SuperPointExtractor,
        matcher: SuperGlueMatcher,
        resume: bool,
        on_frame: Callable[[int, int], None],
    ) -> Summary:
        topics = choose_topics(reader, self._config)
        frames = Frames(reader, topics, self._config)
        known = {topic.name: topic.count for topic in reader.image_topics()}
        total = -(-min(known.get(topic, 0) for topic in topics) // self._config.every)
        folder = self._output.with_name(f"{self._output.name}.partial")
        journal = Journal(folder, self._identity(reader, topics, extractor, matcher), resume=resume)
        matching = FrameMatching(self._config, extractor, matcher)
        matching.restore(journal.views())
        results = _reported(
            matching.results(_from(frames, journal.next_index)),
            lambda count: on_frame(count, total),
            done=journal.counts["frames"],
        )
        for part in _parts(results, self._config.batch_size):
            journal.write_part(part, matching, with_descriptors=self._outputs.descriptors)
        if not journal.counts["frames"]:
            shutil.rmtree(journal.folder)
            raise InputError(
                f"no frame in {self._input} between start and end: {dict(frames.dropped)}, "
                f"{'; '.join(reader.problems) or reader.listing()}"
            )
        self._finish(journal)
        return self._summary(reader, frames, journal, topics)

    def _finish(self, journal: Journal) -> None:
        """Join the parts and give the output its name."""
        whole = journal.folder / self._output.name
        shutil.rmtree(whole, ignore_errors=True)
        export(journal.bags, whole, npz=self._outputs.npz, csv_file=self._outputs.csv)
        whole.rename(self._output)
        shutil.rmtree(journal.folder)

    def _identity(
        self,
        reader: BagReader,
        topics: tuple[str, ...],
        extractor: SuperPointExtractor,
        matcher: SuperGlueMatcher,
    ) -> dict[str, Any]:
        return {
            "input": [str(self._input.resolve()), reader.start_ns, reader.end_ns],
            "topics": list(topics),
            "settings": dataclasses.asdict(self._config),
            "descriptors": self._outputs.descriptors,
            "extractor": [extractor.name, dataclasses.asdict(extractor.config)],
            "matcher": [matcher.name, dataclasses.asdict(matcher.config)],
        }

    def _summary(
        self, reader: BagReader, frames: Frames, journal: Journal, topics: tuple[str, ...]
    ) -> Summary:
        counts = journal.counts
        dropped = frames.dropped + Counter({"unusable image": counts["unusable"]})
        return Summary(
            topics=topics,
            frames=counts["frames"],
            pairs=counts["pairs"],
            mean_keypoints=counts["keypoints"] / max(1, counts["images"]),
            mean_matches=counts["matches"] / max(1, counts["pairs"]),
            dropped=dict(dropped),
            problems=reader.problems,
            recorded_sec=(reader.end_ns - reader.start_ns) / NANOSECONDS,
        )


def _from(frames: Iterable[Frame], index: int) -> Iterator[Frame]:
    return (frame for frame in frames if frame.index >= index)


def _parts(results: Iterator[FrameResult], batch_size: int) -> Iterator[Iterator[FrameResult]]:
    """The results cut into parts of whole batches, so that resuming changes no batch."""
    size = -(-PART_FRAMES // batch_size) * batch_size
    for first in results:
        yield chain([first], islice(results, size - 1))


def _reported(
    results: Iterator[FrameResult], report: Callable[[int], None], *, done: int
) -> Iterator[FrameResult]:
    for count, result in enumerate(results, start=done + 1):
        yield result
        report(count)
