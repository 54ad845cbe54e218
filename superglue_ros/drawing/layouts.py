"""Where two images stand in one picture.

Images are (H, W) uint8 grey or (H, W, 3) uint8 BGR; (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.config import DrawingConfig
from superglue_ros.errors import InputError
from superglue_ros.features import FloatArray
from superglue_ros.images import rescale_keypoints

Image = NDArray[np.uint8]
BgrImage = NDArray[np.uint8]
Size = tuple[int, int]
Footer = Callable[[int, int], int]

GAP = 4
"""Pixels between the images."""

_FAR = np.float32(1e6)  # pixels beyond which OpenCV's integers end
_TRIES = 4
_BACKGROUND = 48  # of the gap and beside the smaller image: tells itself from black images


@dataclass(frozen=True)
class Place:
    """Where an image stands in the picture.

    Attributes:
        corner: x and y of its top-left pixel.
        size: (width, height) that it has there.
    """

    corner: Size
    size: Size

    def carry(self, points: FloatArray, image_size: Size) -> FloatArray:
        """(N, 2) pixels of the image, (width, height) as given, to pixels of the picture."""
        if not len(points):  # of which a message need not know the size
            return np.zeros((0, 2), np.float32)
        near = np.clip(points, -_FAR, _FAR)
        placed = rescale_keypoints(near, image_size, self.size)
        return np.asarray(placed + np.array(self.corner, np.float32), np.float32)


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture with the images in it.

    Attributes:
        picture: (H, W, 3) uint8 BGR, to be drawn into; the rows of the footer below the images.
        place0: Where the pixels of image 0 are; in layout overlay where those of image 1 are.
        place1: Where image 1 is.
        alone: Whether image 1 is the only one.
        footer: Rows below the images.
    """

    picture: BgrImage
    place0: Place
    place1: Place
    alone: bool
    footer: int = 0

    @property
    def images(self) -> BgrImage:
        """The picture without its footer; drawn into, it is the picture that changes."""
        return self.picture[: len(self.picture) - self.footer]


def arrange(
    image0: Image | None, image1: Image, config: DrawingConfig, footer: Footer | None = None
) -> Canvas:
    """Put two images into one picture, reduced to the size that is wanted.

    Args:
        image0: None where there is none: image 1 then stands alone.
        image1: The image that stands right, below, or alone.
        config: The layout and the size.
        footer: How many rows there are to be below images of that width and height; none if None.

    Raises:
        InputError: An image is of another kind.
    """
    _check(image1)
    if image0 is not None:
        _check(image0)
    alone = image0 is None or config.layout == "overlay"
    images = [image1] if image0 is None or alone else [image0, image1]
    axis, gap = (1 if config.layout == "stacked" else 0), (0 if alone else GAP)
    sizes, rows = _sizes(images, axis, gap, config.max_picture_size, footer)
    width, height = _extent(sizes, axis, gap)
    picture = np.full((height + rows, width, 3), _BACKGROUND, np.uint8)
    places = [Place((0, 0), sizes[0])]
    if not alone:
        corner = [0, 0]
        corner[axis] = sizes[0][axis] + gap
        places.append(Place((corner[0], corner[1]), sizes[1]))
    for image, place in zip(images, places, strict=True):
        (left, top), (right, bottom) = place.corner, place.size
        picture[top : top + bottom, left : left + right] = _fitted(image, place.size)
    return Canvas(picture, places[0], places[-1], alone=alone, footer=rows)


def _sizes(
    images: Sequence[Image], axis: int, gap: int, max_size: int, footer: Footer | None
) -> tuple[list[Size], int]:
    """The sizes of the images in the picture, and the rows below them."""
    total = _extent([_size(image) for image in images], axis, 0)
    rows = 0
    for _ in range(_TRIES):  # narrower images may need more rows
        scale = _scale(total, axis, gap, max_size, rows)
        sizes = [_reduced(_size(image), scale) for image in images]
        width, height = _extent(sizes, axis, gap)
        needed = footer(width, height) if footer else 0
        if needed <= rows or not max_size or height + needed <= max_size:
            return sizes, needed
        rows = needed
    return sizes, 0


def _extent(sizes: Sequence[Size], axis: int, gap: int) -> Size:
    """(width, height) of what stands in a row along an axis."""
    extent = [0, 0]
    extent[axis] = sum(size[axis] for size in sizes) + gap * (len(sizes) - 1)
    extent[1 - axis] = max(size[1 - axis] for size in sizes)
    return extent[0], extent[1]


def _scale(size: Size, axis: int, gap: int, max_size: int, rows: int) -> float:
    """What the images are reduced by, so that with gap and footer they keep within the size."""
    if not max_size:
        return 1.0
    room = [max_size, max_size - rows]
    room[axis] -= gap
    return min(1.0, *(max(1, have) / need for have, need in zip(room, size, strict=True)))


def _reduced(size: Size, scale: float) -> Size:
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _size(image: Image) -> Size:
    return image.shape[1], image.shape[0]


def _fitted(image: Image, size: Size) -> BgrImage:
    """A copy of the image in colour and of that size."""
    width, height = _size(image)
    while min(width / size[0], height / size[1]) >= 2 and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2  # OpenCV does this in a fraction of the time
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    if size != _size(image):
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return image.copy()


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"image must be uint8 with at least one pixel, got {image.shape} {image.dtype}"
        )
    if image.ndim != 2 and (image.ndim != 3 or image.shape[2] != 3):
        raise InputError(f"image must be (H, W) grey or (H, W, 3) BGR, got {image.shape}")
