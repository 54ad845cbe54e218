"""From the frames of a bag to features and matches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from superglue_ros.bag.ahead import ahead
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frame
from superglue_ros.bag.reader import Recorded
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage, Matches
from superglue_ros.image_decoding import image_decoder
from superglue_ros.partners import Keyframe, Partners, PreviousFrame, View
from superglue_ros.stereo import StereoPoints
from superglue_ros.synchroniser import NANOSECONDS
from superglue_ros.tracks import Tracks
from superglue_ros.two_view_geometry import Flags, TwoViewGeometry

if TYPE_CHECKING:  # PyTorch takes seconds, and much of a bag is known without it
    from superglue_ros.inference import Extractor, Matcher

Item = TypeVar("Item")

FRAMES_AHEAD = 8  # at least two batches; bounds the memory


@dataclass(frozen=True, eq=False)
class ImageOrigin:
    """Where the features of a bag come from.

    Attributes:
        sec: Stamp of the image, whole seconds.
        nanosec: Stamp of the image, nanoseconds beyond them.
        frame_id: The camera's frame.
        time_ns: When the image was recorded, in nanoseconds since the epoch.
        image: The image itself.
    """

    sec: int
    nanosec: int
    frame_id: str
    time_ns: int
    image: GreyImage

    @property
    def stamp_ns(self) -> int:
        """Stamp of the image in nanoseconds."""
        return self.sec * NANOSECONDS + self.nanosec

    @property
    def stamp_sec(self) -> float:
        """Stamp of the image in seconds, rounded as the nodes do it."""
        return self.sec + self.nanosec / NANOSECONDS


ImageView = View[ImageOrigin]


@dataclass(frozen=True, eq=False)
class MatchedPair:
    """Two views, their matches, and what else was made of them.

    Attributes:
        view0: The earlier or left view.
        view1: The newer or right view.
        matches: Their matches.
        number: Which pair of the run it is, from 0.
        geometry: Their geometry; None where it was not asked for.
        tracks: The tracks of view 1; None where they were not asked for.
        points: What a calibrated stereo pair sees of the matches; None where there is no geometry.
    """

    view0: ImageView
    view1: ImageView
    matches: Matches
    number: int = 0
    geometry: TwoViewGeometry | None = None
    tracks: Tracks | None = None
    points: StereoPoints | None = None

    @property
    def inliers(self) -> Flags | None:
        """(K,) bool, which matches agree with the geometry; None where there is none."""
        return None if self.geometry is None else self.geometry.inliers


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What came of one frame.

    Attributes:
        index: Number of the frame in the bag.
        views: The features of its images; none where an image cannot be used.
        pairs: The matches to its partners, or of its left to its right image.
        remembered: The views that later frames may be matched to.
        problem: Why it cannot be used; empty where it can.
        unpaired: Why it has no partner; empty where it has.
        durations_ms: How long the stages took, in milliseconds.
    """

    index: int
    views: tuple[ImageView, ...] = ()
    pairs: list[MatchedPair] = field(default_factory=list)
    remembered: tuple[ImageView, ...] = ()
    problem: str = ""
    unpaired: str = ""
    durations_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Decoded:
    index: int
    origins: list[ImageOrigin]
    problem: str
    duration_ms: float


class FrameMatching:
    """Extracts and matches frame after frame.

    Args:
        config: The mode, and when a sequence starts anew.
        extractor: The extractor.
        matcher: The matcher.
    """

    def __init__(self, config: BagConfig, extractor: Extractor, matcher: Matcher) -> None:
        """Start without earlier frames."""
        self._config = config
        self._extractor = extractor
        self._matcher = matcher
        self._decoder = image_decoder()
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
        size = self._config.batch_size
        decoded = ahead(map(self._decoded, _batches(frames, size)), max(2, FRAMES_AHEAD // size))
        return ahead(self._matched(decoded), FRAMES_AHEAD)

    def _decoded(self, frames: Sequence[Frame]) -> list[_Decoded]:
        return [self._decode(frame) for frame in frames]

    def _decode(self, frame: Frame) -> _Decoded:
        begin = time.perf_counter()
        try:
            images = [self._decoder.decode(one.message) for one in frame.images]
        except InputError as error:
            return _Decoded(frame.index, [], str(error), _milliseconds_since(begin))
        origins = [_origin(*of_image) for of_image in zip(frame.images, images, strict=True)]
        return _Decoded(frame.index, origins, "", _milliseconds_since(begin))

    def _matched(self, batches: Iterator[list[_Decoded]]) -> Iterator[FrameResult]:
        for batch in batches:
            begin = time.perf_counter()
            images = [origin.image for decoded in batch for origin in decoded.origins]
            features = iter(self._extractor.extract_batch(images))
            extract_ms = _milliseconds_since(begin) / len(batch)
            for decoded in batch:
                views = tuple(
                    View(next(features), origin.stamp_sec, origin) for origin in decoded.origins
                )
                durations_ms = {"decode": decoded.duration_ms, "extract": extract_ms}
                yield self._result(decoded, views, durations_ms)

    def _result(
        self, decoded: _Decoded, views: tuple[ImageView, ...], durations_ms: dict[str, float]
    ) -> FrameResult:
        begin = time.perf_counter()
        pairs, unpaired = self._pairs(views) if views else ([], "")
        durations_ms["match"] = _milliseconds_since(begin)
        remembered = () if self._partners is None else tuple(self._partners.remembered())
        return FrameResult(
            decoded.index, views, pairs, remembered, decoded.problem, unpaired, durations_ms
        )

    def _pairs(self, views: tuple[ImageView, ...]) -> tuple[list[MatchedPair], str]:
        """The pairs that the views of a frame make, or why there are none."""
        if len(views) > 1:
            left, right = views
            matches = self._matcher.match(left.features, right.features)
            return [MatchedPair(left, right, matches)], ""
        (view,) = views
        unpaired = self._mind_the_gap(view)
        assert self._partners is not None
        pairs = []
        for partner in self._partners.of(view):
            matches = self._matcher.match(partner.features, view.features)
            self._partners.matched(partner, view, matches)
            pairs.append(MatchedPair(partner, view, matches))
        return pairs, "" if pairs else unpaired

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


def _origin(one: Recorded, image: GreyImage) -> ImageOrigin:
    header: Any = one.header
    stamp = header.stamp
    return ImageOrigin(stamp.sec, stamp.nanosec, header.frame_id, one.time_ns, image)


def _milliseconds_since(begin: float) -> float:
    return (time.perf_counter() - begin) * 1e3


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
