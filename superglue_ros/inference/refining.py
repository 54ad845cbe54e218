"""Refining the matches of features, as far as these carry patches."""

from __future__ import annotations

from superglue_ros.config import RefinementConfig
from superglue_ros.features import Matches
from superglue_ros.inference.tensors import FeaturePair
from superglue_ros.refinement import refine_matches, unrefinable


def refined(matches: Matches, pair: FeaturePair, config: RefinementConfig) -> Matches:
    """Matches with `Matches.keypoints1`; as they are where nothing can or is to be refined.

    Args:
        matches: Of the pair.
        pair: The features of image 0 and image 1, on one device.
        config: Whether they are wanted refined.
    """
    if not config.refinement or why_unrefined(pair):
        return matches
    features0, features1 = pair
    return refine_matches(
        matches,
        features1.on_host.keypoints,
        (features0.patches, features1.patches),
        features1.patch_scale,
    )


def why_unrefined(pair: FeaturePair) -> str:
    """Why the matches of a pair cannot be refined, in one line; empty where they can."""
    return unrefinable(*(one.places.patches.shape[-1] for one in pair))
