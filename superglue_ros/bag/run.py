"""A recorded bag in, a bag of features and matches out, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superglue_ros.bag.analysis import Analysis
from superglue_ros.bag.bag_output import BagOutput
from superglue_ros.bag.calibration import Calibration, find_calibration
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frame, Frames, Period
from superglue_ros.bag.journal import Journal, reasons
from superglue_ros.bag.layout import Layout
from superglue_ros.bag.matching import FrameMatching
from superglue_ros.bag.messages import own_topics
from superglue_ros.bag.outputs import Output, Outputs, Summary
from superglue_ros.bag.pass_through import PassThrough
from superglue_ros.bag.reader import BagReader
from superglue_ros.bag.report.output import Report
from superglue_ros.bag.report.page import Context
from superglue_ros.bag.rerun_output import Rerun
from superglue_ros.bag.results import FrameResult
from superglue_ros.bag.tables import NpzFiles, matches_table, tracks_table
from superglue_ros.bag.topics import choose_topics
from superglue_ros.bag.video import VIDEO_FILE, Video
from superglue_ros.config import DrawingConfig
from superglue_ros.errors import InputError
from superglue_ros.installation import version
from superglue_ros.synchroniser import NANOSECONDS

if TYPE_CHECKING:
    from superglue_ros.inference import Extractor, Matcher

PART_FRAMES = 64
"""Frames after which what is done is safe from whatever happens; at least, see `_parts`."""

RUN_FILE = "run.json"
"""In the output: what it was made of and with, and what came of it."""

OnFrame = Callable[[int, int], None]


def partial_folder(output: Path) -> Path:
    """Where the work on an output is kept until it is whole."""
    return output.with_name(f"{output.name}.partial")


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

    def check(self) -> None:
        """Raise what `run` would raise at once, for whoever has yet to load the networks."""
        self._check_output()
        with BagReader(self._input) as reader:
            topics = choose_topics(reader, self._config)
            calibration = find_calibration(reader, topics, self._config)
            Analysis(self._outputs, self._config, calibration)
            self._writers(reader, {}, calibration)

    def run(
        self,
        extractor: Extractor,
        matcher: Matcher,
        *,
        resume: bool = False,
        on_frame: OnFrame = lambda done, total: None,
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
        self._check_output()
        try:
            with BagReader(self._input) as reader:
                return self._run(reader, extractor, matcher, resume, on_frame)
        except OSError as error:
            raise InputError(
                f"cannot write {self._output}: {error.strerror or error}; what is done is kept for "
                "--resume"
            ) from error

    def _run(
        self,
        reader: BagReader,
        extractor: Extractor,
        matcher: Matcher,
        resume: bool,
        on_frame: OnFrame,
    ) -> Summary:
        begin = time.perf_counter()
        topics = choose_topics(reader, self._config)
        frames = Frames(reader, topics, self._config)
        calibration = find_calibration(reader, topics, self._config)
        analysis = Analysis(self._outputs, self._config, calibration)
        identity = self._identity(reader, topics, extractor, matcher)
        outputs = self._writers(reader, identity, calibration)
        folder = partial_folder(self._output)
        with Journal(folder, identity, resume=resume) as journal:
            in_colour = self._outputs.draws
            matching = FrameMatching(self._config, extractor, matcher, in_colour=in_colour)
            matching.restore(journal.views(extractor.device))
            journal.restore(analysis)
            results = _reported(
                matching.results(_from(frames, journal.next_index)),
                lambda count: on_frame(count, frames.expected),
                done=journal.counts["frames"],
            )
            for part in _parts(results, matching.frames_at_once):
                journal.write_part(part, analysis, outputs)
            summary = _summary(reader, frames, journal, calibration)
            if not summary.frames and not frames.problems:
                shutil.rmtree(journal.folder)
                raise InputError(
                    f"no frame in {self._input} between start and end: {summary.dropped}, "
                    f"{reader.listing()}"
                )
            summary.elapsed_sec = time.perf_counter() - begin
            self._finish(journal, outputs, identity, summary)
            summary.elapsed_sec = time.perf_counter() - begin
        return summary

    def _check_output(self) -> None:
        if self._output.exists():
            raise InputError(f"{self._output} exists already; name another or remove it")

    def _writers(
        self, reader: BagReader, identity: dict[str, Any], calibration: Calibration
    ) -> list[Output]:
        """What writes the outputs; the bag comes first, as it makes their folder."""
        wanted = self._outputs
        period = Period.of(reader, self._config)
        own = own_topics(wanted)
        passed = PassThrough(reader, wanted.pass_through, period, own)
        drawing = self._config.part(DrawingConfig)
        writers: list[Output] = [BagOutput(passed, wanted, drawing)]
        if wanted.pictures:
            writers.append(Layout(self._config.mode))
        if wanted.npz:
            writers.append(NpzFiles())
        if wanted.csv:
            writers.append(matches_table())
        if wanted.csv and wanted.tracks:
            writers.append(tracks_table())
        if wanted.video:
            writers.append(Video(drawing))
        if wanted.report:
            video = VIDEO_FILE if wanted.video else ""
            context = Context(self._input.name, identity, video)
            writers.append(Report(context, stereo=self._config.mode == "stereo"))
        if wanted.rerun:
            writers.append(Rerun(drawing, calibration.stereo, identity))
        return writers

    def _finish(
        self, journal: Journal, outputs: list[Output], identity: dict[str, Any], summary: Summary
    ) -> None:
        """Join the parts and give the output its name."""
        whole = journal.folder / self._output.name
        shutil.rmtree(whole, ignore_errors=True)
        for output in outputs:
            output.join(journal.parts, whole, summary)
        came_of_it = dataclasses.asdict(summary)
        del came_of_it["elapsed_sec"]  # all of the file is the same whenever it is made
        (whole / RUN_FILE).write_text(json.dumps({**identity, "summary": came_of_it}, indent=1))
        whole.rename(self._output)
        shutil.rmtree(journal.folder)

    def _identity(
        self,
        reader: BagReader,
        topics: tuple[str, ...],
        extractor: Extractor,
        matcher: Matcher,
    ) -> dict[str, Any]:
        return {
            "input": [str(self._input.resolve()), reader.start_ns, reader.end_ns],
            "topics": list(topics),
            "settings": dataclasses.asdict(self._config),
            "outputs": dataclasses.asdict(self._outputs),
            "version": version(),
            "extractor": [extractor.name, extractor.engine, dataclasses.asdict(extractor.config)],
            "matcher": [matcher.name, matcher.engine, dataclasses.asdict(matcher.config)],
        }


def _summary(
    reader: BagReader, frames: Frames, journal: Journal, calibration: Calibration
) -> Summary:
    counts = journal.counts
    unusable = reasons(counts, "unusable")
    dropped = frames.dropped + Counter({"unusable image": sum(unusable.values())})
    return Summary(
        topics=frames.topics,
        calibration=calibration.source,
        frames=counts["frames"],
        pairs=counts["pairs"],
        mean_keypoints=counts["keypoints"] / max(1, counts["images"]),
        mean_matches=counts["matches"] / max(1, counts["pairs"]),
        dropped=dict(dropped),
        unusable=unusable,
        unpaired=reasons(counts, "unpaired"),
        problems=reader.problems + frames.problems,
        notes=reader.notes + calibration.notes + frames.notes,
        recorded_sec=(reader.end_ns - reader.start_ns) / NANOSECONDS,
    )


def _from(frames: Iterable[Frame], index: int) -> Iterator[Frame]:
    return (frame for frame in frames if frame.index >= index)


def _parts(results: Iterator[FrameResult], at_once: int) -> Iterator[Iterator[FrameResult]]:
    """The results cut into parts of whole batches, so that resuming changes no batch."""
    size = -(-PART_FRAMES // at_once) * at_once
    for first in results:
        yield chain([first], islice(results, size - 1))


def _reported(
    results: Iterator[FrameResult], report: Callable[[int], None], *, done: int
) -> Iterator[FrameResult]:
    for count, result in enumerate(results, start=done + 1):
        yield result
        report(count)
