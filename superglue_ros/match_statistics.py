"""The numbers of a pair of images, for plots: message, Rerun and report have the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from superglue_ros.features import Features, Matches

UNKNOWN = -1
"""Inliers where there is no geometry."""


def match_statistics(
    features: tuple[Features, Features],
    matches: Matches,
    inliers: NDArray[np.bool_] | None,
    milliseconds: float = 0.0,
) -> dict[str, int | float]:
    """The fields of a MatchStatistics message but for its header.

    Args:
        features: Of both images.
        matches: Of the two.
        inliers: (K,) bool, which of them agree with the geometry; None where that is not known.
        milliseconds: From image 1 to its matches, 0 where that is not known.
    """
    confidences = matches.confidences
    return {
        "keypoints0": len(features[0]),
        "keypoints1": len(features[1]),
        "matches": len(matches),
        "inliers": UNKNOWN if inliers is None else int(np.count_nonzero(inliers)),
        "median_confidence": float(np.median(confidences)) if len(matches) else 0.0,
        "refined_share": float(np.mean(matches.are_refined)) if len(matches) else 0.0,
        "milliseconds": float(milliseconds),
    }
