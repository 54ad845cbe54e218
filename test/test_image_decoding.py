"""Image messages to grey images: every encoding of sensor_msgs, and what publishers get wrong."""

from __future__ import annotations

import array
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sensor_msgs.msg")

from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from superglue_ros.config import IntensityConfig
from superglue_ros.errors import InputError
from superglue_ros.image_decoding import image_decoder
from superglue_ros.intensity import Intensity

DECODER = image_decoder()
ALL_16_BITS = IntensityConfig(intensity_max=65535)
WIDTH, HEIGHT = 12, 10
Bytes = NDArray[np.uint8]
Plane = NDArray[np.float64]


def message_of(rows: Bytes, encoding: str, *, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """An image message from its bytes, (rows, bytes per row)."""
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.data = array.array("B", rows.tobytes())
    return message


def bytes_of(pixels: NDArray[np.generic]) -> Bytes:
    """Pixels (H, W) or (H, W, C) as rows of bytes in the order of their memory."""
    return np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)


def luminance(red: Plane, green: Plane, blue: Plane) -> Plane:
    """ITU-R BT.601, as every grey camera driver and OpenCV have it."""
    return 0.299 * red + 0.587 * green + 0.114 * blue


def assert_grey(message: Image, expected: NDArray[np.floating], *, tolerance: float = 1.0) -> None:
    """Also after a trip over the wire, and without harm to the message."""
    before = bytes(message.data)
    for one in (message, deserialize_message(serialize_message(message), Image)):
        grey = DECODER.decode(one, Intensity(ALL_16_BITS))
        assert grey.dtype == np.uint8
        assert grey.shape == expected.shape
        assert np.abs(grey.astype(np.float64) - expected).max() <= tolerance
    assert bytes(message.data) == before


@pytest.fixture
def colours(rng: np.random.Generator) -> dict[str, NDArray[np.uint16]]:
    """Planes (H, W) of 16 bits for each of the letters r, g, b, a."""
    return {name: rng.integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16) for name in "rgba"}


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_of_8_bits_is_taken_as_it_is(encoding: str, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    assert_grey(message_of(pixels, encoding), pixels, tolerance=0)


@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_grey_of_16_bits_is_scaled_whatever_the_byte_order(
    encoding: str, byte_order: str, colours: dict[str, NDArray[np.uint16]]
) -> None:
    pixels = colours["g"]
    message = message_of(bytes_of(pixels.astype(f"{byte_order}u2")), encoding)
    message.is_bigendian = byte_order == ">"
    assert_grey(message, pixels / 257)


@pytest.mark.parametrize("encoding", ["rgb8", "rgba8", "bgr8", "bgra8", "8UC3", "8UC4"])
def test_colour_of_8_bits_becomes_its_luminance(
    encoding: str, colours: dict[str, NDArray[np.uint16]]
) -> None:
    planes = {name: (plane >> 8).astype(np.uint8) for name, plane in colours.items()}
    order = {"8UC3": "bgr", "8UC4": "bgra"}.get(encoding, encoding[:-1])
    pixels = np.stack([planes[letter] for letter in order], axis=-1)
    expected = luminance(*(planes[letter].astype(np.float64) for letter in "rgb"))
    assert_grey(message_of(bytes_of(pixels), encoding), expected)


@pytest.mark.parametrize("encoding", ["rgb16", "rgba16", "bgr16", "bgra16"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_colour_of_16_bits_becomes_its_luminance_whatever_the_byte_order(
    encoding: str, byte_order: str, colours: dict[str, NDArray[np.uint16]]
) -> None:
    pixels = np.stack([colours[letter] for letter in encoding[:-2]], axis=-1)
    message = message_of(bytes_of(pixels.astype(f"{byte_order}u2")), encoding)
    message.is_bigendian = byte_order == ">"
    expected = luminance(*(colours[letter] / 257 for letter in "rgb"))
    assert_grey(message, expected)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_bayer_image_of_one_colour_becomes_its_luminance(pattern: str, bits: int) -> None:
    """Any other order of the four sites would weigh the channels differently."""
    levels = {"r": 200, "g": 90, "b": 20}
    tile = np.array([levels[letter] for letter in pattern]).reshape(2, 2)
    mosaic = np.tile(tile, (HEIGHT // 2, WIDTH // 2))
    pixels = mosaic.astype(np.uint8) if bits == 8 else (mosaic * 257).astype("<u2")
    grey = luminance(*(np.full((HEIGHT, WIDTH), float(levels[letter])) for letter in "rgb"))
    assert_grey(message_of(bytes_of(pixels), f"bayer_{pattern}{bits}"), grey)


@pytest.mark.parametrize(
    ("encoding", "position"), [("uyvy", 1), ("yuv422", 1), ("yuyv", 0), ("yuv422_yuy2", 0)]
)
def test_packed_yuv_gives_its_luminance_channel(
    encoding: str, position: int, rng: np.random.Generator
) -> None:
    rows = rng.integers(0, 256, (HEIGHT, 2 * WIDTH), np.uint8)
    assert_grey(message_of(rows, encoding), rows[:, position::2], tolerance=0)


@pytest.mark.parametrize(("encoding", "chroma_rows"), [("nv12", 5), ("nv21", 5), ("nv24", 20)])
def test_planar_yuv_gives_its_luminance_plane(
    encoding: str, chroma_rows: int, rng: np.random.Generator
) -> None:
    rows = rng.integers(0, 256, (HEIGHT + chroma_rows, WIDTH), np.uint8)
    assert_grey(message_of(rows, encoding), rows[:HEIGHT], tolerance=0)


@pytest.mark.parametrize(
    "encoding",
    [
        *(
            f"{kind}C{channels}"
            for kind in ("8S", "16S", "32S", "32F", "64F")
            for channels in "1234"
        ),
        *("8UC2", "16UC2"),
        *("", "mono", "MONO8", "rgb", "jpeg", "8UC0", "8UC99999999999", "16UC1; png compressed"),
    ],
)
def test_what_has_no_grey_image_is_refused_by_name(encoding: str) -> None:
    with pytest.raises(InputError) as caught:
        DECODER.decode(message_of(np.zeros((HEIGHT, 32 * WIDTH), np.uint8), encoding))
    assert encoding in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "channels", "dtype"),
    [("mono8", 1, "u1"), ("mono16", 1, "<u2"), ("bgr8", 3, "u1"), ("rgba16", 4, "<u2")],
)
@pytest.mark.parametrize("padding", [1, 7, 64])
def test_bytes_that_pad_the_rows_are_no_pixels(
    encoding: str, channels: int, dtype: str, padding: int, rng: np.random.Generator
) -> None:
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, channels)).astype(dtype)
    rows = bytes_of(pixels)
    expected = DECODER.decode(message_of(rows, encoding), Intensity(ALL_16_BITS))
    padded = np.hstack([rows, np.full((HEIGHT, padding), 0xA5, np.uint8)])
    assert_grey(message_of(padded, encoding), expected.astype(np.float64), tolerance=0)


def test_the_last_row_needs_no_padding(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH + 4), np.uint8)
    message = message_of(pixels, "mono8")
    message.data = message.data[:-4]
    np.testing.assert_array_equal(DECODER.decode(message), pixels[:, :WIDTH])


@pytest.mark.parametrize(("encoding", "row_bytes"), [("mono8", 12), ("rgb8", 36), ("mono16", 24)])
def test_a_truncated_image_is_refused_with_its_numbers(encoding: str, row_bytes: int) -> None:
    whole = message_of(np.zeros((HEIGHT, row_bytes), np.uint8), encoding)
    DECODER.decode(whole)
    whole.data = whole.data[:-1]
    with pytest.raises(InputError, match="truncated") as caught:
        DECODER.decode(whole)
    for number in (f"{WIDTH}x{HEIGHT}", row_bytes * HEIGHT, row_bytes * HEIGHT - 1):
        assert str(number) in str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "rows"), [("nv12", HEIGHT), ("nv21", HEIGHT), ("nv24", 2 * HEIGHT)]
)
def test_planar_yuv_without_its_chrominance_is_truncated(encoding: str, rows: int) -> None:
    with pytest.raises(InputError, match="truncated"):
        DECODER.decode(message_of(np.zeros((rows, WIDTH), np.uint8), encoding))


def test_a_step_below_the_width_is_refused() -> None:
    message = message_of(np.zeros((HEIGHT, WIDTH), np.uint8), "mono8")
    message.step = WIDTH - 1
    with pytest.raises(InputError, match=f"step of {WIDTH - 1}"):
        DECODER.decode(message)


@pytest.mark.parametrize(
    ("width", "height"),
    [(0, 0), (0, 5), (5, 0), (2**32 - 1, 1), (1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (16385, 1)],
)
def test_a_size_that_no_camera_has_is_refused_with_its_numbers(width: int, height: int) -> None:
    message = Image(width=width, height=height, encoding="mono8", step=width)
    with pytest.raises(InputError, match=f"{width}x{height}"):
        DECODER.decode(message)


@pytest.mark.parametrize(
    ("encoding", "row_bytes"), [("mono8", 1), ("mono16", 2), ("rgb8", 3), ("yuyv", 2)]
)
def test_an_image_of_one_pixel_is_one(encoding: str, row_bytes: int) -> None:
    rows = np.full((1, row_bytes), 77, np.uint8)
    one = message_of(rows, encoding, height=1, width=1)
    grey = DECODER.decode(one, Intensity(ALL_16_BITS))
    np.testing.assert_array_equal(grey, [[77]])


def test_an_8k_image_is_decoded() -> None:
    rows = np.zeros((4320, 7680), np.uint8)
    rows[4000, 7000] = 99
    grey = DECODER.decode(message_of(rows, "mono8", height=4320, width=7680))
    np.testing.assert_array_equal(grey, rows)


@pytest.mark.parametrize(
    ("encoding", "rows", "row_bytes"),
    [
        *(("mono8", 10, 12), ("mono16", 10, 24), ("rgb8", 10, 36)),
        *(("bayer_rggb8", 10, 12), ("nv12", 15, 12), ("yuyv", 10, 24)),
    ],
)
def test_the_grey_image_does_not_change_with_its_message(
    encoding: str, rows: int, row_bytes: int
) -> None:
    message = message_of(np.full((rows, row_bytes), 40, np.uint8), encoding)
    grey = DECODER.decode(message)
    before = grey.copy()
    message.data[:] = array.array("B", bytes(len(message.data)))
    np.testing.assert_array_equal(grey, before)


def compressed(image: NDArray[np.generic], suffix: str) -> CompressedImage:
    data = cv2.imencode(suffix, image)[1]
    return CompressedImage(format=suffix[1:], data=array.array("B", data.tobytes()))


def test_a_png_image_is_decoded_exactly(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    np.testing.assert_array_equal(DECODER.decode(compressed(pixels, ".png")), pixels)


def test_a_colour_png_image_becomes_its_luminance(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    blue, green, red = np.moveaxis(pixels.astype(np.float64), -1, 0)
    grey = DECODER.decode(compressed(pixels, ".png"))
    assert np.abs(grey - luminance(red, green, blue)).max() <= 1


def test_a_jpeg_image_is_decoded(make_image: Callable[..., Bytes]) -> None:
    pixels = make_image(60, 80)
    grey = DECODER.decode(compressed(pixels, ".jpg"))
    assert grey.shape == (60, 80)
    assert np.abs(grey.astype(np.float64) - pixels).mean() < 3


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"not an image", bytes(1000)])
def test_compressed_data_that_is_no_image_is_refused(data: bytes) -> None:
    message = CompressedImage(format="jpeg", data=array.array("B", data))
    with pytest.raises(InputError, match=f"'jpeg', {len(data)} bytes"):
        DECODER.decode(message)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_compressed_image_is_refused_or_keeps_its_size(
    suffix: str, share: float, make_image: Callable[..., Bytes]
) -> None:
    message = compressed(make_image(60, 80), suffix)
    message.data = message.data[: int(share * len(message.data))]
    try:
        grey = DECODER.decode(message)
    except InputError:
        return
    assert (grey.shape, grey.dtype) == ((60, 80), np.uint8)


ENCODINGS = (
    *("mono8", "mono16", "rgb8", "rgba8", "rgb16", "rgba16", "bgr8", "bgra8", "bgr16", "bgra16"),
    *(f"bayer_{order}{bits}" for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)),
    *("yuv422", "uyvy", "yuv422_yuy2", "yuyv", "nv12", "nv21", "nv24"),
    *("8U", "16U", "8UC1", "8UC3", "8UC4", "16UC1", "16UC3", "16SC1", "32FC1", "64FC4"),
)


@settings(max_examples=300, deadline=None)
@given(
    encoding=st.sampled_from(ENCODINGS) | st.text(max_size=12),
    width=st.integers(0, 6) | st.integers(0, 2**32 - 1),
    height=st.integers(0, 6) | st.integers(0, 2**32 - 1),
    step=st.integers(0, 60) | st.integers(0, 2**32 - 1),
    length=st.integers(0, 600),
    is_bigendian=st.integers(0, 255),
)
def test_any_image_message_gives_its_grey_image_or_the_documented_error(
    encoding: str, width: int, height: int, step: int, length: int, is_bigendian: int
) -> None:
    message = Image(
        encoding=encoding, width=width, height=height, step=step, is_bigendian=is_bigendian
    )
    message.data = array.array("B", bytes(range(256)) * 3)[:length]
    try:
        grey = DECODER.decode(message)
    except InputError:
        return
    assert (grey.shape, grey.dtype) == ((height, width), np.uint8)


@settings(max_examples=100, deadline=None)
@given(
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"]), rest=st.binary()
)
def test_any_compressed_message_gives_a_grey_image_or_the_documented_error(
    start: bytes, rest: bytes
) -> None:
    message = CompressedImage(format="jpeg", data=array.array("B", start + rest))
    try:
        grey = DECODER.decode(message)
    except InputError:
        return
    assert grey.dtype == np.uint8
    assert grey.ndim == 2
