"""What the report needs of each part, and the report of them all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from superglue_ros.bag.outputs import Summary, WriteResult
from superglue_ros.bag.pictures import picture_of
from superglue_ros.bag.report.page import page
from superglue_ros.bag.report.records import PairRecord, Picture, Records
from superglue_ros.bag.results import FrameResult, MatchedPair
from superglue_ros.config import DrawingConfig

Item = TypeVar("Item")

REPORT_FILE = "report.html"
EXAMPLES = 3
"""Pairs that are shown of the worst and of the best."""

APART = 10
"""Least difference of their numbers: neighbours look the same."""

_RECORDS_FILE = "report.json"
_JPEG_QUALITY = 80
# One above the other, so that a phone shows them large; not larger than a page has room for.
_DRAWING = DrawingConfig(layout="stacked", colour="inlier", max_picture_size=960)


class Report:
    """report.html.

    Args:
        title: What the report is of.
        made_with: Settings and weights, for whoever wants to make it again.
    """

    def __init__(self, title: str, made_with: dict[str, Any]) -> None:
        """Take what is not in the results."""
        self._title = title
        self._made_with = made_with

    @contextmanager
    def part(self, folder: Path) -> Iterator[WriteResult]:
        """See `Output`."""
        collected = _Collected()
        yield collected.add
        worst, best = (
            [_picture(pair, folder) for pair in pairs]
            for pairs in (collected.worst, collected.best)
        )
        records = Records(collected.pairs, collected.durations_ms, worst, best)
        (folder / _RECORDS_FILE).write_text(json.dumps(asdict(records)))

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """See `Output`."""
        records = Records()
        for part in parts:
            of_part = Records.from_json((part / _RECORDS_FILE).read_text(), part)
            records.pairs += of_part.pairs
            records.worst += of_part.worst
            records.best += of_part.best
            for stage, durations in of_part.durations_ms.items():
                records.durations_ms.setdefault(stage, []).extend(durations)
        records.worst = _chosen(records.worst, _pair_of_picture, best=False)
        shown = {picture.pair.number for picture in records.worst}
        others = [picture for picture in records.best if picture.pair.number not in shown]
        records.best = _chosen(others, _pair_of_picture, best=True)
        text = page(self._title, summary, records, self._made_with)
        (folder / REPORT_FILE).write_text(text, encoding="utf-8")


@dataclass
class _Collected:
    """What is noted of the frames of a part; images are kept of the worst and best pairs only."""

    pairs: list[PairRecord] = field(default_factory=list)
    durations_ms: dict[str, list[float]] = field(default_factory=dict)
    worst: list[MatchedPair] = field(default_factory=list)
    best: list[MatchedPair] = field(default_factory=list)

    def add(self, result: FrameResult) -> None:
        for stage, duration_ms in result.durations_ms.items():
            self.durations_ms.setdefault(stage, []).append(round(duration_ms, 3))
        for pair in result.pairs:
            self.pairs.append(_record(pair))
            self.worst = _chosen([*self.worst, pair], _record, best=False)
            self.best = _chosen([*self.best, pair], _record, best=True)


def _chosen(
    items: Iterable[Item], record: Callable[[Item], PairRecord], *, best: bool
) -> list[Item]:
    """The best or worst few, one only of those that are close together."""
    chosen: list[Item] = []
    for item in sorted(items, key=lambda one: _order(record(one), best=best)):
        number = record(item).number
        if all(abs(number - record(other).number) >= APART for other in chosen):
            chosen.append(item)
    return chosen[:EXAMPLES]


def _pair_of_picture(picture: Picture) -> PairRecord:
    return picture.pair


def _order(record: PairRecord, *, best: bool = False) -> tuple[int, int]:
    """By inliers, and where these are as many by number."""
    return (-record.inliers if best else record.inliers), record.number


def _record(pair: MatchedPair) -> PairRecord:
    assert pair.geometry is not None
    return PairRecord(
        number=pair.number,
        time_ns=pair.view1.origin.time_ns,
        matches=len(pair.matches),
        inliers=int(np.count_nonzero(pair.geometry.inliers)),
        case=pair.geometry.case.name,
    )


def _picture(pair: MatchedPair, folder: Path) -> Picture:
    picture = picture_of(pair, _DRAWING)
    name = f"picture_{pair.number:06}.jpg"
    _, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    (folder / name).write_bytes(data.tobytes())
    height, width = picture.shape[:2]
    return Picture(_record(pair), name, width, height)
