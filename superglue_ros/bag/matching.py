"""From the frames of a bag to features and matches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from superglue_ros.bag.ahead import ahead
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frame
from superglue_ros.bag.reader import Recorded
from superglue_ros.bag.results import FrameResult, ImageOrigin, ImageView, MatchedPair
from superglue_ros.batches import batches, overlapped
from superglue_ros.drawing import Image
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.image_decoding import image_decoder
from superglue_ros.partners import Keyframe, Partners, PreviousFrame, View

if TYPE_CHECKING:  # PyTorch takes seconds, and much of a bag is known without it
    from superglue_ros.inference import Extractor, Matcher

FRAMES_AHEAD = 8  # at least two batches; bounds the memory


@dataclass(frozen=True, eq=False)
class _Decoded:
    """A frame before the networks; why it cannot be used, where there are no images."""

    index: int
    images: list[GreyImage]
    origins: list[ImageOrigin]
    problem: str
    duration_ms: float


class _Planned(NamedTuple):
    """A frame before its matches: the result so far, and the pairs that are to be matched."""

    result: FrameResult
    pairs: list[tuple[ImageView, ImageView]]


class FrameMatching:
    """Extracts and matches frame after frame, several at a time where the extractor gains by it.

    Args:
        config: The mode, and when a sequence starts anew.
        extractor: The extractor.
        matcher: The matcher.
        in_colour: Whether colour is kept of images, for pictures.

    Attributes:
        frames_at_once: How many go through the networks together.
    """

    def __init__(
        self,
        config: BagConfig,
        extractor: Extractor,
        matcher: Matcher,
        *,
        in_colour: bool = False,
    ) -> None:
        """Start without earlier frames."""
        images = 2 if config.mode == "stereo" else 1
        self.frames_at_once = config.batch_size or max(1, extractor.images_at_once // images)
        self._config = config
        self._extractor = extractor
        self._matcher = matcher
        self._decoder = image_decoder()
        self._in_colour = in_colour
        self._partners: Partners[ImageOrigin] | None = None  # None in mode stereo
        self._newest_sec: float | None = None
        self.restore([])

    def restore(self, views: Sequence[ImageView]) -> None:
        """Go on as after the frames that left these views remembered."""
        self._newest_sec = None
        if self._config.mode == "sequential":
            self._partners = PreviousFrame()
        elif self._config.mode == "keyframe":
            self._partners = Keyframe(self._config)
        for view in views:
            if self._partners is not None:
                self._partners.of(view)
            self._newest_sec = view.stamp_sec

    def results(self, frames: Iterable[Frame]) -> Iterator[FrameResult]:
        """What comes of each frame.

        The next frames are read and decoded by one thread and go through the networks in a second
        one, while the caller works on this.
        """
        size = self.frames_at_once
        decoded = ahead(map(self._decoded, batches(frames, size)), max(2, FRAMES_AHEAD // size))
        return ahead(overlapped(map(self._begin, decoded)), FRAMES_AHEAD)

    def _decoded(self, frames: Sequence[Frame]) -> list[_Decoded]:
        return [self._decode(frame) for frame in frames]

    def _decode(self, frame: Frame) -> _Decoded:
        begin = time.perf_counter()
        try:
            images = [self._decoder.decode(one.message) for one in frame.images]
            shown = (
                [self._decoder.decode_colour(one.message) for one in frame.images]
                if self._in_colour
                else images
            )
        except InputError as error:
            return _Decoded(frame.index, [], [], str(error), _milliseconds_since(begin))
        origins = [_origin(*of_image) for of_image in zip(frame.images, shown, strict=True)]
        return _Decoded(frame.index, images, origins, "", _milliseconds_since(begin))

    def _begin(self, frames: Sequence[_Decoded]) -> Callable[[], list[FrameResult]]:
        """Begin to extract from frames and to match them; returns what waits for the results."""
        begin = time.perf_counter()
        tensors = iter(
            self._extractor.extract_tensors([image for frame in frames for image in frame.images])
        )
        extract_ms = _milliseconds_since(begin) / len(frames)
        results = [
            FrameResult(
                frame.index,
                tuple(View(next(tensors), one.stamp_sec, one) for one in frame.origins),
                problem=frame.problem,
                durations_ms={"decode": frame.duration_ms, "extract": extract_ms},
            )
            for frame in frames
        ]
        if self._config.mode != "keyframe":
            return self._begin_matching(results)
        # Which keyframe a frame is matched to depends on the matches of the frame before
        matched = [one for result in results for one in self._matched_to_keyframe(result)]
        return lambda: matched

    def _begin_matching(self, results: Sequence[FrameResult]) -> Callable[[], list[FrameResult]]:
        begin = time.perf_counter()
        planned = [self._planned(result) for result in results]
        pending = self._matcher.begin_batch(
            [(view0.tensors, view1.tensors) for one in planned for view0, view1 in one.pairs]
        )
        begun_ms = _milliseconds_since(begin)

        def finish() -> list[FrameResult]:
            begin = time.perf_counter()
            matches = iter(pending())
            match_ms = (begun_ms + _milliseconds_since(begin)) / len(results)
            return [
                replace(
                    result,
                    pairs=[MatchedPair(*pair, next(matches)) for pair in pairs],
                    durations_ms={**result.durations_ms, "match": match_ms},
                )
                for result, pairs in planned
            ]

        return finish

    def _matched_to_keyframe(self, planned: FrameResult) -> list[FrameResult]:
        (result,) = self._begin_matching([planned])()
        assert self._partners is not None
        for pair in result.pairs:
            self._partners.matched(pair.view0, pair.view1, pair.matches)
        return [replace(result, remembered=tuple(self._partners.remembered()))]

    def _planned(self, result: FrameResult) -> _Planned:
        """Choose the partners of a frame's views."""
        pairs: list[tuple[ImageView, ImageView]] = []
        if self._partners is None:
            if result.views:
                left, right = result.views
                pairs = [(left, right)]
            return _Planned(result, pairs)
        unpaired = ""
        for view in result.views:  # one, or none where the image cannot be used
            unpaired = self._mind_the_gap(view)
            pairs = [(partner, view) for partner in self._partners.of(view)]
        remembered = tuple(self._partners.remembered())
        unpaired = "" if pairs else unpaired
        return _Planned(replace(result, remembered=remembered, unpaired=unpaired), pairs)

    def _mind_the_gap(self, view: ImageView) -> str:
        """Begin a new sequence after a gap; returns why the view has no partner if it has none."""
        newest_sec = self._newest_sec
        if newest_sec is not None and 0 < self._config.max_gap < view.stamp_sec - newest_sec:
            self.restore([])
            reason = f"after a gap of more than {self._config.max_gap:g} s"
        else:
            reason = "first of the sequence" if newest_sec is None else "after time was set back"
        self._newest_sec = view.stamp_sec
        return reason


def _origin(one: Recorded, image: Image) -> ImageOrigin:
    header: Any = one.header
    stamp = header.stamp
    return ImageOrigin(stamp.sec, stamp.nanosec, header.frame_id, one.time_ns, image)


def _milliseconds_since(begin: float) -> float:
    return (time.perf_counter() - begin) * 1e3
