"""Textured crops of one size at random scales out of a photograph."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from superglue_ros.features import GreyImage

CROP_HEIGHT, CROP_WIDTH = 480, 640
SCALES = (0.3, 1.0)
MAX_ENLARGEMENT = 1.35
"""Images a little smaller than a crop are enlarged up to this; beyond it they are left out."""

ATTEMPTS_PER_CROP = 6
MAX_OVERLAP = 0.5
"""Largest share of a new crop that crops taken before may cover, in the source image."""

_BLOCK = 40
_CORNER_RESPONSE = 4e-4
_TEXTURED_SHARE = 0.4
_HASH_SIDE = 8


@dataclass(frozen=True)
class Crop:
    """A crop and where it comes from.

    Attributes:
        image: (480, 640) uint8.
        scale: Size in the crop over size in the photograph.
        left: Left border in pixels of the photograph.
        top: Upper border in pixels of the photograph.
    """

    image: GreyImage
    scale: float
    left: float
    top: float

    @property
    def size_in_source(self) -> tuple[float, float]:
        """Width and height in pixels of the photograph."""
        return CROP_WIDTH / self.scale, CROP_HEIGHT / self.scale


def smallest_scale(image: GreyImage) -> float:
    """The scale at which a crop just fits into the image."""
    height, width = image.shape
    return float(max(CROP_HEIGHT / height, CROP_WIDTH / width))


def take_crops(image: GreyImage, count: int, seed: int) -> list[Crop]:
    """Take up to `count` textured crops at random places and scales.

    Args:
        image: (H, W) uint8.
        count: Most crops to take.
        seed: The same seed takes the same crops.

    Returns:
        The crops; none where the image is too small or has no texture.
    """
    lowest = smallest_scale(image)
    if lowest > MAX_ENLARGEMENT:
        return []
    crops: list[Crop] = []
    for crop in _candidates(image, count * ATTEMPTS_PER_CROP, random.Random(seed)):
        if len(crops) == count:
            break
        if _is_new(crop, crops) and is_textured(crop.image):
            crops.append(crop)
    return crops


def _candidates(image: GreyImage, attempts: int, rng: random.Random) -> Iterator[Crop]:
    height, width = image.shape
    lowest = smallest_scale(image)
    low, high = max(lowest, SCALES[0]), max(lowest, SCALES[1])
    for _ in range(attempts):
        scale = low * (high / low) ** rng.random()
        size = max(CROP_WIDTH, round(width * scale)), max(CROP_HEIGHT, round(height * scale))
        left, top = rng.randint(0, size[0] - CROP_WIDTH), rng.randint(0, size[1] - CROP_HEIGHT)
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled = cv2.resize(image, size, interpolation=interpolation)
        cut = scaled[top : top + CROP_HEIGHT, left : left + CROP_WIDTH]
        yield Crop(np.ascontiguousarray(cut), scale, left / scale, top / scale)


def _is_new(crop: Crop, others: list[Crop]) -> bool:
    width, height = crop.size_in_source
    covered = 0.0
    for other in others:
        other_width, other_height = other.size_in_source
        right = min(crop.left + width, other.left + other_width)
        bottom = min(crop.top + height, other.top + other_height)
        across, down = right - max(crop.left, other.left), bottom - max(crop.top, other.top)
        covered += max(across, 0.0) * max(down, 0.0)
    return covered <= MAX_OVERLAP * width * height


def is_textured(image: GreyImage) -> bool:
    """Whether enough of the image's blocks hold a corner."""
    smoothed = cv2.GaussianBlur(image, (0, 0), 1.0)
    response = cv2.cornerMinEigenVal(smoothed, blockSize=5)
    height, width = (side // _BLOCK * _BLOCK for side in image.shape)
    blocks = response[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    strongest = blocks.max(axis=(1, 3))
    return float((strongest > _CORNER_RESPONSE).mean()) >= _TEXTURED_SHARE


def difference_hash(image: GreyImage) -> int:
    """A 64-bit fingerprint that resizing and recompressing leave nearly unchanged."""
    size = (_HASH_SIDE + 1, _HASH_SIDE)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
