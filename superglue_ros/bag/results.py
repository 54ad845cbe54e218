"""What comes of the frames of a bag: features and matches, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from superglue_ros.drawing import Image
from superglue_ros.features import Matches
from superglue_ros.geometry import Flags, TwoViewGeometry
from superglue_ros.geometry.stereo import StereoPoints
from superglue_ros.partners import View
from superglue_ros.synchroniser import NANOSECONDS
from superglue_ros.tracks import Tracks


@dataclass(frozen=True, eq=False)
class ImageOrigin:
    """Where the features of a bag come from.

    Attributes:
        sec: Stamp of the image, whole seconds.
        nanosec: Stamp of the image, nanoseconds beyond them.
        frame_id: The camera's frame.
        time_ns: When the image was recorded, in nanoseconds since the epoch.
        image: The image as it is drawn: in colour where it has one and pictures are wanted.
    """

    sec: int
    nanosec: int
    frame_id: str
    time_ns: int
    image: Image

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
