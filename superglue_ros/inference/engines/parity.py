"""The test that an engine passes before it is trusted: the same results as the exact one.

It runs at start-up on a generated image and on generated features; on a GPU, what counts is what
runs once the engine has recorded its work.
"Same" is what faster paths are held to: at least 99.5 % of the matches, none silently missing.
"""

from __future__ import annotations

import numpy as np
import torch

from superglue_ros.config import AssignmentConfig, DetectionConfig
from superglue_ros.features import IndexArray
from superglue_ros.inference.engines.interface import (
    PreparedImage,
    SuperGlueEngine,
    SuperPointEngine,
)
from superglue_ros.inference.engines.samples import sample_image, sample_pair
from superglue_ros.inference.tensors import FeatureTensors

MIN_SAME_SHARE = 0.995
TOLERANCE = 1e-3
"""How near a threshold a probability leaves either answer right."""

MAX_DESCRIPTOR_DISTANCE = 0.05
"""Between descriptors of unit length; those of different places are about 1 apart."""

_IMAGE_SHAPE = (184, 248)
_KEYPOINTS = 192


def superpoint_difference(engine: SuperPointEngine, exact: SuperPointEngine) -> str:
    """Run SuperPoint in both on one image.

    Returns:
        In words how the results differ by more than they may; empty where they do not.
    """
    pixels, config = sample_image(*_IMAGE_SHAPE), DetectionConfig()
    image, other = (
        PreparedImage(one, None, pixels.shape[::-1]) for one in (pixels, pixels[::-1].copy())
    )
    found, expected = (one.detect([image], config)[0] for one in (engine, exact))
    if found.scores.is_cuda:  # what an engine has recorded by its second call runs from now on
        engine.detect([other], config)
        (found,) = engine.detect([image], config)
    # A weak keypoint comes or goes with the last digit of its probability
    threshold = config.keypoint_threshold + TOLERANCE
    places, indices, counts = _shared_places(found, expected, threshold)
    if counts[0] < MIN_SAME_SHARE * counts[1]:
        return f"{counts[0]} of {counts[1]} keypoints are the same"
    distances = (found.descriptors[places] - expected.descriptors[indices]).norm(dim=1)
    farthest = float(distances.amax()) if len(distances) else 0.0
    if not farthest <= MAX_DESCRIPTOR_DISTANCE:  # not a number is not near either
        return f"descriptors differ by {farthest:.3g}"
    return ""


def superglue_difference(
    engine: SuperGlueEngine, exact: SuperGlueEngine, dim: int, device: torch.device
) -> str:
    """Run SuperGlue in both on the features of one pair with descriptors of `dim` channels.

    Returns:
        In words how the results differ by more than they may; empty where they do not.
    """
    pair, config = sample_pair(_KEYPOINTS, dim, device), AssignmentConfig()
    found, expected = (
        one.begin_match([pair], config, with_assignment=False)()[0] for one in (engine, exact)
    )
    if device.type == "cuda":  # as above
        engine.begin_match([(pair[1], pair[0])], config, with_assignment=False)()
        (found,) = engine.begin_match([pair], config, with_assignment=False)()
    for index in (0, 1):
        theirs: IndexArray = getattr(expected, f"matches{index}")
        same = getattr(found, f"matches{index}") == theirs
        scores = getattr(expected, f"matching_scores{index}")
        clear = np.abs(scores - config.match_threshold) > TOLERANCE
        if same[clear].sum() < MIN_SAME_SHARE * clear.sum():
            return f"{same[clear].sum()} of {clear.sum()} matches are the same"
    return ""


def _shared_places(
    found: FeatureTensors, expected: FeatureTensors, threshold: float
) -> tuple[list[int], list[int], tuple[int, int]]:
    """Indices of the keypoints at the same place in both, and of how many clear ones how many."""
    at = {tuple(point): index for index, point in enumerate(found.keypoints.tolist())}
    clear = [
        (at.get(tuple(point)), index)
        for index, (point, score) in enumerate(
            zip(expected.keypoints.tolist(), expected.scores.tolist(), strict=True)
        )
        if score > threshold
    ]
    shared = [(place, index) for place, index in clear if place is not None]
    places, indices = ([one[side] for one in shared] for side in (0, 1))
    return places, indices, (len(shared), len(clear))
