"""What is wrong with an image that can be decoded: black, overexposed, plain, the same again."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

from superglue_ros.features import GreyImage
from superglue_ros.intensity import sample

_BLACK = 16
_WHITE = 250
_OVEREXPOSED_SHARE = 0.5
_LEAST_CONTRAST = 12
_COMPARED_ROWS = 64
_REPEATS = 3
"""Equal images in a row, to the last bit, that no camera with noise sends."""


class Finding(NamedTuple):
    """Something that is wrong with an image.

    Attributes:
        kind: A few words under which it is counted.
        text: What it is, in one line, with what to do.
    """

    kind: str
    text: str


class ImageChecks:
    """Looks at the images of one camera, one after the other.

    Args:
        name: What the camera is called.
    """

    def __init__(self, name: str) -> None:
        """Start before the first image."""
        self._name = name
        self._last_sum = 0
        self._repeats = 0

    def of(self, image: GreyImage) -> list[Finding]:
        """What is wrong with the next image, (H, W) grey as keypoints are looked for in it."""
        return [*self._light(image), *self._repeat(image)]

    def _light(self, image: GreyImage) -> list[Finding]:
        pixels = sample(image)
        low, high = (float(one) for one in np.percentile(pixels, (1, 99)))
        white = float((pixels >= _WHITE).mean())
        if high < _BLACK:
            said = f"is black (99 of 100 pixels below {high + 1:.0f} of 255): is the lens covered?"
            return [Finding("black image", f"{self._name} {said}")]
        if white > _OVEREXPOSED_SHARE:
            said = f"is overexposed ({white:.0%} of its pixels are white): shorten the exposure"
            return [Finding("overexposed image", f"{self._name} {said}")]
        if high - low < _LEAST_CONTRAST:
            said = (
                f"has hardly any contrast ({low:.0f} to {high:.0f} of 255): covered, in fog or out "
                "of focus? Of 16 bits set intensity_min and intensity_max; else try "
                "clahe_clip_limit"
            )
            return [Finding("image of hardly any contrast", f"{self._name} {said}")]
        return []

    def _repeat(self, image: GreyImage) -> list[Finding]:
        step = max(1, image.shape[0] // _COMPARED_ROWS)
        now = zlib.crc32(np.ascontiguousarray(image[::step]).data)
        self._repeats = self._repeats + 1 if now == self._last_sum else 0
        self._last_sum = now
        if self._repeats < _REPEATS:
            return []
        said = (
            f"is the same {self._repeats + 1} times in a row, to the last bit: has the camera "
            "frozen? (A simulated one without noise does so while nothing moves.)"
        )
        return [Finding("repeated image", f"{self._name} {said}")]
