"""What a report is made from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class PairRecord:
    """One pair.

    Attributes:
        number: Which of the run it is, from 0.
        time_ns: When its newer image was recorded, in nanoseconds since the epoch.
        matches: Its matches.
        inliers: How many of them agree with its geometry.
        case: Name of the `Case` of its geometry.
        motion_px: Median distance in pixels of a match's two ends, 0 without matches.
        error_px: Median distance in pixels of the inliers from the geometry; None where there is
            none.
        confidence: Median of the confidences, 0 without matches.
        refined: Share of the matches that were refined.
    """

    number: int
    time_ns: int
    matches: int
    inliers: int
    case: str
    motion_px: float
    error_px: float | None
    confidence: float
    refined: float


@dataclass(frozen=True)
class Picture:
    """The picture of a pair.

    Attributes:
        pair: The pair.
        path: Its JPEG file.
        width: Its width in pixels.
        height: Its height.
    """

    pair: PairRecord
    path: str
    width: int
    height: int


@dataclass
class Records:
    """What is noted of the frames of a part or of a run.

    Attributes:
        pairs: All pairs in order.
        durations_ms: By stage, how long it took for each frame, in milliseconds.
        histograms: By kind of value, how many there are in each of its bins.
        worst: The pairs with the fewest inliers, the worst first.
        best: Those with the most, the best first.
    """

    pairs: list[PairRecord] = field(default_factory=list)
    durations_ms: dict[str, list[float]] = field(default_factory=dict)
    histograms: dict[str, list[int]] = field(default_factory=dict)
    worst: list[Picture] = field(default_factory=list)
    best: list[Picture] = field(default_factory=list)

    def add(self, later: Records) -> None:
        """Take those of the next part."""
        self.pairs += later.pairs
        self.worst += later.worst
        self.best += later.best
        for stage, durations in later.durations_ms.items():
            self.durations_ms.setdefault(stage, []).extend(durations)
        for kind, counts in later.histograms.items():
            before = self.histograms.get(kind, [0] * len(counts))
            self.histograms[kind] = [a + b for a, b in zip(before, counts, strict=True)]

    @classmethod
    def from_json(cls, text: str, folder: Path) -> Records:
        """What `dataclasses.asdict` and JSON have made of records with pictures in a folder."""
        known = json.loads(text)

        def pictures(name: str) -> list[Picture]:
            return [
                Picture(
                    PairRecord(**one["pair"]),
                    str(folder / one["path"]),
                    one["width"],
                    one["height"],
                )
                for one in known[name]
            ]

        pairs = [PairRecord(**one) for one in known["pairs"]]
        durations_ms, histograms = known["durations_ms"], known["histograms"]
        return cls(pairs, durations_ms, histograms, pictures("worst"), pictures("best"))
