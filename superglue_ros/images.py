"""Image files, sizes and scales.

Images are (H, W) uint8 grey; pixel (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from superglue_ros.errors import InputError
from superglue_ros.features import FloatArray, GreyImage

if TYPE_CHECKING:  # who only reads or draws images needs no PyTorch
    from torch import Tensor

Points = TypeVar("Points", FloatArray, "Tensor")


def read_image(path: Path) -> GreyImage:
    """Read an image file as grey.

    Returns:
        (H, W) uint8.

    Raises:
        InputError: There is no such file, it cannot be read, or it is not an image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # an empty file, or more pixels than OpenCV agrees to decode
        decoded = None
    if decoded is None:
        raise InputError(f"{path} is not an image that OpenCV can decode; give a PNG or JPEG file")
    return np.asarray(decoded, dtype=np.uint8)


def check_image_name(path: Path) -> None:
    """Raise InputError where the ending of a name is that of no image format."""
    _encoded(path, np.zeros((8, 8), np.uint8))


def write_image(path: Path, image: GreyImage) -> None:
    """Write an image file, grey or (H, W, 3) BGR, making its folder.

    Raises:
        InputError: The ending names no image format, or the file cannot be written.
    """
    data = _encoded(path, image)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _encoded(path: Path, image: GreyImage) -> bytes:
    try:
        encoded, data = cv2.imencode(path.suffix, image)
    except cv2.error:
        encoded = False
    if not encoded:
        raise InputError(f"cannot write {path} as an image; let its name end in .png or .jpg")
    return bytes(data)


def check_grey(image: GreyImage) -> None:
    """Raise InputError unless the image is (H, W) uint8 with at least one pixel."""
    if image.ndim != 2 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"image must be (H, W) uint8 grey with at least one pixel, "
            f"got {image.shape} {image.dtype}"
        )


def usable_pixels(image: GreyImage, mask: GreyImage | None, border: int) -> GreyImage | None:
    """Where keypoints may be taken.

    Args:
        image: (H, W).
        mask: None, or (H, W), 0 where nothing is to be taken.
        border: Pixels along the border where nothing is to be taken.

    Returns:
        (H, W) uint8 of 0 and 1, or None where that is everywhere.

    Raises:
        InputError: The mask is not of the image's size.
    """
    if mask is not None and mask.shape != image.shape:
        raise InputError(
            f"mask is {mask.shape[1]}x{mask.shape[0]}, its image "
            f"{image.shape[1]}x{image.shape[0]}: they must be of one size"
        )
    if mask is None and border == 0:
        return None
    usable = np.zeros(image.shape, np.uint8)
    inner = np.s_[border : image.shape[0] - border, border : image.shape[1] - border]
    usable[inner] = 1 if mask is None else mask[inner] != 0
    return usable


def reduce_to_longest_side(image: GreyImage, longest_side: int) -> GreyImage:
    """Reduce an image whose longer side is above `longest_side` pixels; 0 keeps every size."""
    height, width = image.shape
    if longest_side == 0 or max(height, width) <= longest_side:
        return image
    scale = longest_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def rescale_keypoints(
    keypoints: Points, size_from: tuple[int, int], size_to: tuple[int, int]
) -> Points:
    """Carry keypoints over from an image to the same image at another size.

    Pixel centres keep their place: (p + 0.5) * scale - 0.5.

    Args:
        keypoints: (N, 2) in pixels of the first image, an array or a tensor of float32.
        size_from: (width, height) of the first image.
        size_to: (width, height) of the second.
    """
    corners = keypoints + 0.5
    corners[:, 0] *= size_to[0] / size_from[0]
    corners[:, 1] *= size_to[1] / size_from[1]
    return corners - 0.5
