"""The report as an HTML page: nothing outside it is needed, and there is no script."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from superglue_ros.bag.outputs import Summary
from superglue_ros.bag.report.charts import Mark, Series, histogram, time_line
from superglue_ros.bag.report.histograms import SPREADS
from superglue_ros.bag.report.records import PairRecord, Picture, Records
from superglue_ros.bag.report.style import STYLE
from superglue_ros.synchroniser import NANOSECONDS

_CASES = {
    "GENERAL": "motion with parallax",
    "TOO_FEW_MATCHES": "too few matches for a geometry",
    "NO_CONSENSUS": "matches that agree with no geometry",
    "NO_MOTION": "no motion",
    "PURE_ROTATION": "rotation in place",
    "PLANAR": "a plane, or too little parallax",
    "UNCERTAIN": "motion that the noise leaves open",
}


@dataclass(frozen=True)
class Context:
    """What a report is of.

    Attributes:
        title: Its name.
        made_with: Settings and weights, for whoever wants to make it again.
        video: Name of the video beside the report; empty where there is none.
    """

    title: str
    made_with: Mapping[str, Any]
    video: str = ""


def page(context: Context, summary: Summary, records: Records) -> str:
    """The report.

    Args:
        context: What it is of.
        summary: What the run did.
        records: What it found; the pictures are read from their files.

    Returns:
        The page as text.
    """
    title = escape(context.title)
    parts = [
        f"<h1>{title}</h1>",
        _origin(context, summary, records),
        _numbers(summary, records),
        _problems(summary),
        _time_lines(records),
        _all_examples(records),
        _spreads(records),
        _cases(summary, records),
        _left_out(summary),
        _latency(records),
        "<h2>Made with</h2><details><summary>input, weights and settings</summary>"
        f"<pre>{escape(json.dumps(context.made_with, indent=1))}</pre></details>",
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _origin(context: Context, summary: Summary, records: Records) -> str:
    """Which topics, when they were recorded, and where the video is."""
    lines = [escape(", ".join(summary.topics))]
    if records.pairs:
        begin = datetime.fromtimestamp(_begin_ns(records) / NANOSECONDS, tz=timezone.utc)
        lines.append(f"first pair recorded {begin:%Y-%m-%d %H:%M:%S} UTC")
    if context.video:
        name = escape(context.video)
        lines.append(f'video: <a href="{name}">{name}</a> beside this file, its clock as below')
    return "".join(f"<p>{line}</p>" for line in lines)


def _begin_ns(records: Records) -> int:
    return min(pair.time_ns for pair in records.pairs)


def _numbers(summary: Summary, records: Records) -> str:
    pairs = records.pairs
    matches = sum(pair.matches for pair in pairs)
    inliers = sum(pair.inliers for pair in pairs)
    refined = sum(pair.refined * pair.matches for pair in pairs)
    errors = [pair.error_px for pair in pairs if pair.error_px is not None]
    numbers = {
        "recorded": f"{summary.recorded_sec:.1f} s",
        "frames": f"{summary.frames}",
        "pairs": f"{summary.pairs}",
        "keypoints an image": f"{summary.mean_keypoints:.0f}",
        "matches a pair": f"{summary.mean_matches:.0f}",
        "inliers a pair": f"{inliers / max(1, len(pairs)):.0f}",
        "inliers of the matches": f"{inliers / max(1, matches):.0%}",
        "median error of the inliers": f"{np.median(errors):.2f} px" if errors else "-",
        "median motion": f"{np.median([p.motion_px for p in pairs]):.1f} px" if pairs else "-",
        "median confidence": f"{np.median([p.confidence for p in pairs]):.2f}" if pairs else "-",
        "refined": f"{refined / max(1, matches):.0%}",
    }
    cells = (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in numbers.items())
    return f'<dl class="numbers">{"".join(cells)}</dl>'


def _problems(summary: Summary) -> str:
    if not summary.problems:
        return ""
    lines = "".join(f"<li>{escape(problem)}</li>" for problem in summary.problems)
    return f'<section class="problems"><h2>Not readable</h2><ul>{lines}</ul></section>'


def _time_lines(records: Records) -> str:
    if not records.pairs:
        return "<h2>Time line</h2><p>There are no pairs.</p>"
    pairs = sorted(records.pairs, key=lambda pair: pair.time_ns)
    secs = (np.array([pair.time_ns for pair in pairs]) - pairs[0].time_ns) / NANOSECONDS
    texts = [_told(pair, sec) for pair, sec in zip(pairs, secs, strict=True)]
    errors = [np.nan if pair.error_px is None else pair.error_px for pair in pairs]
    charts = [
        time_line(
            secs,
            [
                Series("matches", np.array([pair.matches for pair in pairs], float)),
                Series("inliers", np.array([pair.inliers for pair in pairs], float)),
            ],
            texts,
            _marks(records, pairs[0].time_ns),
            title="Matches of each pair, and those that agree with one geometry",
        ),
        time_line(
            secs,
            [Series("error", np.array(errors, float))],
            texts,
            title="Median distance of the inliers from the geometry, pixels",
            size=(11, 2),
        ),
        time_line(
            secs,
            [Series("motion", np.array([pair.motion_px for pair in pairs], float))],
            texts,
            title="Median distance between the two ends of a match, pixels",
            size=(11, 2),
        ),
    ]
    drawn = "".join(f'<div class="chart">{chart}</div>' for chart in charts)
    return (
        f"<h2>Time line</h2>{drawn}<p>Triangles: the worst pairs (down) and the best ones (up) "
        "below; a click leads there. Where the pointer rests on a dot, its numbers are told.</p>"
    )


def _marks(records: Records, begin_ns: int) -> list[Mark]:
    return [
        Mark(
            sec=(picture.pair.time_ns - begin_ns) / NANOSECONDS,
            value=picture.pair.inliers,
            text=f"{word} pair: {_told(picture.pair, _sec(picture.pair, begin_ns))}",
            target=_identity(picture.pair),
            is_good=is_good,
        )
        for word, is_good, pictures in (
            ("worst", False, records.worst),
            ("best", True, records.best),
        )
        for picture in pictures
    ]


def _identity(pair: PairRecord) -> str:
    return f"pair-{pair.number}"


def _sec(pair: PairRecord, begin_ns: int) -> float:
    return (pair.time_ns - begin_ns) / NANOSECONDS


def _told(pair: PairRecord, sec: float) -> str:
    error = "" if pair.error_px is None else f", error {pair.error_px:.2f} px"
    return (
        f"Pair {pair.number}, at {sec:.2f} s: {pair.inliers} inliers of {pair.matches} matches, "
        f"motion {pair.motion_px:.1f} px{error}, {_CASES[pair.case]}"
    )


def _all_examples(records: Records) -> str:
    """The worst pairs beside the best ones."""
    columns = [
        _examples("Worst pairs", "with the fewest inliers", records.worst, records),
        _examples("Best pairs", "with the most inliers", records.best, records),
    ]
    return f'<div class="pictures">{"".join(columns)}</div>' if any(columns) else ""


def _examples(name: str, which: str, pictures: Sequence[Picture], records: Records) -> str:
    if not pictures:
        return ""
    begin_ns = _begin_ns(records)
    figures = "".join(_figure(picture, begin_ns) for picture in pictures)
    which = f"Those {which}, and apart in time. A click makes one as large as the window."
    return f"<section><h2>{name}</h2><p>{which}</p>{figures}</section>"


def _figure(picture: Picture, begin_ns: int) -> str:
    data = base64.b64encode(Path(picture.path).read_bytes()).decode()
    caption = _told(picture.pair, _sec(picture.pair, begin_ns))
    return (
        f'<figure id="{_identity(picture.pair)}"><label><input type="checkbox" '
        f'aria-label="enlarge pair {picture.pair.number}"><img '
        f'src="data:image/jpeg;base64,{data}" width="{picture.width}" '
        f'height="{picture.height}" alt="{caption}"></label>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _spreads(records: Records) -> str:
    charts = [
        f'<div class="chart">{histogram(SPREADS[kind], counts)}</div>'
        for kind, counts in records.histograms.items()
        if sum(counts)
    ]
    if not charts:
        return ""
    return f'<h2>Distributions</h2><div class="charts">{"".join(charts)}</div>'


def _cases(summary: Summary, records: Records) -> str:
    counts = Counter(pair.case for pair in records.pairs)
    rows = [(_CASES[case], str(count)) for case, count in counts.most_common()]
    calibration = escape(summary.calibration)
    return _table("What the pairs show", ("geometry", "pairs"), rows) + (
        f"<p>Calibration: {calibration}.</p>"
    )


def _left_out(summary: Summary) -> str:
    rows = [
        *((f"unpaired: {reason}", str(count)) for reason, count in summary.unpaired.items()),
        *((f"unusable: {reason}", str(count)) for reason, count in summary.unusable.items()),
        *(
            (f"dropped: {reason}", str(count))
            for reason, count in summary.dropped.items()
            if count and reason != "unusable image"
        ),
    ]
    if not rows:
        return "<h2>Frames without a pair</h2><p>None.</p>"
    return _table("Frames without a pair", ("reason", "frames"), rows)


def _latency(records: Records) -> str:
    rows = []
    for stage, durations in records.durations_ms.items():
        median, late, longest = np.percentile(durations, (50, 95, 100))
        rows.append((stage, f"{median:.1f}", f"{late:.1f}", f"{longest:.1f}"))
    columns = ("stage", "median ms", "95 % ms", "longest ms")
    return _table("Time that a frame took here", columns, rows) + (
        "<p>The stages of different frames run at the same time. "
        "These numbers alone differ from run to run.</p>"
    )


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )
