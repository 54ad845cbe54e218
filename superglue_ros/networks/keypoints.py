"""From SuperPoint's dense outputs to keypoints and their descriptors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from superglue_ros.networks.superpoint import STRIDE

BORDER = 4
"""Pixels along the border of the image where no keypoint is taken."""

_PLACE_BITS = 32
"""Bits of a sorting key that hold where a score was; the bits of the score are above them."""


def _window_maximum(scores: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    of_rows = F.max_pool2d(scores, kernel_size=(1, side), stride=1, padding=(0, radius))
    return F.max_pool2d(of_rows, kernel_size=(side, 1), stride=1, padding=(radius, 0))


def non_maximum_suppression(scores: Tensor, radius: int) -> Tensor:
    """Keep the local maxima of a probability map and zero the rest.

    A pixel stays where it equals the maximum of its (2r+1)^2 window. Twice, what lies within the
    window of a kept pixel is set aside and the maxima of what is left are kept too, so that a peak
    that was shadowed only by a suppressed one returns.

    Args:
        scores: (B, H, W) probabilities.
        radius: Radius r in pixels; 0 keeps every pixel.

    Returns:
        (B, H, W): the scores at the kept pixels, 0 elsewhere.
    """
    scores = scores[:, None]
    zeros = torch.zeros_like(scores)
    kept = scores == _window_maximum(scores, radius)
    for _ in range(2):
        shadowed = _window_maximum(kept.to(scores.dtype), radius) > 0
        remaining = torch.where(shadowed, zeros, scores)
        kept = kept | ((remaining == _window_maximum(remaining, radius)) & ~shadowed)
    return torch.where(kept, scores, zeros)[:, 0]


def without_slopes(suppressed: Tensor, scores: Tensor, allowed: Tensor, radius: int) -> Tensor:
    """Of the maxima of what is allowed, those that are no slope of a peak that is not.

    Args:
        suppressed: (B, H, W) `scores` where allowed, 0 elsewhere, after non-maximum suppression.
        scores: (B, H, W) probabilities.
        allowed: (B, H, W) boolean: what is not suppresses nothing.
        radius: That of the suppression in pixels.
    """
    beyond = _window_maximum(torch.where(allowed, 0.0, scores)[:, None], min(1, radius))[:, 0]
    return torch.where(scores >= beyond, suppressed, 0.0)


def stay_within(moved: Tensor, keypoints: Tensor, allowed: Tensor) -> Tensor:
    """`moved` (B, N, 2), but `keypoints` where that would be in a pixel that is not allowed.

    Args:
        moved: (B, N, 2), x and y in pixels of the image.
        keypoints: (B, N, 2), where they were.
        allowed: (B, H, W) boolean.
    """
    images = torch.arange(len(moved), device=moved.device)[:, None]
    columns, rows = moved.round().long().unbind(dim=2)
    return torch.where(allowed[images, rows, columns][:, :, None], moved, keypoints)


def select_keypoints(scores: Tensor, threshold: float, max_keypoints: int) -> tuple[Tensor, Tensor]:
    """The most probable pixels of one suppressed map, away from the border.

    Args:
        scores: (H, W) probabilities after non-maximum suppression.
        threshold: A keypoint's probability is above this.
        max_keypoints: Most keypoints to return.

    Returns:
        Keypoints (N, 2) as x, y in pixels, and their scores (N,), descending; N may be 0.
    """
    height, width = scores.shape
    inner = scores[BORDER : height - BORDER, BORDER : width - BORDER]
    rows, columns = torch.nonzero(inner > threshold, as_tuple=True)
    found = inner[rows, columns]
    order = torch.argsort(found, descending=True, stable=True)[:max_keypoints]
    keypoints = torch.stack([columns[order], rows[order]], dim=1) + BORDER
    return keypoints.to(scores.dtype), found[order]


def select_fixed(scores: Tensor, threshold: float, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """`select_keypoints` for a batch, in shapes that do not depend on what is found.

    So a GPU need not report to the host in between. Equal scores come in reading order here too.

    Args:
        scores: (B, H, W) probabilities after non-maximum suppression.
        threshold: A keypoint's probability is above this, at least 0.
        count: Places K for the keypoints of each image.

    Returns:
        Keypoints (B, K, 2), their scores (B, K), descending, and how many of the K are keypoints
        (B,), the first ones; the others have score 0 and lie somewhere in the image.
    """
    height, width = scores.shape[1:]
    rows, columns = max(0, height - 2 * BORDER), max(0, width - 2 * BORDER)
    inner = scores[:, BORDER : BORDER + rows, BORDER : BORDER + columns].float()
    inner = torch.where(inner > threshold, inner, 0.0).flatten(1)
    inner = F.pad(inner, (0, max(0, count - inner.shape[1])))
    # Bits of positive floats order as the floats do; the place below them makes each key unique
    last = inner.shape[1] - 1
    places = torch.arange(last, -1, -1, device=scores.device)
    keys = (inner.view(torch.int32).long() << _PLACE_BITS) | places
    best = keys.topk(count, dim=1).values
    places = last - (best & ((1 << _PLACE_BITS) - 1))
    confidences = (best >> _PLACE_BITS).int().view(torch.float32)
    x = (places % max(1, columns) + BORDER).clamp(max=width - 1)
    y = (places // max(1, columns) + BORDER).clamp(max=height - 1)
    return torch.stack([x, y], dim=2).float(), confidences, (confidences > 0).sum(dim=1)


def sample_descriptors(keypoints: Tensor, descriptor_map: Tensor) -> Tensor:
    """Read descriptors at keypoints, bilinearly, and bring them to unit length.

    The sampling position is the published one. It is slightly off the centre of the cells, but
    every published weight was trained with it.

    Args:
        keypoints: (N, 2) or (B, N, 2), x and y in pixels of the network's input image.
        descriptor_map: (D, h, w) or (B, D, h, w) of unit length over D, one position for each 8x8
            cell.

    Returns:
        (N, D) or (B, N, D) descriptors of unit length.
    """
    if keypoints.ndim == 2:
        return sample_descriptors(keypoints[None], descriptor_map[None])[0]
    offset = STRIDE / 2 - 0.5
    height, width = descriptor_map.shape[2:]
    x, y = (
        (keypoints[:, :, axis] - offset) / (cells * STRIDE - offset - 1) * 2 - 1  # in [-1, 1]
        for axis, cells in ((0, width), (1, height))
    )
    grid = torch.stack([x, y], dim=2)[:, None]  # (B, 1, N, 2)
    sampled = F.grid_sample(descriptor_map, grid, mode="bilinear", align_corners=True)
    return F.normalize(sampled[:, :, 0], dim=1).transpose(1, 2).contiguous()  # of (B, D, N)
