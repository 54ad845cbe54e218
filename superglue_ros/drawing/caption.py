"""The caption below a picture: counts, and what colours, dots and lines mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from superglue_ros.drawing.colours import Colour, confidence_colours
from superglue_ros.drawing.layouts import BgrImage

Mark = Literal["none", "dot", "cross", "line", "confidences"]

_TEXT: Colour = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT = 22.0  # of a capital at scale 1
_LETTERS_ACROSS = 150  # heights of a capital in the width of a large picture
_MIN_LETTER = 9
_ROW_LETTERS = 1.8
_LARGEST_SHARE = 0.4  # of the images' height; a picture too small for its caption has none
_MARK_LETTERS = {"none": 0.0, "dot": 1.5, "cross": 1.8, "line": 2.5, "confidences": 6.5}
_NUMBER = re.compile(r"(?<![\d.])\d+(?![\d.])")


@dataclass(frozen=True)
class Entry:
    """One thing that a caption says.

    Attributes:
        text: In words.
        mark: What is explained by it; the colours of the confidences from 0 to 1 for one.
        colour: Of the mark.
    """

    text: str
    mark: Mark = "none"
    colour: Colour = _TEXT


class Caption:
    """Entries in as many rows as they need.

    Args:
        entries: What to say.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Take the entries."""
        self._entries = entries

    def height(self, width: int, image_height: int) -> int:
        """Rows of pixels that it takes below images of this height; 0 where there is no room."""
        height = self._place(width)[-1][1] + self._letter(width)
        return height if height <= _LARGEST_SHARE * image_height else 0

    def draw(self, strip: BgrImage) -> None:
        """Write into a strip of the picture, (H, W, 3) uint8 BGR, of the right height."""
        if not strip.size:
            return
        letter = self._letter(strip.shape[1])
        for entry, (x, baseline) in zip(self._entries, self._place(strip.shape[1]), strict=True):
            _mark(strip, entry, x, baseline, letter)
            left = x + round(_MARK_LETTERS[entry.mark] * letter)
            scale, stroke = _font(letter)
            cv2.putText(
                strip, entry.text, (left, baseline), _FONT, scale, _TEXT, stroke, cv2.LINE_AA
            )

    @staticmethod
    def _letter(width: int) -> int:
        return max(_MIN_LETTER, round(width / _LETTERS_ACROSS))

    def _place(self, width: int) -> list[tuple[int, int]]:
        """Left end and baseline of each entry."""
        letter = self._letter(width)
        x, baseline, places = letter, 2 * letter, []
        for entry in self._entries:
            # Numbers that grow leave the others where they are
            widest = _NUMBER.sub(lambda found: found[0].rjust(4, "0"), entry.text)
            scale, stroke = _font(letter)
            (text_width, _), _ = cv2.getTextSize(widest, _FONT, scale, stroke)
            needed = round(_MARK_LETTERS[entry.mark] * letter) + text_width
            if x > letter and x + needed + letter > width:
                x, baseline = letter, baseline + round(_ROW_LETTERS * letter)
            places.append((x, baseline))
            x += needed + 2 * letter
        return places


def _font(letter: int) -> tuple[float, int]:
    return letter / _FONT_HEIGHT, max(1, round(letter / 9))


def _mark(strip: BgrImage, entry: Entry, x: int, baseline: int, letter: int) -> None:
    """Draw what an entry explains, at its left."""
    middle, half = baseline - letter // 2, max(2, letter // 3)
    if entry.mark == "dot":
        cv2.circle(strip, (x + half, middle), half, entry.colour, cv2.FILLED, cv2.LINE_AA)
    elif entry.mark == "cross":
        for sign in (-1, 1):
            begin, end = (x, middle - sign * half), (x + 2 * half, middle + sign * half)
            cv2.line(strip, begin, end, entry.colour, max(1, letter // 6), cv2.LINE_AA)
    elif entry.mark == "line":
        end = (x + 2 * letter, middle)
        cv2.line(strip, (x, middle), end, entry.colour, max(1, letter // 6), cv2.LINE_AA)
    elif entry.mark == "confidences":
        colours = confidence_colours(np.linspace(0, 1, 6 * letter, dtype=np.float32))
        bar = strip[baseline - letter : baseline, x : x + 6 * letter]
        bar[:] = colours[: bar.shape[1]]
