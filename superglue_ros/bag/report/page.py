"""The report as an HTML page: nothing outside it is needed, and there is no script."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from superglue_ros.bag.outputs import Summary
from superglue_ros.bag.report.charts import Series, time_line
from superglue_ros.bag.report.records import Picture, Records
from superglue_ros.bag.report.style import STYLE
from superglue_ros.synchroniser import NANOSECONDS

_SIZES = {"wide": (1040, 300), "narrow": (400, 280)}  # of the time line, by class

_CASES = {
    "GENERAL": "motion with parallax",
    "TOO_FEW_MATCHES": "too few matches for a geometry",
    "NO_CONSENSUS": "matches that agree with no geometry",
    "NO_MOTION": "no motion",
    "PURE_ROTATION": "rotation in place",
    "PLANAR": "a plane, or too little parallax",
    "UNCERTAIN": "motion that the noise leaves open",
}


def page(title: str, summary: Summary, records: Records, made_with: Mapping[str, Any]) -> str:
    """The report.

    Args:
        title: What it is of.
        summary: What the run did.
        records: What it found; the pictures are read from their files.
        made_with: Settings and weights.

    Returns:
        The page as text.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(', '.join(summary.topics))}</p>",
        _numbers(summary, records),
        _problems(summary),
        _time_lines(records),
        _examples("Worst pairs", "with the fewest inliers", records.worst, records),
        _examples("Best pairs", "with the most inliers", records.best, records),
        _cases(summary, records),
        _left_out(summary),
        _latency(records),
        "<h2>Made with</h2><details><summary>input, weights and settings</summary>"
        f"<pre>{escape(json.dumps(made_with, indent=1))}</pre></details>",
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _numbers(summary: Summary, records: Records) -> str:
    matches = sum(pair.matches for pair in records.pairs)
    inliers = sum(pair.inliers for pair in records.pairs)
    pairs = max(1, len(records.pairs))
    numbers = {
        "recorded": f"{summary.recorded_sec:.1f} s",
        "frames": f"{summary.frames}",
        "pairs": f"{summary.pairs}",
        "keypoints an image": f"{summary.mean_keypoints:.0f}",
        "matches a pair": f"{summary.mean_matches:.0f}",
        "inliers a pair": f"{inliers / pairs:.0f}",
        "inliers of the matches": f"{inliers / max(1, matches):.0%}",
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
    times = np.array([pair.time_ns for pair in records.pairs])
    order = np.argsort(times, kind="stable")
    secs = (times[order] - times.min()) / NANOSECONDS
    series = [
        Series(name, np.array([getattr(pair, name) for pair in records.pairs], float)[order])
        for name in ("matches", "inliers")
    ]
    charts = "".join(
        f'<div class="{kind}">{time_line(secs, series, size)}</div>'
        for kind, size in _SIZES.items()
    )
    key = "".join(f'<span class="key {one.name}">{one.name}</span>' for one in series)
    return (
        f"<h2>Time line</h2><p>{key}</p>{charts}<p>Of each pair: its matches, and those of them "
        "that agree with one geometry of the two views. Seconds from the first pair.</p>"
    )


def _examples(name: str, which: str, pictures: Sequence[Picture], records: Records) -> str:
    if not pictures:
        return ""
    begin_ns = min(pair.time_ns for pair in records.pairs)
    figures = "".join(_figure(picture, begin_ns) for picture in pictures)
    which = f"Those {which}, and apart in time."
    return f'<h2>{name}</h2><p>{which}</p><div class="pictures">{figures}</div>'


def _figure(picture: Picture, begin_ns: int) -> str:
    pair = picture.pair
    data = base64.b64encode(Path(picture.path).read_bytes()).decode()
    caption = (
        f"Pair {pair.number}, at {(pair.time_ns - begin_ns) / NANOSECONDS:.2f} s: "
        f"{pair.inliers} inliers of {pair.matches} matches"
    )
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" width="{picture.width}" '
        f'height="{picture.height}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    )


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
    return _table("Latency of a frame", columns, rows) + (
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
