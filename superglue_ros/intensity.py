"""From intensities of 16 bits to grey of 8, and the contrast of grey images.

A camera of 10, 12 or 14 bits, a thermal one above all, uses a small part of the 16 bits that its
images come in. Which part is told by the image, unless it is known.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.config import IntensityConfig
from superglue_ros.features import GreyImage

_PERCENTILES = (0.5, 99.5)
_MARGIN = 0.1
"""Of the range is left free at either end, so that the next images fit it too."""

_LEAST_FILLED = 0.6
"""Share of the range below which an image makes it anew."""

_LEAST_SPAN = 64.0
"""Counts that become the 255 steps at least, so that noise does not."""

_SAMPLE_SIDE = 256
_CLAHE_TILES = (8, 8)


class Intensity:
    """Makes grey images of one camera's intensities, steadily: equal counts stay equal grey.

    The range is that of the first image, with a margin, until an image leaves it or fills little of
    it; so images of one sequence can be matched to each other.

    Args:
        config: The range where it is known, and equalisation; may be replaced at any time.
    """

    def __init__(self, config: IntensityConfig | None = None) -> None:
        """Start before the first image."""
        self.config = config or IntensityConfig()
        self._range: tuple[float, float] | None = None

    def grey(self, values: NDArray[Any]) -> GreyImage:
        """Grey of 16-bit intensities.

        Args:
            values: (H, W) or (H, W, C) uint16.

        Returns:
            uint8 of the same shape.
        """
        low, high = self._range_of(values)
        scale = 255.0 / (high - low)
        table = np.arange(65536, dtype=np.float32) * np.float32(scale) - np.float32(low * scale)
        return np.asarray(np.clip(np.rint(table), 0, 255).astype(np.uint8)[values])

    def equalised(self, image: GreyImage) -> GreyImage:
        """The image with its contrast equalised tile by tile (CLAHE), where that is wanted."""
        limit = self.config.clahe_clip_limit
        if limit == 0 or min(image.shape) < _CLAHE_TILES[0]:
            return image
        return np.asarray(cv2.createCLAHE(limit, _CLAHE_TILES).apply(image), np.uint8)

    def _range_of(self, values: NDArray[Any]) -> tuple[float, float]:
        config = self.config
        if config.intensity_max > 0:
            darkest = min(config.intensity_min, config.intensity_max - 1)
            return float(darkest), float(config.intensity_max)
        low, high = _extremes(values)
        if self._range is None or not _fits(low, high, *self._range):
            self._range = _with_margin(low, high)
        return self._range


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    """The least and the greatest intensity but for a few, of dead pixels say."""
    colours = sample(values)[..., :3] if values.ndim == 3 else sample(values)  # without alpha
    low, high = np.percentile(colours, _PERCENTILES)
    return float(low), float(high)


def _with_margin(low: float, high: float) -> tuple[float, float]:
    margin = max(_MARGIN * (high - low), (_LEAST_SPAN - (high - low)) / 2)
    below = min(max(low - margin, 0.0), 65535.0 - _LEAST_SPAN)
    return below, min(max(high + margin, below + _LEAST_SPAN), 65535.0)


def _fits(low: float, high: float, range_low: float, range_high: float) -> bool:
    if low < range_low or high > range_high:
        return False
    span = range_high - range_low
    return span <= _LEAST_SPAN or high - low >= _LEAST_FILLED * span


def sample(values: NDArray[Any]) -> NDArray[Any]:
    """Some of the pixels, evenly spaced, as many as a figure about an image needs."""
    steps = [max(1, side // _SAMPLE_SIDE) for side in values.shape[:2]]
    return values[:: steps[0], :: steps[1]]
