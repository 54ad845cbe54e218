"""How near a run over a bag comes to what its networks alone can do."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frames
from superglue_ros.bag.outputs import Outputs
from superglue_ros.bag.reader import BagReader
from superglue_ros.bag.run import BagRun
from superglue_ros.bag.topics import choose_topics
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.image_decoding import image_decoder
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor


@dataclass(frozen=True)
class Throughput:
    """Frames a second, each the median over the rounds.

    Attributes:
        frames: Frames of a round.
        run_hz: Of a run from bag to bag.
        networks_hz: Of the networks alone, on the same images, which lie in memory.
        share: Median over the rounds of the first over the second.
    """

    frames: int
    run_hz: float
    networks_hz: float
    share: float


def measure_throughput(
    path: Path,
    config: BagConfig,
    extractor: SuperPointExtractor,
    matcher: SuperGlueMatcher,
    *,
    outputs: Outputs | None = None,
    rounds: int = 3,
) -> Throughput:
    """Match a bag, and its images without a bag, in turns.

    Args:
        path: The bag; the images of its frames must fit into memory.
        config: Which images are matched; mode sequential or stereo.
        extractor: The extractor.
        matcher: The matcher.
        outputs: What a run writes; features and matches where None.
        rounds: How many times.

    Raises:
        InputError: There is no bag, a doubt about its topics, or a mode whose pairs are not known
            beforehand.
    """
    if config.mode == "keyframe":
        raise InputError("throughput is measured in mode sequential or stereo, not keyframe")
    frames = _decoded(path, config)
    batches = list(_batches(frames, config.batch_size))
    run_secs, networks_secs = [], []
    for _ in range(rounds + 1):  # the first is a warm-up
        begin = time.perf_counter()
        _networks_alone(batches, extractor, matcher)
        networks_secs.append(time.perf_counter() - begin)
        with tempfile.TemporaryDirectory() as folder:
            run = BagRun(path, Path(folder) / "out", config, outputs or Outputs())
            run_secs.append(run.run(extractor, matcher).elapsed_sec)
    shares = [alone / whole for alone, whole in zip(networks_secs, run_secs, strict=True)]
    return Throughput(
        frames=len(frames),
        run_hz=len(frames) / median(run_secs[1:]),
        networks_hz=len(frames) / median(networks_secs[1:]),
        share=median(shares[1:]),
    )


def _decoded(path: Path, config: BagConfig) -> list[list[GreyImage]]:
    decoder = image_decoder()
    with BagReader(path) as reader:
        frames = Frames(reader, choose_topics(reader, config), config)
        decoded = []
        for frame in frames:
            with suppress(InputError):  # which a run leaves out too
                decoded.append([decoder.decode(one.message) for one in frame.images])
        return decoded


def _batches(frames: list[list[GreyImage]], size: int) -> Iterator[list[list[GreyImage]]]:
    for begin in range(0, len(frames), size):
        yield frames[begin : begin + size]


def _networks_alone(
    batches: list[list[list[GreyImage]]], extractor: SuperPointExtractor, matcher: SuperGlueMatcher
) -> None:
    previous = None
    for batch in batches:
        features = iter(extractor.extract_batch([image for frame in batch for image in frame]))
        for frame in batch:
            views = [next(features) for _ in frame]
            if len(views) == 1 and previous is not None:
                views.insert(0, previous)
            for view0, view1 in pairwise(views):
                matcher.match(view0, view1)
            previous = views[-1]
