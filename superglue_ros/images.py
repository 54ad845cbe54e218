"""Image files, sizes and scales.

Images are (H, W) uint8 grey; pixel (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.errors import InputError
from superglue_ros.features import FloatArray, GreyImage
from superglue_ros.intensity import Intensity

try:
    from cv2 import setLogLevel
except ImportError:  # OpenCV 4.14 has moved it
    from cv2.utils.logging import setLogLevel

if TYPE_CHECKING:  # who only reads or draws images needs no PyTorch
    from torch import Tensor

_TIFF_STARTS = (b"II*\0", b"MM\0*")
_ERRORS_ONLY = 2  # LOG_LEVEL_ERROR, which not every version of OpenCV names in Python
_log_level_lock = threading.Lock()
"""The level is the process's; two threads that restored it in turn could leave it changed."""

Points = TypeVar("Points", FloatArray, "Tensor")


def read_image(path: Path) -> GreyImage:
    """Read an image file as grey.

    Returns:
        (H, W) uint8.

    Raises:
        InputError: There is no such file, it cannot be read, or it is not an image.
    """
    grey = decode_grey(_content(path), Intensity())
    if grey is None:
        raise _not_an_image(path)
    return grey


def read_values(path: Path) -> NDArray[Any]:
    """Read an image file as it is, disparities say: (H, W) or (H, W, C) of the file's own type.

    Raises:
        InputError: As `read_image`.
    """
    values = decode(_content(path), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise _not_an_image(path)
    return values


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _not_an_image(path: Path) -> InputError:
    return InputError(f"{path} is not an image that OpenCV can decode; give a PNG or JPEG file")


def decode_grey(data: bytes, intensity: Intensity) -> GreyImage | None:
    """Decode the content of an image file to (H, W) grey; None where OpenCV cannot.

    Args:
        data: The content.
        intensity: What makes 8 bits of 16.
    """
    decoded = decode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if decoded is not None and decoded.dtype == np.uint16:
        return intensity.grey(decoded)
    if decoded is not None and decoded.dtype != np.uint8:
        decoded = decode(data)
    return None if decoded is None else np.asarray(decoded, np.uint8)


def decode(data: bytes, flags: int = cv2.IMREAD_GRAYSCALE) -> NDArray[Any] | None:
    """Decode the content of an image file, as grey unless OpenCV's `flags` say otherwise.

    Pixels are as stored, whatever an EXIF orientation says: so are those that others have of the
    file, and the camera's calibration.

    Returns:
        (H, W) or (H, W, C); None where OpenCV cannot decode it.
    """
    quiet = _without_warnings() if data.startswith(_TIFF_STARTS) else nullcontext()
    try:
        with quiet:
            stored = flags | cv2.IMREAD_IGNORE_ORIENTATION
            return cv2.imdecode(np.frombuffer(data, np.uint8), stored)  # type: ignore[no-any-return]
    except cv2.error:  # an empty file, or more pixels than OpenCV agrees to decode
        return None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep OpenCV from printing a line for each tag of a TIFF file that it does not know."""
    with _log_level_lock:
        before = setLogLevel(_ERRORS_ONLY)
        try:
            yield
        finally:
            setLogLevel(before)


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


def scaled_mask(usable: GreyImage, shape: tuple[int, ...]) -> GreyImage:
    """What holds for the pixel that a keypoint comes to lie in at the size of `usable`."""
    rows, columns = (
        ((np.arange(reduced) + 0.5) * full / reduced).astype(int)
        for reduced, full in zip(shape, usable.shape, strict=True)
    )
    return usable[np.ix_(rows, columns)]


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
