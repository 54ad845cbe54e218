"""How near a run over a bag comes to what its networks alone can do."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from typing import Any

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frames
from superglue_ros.bag.matching import FrameMatching
from superglue_ros.bag.outputs import Outputs
from superglue_ros.bag.reader import BagReader
from superglue_ros.bag.run import BagRun
from superglue_ros.bag.topics import choose_topics
from superglue_ros.batches import batches, overlapped
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.image_decoding import image_decoder
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.lab.benchmark.plan import Plan
from superglue_ros.lab.benchmark.results import BagRow, Results, describe_machine
from superglue_ros.lab.benchmark.run import OnProgress

Networks = tuple[SuperPointExtractor, SuperGlueMatcher]


class BagBenchmark:
    """A bag, and its images in memory.

    Args:
        path: The bag; the images of its frames must fit into memory.
        config: Which images are matched; mode sequential or stereo.

    Raises:
        InputError: There is no bag, a doubt about its topics, or a mode whose pairs are not known
            beforehand.
    """

    def __init__(self, path: Path, config: BagConfig) -> None:
        """Look at the bag."""
        if config.mode == "keyframe":
            raise InputError("throughput is measured in mode sequential or stereo, not keyframe")
        self._path = path
        self._config = config
        self._frames: list[list[GreyImage]] = []
        with BagReader(path) as reader:
            choose_topics(reader, config)

    def run(self, plan: Plan, results: Results, on_progress: OnProgress = lambda *_: None) -> None:
        """Match the images alone, and from bag to bag, in turns, with every combination of a plan.

        Args:
            plan: What to measure; there is a round before those that count.
            results: Is filled; what it holds when this is interrupted is of whole rounds.
            on_progress: Called after every frame, or batch of frames.

        Raises:
            InputError: No frame can be used.
        """
        on_progress(f"reading {self._path.name}", 0.0)
        self._frames = _decoded(self._path, self._config)
        if not self._frames:
            raise InputError(f"no frame in {self._path} can be used; superglue-ros bag says why")
        results.machine = describe_machine()
        combinations = list(
            product(plan.keypoints, plan.batches, plan.devices, plan.engines, plan.precisions)
        )
        for index, (count, batch, *where_and_how) in enumerate(combinations):
            how: dict[str, Any] = dict(
                zip(("device", "engine", "precision"), where_and_how, strict=True)
            )
            networks = SuperPointExtractor(max_keypoints=count, **how), SuperGlueMatcher(**how)
            text = f"{self._path.name}, {count} keypoints"

            def on_share(share: float, index: int = index, text: str = text) -> None:
                on_progress(text, (index + share) / len(combinations))

            config = self._config.updated(batch_size=batch)
            for row in self._rounds(config, networks, plan.repeats, on_share):
                results.bags[index:] = [row]

    def _rounds(
        self,
        config: BagConfig,
        networks: Networks,
        count: int,
        on_share: Callable[[float], None],
    ) -> Iterator[BagRow]:
        """Measure round after round; gives after each what the rounds so far come to."""
        run_secs: list[float] = []
        networks_secs: list[float] = []
        halves = 2 * (count + 1)

        def within(half: int) -> Callable[..., None]:
            total = len(self._frames)
            return lambda done, *_: on_share((half + min(1.0, done / total)) / halves)

        for number in range(count + 1):
            networks_secs.append(self._networks_alone(config, networks, within(2 * number)))
            with tempfile.TemporaryDirectory() as folder:
                run = BagRun(self._path, Path(folder) / "out", config, Outputs())
                summary = run.run(*networks, on_frame=within(2 * number + 1))
                run_secs.append(summary.elapsed_sec)
            if number:
                yield self._row(config, networks, run_secs[1:], networks_secs[1:])

    def _row(
        self,
        config: BagConfig,
        networks: Networks,
        run_secs: list[float],
        networks_secs: list[float],
    ) -> BagRow:
        extractor, matcher = networks
        frames = len(self._frames)
        shares = [alone / whole for alone, whole in zip(networks_secs, run_secs, strict=True)]
        return BagRow(
            engine=" + ".join(dict.fromkeys((extractor.engine, matcher.engine))),
            precision=extractor.config.precision,
            device=str(extractor.device),
            keypoints=extractor.config.max_keypoints,
            batch=FrameMatching(config, *networks).frames_at_once,
            frames=frames,
            rounds=len(shares),
            run_hz=frames / median(run_secs),
            networks_hz=frames / median(networks_secs),
            share=median(shares),
        )

    def _networks_alone(
        self, config: BagConfig, networks: Networks, on_frame: Callable[[int], None]
    ) -> float:
        """Match the images in memory as a run does; returns the seconds it took."""
        extractor, matcher = networks
        size = FrameMatching(config, extractor, matcher).frames_at_once
        previous: list[FeatureTensors] = []

        def begin_matching(frames: list[list[GreyImage]]) -> Callable[[], list[int]]:
            found = extractor.extract_tensors([image for frame in frames for image in frame])
            is_stereo = len(frames[0]) == 2
            sequence = pairwise([*previous, *found])
            pairs = zip(found[::2], found[1::2], strict=True) if is_stereo else sequence
            previous[:] = found[-1:]
            pending = matcher.begin_batch(list(pairs))

            def finish() -> list[int]:
                pending()
                return [len(frames)]

            return finish

        begin = time.perf_counter()
        done = 0
        for count in overlapped(map(begin_matching, batches(self._frames, size))):
            done += count
            on_frame(done)
        return time.perf_counter() - begin


def _decoded(path: Path, config: BagConfig) -> list[list[GreyImage]]:
    decoder = image_decoder()
    with BagReader(path) as reader:
        frames = Frames(reader, choose_topics(reader, config), config)
        decoded = []
        for frame in frames:
            with suppress(InputError):  # which a run leaves out too
                decoded.append([decoder.decode(one.message) for one in frame.images])
        return decoded
