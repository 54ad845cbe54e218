"""From the frames of a bag to features and matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frame
from superglue_ros.errors import InputError
from superglue_ros.features import Features, GreyImage, Matches
from superglue_ros.image_decoding import image_decoder
from superglue_ros.inference import Extractor, Matcher
from superglue_ros.partners import Keyframe, Partners, PreviousFrame, View
from superglue_ros.synchroniser import NANOSECONDS

Item = TypeVar("Item")

READ_AHEAD = 4  # batches; bounds the memory


@dataclass(frozen=True)
class ImageOrigin:
    """Where the features of a bag come from.

    Attributes:
        sec: Stamp of the image, whole seconds.
        nanosec: Stamp of the image, nanoseconds beyond them.
        frame_id: The camera's frame.
        time_ns: When the image was recorded, in nanoseconds since the epoch.
    """

    sec: int
    nanosec: int
    frame_id: str
    time_ns: int


ImageView = View[ImageOrigin]


class MatchedPair(NamedTuple):
    """Two views and their matches."""

    view0: ImageView
    view1: ImageView
    matches: Matches


@dataclass(frozen=True)
class FrameResult:
    """What came of one frame.

    Attributes:
        index: Number of the frame in the bag.
        views: The features of its images; none where an image cannot be used.
        pairs: The matches to its partners, or of its left to its right image.
        problem: Why it cannot be used; empty where it can.
    """

    index: int
    views: tuple[ImageView, ...]
    pairs: list[MatchedPair]
    problem: str


class _Decoded(NamedTuple):
    frame: Frame
    images: list[GreyImage]
    problem: str


class FrameMatching:
    """Extracts and matches frame after frame.

    Args:
        config: The mode, and when a sequence starts anew.
        extractor: The extractor.
        matcher: The matcher.

    Attributes:
        partners: What earlier frames the next one is matched to; None in mode stereo.
    """

    def __init__(self, config: BagConfig, extractor: Extractor, matcher: Matcher) -> None:
        """Start without earlier frames."""
        self._config = config
        self._extractor = extractor
        self._matcher = matcher
        self._decoder = image_decoder()
        self._newest_sec: float | None = None
        self.partners: Partners[ImageOrigin] | None = None
        self.restore([])

    def restore(self, views: Sequence[ImageView]) -> None:
        """Go on as after the frames that left these views remembered."""
        self.partners = None
        if self._config.mode == "sequential":
            self.partners = PreviousFrame()
        elif self._config.mode == "keyframe":
            self.partners = Keyframe(self._config)
        for view in views:
            if self.partners is not None:
                self.partners.of(view)
            self._newest_sec = view.stamp_sec

    def results(self, frames: Iterable[Frame]) -> Iterator[FrameResult]:
        """What comes of each frame, while the next ones are read and decoded."""
        batches = _batches(frames, self._config.batch_size)
        for batch in _ahead(map(self._decoded, batches), READ_AHEAD):
            images = [image for decoded in batch for image in decoded.images]
            features = iter(self._extractor.extract_batch(images))
            for decoded in batch:
                views = tuple(
                    _view(next(features), one.header, one.time_ns)
                    for one, _ in zip(decoded.frame.images, decoded.images, strict=False)
                )
                pairs = self._pairs(views) if views else []
                yield FrameResult(decoded.frame.index, views, pairs, decoded.problem)

    def _decoded(self, frames: Sequence[Frame]) -> list[_Decoded]:
        return [self._decode(frame) for frame in frames]

    def _decode(self, frame: Frame) -> _Decoded:
        try:
            images = [self._decoder.decode(one.message) for one in frame.images]
        except InputError as error:
            return _Decoded(frame, [], str(error))
        return _Decoded(frame, images, "")

    def _pairs(self, views: tuple[ImageView, ...]) -> list[MatchedPair]:
        if len(views) > 1:
            left, right = views
            matches = self._matcher.match(left.features, right.features)
            return [MatchedPair(left, right, matches)]
        (view,) = views
        self._mind_the_gap(view)
        assert self.partners is not None
        pairs = []
        for partner in self.partners.of(view):
            matches = self._matcher.match(partner.features, view.features)
            self.partners.matched(partner, view, matches)
            pairs.append(MatchedPair(partner, view, matches))
        return pairs

    def _mind_the_gap(self, view: ImageView) -> None:
        newest_sec, self._newest_sec = self._newest_sec, view.stamp_sec
        if newest_sec is not None and 0 < self._config.max_gap < view.stamp_sec - newest_sec:
            self.restore([])


def count_result(counts: Counter[str], result: FrameResult) -> None:
    """Add what came of one frame to the counts of a run."""
    counts["frames"] += 1
    counts["unusable"] += bool(result.problem)
    counts["pairs"] += len(result.pairs)
    counts["keypoints"] += sum(len(view.features) for view in result.views)
    counts["images"] += len(result.views)
    counts["matches"] += sum(len(pair.matches) for pair in result.pairs)


def _view(features: Features, header: Any, time_ns: int) -> ImageView:
    stamp = header.stamp
    origin = ImageOrigin(stamp.sec, stamp.nanosec, header.frame_id, time_ns)
    return View(features, stamp.sec + stamp.nanosec / NANOSECONDS, origin)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """The same items, up to `count` of them made in advance by a thread."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        awaited = [thread.submit(next, items, end) for _ in range(count)]
        while (item := awaited.pop(0).result()) is not end:
            awaited.append(thread.submit(next, items, end))
            yield item  # type: ignore[misc]
