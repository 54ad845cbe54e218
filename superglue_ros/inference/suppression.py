"""Non-maximum suppression on the host: that of `networks`, by OpenCV, tens of times as fast."""

from __future__ import annotations

import cv2
import numpy as np

from superglue_ros.features import FloatArray


def suppress_on_host(scores: FloatArray, radius: int) -> FloatArray:
    """The same as `networks.non_maximum_suppression`, for one (H, W) map of probabilities.

    OpenCV's dilation is the maximum over a window, which it takes along rows and columns in turn.
    """
    window = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    kept = scores == cv2.dilate(scores, window)
    for _ in range(2):
        shadowed = cv2.dilate(kept.view(np.uint8), window).view(np.bool_)
        remaining = np.where(shadowed, np.float32(0), scores)
        kept |= (remaining == cv2.dilate(remaining, window)) & ~shadowed
    return np.where(kept, scores, np.float32(0))
