"""The panel in the corner of a picture: counts, and what the colours mean."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from superglue_ros.drawing.colours import INLIER, OUTLIER, Colour, confidence_colours
from superglue_ros.drawing.layouts import BgrImage

_TEXT: Colour = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT = 22.0  # of a capital at scale 1
_OPACITY = 0.7
_MIN_LETTER = 9


def draw_panel(picture: BgrImage, lines: Sequence[str], inliers: tuple[int, int] | None) -> None:
    """Darken the top left corner; write the lines and the key of the colours into it.

    Args:
        picture: (H, W, 3) uint8 BGR, drawn into in place.
        lines: What to write.
        inliers: Where colours say it, the number of inliers and of outliers; else they say how
            confident a match is.
    """
    _Panel(picture).draw(lines, inliers)


class _Panel:
    def __init__(self, picture: BgrImage) -> None:
        self._picture = picture
        self._letter = max(_MIN_LETTER, round(max(picture.shape[:2]) / 130))  # of a capital
        self._scale = self._letter / _FONT_HEIGHT
        self._stroke = max(1, round(self._letter / 9))

    def draw(self, lines: Sequence[str], inliers: tuple[int, int] | None) -> None:
        letter, row = self._letter, round(1.8 * self._letter)
        keys = [] if inliers is None else [f"inliers {inliers[0]}", f"outliers {inliers[1]}"]
        key_width = sum(self._width(key) + 3 * letter for key in keys) or 10 * letter
        width = max(key_width, *map(self._width, lines)) + 2 * letter
        corner = self._picture[: row * (len(lines) + 1) + letter, :width]
        corner[:] = np.rint(corner * (1 - _OPACITY)).astype(np.uint8)
        for number, line in enumerate(lines):
            self._write(line, letter, 2 * letter + number * row)
        top = letter + len(lines) * row
        if keys:
            self._swatches(keys, top)
        else:
            self._bar(top, width)

    def _width(self, text: str) -> int:
        return int(cv2.getTextSize(text, _FONT, self._scale, self._stroke)[0][0])

    def _write(self, text: str, x: int, baseline: int) -> None:
        cv2.putText(
            self._picture, text, (x, baseline), _FONT, self._scale, _TEXT, self._stroke, cv2.LINE_AA
        )

    def _bar(self, top: int, width: int) -> None:
        """The colours of the confidences from 0 to 1."""
        letter = self._letter
        left, right = 3 * letter, width - 3 * letter
        colours = confidence_colours(np.linspace(0, 1, right - left, dtype=np.float32))
        bar = self._picture[top : top + letter, left:right]
        bar[:] = colours[: bar.shape[1]]
        self._write("0", letter, top + letter)
        self._write("1", width - letter - self._width("1"), top + letter)

    def _swatches(self, keys: Sequence[str], top: int) -> None:
        letter = self._letter
        left = letter
        for key, colour in zip(keys, (INLIER, OUTLIER), strict=True):
            self._picture[top : top + letter, left : left + letter] = colour
            self._write(key, left + round(1.5 * letter), top + letter)
            left += self._width(key) + 3 * letter
