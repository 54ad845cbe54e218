"""Image messages of any encoding to grey images, whether they come from a topic or from a bag.

cv_bridge does it where the ROS installation has one that works with the installed NumPy; else
rosbags-image, which needs no ROS. `image_decoder` is the one place of that choice.

Messages are told by what they hold: sensor_msgs/CompressedImage has a `format`, sensor_msgs/Image
an `encoding`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.image.image import ImageError, convert_color, to_cvtype

from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.images import decode, decode_grey
from superglue_ros.intensity import Intensity

Pixels = NDArray[np.generic]
ToGrey = Callable[[Pixels, str], Pixels]

MAX_SIDE = 16384
"""Longest side in pixels that is decoded, so that a broken message cannot exhaust the memory."""

_SAME_AS = {
    **{"8UC1": "mono8", "16UC1": "mono16", "8UC3": "bgr8", "8UC4": "bgra8"},
    **{"uyvy": "yuv422", "yuyv": "yuv422_yuy2"},
}
"""What OpenCV's generic types are taken for, and the names that cv_bridge has for newer ones."""

_COLOURS = ("bgr8", "rgb8", "bgra8", "rgba8", "yuv422", "yuv422_yuy2")
"""Encodings with colour of 8 bits, and those of Bayer patterns beside them."""

_PLANAR_ROWS = {"nv12": 1.5, "nv21": 1.5, "nv24": 3.0}
"""Rows per image row of the encodings that begin with a plane of luminance."""


class ImageDecoder(NamedTuple):
    """A way from pixels of an encoding to grey.

    Attributes:
        library: The library that does it.
        to_grey: From pixels and their encoding's name to (H, W) uint8.
    """

    library: str
    to_grey: ToGrey

    def decode(self, message: Any, intensity: Intensity | None = None) -> GreyImage:
        """The grey image that a message carries.

        Args:
            message: A sensor_msgs/Image or sensor_msgs/CompressedImage, of rclpy or of rosbags.
            intensity: What makes 8 bits of 16; by the image alone where None.

        Returns:
            (H, W) uint8.

        Raises:
            InputError: The message is empty, truncated, too large, or of an encoding that has no
                grey image.
        """
        intensity = intensity or Intensity()
        if hasattr(message, "format"):
            return _decode_compressed(message, intensity)
        encoding = _SAME_AS.get(message.encoding, message.encoding)
        pixels = _pixels(message, encoding)
        if pixels.dtype == np.uint16:
            encoding = encoding.replace("16", "8")
            pixels, encoding = intensity.grey(pixels), _SAME_AS.get(encoding, encoding)
        if encoding == "mono8" or encoding in _PLANAR_ROWS:
            return np.array(pixels[: message.height], np.uint8)
        try:
            return np.asarray(self.to_grey(pixels, encoding), np.uint8)
        except (ImageError, cv2.error, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self.library} cannot make image encoding {message.encoding!r} grey: {reason}"
            ) from error

    def decode_colour(self, message: Any) -> NDArray[np.uint8]:
        """The image that a message carries, in colour where it is one of colour of 8 bits.

        Returns:
            (H, W, 3) uint8 BGR, or what `decode` gives.

        Raises:
            InputError: As `decode`.
        """
        if hasattr(message, "format"):
            colour = decode(bytes(message.data), cv2.IMREAD_UNCHANGED)
            if colour is not None and colour.ndim == 3 and colour.dtype == np.uint8:
                return np.ascontiguousarray(colour[:, :, :3])
            return self.decode(message)
        encoding = _SAME_AS.get(message.encoding, message.encoding)
        if encoding in _COLOURS or (encoding.startswith("bayer") and encoding.endswith("8")):
            return np.asarray(convert_color(_pixels(message, encoding), encoding, "bgr8"), np.uint8)
        return self.decode(message)


def image_decoder() -> ImageDecoder:
    """The decoder of this installation."""
    bridge = _cv_bridge()
    if bridge is not None:
        return ImageDecoder("cv_bridge", bridge)
    return ImageDecoder(
        "rosbags-image", lambda pixels, encoding: convert_color(pixels, encoding, "mono8")
    )


def _cv_bridge() -> ToGrey | None:
    """cv_bridge's conversion, or None where there is none or NumPy 2 breaks it."""
    try:
        from cv_bridge.boost.cv_bridge_boost import cvtColor2

        probe = cvtColor2(np.full((2, 2, 3), 7, np.uint8), "bgr8", "mono8")
    except Exception:  # whatever a binary that was built for another NumPy raises
        return None
    works = probe.shape == (2, 2) and int(probe[0, 0]) == 7
    return (lambda pixels, encoding: cvtColor2(pixels, encoding, "mono8")) if works else None


def _layout(message: Any, encoding: str) -> tuple[int, int, np.dtype[np.generic]]:
    """Rows, channels and type of the pixels of an encoding."""
    if encoding in _PLANAR_ROWS:
        return round(message.height * _PLANAR_ROWS[encoding]), 1, np.dtype(np.uint8)
    try:
        _, _, type_name, channels = to_cvtype(encoding)
    except ImageError:
        raise InputError(f"image encoding {message.encoding!r} is not known") from None
    dtype = np.dtype(type_name)
    if dtype.kind != "u":
        raise InputError(f"image encoding {message.encoding!r} is not one of intensities")
    return message.height, channels, dtype


def _pixels(message: Any, encoding: str) -> Pixels:
    """(rows, width[, channels]) of the message in native byte order, without row padding."""
    height, width = message.height, message.width
    if not 0 < height <= MAX_SIDE or not 0 < width <= MAX_SIDE:
        raise InputError(f"image is {width}x{height}; each side must be 1 to {MAX_SIDE} pixels")
    rows, channels, dtype = _layout(message, encoding)
    row_bytes = width * channels * dtype.itemsize
    needed = (rows - 1) * message.step + row_bytes
    if message.step < row_bytes or len(message.data) < needed:
        raise InputError(
            f"image {width}x{height} {message.encoding} needs rows of {row_bytes} bytes and "
            f"{needed} bytes in all, got a step of {message.step} and {len(message.data)} bytes: "
            "truncated?"
        )
    pixels = np.ndarray(
        (rows, width, channels),
        dtype.newbyteorder(">" if message.is_bigendian else "<"),
        buffer=message.data,
        strides=(message.step, channels * dtype.itemsize, dtype.itemsize),
    )
    native = np.ascontiguousarray(pixels, dtype)
    return native[:, :, 0] if channels == 1 else native


def _decode_compressed(message: Any, intensity: Intensity) -> GreyImage:
    decoded = decode_grey(bytes(message.data), intensity)
    if decoded is None:
        raise InputError(
            f"compressed image ({message.format!r}, {len(message.data)} bytes) cannot be decoded: "
            "truncated, or neither JPEG nor PNG?"
        )
    return decoded
