"""What came back from the nodes, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from superglue_ros.drawing import BgrImage
from superglue_ros.features import Features, FloatArray, Matches


@dataclass(frozen=True, eq=False)
class Pair:
    """Two images and their matches, all as received from topics.

    Attributes:
        images: Both images, (H, W, 3) uint8 BGR.
        features: The keypoints of both, without descriptors.
        matches: The matches of the two.
        extraction_ms: From the publishing of the image or images to the arrival of their features,
            transport on both ways included.
        matching_ms: From the arrival of the features to that of the matches; the matcher receives
            the features at about the same time.
    """

    images: tuple[BgrImage, BgrImage]
    features: tuple[Features, Features]
    matches: Matches
    extraction_ms: float
    matching_ms: float


def disparity_errors(pair: Pair, disparity: FloatArray) -> FloatArray:
    """How far each match of a rectified stereo pair is from the truth.

    Args:
        pair: Left and right image with their matches.
        disparity: (H, W) true disparity of the left image in pixels, infinite where unknown.

    Returns:
        (K,) float32: distance in pixels between the matched point in the right image and the true
        one, for the matches whose left point has a known disparity at its nearest pixel.
    """
    points0, points1 = pair.matches.points(*pair.features)
    height, width = disparity.shape
    columns, rows = np.rint(points0).astype(np.int32).T
    truth = disparity[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
    known = np.isfinite(truth)
    expected = points0[known] - np.column_stack([truth[known], np.zeros_like(truth[known])])
    return np.asarray(np.linalg.norm(points1[known] - expected, axis=1), dtype=np.float32)
