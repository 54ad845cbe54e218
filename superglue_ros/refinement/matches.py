"""Matches whose keypoints in image 1 are moved to where those of image 0 are."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from superglue_ros.features import FloatArray, Matches
from superglue_ros.refinement.alignment import WINDOW, align_patches


def unrefinable(patch_size0: int, patch_size1: int) -> str:
    """Why patches of these sizes cannot be aligned, in one line; empty where they can.

    Args:
        patch_size0: Samples along a side of those of image 0; 0 for none.
        patch_size1: The same of image 1.
    """
    if not patch_size0 or not patch_size1:
        which = "both images" if patch_size0 == patch_size1 else f"image {int(patch_size0 > 0)}"
        return (
            f"the features of {which} carry no patches (extractor's publish_patches off, or an "
            "older recording): matches stay as they are, not refined"
        )
    if patch_size0 != patch_size1 or patch_size0 % 2 == 0 or patch_size0 < WINDOW + 2:
        return (
            f"patches of {patch_size0}x{patch_size0} and {patch_size1}x{patch_size1} cannot be "
            f"aligned, they must be of one odd size from {WINDOW + 2} on: matches stay as they "
            "are, not refined"
        )
    return ""


def refine_matches(
    matches: Matches,
    keypoints1: FloatArray,
    patches: tuple[Tensor, Tensor],
    patch_scale1: float,
) -> Matches:
    """Move the keypoint 1 of every match to where its patch says that keypoint 0 is.

    Args:
        matches: The matches.
        keypoints1: (M, 2) the keypoints of image 1 as extracted, in pixels.
        patches: (N, S, S) and (M, S, S) uint8, those of image 0 and of image 1, on one device.
        patch_scale1: Pixels of image 1 from one sample of its patches to the next.

    Returns:
        The same matches with `Matches.keypoints1` and `Matches.refined0`.
    """
    keypoints = np.array(keypoints1, np.float32)
    refined0 = np.zeros(len(matches.matches0), bool)
    pairs = matches.pairs
    if len(pairs):
        index0, index1 = torch.from_numpy(pairs.T.astype(np.int64)).to(patches[0].device)
        offsets, accepted = align_patches(patches[0][index0], patches[1][index1])
        keypoints[pairs[:, 1]] += patch_scale1 * offsets.cpu().numpy()
        refined0[pairs[:, 0]] = accepted.cpu().numpy()
    return dataclasses.replace(matches, keypoints1=keypoints, refined0=refined0)
