"""What the colour of a match says.

All colours are told apart by colour-blind eyes, and inliers from outliers by shape too. Colours are
(K, 3) uint8 in the order blue, green, red.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.features import FloatArray, IndexArray

Colour = tuple[int, int, int]
Colours = NDArray[np.uint8]
Flags = NDArray[np.bool_]

INLIER: Colour = (233, 180, 86)
OUTLIER: Colour = (0, 94, 213)
"""Sky blue and vermilion of Okabe and Ito's set, https://jfly.uni-koeln.de/color."""

NEUTRAL: Colour = (160, 160, 160)
"""Of keypoints without a match."""

_COLOUR_MAP = cv2.COLORMAP_VIRIDIS  # evenly perceived, and ordered for colour-blind eyes too
_DARKEST = 40  # of 255: what is darker cannot be seen on dark images


@dataclass(frozen=True, eq=False)
class MatchColours:
    """How the matches of a pair are drawn.

    Attributes:
        colours: (K, 3), one of each match.
        order: (K,) int, the matches from the lowest to the topmost.
        outliers: (K,) bool, which are drawn as contradicting the geometry.
    """

    colours: Colours
    order: NDArray[np.intp]
    outliers: Flags


def confidence_colours(confidences: FloatArray) -> Colours:
    """(K,) confidences in [0, 1] to (K, 3) uint8 BGR colours, the lighter the more confident."""
    levels = _DARKEST + np.clip(confidences, 0, 1) * (255 - _DARKEST)
    if not len(levels):
        return np.zeros((0, 3), np.uint8)
    rounded = np.rint(levels).astype(np.uint8)[:, None]
    return np.asarray(cv2.applyColorMap(rounded, _COLOUR_MAP)[:, 0], dtype=np.uint8)


def keypoint_colours(count: int, matched: IndexArray, colours: Colours) -> Colours:
    """(N, 3) colours of N keypoints: those of their matches, neutral where there is none.

    Args:
        count: N.
        matched: (K,) int, which keypoints the matches have.
        colours: (K, 3), of the matches.
    """
    result = np.full((count, 3), NEUTRAL, np.uint8)
    result[matched] = colours
    return result


def match_colours(confidences: FloatArray, inliers: Flags | None) -> MatchColours:
    """Colours by confidence, or by inlier where that is known.

    The most confident is on top, and every inlier above all outliers.
    """
    if inliers is None:
        none = np.zeros(len(confidences), bool)
        order = np.argsort(confidences, kind="stable")
        return MatchColours(confidence_colours(confidences), order, none)
    colours = np.array([OUTLIER, INLIER], np.uint8)[inliers.astype(np.intp)]
    return MatchColours(colours, np.lexsort((confidences, inliers)), ~inliers)
