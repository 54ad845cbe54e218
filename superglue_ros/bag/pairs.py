"""The matches of a bag for programs and notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frames
from superglue_ros.bag.matching import FrameMatching
from superglue_ros.bag.reader import BagReader
from superglue_ros.bag.topics import choose_topics
from superglue_ros.config import Value
from superglue_ros.features import Features, Matches
from superglue_ros.inference import Extractor, Matcher


def matched_pairs(
    path: str | Path, extractor: Extractor, matcher: Matcher, **settings: Value
) -> Iterator[tuple[Features, Features, Matches]]:
    """The pairs of images of a bag as the mode forms them, with their matches.

    Args:
        path: A .mcap, .db3 or .bag file, or the folder of a ROS 2 bag.
        extractor: The extractor.
        matcher: The matcher.
        **settings: Those of `BagConfig`.

    Yields:
        The features of image 0 and of image 1, and their matches (`Matches.points` gives the ends).

    Raises:
        InputError: There is no bag, a doubt about its topics, or a setting out of range.
    """
    config = BagConfig().updated(**settings)
    with BagReader(Path(path)) as reader:
        frames = Frames(reader, choose_topics(reader, config), config)
        for result in FrameMatching(config, extractor, matcher).results(frames):
            for pair in result.pairs:
                features0, features1 = (
                    view.tensors.to_features() for view in (pair.view0, pair.view1)
                )
                yield features0, features1, pair.matches
