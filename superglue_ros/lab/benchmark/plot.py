"""Growth as a picture: time and memory, a panel for each thing that grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.images import write_image
from superglue_ros.lab.benchmark.results import Row

AXES = {
    "keypoints": ("matching a pair", "keypoints of an image"),
    "size": ("extracting from an image", "megapixels"),
    "batch": ("extracting", "images at once"),
    "cameras": ("extracting and matching", "cameras, a frame of each"),
}
"""By what grows: what is measured, and what the horizontal axis counts."""

_WIDTH, _HEIGHT, _HEAD = 560, 380, 64
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 70, 62, 60
_BLACK, _GREY, _BLUE, _RED = (40, 40, 40), (222, 222, 222), (176, 96, 24), (40, 40, 196)
_LINES = 4

Picture = NDArray[np.uint8]


def plot_growth(rows: Sequence[Row], path: Path) -> None:
    """Write a picture of the rows of `superglue_ros.lab.benchmark.growth`, at least one.

    Raises:
        InputError: The file cannot be written, or its ending names no image format.
    """
    panels = [
        _panel(texts, [row for row in rows if row.stage == f"growth with {axis}"], axis)
        for axis, texts in AXES.items()
    ]
    halves = [np.hstack(panels[:2]), np.hstack(panels[2:])]
    write_image(path, np.vstack([_head(rows[0]), *halves]))


def _head(row: Row) -> Picture:
    """What holds for all panels."""
    picture = np.full((_HEAD, 2 * _WIDTH, 3), 255, np.uint8)
    how = f"{row.contender}, {row.engine}, {row.computes_in}, on {row.device}"
    _write(picture, f"{how}, SuperGlue with all layers", (_LEFT, 26), _BLACK)
    legend = f"blue: time, median of {row.runs} runs; thin: were it proportional"
    _write(picture, legend, (_LEFT, 50), _BLUE)
    memory = "peak of the process" if row.device == "cpu" else "peak of the device"
    _write(picture, f"red: memory, {memory}", (_WIDTH + _LEFT, 50), _RED)
    return picture


def _panel(texts: tuple[str, str], rows: Sequence[Row], axis: str) -> Picture:
    """Time on the left axis, memory on the right one, both from 0."""
    picture = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    if not rows:
        return picture
    _write(picture, f"{texts[0]}{_fixed(rows[0], axis)}", (_LEFT, 22), _BLACK)
    _write(picture, texts[1], (_LEFT, _HEIGHT - 16), _BLACK)
    rows = sorted(rows, key=lambda row: _place(row, axis))
    places = [_place(row, axis) for row in rows]
    _grid(picture, places)
    times = [row.p50_ms for row in rows]
    high = _round_up(max(times))
    origin, last = (_LEFT, _row(0.0, high)), (_column(places[-1], places), _row(times[-1], high))
    cv2.line(picture, origin, last, _BLUE, 1, cv2.LINE_AA)
    _curve(picture, places, times, ("ms", 6, _BLUE))
    _curve(picture, places, [row.peak_mib for row in rows], ("MiB", _WIDTH - _RIGHT + 8, _RED))
    return picture


def _curve(
    picture: Picture,
    places: Sequence[float],
    values: Sequence[float],
    axis: tuple[str, int, tuple[int, int, int]],
) -> None:
    """Values over places, and their axis: its unit, column and colour."""
    unit, x, colour = axis
    _write(picture, unit, (x, _TOP - 16), colour)
    high = _round_up(max(values))
    for line in range(_LINES + 1):
        value = high * line / _LINES
        _write(picture, f"{value:g}", (x, _row(value, high) + 4), colour)
    points = [(_column(p, places), _row(v, high)) for p, v in zip(places, values, strict=True)]
    cv2.polylines(picture, [np.array(points, np.int32)], False, colour, 2, cv2.LINE_AA)
    for point in points:
        cv2.circle(picture, point, 4, colour, -1, cv2.LINE_AA)


def _fixed(row: Row, axis: str) -> str:
    """What does not grow, as far as it matters."""
    if axis == "keypoints":
        return ""
    size = "" if axis == "size" else f"{row.width}x{row.height}, "
    return f", {size}{row.keypoints} keypoints"


def _place(row: Row, axis: str) -> float:
    if axis == "keypoints":
        return row.keypoints
    return row.width * row.height / 1e6 if axis == "size" else row.batch


def _grid(picture: Picture, places: Sequence[float]) -> None:
    for line in range(_LINES + 1):
        y = _row(line, _LINES)
        cv2.line(picture, (_LEFT, y), (_WIDTH - _RIGHT, y), _GREY, 1)
    for place in places:
        x, text = _column(place, places), f"{round(place, 2):g}"
        cv2.line(picture, (x, _HEIGHT - _BOTTOM), (x, _HEIGHT - _BOTTOM + 5), _BLACK, 1)
        _write(picture, text, (x - 5 * len(text), _HEIGHT - _BOTTOM + 20), _BLACK)


def _column(place: float, places: Sequence[float]) -> int:
    return round(_LEFT + place / max(places) * (_WIDTH - _LEFT - _RIGHT))


def _row(value: float, high: float) -> int:
    return round(_HEIGHT - _BOTTOM - value / high * (_HEIGHT - _TOP - _BOTTOM))


def _round_up(value: float) -> float:
    """The next of 1, 2, 4 and 8 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value))


def _write(picture: Picture, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
