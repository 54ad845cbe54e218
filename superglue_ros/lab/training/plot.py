"""The log of a training as a picture: a panel for each figure, over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.lab.training.history import Entry

PANEL_WIDTH, PANEL_HEIGHT = 520, 240
COLUMNS = 2
_MARGIN_LEFT, _MARGIN_RIGHT, _MARGIN_TOP, _MARGIN_BOTTOM = 62, 14, 30, 26
_WHITE, _BLACK, _GREY, _BLUE = (255, 255, 255), (30, 30, 30), (215, 215, 215), (180, 90, 20)
_GRID_LINES = 4

Picture = NDArray[np.uint8]


def plot_log(entries: Sequence[Entry], path: Path) -> None:
    """Write the picture; nothing where the log is empty."""
    names = sorted({name for entry in entries for name in entry} - {"step"})
    if not names:
        return
    panels = [_panel(name, entries) for name in names]
    while len(panels) % COLUMNS:
        panels.append(np.full_like(panels[0], 255))
    rows = [np.hstack(panels[i : i + COLUMNS]) for i in range(0, len(panels), COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows))


def _panel(name: str, entries: Sequence[Entry]) -> Picture:
    picture = np.full((PANEL_HEIGHT, PANEL_WIDTH, 3), 255, np.uint8)
    known = [entry for entry in entries if name in entry and np.isfinite(entry[name])]
    _write(picture, name, (_MARGIN_LEFT, 20))
    if not known:
        return picture
    steps = np.array([entry["step"] for entry in known])
    values = np.array([entry[name] for entry in known])
    low, high = float(values.min()), float(values.max())
    high = high if high > low else low + 1
    last = max(1.0, float(steps.max()))
    for line in range(_GRID_LINES + 1):
        value = low + (high - low) * line / _GRID_LINES
        y = _row(value, low, high)
        cv2.line(picture, (_MARGIN_LEFT, y), (PANEL_WIDTH - _MARGIN_RIGHT, y), _GREY, 1)
        _write(picture, f"{value:.3g}", (6, y + 4))
    _write(picture, f"step {last:.0f}", (PANEL_WIDTH - 110, PANEL_HEIGHT - 8))
    width = PANEL_WIDTH - _MARGIN_LEFT - _MARGIN_RIGHT
    columns = (_MARGIN_LEFT + steps / last * width).round().astype(int)
    rows = [_row(value, low, high) for value in values]
    points = np.stack([columns, rows], axis=1).astype(np.int32)
    cv2.polylines(picture, [points], isClosed=False, color=_BLUE, thickness=1, lineType=cv2.LINE_AA)
    cv2.circle(picture, tuple(int(p) for p in points[-1]), 3, _BLUE, -1, cv2.LINE_AA)
    return picture


def _row(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low)
    return round(
        PANEL_HEIGHT - _MARGIN_BOTTOM - share * (PANEL_HEIGHT - _MARGIN_TOP - _MARGIN_BOTTOM)
    )


def _write(picture: Picture, text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _BLACK, 1, cv2.LINE_AA)
