"""What a run can write, each kind part by part and joined at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from superglue_ros.bag.results import FrameResult


@dataclass(frozen=True)
class Outputs:
    """What to write beside features and matches.

    Attributes:
        descriptors: Whether Features hold their descriptors, 1 MiB an image at 1024 keypoints.
        geometry: Whether to write the geometry of each pair.
        tracks: Whether to write tracks.
        npz: Whether to write an .npz file of each pair.
        csv: Whether to write the matches, and the tracks where wanted, as tables.
        video: Whether to write the match pictures as a video.
        report: Whether to write a report.
        rerun: Whether to write a recording for the Rerun viewer.
        pictures: Whether the bag gets match pictures, markers and numbers, for Foxglove and rviz.
        pass_through: Topics of the input to copy; None for all.
    """

    descriptors: bool = False
    geometry: bool = False
    tracks: bool = False
    npz: bool = False
    csv: bool = False
    video: bool = False
    report: bool = False
    rerun: bool = False
    pictures: bool = False
    pass_through: tuple[str, ...] | None = ()

    @property
    def draws(self) -> bool:
        """Whether images are drawn."""
        return self.video or self.report or self.rerun or self.pictures


@dataclass
class Summary:
    """What a run did.

    Attributes:
        topics: The topics of the images.
        calibration: Where the cameras' calibration is from, or why there is none.
        frames: Frames that were read, unusable ones included.
        pairs: Pairs of images that were matched.
        mean_keypoints: Keypoints of an image, on average.
        mean_matches: Matches of a pair, on average.
        dropped: Messages and frames that gave no features, by reason.
        unusable: Why images cannot be used, and how many.
        unpaired: Frames that have no partner, by reason.
        problems: A line on each part of the input that cannot be read or used.
        notes: A line on each thing that was left out and is no fault, or may surprise.
        recorded_sec: Length of the recording.
        elapsed_sec: How long this run took.
    """

    topics: tuple[str, ...]
    calibration: str = ""
    frames: int = 0
    pairs: int = 0
    mean_keypoints: float = 0.0
    mean_matches: float = 0.0
    dropped: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, int] = field(default_factory=dict)
    unpaired: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    recorded_sec: float = 0.0
    elapsed_sec: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether all of the input could be read and used."""
        return not self.problems and not self.unusable


WriteResult = Callable[[FrameResult], None]


class Output(Protocol):
    """One kind of what a run writes.

    A run is interrupted between two parts or within one, which is then made again: what is joined
    of whole parts is the same whether it was interrupted or not.
    """

    def part(self, folder: Path) -> AbstractContextManager[WriteResult]:
        """Begin a part in a folder that is there; give what writes a result into it."""

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """Make one of the parts, in order, in a folder that is there."""
