"""Image files, sizes and scales.

Images are (H, W) uint8 grey; pixel (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from superglue_ros.errors import InputError
from superglue_ros.features import FloatArray, GreyImage


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


def write_image(path: Path, image: GreyImage) -> None:
    """Write an image file, grey or (H, W, 3) BGR, making its folder.

    Raises:
        InputError: The ending names no image format, or the file cannot be written.
    """
    try:
        encoded, data = cv2.imencode(path.suffix, image)
    except cv2.error:
        encoded = False
    if not encoded:
        raise InputError(f"cannot write {path} as an image; let its name end in .png or .jpg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def check_grey(image: GreyImage) -> None:
    """Raise InputError unless the image is (H, W) uint8 with at least one pixel."""
    if image.ndim != 2 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(
            f"image must be (H, W) uint8 grey with at least one pixel, "
            f"got {image.shape} {image.dtype}"
        )


def reduce_to_longest_side(image: GreyImage, longest_side: int) -> GreyImage:
    """Reduce an image whose longer side is above `longest_side` pixels; 0 keeps every size."""
    height, width = image.shape
    if longest_side == 0 or max(height, width) <= longest_side:
        return image
    scale = longest_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def rescale_keypoints(
    keypoints: FloatArray, size_from: tuple[int, int], size_to: tuple[int, int]
) -> FloatArray:
    """Carry keypoints over from an image to the same image at another size.

    Pixel centres keep their place: (p + 0.5) * scale - 0.5.

    Args:
        keypoints: (N, 2) in pixels of the first image.
        size_from: (width, height) of the first image.
        size_to: (width, height) of the second.
    """
    scale = np.asarray(size_to, np.float32) / np.asarray(size_from, np.float32)
    return np.asarray((keypoints + 0.5) * scale - 0.5, dtype=np.float32)
