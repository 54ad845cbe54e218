"""The charts of a report, drawn by Matplotlib as SVG whose colours are those of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from superglue_ros.bag.report.histograms import Spread
from superglue_ros.errors import InputError

Values = NDArray[np.float64]

_DOTS = 400
"""More points than so many become one with their neighbours."""

_GAP_FACTOR = 5  # a line is not drawn over a time that is so many times the usual one
_SVG = "http://www.w3.org/2000/svg"
# Colours that nothing else has stand for those of the page's style, which is light or dark
_COLOURS = {
    "text": "#010203",
    "rule": "#010204",
    "first": "#010205",
    "second": "#010206",
    "alarm": "#010207",
    "fine": "#010208",
}
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "superglue_ros",  # the same chart is the same text
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": _COLOURS["rule"],
    "axes.labelcolor": _COLOURS["text"],
    "axes.titlecolor": _COLOURS["text"],
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _COLOURS["rule"],
    "xtick.color": _COLOURS["text"],
    "ytick.color": _COLOURS["text"],
    "text.color": _COLOURS["text"],
    "legend.frameon": False,
}


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers over time.

    Attributes:
        name: What they are.
        values: (N,) the numbers, not a number where there is none.
    """

    name: str
    values: Values


@dataclass(frozen=True)
class Mark:
    """A moment that is pointed at.

    Attributes:
        sec: When.
        value: How high on the chart.
        text: What is said where the pointer rests on it.
        target: Id of the element of the page that it leads to.
        is_good: Whether it is one of the best rather than of the worst.
    """

    sec: float
    value: float
    text: str
    target: str
    is_good: bool


def import_matplotlib() -> ModuleType:
    """Matplotlib with its figures.

    Raises:
        InputError: It is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError:
        raise InputError("a report needs Matplotlib: pip install matplotlib") from None
    return matplotlib


def time_line(
    secs: Values,
    series: Sequence[Series],
    texts: Sequence[str],
    marks: Sequence[Mark] = (),
    *,
    title: str,
    size: tuple[float, float] = (11, 3),
) -> str:
    """The course of some numbers.

    Where there are more values than room, a dot is the mean of its neighbours, and a band reaches
    from the least to the largest of them.

    Args:
        secs: (N,) rising, seconds from the beginning; N is at least 1.
        series: One or two, the numbers at these times.
        texts: N, what is said where the pointer rests on a dot.
        marks: What is pointed at.
        title: What it shows.
        size: Width and height in inches of 72 pixels.

    Returns:
        An <svg> element.
    """
    known = [np.isfinite(one.values) for one in series]
    shown = [
        _Points.of(secs[has], one.values[has], len(secs))
        for one, has in zip(series, known, strict=True)
    ]

    def draw(axes: Any) -> None:
        for one, has, points, colour in zip(
            series, known, shown, ("first", "second"), strict=False
        ):
            shade = _COLOURS[colour]
            for number, piece in enumerate(_pieces(secs[has])):
                line = _Points.of(secs[has][piece], one.values[has][piece], len(secs))
                label = one.name if number == 0 else None
                axes.plot(line.secs, line.means, color=shade, linewidth=1.4, label=label)
                if (line.highs > line.lows).any():
                    axes.fill_between(
                        line.secs, line.lows, line.highs, color=shade, alpha=0.25, linewidth=0
                    )
            dots = axes.scatter(points.secs, points.means, s=12, color=shade, zorder=3)
            dots.set_gid(f"dots-{colour}")
        for mark in marks:
            shape, colour = ("^", "fine") if mark.is_good else ("v", "alarm")
            drawn = axes.scatter(
                [mark.sec], [mark.value], s=70, marker=shape, color=_COLOURS[colour], zorder=4
            )
            drawn.set_gid(f"mark-{mark.target}")
        axes.set_xlabel("seconds from the first pair")
        axes.grid(axis="y", linewidth=0.6)
        largest = max(
            one.values[has].max(initial=0.0) for one, has in zip(series, known, strict=True)
        )
        axes.set_ylim(0, 1.1 * largest or 1.0)
        if len(series) > 1:
            place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
            axes.legend(ncols=2, **place)

    titles = {}
    for has, colour in zip(known, ("first", "second"), strict=False):
        numbers = _Points.of(secs[has], np.flatnonzero(has).astype(float), len(secs)).means
        titles[f"dots-{colour}"] = [texts[round(number)] for number in numbers]
    links = {f"mark-{mark.target}": (mark.target, mark.text) for mark in marks}
    return _svg(draw, title, size, titles, links)


def histogram(
    spread: Spread, counts: Sequence[int], *, size: tuple[float, float] = (5.2, 2.4)
) -> str:
    """How often values are how large, up to the largest there are but for one in a hundred.

    Args:
        spread: What they are.
        counts: Of each bin, at least one of them not 0.
        size: Width and height in inches of 72 pixels.

    Returns:
        An <svg> element.
    """
    shares = np.array(counts, float) / sum(counts)
    last = int(np.searchsorted(np.cumsum(shares), 0.99)) + 1
    width = max(1, -(-last // 40))  # as many bins as can be told apart
    count = -(-last // width)
    padded = np.pad(shares, (0, width * count))[: width * count]
    shares = padded.reshape(count, width).sum(axis=1)
    step = spread.step * width
    begins = np.arange(len(shares)) * step

    def draw(axes: Any) -> None:
        bars = axes.bar(begins, 100 * shares, step * 0.92, align="edge", color=_COLOURS["first"])
        for number, bar in enumerate(bars):
            bar.set_gid(f"bar-{number}")
        axes.set_xlabel(spread.unit)
        axes.set_ylabel("%")
        axes.grid(axis="y", linewidth=0.6)
        axes.set_axisbelow(True)

    titles = {
        f"bar-{number}": [f"{begin:g} to {begin + step:g} {spread.unit}: {100 * share:.1f} %"]
        for number, (begin, share) in enumerate(zip(begins, shares, strict=True))
    }
    return _svg(draw, spread.title, size, titles, {})


@dataclass(frozen=True, eq=False)
class _Points:
    """Neighbouring values as one: times, means, least and largest."""

    secs: Values
    means: Values
    lows: Values
    highs: Values

    @classmethod
    def of(cls, secs: Values, values: Values, whole: int) -> _Points:
        """Those of a piece of a whole of so many values."""
        room = max(2, round(_DOTS * len(secs) / whole))
        groups = np.array_split(np.arange(len(secs)), max(1, min(room, len(secs))))
        groups = [group for group in groups if len(group)]
        some = [values[group] for group in groups]
        return cls(
            np.array([secs[group].mean() for group in groups]),
            np.array([one.mean() for one in some]),
            np.array([one.min() for one in some]),
            np.array([one.max() for one in some]),
        )


def _pieces(secs: Values) -> list[NDArray[np.intp]]:
    """The indices of the values, cut where there are none for a long time."""
    steps = np.diff(secs)
    usual = float(np.median(steps)) if len(steps) else 0.0
    cuts = np.flatnonzero(steps > _GAP_FACTOR * usual) + 1
    return np.split(np.arange(len(secs)), cuts)


def _svg(
    draw: Callable[[Any], None],
    title: str,
    size: tuple[float, float],
    titles: Mapping[str, Sequence[str]],
    links: Mapping[str, tuple[str, str]],
) -> str:
    """What is drawn into axes, as an element for the page."""
    matplotlib = import_matplotlib()
    with matplotlib.rc_context(_SETTINGS):
        figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set_title(title)
        file = io.BytesIO()
        figure.savefig(
            file, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = _explained(file.getvalue().decode(), title, titles, links)
    for name, stand_in in _COLOURS.items():
        text = text.replace(stand_in, f"var(--{name})")
    return text


def _explained(
    text: str,
    title: str,
    titles: Mapping[str, Sequence[str]],
    links: Mapping[str, tuple[str, str]],
) -> str:
    """With what is said of each dot, and where each mark leads to."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(text)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for name in ("width", "height"):
        root.attrib.pop(name)
    root.attrib |= {"role": "img", "aria-label": title}
    for element in list(root.iter(f"{{{_SVG}}}g")):
        identity = element.attrib.get("id", "")
        if identity in titles:
            for shape, words in zip(_shapes(element), titles[identity], strict=True):
                _say(shape, words)
        elif identity in links:
            target, words = links[identity]
            link = ElementTree.Element(f"{{{_SVG}}}a", {"href": f"#{target}"})
            link.extend(list(element))
            for child in list(element):
                element.remove(child)
            element.append(link)
            _say(link, words)
    # An id names one element of a page, where there are several charts
    plain = ElementTree.tostring(root, encoding="unicode")
    known = set(re.findall(r'id="([^"]+)"', plain))
    prefix = re.sub(r"\W+", "-", title.lower())
    for identity in sorted(known, key=len, reverse=True):
        for before, after in (('id="', '"'), ('href="#', '"'), ("url(#", ")")):
            plain = plain.replace(
                f"{before}{identity}{after}", f"{before}{prefix}-{escape(identity)}{after}"
            )
    return plain


def _shapes(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The dots of a collection, or the one path of a bar."""
    uses = list(element.iter(f"{{{_SVG}}}use"))
    yield from uses or [next(element.iter(f"{{{_SVG}}}path"))]


def _say(element: ElementTree.Element, words: str) -> None:
    ElementTree.SubElement(element, f"{{{_SVG}}}title").text = words
