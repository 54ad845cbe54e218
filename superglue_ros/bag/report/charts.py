"""The time line of a run as SVG; its colours are those of the page around it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 44
_PIXELS_A_POINT = 2  # finer is not to be seen: points closer than that become one
_GAP_FACTOR = 5  # a line is not drawn over a time that is so many times the usual one


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers over time.

    Attributes:
        name: What they count, also the class of its lines in the page's style.
        values: (N,) the numbers.
    """

    name: str
    values: Values


class _Point(NamedTuple):
    """Some neighbouring values: time, mean, least and largest."""

    sec: float
    mean: float
    low: float
    high: float


class _Axes:
    """From seconds and counts to the coordinates of a picture."""

    def __init__(self, size: tuple[int, int], last_sec: float, largest: float) -> None:
        self.width, self.height = size
        self.times = _ticks(last_sec, (self.width - _LEFT - _RIGHT) // 90)
        self.counts = _ticks(largest, 4)
        self._x_scale = (self.width - _LEFT - _RIGHT) / max(last_sec, 1e-9)
        self._y_scale = (self.height - _TOP - _BOTTOM) / max(self.counts[-1], 1e-9)

    def x(self, sec: float) -> float:
        return round(_LEFT + sec * self._x_scale, 1)

    def y(self, count: float) -> float:
        return round(self.height - _BOTTOM - count * self._y_scale, 1)


def time_line(secs: Values, series: Sequence[Series], size: tuple[int, int]) -> str:
    """The course of some counts.

    Where there are more values than room, the line is their mean, and a band reaches from the least
    to the largest of them.

    Args:
        secs: (N,) rising, seconds from the beginning; N is at least 1.
        series: The counts at these times.
        size: (width, height) in pixels.

    Returns:
        An <svg> element.
    """
    axes = _Axes(size, float(secs[-1]), max(float(one.values.max()) for one in series))
    names = " and ".join(one.name for one in series)
    return "\n".join(
        [
            f'<svg viewBox="0 0 {axes.width} {axes.height}" role="img" '
            f'aria-label="{names} over time">',
            *_grid(axes),
            *(line for one in series for line in _lines(axes, secs, one)),
            "</svg>",
        ]
    )


def _grid(axes: _Axes) -> Iterator[str]:
    bottom, right = axes.height - _BOTTOM, axes.width - _RIGHT
    for count in axes.counts:
        y = axes.y(count)
        yield f'<path class="grid" d="M{_LEFT} {y}H{right}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{count:g}</text>'
    for sec in axes.times:
        x = axes.x(sec)
        yield f'<path class="grid" d="M{x} {bottom}v5"/>'
        yield f'<text x="{x}" y="{bottom + 20}" text-anchor="middle">{sec:g}</text>'
    middle = (_LEFT + right) / 2
    yield f'<text x="{middle}" y="{axes.height - 6}" text-anchor="middle">seconds</text>'


def _lines(axes: _Axes, secs: Values, series: Series) -> Iterator[str]:
    room = (axes.width - _LEFT - _RIGHT) // _PIXELS_A_POINT
    for piece in _pieces(secs):
        share = len(piece) / len(secs)
        points = list(_points(secs[piece], series.values[piece], max(2, round(room * share))))
        if any(point.high > point.low for point in points):
            upper = [f"{axes.x(point.sec)} {axes.y(point.high)}" for point in points]
            lower = [f"{axes.x(point.sec)} {axes.y(point.low)}" for point in reversed(points)]
            yield f'<path class="band {series.name}" d="M{"L".join(upper + lower)}Z"/>'
        line = "L".join(f"{axes.x(point.sec)} {axes.y(point.mean)}" for point in points)
        kind, end = ("line dot", "h0") if len(points) == 1 else ("line", "")
        yield f'<path class="{kind} {series.name}" d="M{line}{end}"/>'


def _pieces(secs: Values) -> list[NDArray[np.intp]]:
    """The indices of the values, cut where there are none for a long time."""
    steps = np.diff(secs)
    usual = float(np.median(steps)) if len(steps) else 0.0
    cuts = np.flatnonzero(steps > _GAP_FACTOR * usual) + 1
    return np.split(np.arange(len(secs)), cuts)


def _points(secs: Values, values: Values, room: int) -> Iterator[_Point]:
    for indices in np.array_split(np.arange(len(secs)), min(room, len(secs))):
        some = values[indices]
        mean_sec = float(secs[indices].mean())
        yield _Point(mean_sec, float(some.mean()), float(some.min()), float(some.max()))


def _ticks(largest: float, count: int) -> list[float]:
    """About `count` round numbers from 0, for counts up to the one above the largest."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [round(step * number, 10) for number in range(math.ceil(largest / step - 1e-9) + 1)]
