"""Image files, sizes and the pixel-centre rule."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from superglue_ros.errors import InputError
from superglue_ros.images import (
    check_grey,
    read_image,
    read_values,
    reduce_to_longest_side,
    rescale_keypoints,
    usable_pixels,
    write_image,
)


def test_a_written_image_is_read_back(tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (7, 11), dtype=np.uint8)
    write_image(tmp_path / "folder" / "image.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "folder" / "image.png"), image)


def test_a_colour_image_is_read_as_its_luma(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)  # BGR
    write_image(tmp_path / "colours.png", colours)
    grey = read_image(tmp_path / "colours.png")
    assert (grey.shape, grey.dtype) == ((1, 3), np.uint8)
    expected = np.array([0.114, 0.587, 0.299]) * 255  # ITU-R BT.601
    np.testing.assert_allclose(grey[0], expected, atol=1)


def test_a_16_bit_image_is_read_as_8_bit(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), np.array([[0, 65535, 32768]], np.uint16))
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), [[0, 255, 128]])


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.png: No such file"):
        read_image(tmp_path / "missing.png")


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        read_image(tmp_path)


def test_a_tiff_file_with_tags_of_its_own_is_read_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = np.array([[0, 1.5], [300, -2]], np.float32)
    path = tmp_path / "disparity.tif"
    path.write_bytes(with_own_tag(cv2.imencode(".tif", values)[1].tobytes()))
    np.testing.assert_array_equal(read_values(path), values)
    assert capfd.readouterr().err == ""
    # Whoever reads it by OpenCV is told, as before
    cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert "42113" in capfd.readouterr().err


def with_own_tag(tiff: bytes) -> bytes:
    """A little-endian TIFF file with GDAL's tag 42113 besides, which libtiff does not know."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    entries = tiff[start + 2 : start + 2 + 12 * count]
    own = struct.pack("<HHI4s", 42113, 2, 3, b"-1\0\0")
    header = tiff[:4] + struct.pack("<I", len(tiff))
    return header + tiff[8:] + struct.pack("<H", count + 1) + entries + own + bytes(4)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"plain text, no image"])
def test_a_file_without_an_image_is_named_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"notes\.png is not an image.*PNG or JPEG") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["picture", "picture.docx"])
def test_an_ending_of_no_image_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}.*\.png or \.jpg"):
        write_image(tmp_path / name, np.zeros((2, 2), np.uint8))


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot write .*image\.png"):
        write_image(tmp_path / "file" / "image.png", np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.uint16),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 0), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_not_a_grey_image_is_refused_with_its_shape(image: np.ndarray) -> None:
    with pytest.raises(InputError) as caught:
        check_grey(image)
    assert str(image.shape) in str(caught.value)
    assert str(image.dtype) in str(caught.value)


def test_a_single_pixel_is_an_image() -> None:
    check_grey(np.zeros((1, 1), np.uint8))


@pytest.mark.parametrize(
    ("shape", "longest_side", "expected"),
    [
        ((480, 640), 320, (240, 320)),
        ((640, 480), 320, (320, 240)),
        ((480, 640), 640, (480, 640)),
        ((48, 64), 640, (48, 64)),  # never enlarged
        ((480, 640), 0, (480, 640)),
        ((500, 741), 640, (432, 640)),  # 431.8
        ((1, 4000), 640, (1, 640)),  # no side falls to nothing
    ],
)
def test_the_longest_side_is_reduced_and_the_shape_kept(
    shape: tuple[int, int], longest_side: int, expected: tuple[int, int]
) -> None:
    assert reduce_to_longest_side(np.zeros(shape, np.uint8), longest_side).shape == expected


def test_pixel_centres_keep_their_place_when_the_scale_changes() -> None:
    # Pixels 0 and 1 merge into pixel 0, whose centre is half-way between theirs, and back.
    keypoints = np.array([[0, 0], [1, 2], [99, 49]], np.float32)
    doubled = rescale_keypoints(keypoints, (100, 50), (200, 100))
    np.testing.assert_allclose(doubled, [[0.5, 0.5], [2.5, 4.5], [198.5, 98.5]])
    np.testing.assert_allclose(rescale_keypoints(doubled, (200, 100), (100, 50)), keypoints)


def test_each_axis_has_its_own_scale() -> None:
    corner = np.array([[639.5, 431.5]], np.float32)  # of 640x432: the outer edge of the last pixel
    np.testing.assert_allclose(rescale_keypoints(corner, (640, 432), (741, 500)), [[740.5, 499.5]])


def test_keypoints_of_an_unscaled_image_do_not_move_at_all(rng: np.random.Generator) -> None:
    keypoints = rng.integers(0, 4096, (50, 2)).astype(np.float32)
    np.testing.assert_array_equal(rescale_keypoints(keypoints, (641, 479), (641, 479)), keypoints)


def test_no_keypoints_are_rescaled_to_none() -> None:
    rescaled = rescale_keypoints(np.zeros((0, 2), np.float32), (10, 10), (20, 20))
    assert (rescaled.shape, rescaled.dtype) == ((0, 2), np.float32)


@pytest.mark.parametrize("longest_side", [100, 150, 223])
def test_reducing_an_image_and_rescaling_find_the_same_place(longest_side: int) -> None:
    """The image is scaled about the same points as the keypoints."""
    rows, columns = np.mgrid[0:200, 0:300]
    blob = 255 * np.exp(-((columns - 210.3) ** 2 + (rows - 61.8) ** 2) / (2 * 12**2))
    reduced = reduce_to_longest_side(blob.astype(np.uint8), longest_side).astype(float)
    rows, columns = np.mgrid[0 : reduced.shape[0], 0 : reduced.shape[1]]
    centroid = [(columns * reduced).sum() / reduced.sum(), (rows * reduced).sum() / reduced.sum()]
    found = rescale_keypoints(np.array([centroid], np.float32), reduced.shape[::-1], (300, 200))
    np.testing.assert_allclose(found, [[210.3, 61.8]], atol=0.1)


def test_without_a_mask_all_but_the_border_is_usable() -> None:
    image = np.zeros((5, 7), np.uint8)
    assert usable_pixels(image, None, 0) is None
    inner = [0, 0, 1, 1, 1, 0, 0]
    assert usable_pixels(image, None, 2).tolist() == [[0] * 7, [0] * 7, inner, [0] * 7, [0] * 7]


@pytest.mark.parametrize("border", [3, 5, 100])
def test_a_border_that_meets_itself_leaves_nothing(border: int) -> None:
    assert not usable_pixels(np.zeros((5, 6), np.uint8), None, border).any()


def test_a_mask_keeps_what_is_not_0_within_the_border() -> None:
    image, mask = np.zeros((3, 4), np.uint8), np.array([[255] * 4, [255, 0, 1, 255], [0] * 4])
    assert usable_pixels(image, mask.astype(np.uint8), 0).tolist() == [
        [1, 1, 1, 1],
        [1, 0, 1, 1],
        [0, 0, 0, 0],
    ]
    assert usable_pixels(image, mask.astype(np.uint8), 1).tolist() == [
        [0, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 0],
    ]


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(InputError, match="mask is 4x3, its image 3x4"):
        usable_pixels(np.zeros((4, 3), np.uint8), np.ones((3, 4), np.uint8), 0)


def test_an_exif_orientation_does_not_turn_an_image(tmp_path: Path) -> None:
    """A JPEG that says that it is upside down: pixels stay as they are stored."""
    image = np.zeros((32, 48), np.uint8)
    image[:8] = 200
    jpeg = bytes(cv2.imencode(".jpg", image)[1])
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    assert read_image(path)[:4].mean() > 150
    assert read_image(path)[-4:].mean() < 50
