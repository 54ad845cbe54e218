"""What the report needs of each part, and the report of them all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from superglue_ros.bag.outputs import Summary, WriteResult
from superglue_ros.bag.pictures import picture_of
from superglue_ros.bag.report.charts import import_matplotlib
from superglue_ros.bag.report.histograms import SPREADS, values_of
from superglue_ros.bag.report.page import Context, page
from superglue_ros.bag.report.records import PairRecord, Picture, Records
from superglue_ros.bag.results import FrameResult, MatchedPair
from superglue_ros.config import DrawingConfig
from superglue_ros.synchroniser import NANOSECONDS

Item = TypeVar("Item")

REPORT_FILE = "report.html"
EXAMPLES = 3
"""Pairs that are shown of the worst and of the best."""

APART_SEC = 1.0
"""Time between them, or less in a short recording: neighbours look the same."""

_CANDIDATES = 12  # pairs whose images are kept of a part
_RECORDS_FILE = "report.json"
_JPEG_QUALITY = 80
_PICTURE_SIZE = 1280
_SMALL_MOTION = 0.1  # of the image's diagonal: what is nearer is seen best on one image


class Report:
    """report.html.

    Args:
        context: What the report is of, and where things lie.
        stereo: Whether the pairs are left and right images.

    Raises:
        InputError: Matplotlib is not installed.
    """

    def __init__(self, context: Context, *, stereo: bool) -> None:
        """Look for Matplotlib."""
        import_matplotlib()
        self._context = context
        self._stereo = stereo

    @contextmanager
    def part(self, folder: Path) -> Iterator[WriteResult]:
        """See `Output`."""
        collected = _Collected(self._stereo)
        yield collected.add
        records = collected.records
        records.worst, records.best = (
            [_picture(pair, folder) for pair in chosen(pairs, _record, EXAMPLES, best=best)]
            for pairs, best in ((collected.worst, False), (collected.best, True))
        )
        (folder / _RECORDS_FILE).write_text(json.dumps(asdict(records)))

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """See `Output`."""
        records = Records()
        for part in parts:
            records.add(Records.from_json((part / _RECORDS_FILE).read_text(), part))
        span_sec = _span_sec(records.pairs)
        records.worst = chosen(records.worst, _of_picture, EXAMPLES, best=False, span_sec=span_sec)
        shown = {picture.pair.number for picture in records.worst}
        others = [picture for picture in records.best if picture.pair.number not in shown]
        records.best = chosen(others, _of_picture, EXAMPLES, best=True, span_sec=span_sec)
        (folder / REPORT_FILE).write_text(page(self._context, summary, records), encoding="utf-8")


@dataclass
class _Collected:
    """What is noted of the frames of a part; images are kept of the worst and best pairs only."""

    stereo: bool
    records: Records = field(default_factory=Records)
    worst: list[MatchedPair] = field(default_factory=list)
    best: list[MatchedPair] = field(default_factory=list)

    def add(self, result: FrameResult) -> None:
        records = self.records
        for stage, duration_ms in result.durations_ms.items():
            records.durations_ms.setdefault(stage, []).append(round(duration_ms, 3))
        for pair in result.pairs:
            records.pairs.append(_record(pair))
            counts = {
                kind: SPREADS[kind].counts(values).tolist()
                for kind, values in values_of(pair, stereo=self.stereo)
            }
            records.add(Records(histograms=counts))
            span_sec = _span_sec(records.pairs)
            self.worst = chosen(
                [*self.worst, pair], _record, _CANDIDATES, best=False, span_sec=span_sec
            )
            self.best = chosen(
                [*self.best, pair], _record, _CANDIDATES, best=True, span_sec=span_sec
            )


def chosen(
    items: Sequence[Item],
    record: Callable[[Item], PairRecord],
    count: int,
    *,
    best: bool,
    span_sec: float | None = None,
) -> list[Item]:
    """The best or worst few, one only of those that are close together in time.

    Args:
        items: What to choose from.
        record: Gives the numbers of one.
        count: How many at most.
        best: Whether the best are wanted.
        span_sec: Length of what they are from, of the items where None: so many are wanted of it
            that they are less apart where it is short.
    """
    span_sec = _span_sec([record(item) for item in items]) if span_sec is None else span_sec
    apart_ns = min(APART_SEC, span_sec / (2 * count)) * NANOSECONDS
    found: list[Item] = []
    for item in sorted(items, key=lambda one: _order(record(one), best=best)):
        time_ns = record(item).time_ns
        if all(abs(time_ns - record(other).time_ns) >= apart_ns for other in found):
            found.append(item)
    return found[:count]


def _span_sec(records: Sequence[PairRecord]) -> float:
    times = [record.time_ns for record in records]
    return (max(times) - min(times)) / NANOSECONDS if times else 0.0


def _of_picture(picture: Picture) -> PairRecord:
    return picture.pair


def _order(record: PairRecord, *, best: bool) -> tuple[int, int]:
    """By inliers, and where these are as many by number."""
    return (-record.inliers if best else record.inliers), record.number


def _record(pair: MatchedPair) -> PairRecord:
    assert pair.geometry is not None
    matches, error_px = pair.matches, pair.geometry.median_error_px
    ends0, ends1 = matches.points(pair.view0.features, pair.view1.features)
    some = len(matches) > 0
    return PairRecord(
        number=pair.number,
        time_ns=pair.view1.origin.time_ns,
        matches=len(matches),
        inliers=int(np.count_nonzero(pair.geometry.inliers)),
        case=pair.geometry.case.name,
        motion_px=float(np.median(np.linalg.norm(ends1 - ends0, axis=1))) if some else 0.0,
        error_px=float(error_px) if np.isfinite(error_px) else None,
        confidence=float(np.median(matches.confidences)) if some else 0.0,
        refined=float(matches.are_refined.mean()) if some else 0.0,
    )


def _picture(pair: MatchedPair, folder: Path) -> Picture:
    record = _record(pair)
    diagonal = float(np.hypot(*pair.view1.features.image_size))
    layout = "overlay" if record.motion_px < _SMALL_MOTION * diagonal else "stacked"
    drawing = DrawingConfig(layout=layout, colour="inlier", max_picture_size=_PICTURE_SIZE)
    picture = picture_of(pair, drawing)
    name = f"picture_{pair.number:06}.jpg"
    _, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    (folder / name).write_bytes(data.tobytes())
    height, width = picture.shape[:2]
    return Picture(record, name, width, height)
