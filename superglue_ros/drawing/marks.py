"""Antialiased lines, dots, crosses and tails, placed to a fraction of a pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.drawing.colours import Colours
from superglue_ros.drawing.layouts import BgrImage
from superglue_ros.features import FloatArray

_FRACTION_BITS = 4  # OpenCV draws to 1/16 of a pixel
_UNIT_SIDE = 1300.0  # longest side of a picture on which the unit of strokes is a pixel
_MIN_UNIT = 0.75
_RIM = (32, 32, 32)
_RIM_WIDTH = 0.8
_TURNS = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1).astype(np.float32)
_COVERED_SHARE = 0.07  # of the picture, by lines
FEWEST_LINES = 20
"""Are always drawn."""

_LINE_OPACITY = 0.85
_TAIL_OPACITIES = (0.35, 0.6, 0.85)  # of the oldest third of a tail, the next, the newest


class Pen:
    """Draws into a picture, with strokes that suit its size.

    Args:
        picture: (H, W, 3) uint8 BGR, drawn into in place.
    """

    def __init__(self, picture: BgrImage) -> None:
        """Choose the width of the strokes."""
        self._picture = picture
        self._unit = max(_MIN_UNIT, max(picture.shape[:2]) / _UNIT_SIDE)
        self._width = max(1, round(self._unit))

    def lines(
        self, starts: FloatArray, ends: FloatArray, colours: Colours, certainty: FloatArray
    ) -> int:
        """Draw lines from (K, 2) to (K, 2), the last on top; the images show through them.

        More than a share of the picture they do not cover: they keep their colours, and the least
        certain are left out.

        Args:
            starts: Their beginnings.
            ends: Their ends.
            colours: (K, 3) of the lines.
            certainty: (K,) which are drawn first where not all can be.

        Returns:
            How many there are.
        """
        height, width = self._picture.shape[:2]
        lengths = np.minimum(np.linalg.norm(ends - starts, axis=1), math.hypot(height, width))
        best = np.argsort(-certainty, kind="stable")
        covered = np.cumsum(lengths[best]) * self._width
        count = int(np.searchsorted(covered, _COVERED_SHARE * height * width, side="right"))
        drawn = np.sort(best[: max(count, FEWEST_LINES)])
        lined = self._picture.copy()
        fixed = _fixed(starts[drawn]), _fixed(ends[drawn])
        for start, end, colour in zip(*fixed, colours[drawn].tolist(), strict=True):
            cv2.line(lined, start, end, colour, self._width, cv2.LINE_AA, _FRACTION_BITS)
        self._blend(lined, _LINE_OPACITY)
        return len(drawn)

    def dots(self, points: FloatArray, colours: Colours, *, radius: float, rim: bool) -> None:
        """Draw discs at (K, 2), the last on top; the radius is in units."""
        # Of a small circle OpenCV makes a square.
        disc = _CIRCLE * (radius * self._unit)
        around = _CIRCLE * ((radius + _RIM_WIDTH) * self._unit)
        discs, rims = _fixed(points[:, None] + disc), _fixed(points[:, None] + around)
        for inner, outer, colour in zip(discs, rims, colours.tolist(), strict=True):
            if rim:
                self._fill(outer, _RIM)
            self._fill(inner, colour)

    def crosses(self, points: FloatArray, colours: Colours, *, radius: float) -> None:
        """Draw diagonal crosses at (K, 2), the last on top; the radius is in units."""
        arms = np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]], np.float32) * (radius * self._unit)
        for ends, colour in zip(_fixed(points[:, None] + arms), colours.tolist(), strict=True):
            for shade, width in ((_RIM, self._width + 2), (colour, self._width)):
                strokes = ends.reshape(2, 2, 2)
                cv2.polylines(
                    self._picture, strokes, False, shade, width, cv2.LINE_AA, _FRACTION_BITS
                )

    def tails(self, paths: Sequence[FloatArray], colours: Colours) -> None:
        """Draw paths (L, 2), oldest point first, that fade towards the past."""
        fixed = [_fixed(path) for path in paths]
        for third, opacity in enumerate(_TAIL_OPACITIES):
            lined = self._picture.copy()
            for path, colour in zip(fixed, colours.tolist(), strict=True):
                first, last = (math.ceil(k * (len(path) - 1) / 3) for k in (third, third + 1))
                piece = path[first : last + 1]
                cv2.polylines(
                    lined, [piece], False, colour, self._width, cv2.LINE_AA, _FRACTION_BITS
                )
            self._blend(lined, opacity)

    def _fill(self, polygon: NDArray[np.int32], colour: Sequence[int]) -> None:
        cv2.fillConvexPoly(self._picture, polygon, colour, cv2.LINE_AA, _FRACTION_BITS)

    def _blend(self, drawn: BgrImage, opacity: float) -> None:
        cv2.addWeighted(drawn, opacity, self._picture, 1 - opacity, 0, dst=self._picture)


def _fixed(points: FloatArray) -> NDArray[np.int32]:
    return np.rint(points * (1 << _FRACTION_BITS)).astype(np.int32)
