"""Sub-pixel matches: the patch around a match's keypoint 1 aligned with that around keypoint 0.

Extractors cut the patches, which travel with the features; matchers align them. Keypoint 0 never
moves, so that it stays one point for all that is matched to it.
"""

from superglue_ros.refinement.alignment import Alignment, align_patches
from superglue_ros.refinement.matches import refine_matches, unrefinable
from superglue_ros.refinement.patches import PATCH_SIZE, cut_patches

__all__ = [
    "PATCH_SIZE",
    "Alignment",
    "align_patches",
    "cut_patches",
    "refine_matches",
    "unrefinable",
]
