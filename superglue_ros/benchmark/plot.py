"""Growth as a picture: time and memory, a panel for each thing that grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.benchmark.results import Row
from superglue_ros.images import write_image

AXES = {
    "keypoints": "keypoints: matching a pair",
    "size": "megapixels: extracting from an image",
    "batch": "images: extracting at once",
    "cameras": "cameras: extracting and matching a frame",
}

_WIDTH, _HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 70, 46, 44
_BLACK, _GREY, _BLUE, _RED = (40, 40, 40), (222, 222, 222), (176, 96, 24), (40, 40, 196)
_LINES = 4

Picture = NDArray[np.uint8]


def plot_growth(rows: Sequence[Row], path: Path) -> None:
    """Write a picture of the rows of `superglue_ros.benchmark.growth`.

    Raises:
        InputError: The file cannot be written, or its ending names no image format.
    """
    panels = [
        _panel(title, [row for row in rows if row.stage == f"growth with {axis}"], axis)
        for axis, title in AXES.items()
    ]
    write_image(path, np.vstack([np.hstack(panels[:2]), np.hstack(panels[2:])]))


def _panel(title: str, rows: Sequence[Row], axis: str) -> Picture:
    """Time on the left axis, memory on the right one, both from 0."""
    picture = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    _write(picture, title, (_LEFT, 22), _BLACK)
    if not rows:
        return picture
    places = [_place(row, axis) for row in rows]
    _grid(picture, places)
    for index, (name, colour, values) in enumerate(
        (("ms", _BLUE, [r.p50_ms for r in rows]), ("MiB", _RED, [r.peak_mib for r in rows]))
    ):
        x = (6, _WIDTH - _RIGHT + 8)[index]
        _write(picture, name, (x, _TOP - 8), colour)
        high = _round_up(max(values))
        for line in range(_LINES + 1):
            value = high * line / _LINES
            _write(picture, f"{value:g}", (x, _row(value, high) + 4), colour)
        points = [(_column(p, places), _row(v, high)) for p, v in zip(places, values, strict=True)]
        cv2.polylines(picture, [np.array(points, np.int32)], False, colour, 2, cv2.LINE_AA)
        for point in points:
            cv2.circle(picture, point, 4, colour, -1, cv2.LINE_AA)
    return picture


def _place(row: Row, axis: str) -> float:
    if axis == "keypoints":
        return row.keypoints
    return row.width * row.height / 1e6 if axis == "size" else row.batch


def _grid(picture: Picture, places: Sequence[float]) -> None:
    for line in range(_LINES + 1):
        y = _row(line, _LINES)
        cv2.line(picture, (_LEFT, y), (_WIDTH - _RIGHT, y), _GREY, 1)
    for place in places:
        x = _column(place, places)
        cv2.line(picture, (x, _HEIGHT - _BOTTOM), (x, _HEIGHT - _BOTTOM + 5), _BLACK, 1)
        _write(picture, f"{place:.4g}", (x - 14, _HEIGHT - _BOTTOM + 20), _BLACK)


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
