"""Which keypoints of a pair belong together (SuperGlue, section 3.3 and appendix)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from superglue_ros.lab.training.pairs import HIDDEN, UNKNOWN, VISIBLE, PairBatch

MATCH_PX = 3.0
UNMATCHED_PX = 5.0
NO_MATCH, IGNORED = -1, -2
FAR_AWAY = -1e6
"""Coordinate of places that are not known."""


@dataclass(frozen=True)
class TrueMatches:
    """The true partners of keypoints.

    Attributes:
        matches0: (B, N) index of the partner in image 1, `NO_MATCH` or `IGNORED`.
        matches1: (B, M) the same from image 1.
    """

    matches0: Tensor
    matches1: Tensor


@dataclass(frozen=True)
class Places:
    """Keypoints of which it is known where they lie in the other image.

    Attributes:
        keypoints: (B, N, 2) in pixels of their own image.
        targets: (B, N, 2) in pixels of the other image, far outside where unknown.
        visibility: (B, N) `VISIBLE`, `HIDDEN` or `UNKNOWN`.
    """

    keypoints: Tensor
    targets: Tensor
    visibility: Tensor

    @staticmethod
    def concatenated(parts: Sequence[Places]) -> Places:
        """Batches one after the other."""
        return Places(
            torch.cat([part.keypoints for part in parts]),
            torch.cat([part.targets for part in parts]),
            torch.cat([part.visibility for part in parts]),
        )


def true_matches(pairs: PairBatch, keypoints0: Tensor, keypoints1: Tensor) -> TrueMatches:
    """Find the true partners of keypoints of a batch; see `match_places`.

    Args:
        pairs: The images' correspondences.
        keypoints0: (B, N, 2) in pixels of image 0.
        keypoints1: (B, M, 2) in pixels of image 1.
    """
    return match_places(look_up(pairs, 0, keypoints0), look_up(pairs, 1, keypoints1))


def match_places(places0: Places, places1: Places) -> TrueMatches:
    """Find the true partners by reprojection in both directions.

    A match is a mutual nearest reprojection within 3 px both ways. A keypoint is unmatched where it
    is hidden in the other image or no keypoint lies within 5 px of its place. What lies between,
    and what sits on the edge of an occlusion, is ignored.

    Args:
        places0: The N keypoints of image 0.
        places1: The M keypoints of image 1.
    """
    state0, state1 = places0.visibility, places1.visibility
    forward_error = torch.cdist(places0.targets, places1.keypoints)  # (B, N, M)
    backward_error = torch.cdist(places0.keypoints, places1.targets)
    error = torch.maximum(forward_error, backward_error)
    visible0, visible1 = (state0 == VISIBLE)[:, :, None], (state1 == VISIBLE)[:, None]
    error = torch.where(visible0 & visible1, error, torch.inf)
    # A keypoint of which nothing is known may still be the partner of one whose place is
    unknown0, unknown1 = (state0 == UNKNOWN)[:, :, None], (state1 == UNKNOWN)[:, None]
    possible0 = torch.where(visible0 & unknown1, forward_error, error).amin(dim=2)
    possible1 = torch.where(unknown0 & visible1, backward_error, error).amin(dim=1)
    nearest0, nearest1 = error.min(dim=2), error.min(dim=1)
    own0, own1 = (
        torch.arange(size, device=error.device) for size in (error.shape[1], error.shape[2])
    )
    matched0 = (nearest1.indices.gather(1, nearest0.indices) == own0) & (
        nearest0.values <= MATCH_PX
    )
    matched1 = (nearest0.indices.gather(1, nearest1.indices) == own1) & (
        nearest1.values <= MATCH_PX
    )
    return TrueMatches(
        matches0=_one_side(nearest0.indices, matched0, possible0, state0),
        matches1=_one_side(nearest1.indices, matched1, possible1, state1),
    )


def _one_side(partner: Tensor, matched: Tensor, nearest_px: Tensor, state: Tensor) -> Tensor:
    alone = (state == HIDDEN) | ((state == VISIBLE) & (nearest_px > UNMATCHED_PX))
    return torch.where(matched, partner, torch.where(alone, NO_MATCH, IGNORED))


def look_up(pairs: PairBatch, side: int, keypoints: Tensor) -> Places:
    """Where keypoints lie in the other image, and whether they are seen there.

    Args:
        pairs: The correspondences.
        side: 0 or 1, the image of the keypoints.
        keypoints: (B, N, 2) in pixels; what a fraction of a pixel moves is taken as a shift.
    """
    width, height = pairs.size
    rounded = keypoints.round()
    x, y = rounded.long().unbind(dim=2)
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    targets = pairs.targets[side].flatten(1, 2)
    places = targets.gather(1, index[..., None].expand(-1, -1, 2)) + (keypoints - rounded)
    state = pairs.visibility[side].flatten(1).gather(1, index)
    places = torch.nan_to_num(places, nan=FAR_AWAY, posinf=FAR_AWAY, neginf=FAR_AWAY)
    return Places(keypoints, places, state)
