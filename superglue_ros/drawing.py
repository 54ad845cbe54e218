"""Pictures of matches: two images side by side, lines coloured by confidence.

Images are (H, W) uint8 grey or (H, W, 3) uint8 BGR; (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.errors import InputError
from superglue_ros.features import Features, FloatArray, Matches

Image = NDArray[np.uint8]
BgrImage = NDArray[np.uint8]
Colour = tuple[int, int, int]

_GAP = 4  # columns between the images
_BACKGROUND = 48  # of the gap and below the lower image: tells itself from black images
_FRACTION_BITS = 4  # OpenCV draws to 1/16 of a pixel
_COLOUR_MAP = cv2.COLORMAP_VIRIDIS  # evenly perceived, and ordered for colour-blind eyes too
_UNMATCHED: Colour = (160, 160, 160)
_TEXT: Colour = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT = 22.0  # of a capital at scale 1
_PANEL_OPACITY = 0.7


def draw_matches(
    image0: Image, image1: Image, features0: Features, features1: Features, matches: Matches
) -> BgrImage:
    """Draw two images side by side with their keypoints and matches.

    A match is a line whose colour is its confidence (dark blue 0, yellow 1), the most confident on
    top; keypoints without a match are small grey dots. A panel in the top left corner holds the
    counts and the colours' key. Nothing found gives the images and the panel.

    Args:
        image0: The left image of the picture.
        image1: The right image; the lower of the two gets a dark strip below.
        features0: The keypoints in pixels of `image0`; descriptors are not needed.
        features1: The keypoints in pixels of `image1`.
        matches: The matches of the two.

    Returns:
        (max(H0, H1), W0 + 4 + W1, 3) uint8 BGR.

    Raises:
        InputError: An image is of another kind, or the matches are of other features.
    """
    if (len(matches.matches0), len(matches.matches1)) != (len(features0), len(features1)):
        raise InputError(
            f"the matches are of {len(matches.matches0)} and {len(matches.matches1)} keypoints, "
            f"but {len(features0)} and {len(features1)} were given"
        )
    picture = _side_by_side(_as_bgr(image0), _as_bgr(image1))
    points0 = features0.keypoints
    points1 = features1.keypoints + np.array([image0.shape[1] + _GAP, 0], np.float32)
    thickness = max(1, round(picture.shape[1] / 1600))
    _draw_dots(picture, points0[matches.matches0 < 0], thickness)
    _draw_dots(picture, points1[matches.matches1 < 0], thickness)
    _draw_matches(picture, points0, points1, matches, thickness)
    _draw_panel(picture, _counts(features0, features1, matches))
    return picture


def confidence_colours(confidences: FloatArray) -> NDArray[np.uint8]:
    """(K,) confidences in [0, 1] to (K, 3) uint8 BGR colours."""
    levels = np.clip(np.rint(confidences * 255), 0, 255).astype(np.uint8)
    if not len(levels):
        return np.zeros((0, 3), np.uint8)
    return np.asarray(cv2.applyColorMap(levels[:, None], _COLOUR_MAP)[:, 0], dtype=np.uint8)


def _as_bgr(image: Image) -> BgrImage:
    if image.dtype != np.uint8 or image.size == 0:
        raise InputError(f"image must be uint8 with at least one pixel, got {image.shape}")
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"image must be (H, W) grey or (H, W, 3) BGR, got {image.shape}")
    return image


def _side_by_side(image0: BgrImage, image1: BgrImage) -> BgrImage:
    (height0, width0), (height1, width1) = image0.shape[:2], image1.shape[:2]
    size = (max(height0, height1), width0 + _GAP + width1, 3)
    picture = np.full(size, _BACKGROUND, np.uint8)
    picture[:height0, :width0] = image0
    picture[:height1, width0 + _GAP :] = image1
    return picture


def _fixed_point(points: FloatArray) -> NDArray[np.int32]:
    return np.rint(points * (1 << _FRACTION_BITS)).astype(np.int32)


def _draw_dot(picture: BgrImage, point: NDArray[np.int32], radius: int, colour: Colour) -> None:
    centre, radius = (int(point[0]), int(point[1])), radius << _FRACTION_BITS
    cv2.circle(picture, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)


def _draw_dots(picture: BgrImage, points: FloatArray, radius: int) -> None:
    for point in _fixed_point(points):
        _draw_dot(picture, point, radius, _UNMATCHED)


def _draw_matches(
    picture: BgrImage, points0: FloatArray, points1: FloatArray, matches: Matches, thickness: int
) -> None:
    order = np.argsort(matches.confidences, kind="stable")
    index0, index1 = matches.pairs[order].T
    starts, ends = _fixed_point(points0[index0]), _fixed_point(points1[index1])
    colours = confidence_colours(matches.confidences[order]).tolist()
    lines = list(zip(starts, ends, colours, strict=True))

    lined = picture.copy()
    for start, end, colour in lines:
        cv2.line(lined, start, end, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)
    opacity = _line_opacity(len(lines), picture.shape[0])
    cv2.addWeighted(lined, opacity, picture, 1 - opacity, 0, dst=picture)
    for start, end, colour in lines:
        _draw_dot(picture, start, thickness + 1, colour)
        _draw_dot(picture, end, thickness + 1, colour)


def _line_opacity(count: int, height: int) -> float:
    """The more lines on a row of pixels, the fainter, so that the images stay visible."""
    return min(0.9, max(0.25, 0.6 * math.sqrt(height / max(count, 1))))


def _counts(features0: Features, features1: Features, matches: Matches) -> list[str]:
    mean = f"{matches.confidences.mean():.2f}" if len(matches) else "-"
    return [
        f"keypoints {len(features0)} / {len(features1)}",
        f"matches {len(matches)}",
        f"mean confidence {mean}",
    ]


def _draw_panel(picture: BgrImage, lines: list[str]) -> None:
    """Darken the top left corner; write the lines and the colour bar into it."""
    letter = max(10, round(picture.shape[1] / 120))  # height of a capital in pixels
    row, margin = 2 * letter, letter
    font_scale, stroke = letter / _FONT_HEIGHT, max(1, round(letter / 9))

    def text_width(text: str) -> int:
        return int(cv2.getTextSize(text, _FONT, font_scale, stroke)[0][0])

    def write(text: str, x: int, baseline: int) -> None:
        cv2.putText(picture, text, (x, baseline), _FONT, font_scale, _TEXT, stroke, cv2.LINE_AA)

    width = max(text_width(line) for line in lines) + 2 * margin
    height = row * (len(lines) + 1) + margin
    corner = picture[:height, :width]
    corner[:] = np.rint(corner * (1 - _PANEL_OPACITY)).astype(np.uint8)
    for number, line in enumerate(lines):
        write(line, margin, margin + letter + number * row)

    top = margin + len(lines) * row
    bar_left, bar_right = margin + 2 * letter, width - margin - 2 * letter
    colours = confidence_colours(np.linspace(0, 1, bar_right - bar_left, dtype=np.float32))
    bar = picture[top : top + letter, bar_left:bar_right]
    bar[:] = colours[: bar.shape[1]]
    write("0", margin, top + letter)
    write("1", width - margin - text_width("1"), top + letter)
