"""What the stages minimise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from superglue_ros.networks.superpoint import STRIDE

IGNORED = -100
"""Class of the cells that the detector's loss leaves out."""

AMBIGUOUS_PX = 6.0
"""Candidates this near to the true correspondence are neither right nor wrong."""


def cell_targets(
    points: Tensor,
    scores: Tensor,
    size: tuple[int, int],
    valid: Tensor | None = None,
    cell: int = STRIDE,
) -> Tensor:
    """Which pixel of each cell is the keypoint (SuperPoint, section 3.3).

    Args:
        points: (B, K, 2) labels in pixels, also outside of the image or infinite.
        scores: (B, K), 0 for filled-up rows; the strongest point of a cell
            is its keypoint.
        size: (width, height) of the images, multiples of 8.
        valid: (B, H, W) boolean, the pixels that show the photograph; None for all.
        cell: Side of a cell in pixels.

    Returns:
        (B, H/cell, W/cell) classes: cell*row + column, cell^2 for no keypoint, or `IGNORED` where a
        cell is not valid throughout.
    """
    width, height = size
    rounded = torch.nan_to_num(points, posinf=-1.0, neginf=-1.0).round().long()
    x, y = rounded.unbind(dim=2)
    usable = (x >= 0) & (y >= 0) & (x < width) & (y < height) & (scores > 0)
    flat = torch.where(usable, y * width + x, torch.zeros_like(x))
    strengths = torch.where(usable, scores, torch.zeros_like(scores))
    heat = scores.new_zeros((len(points), height * width))
    heat = heat.scatter_reduce(1, flat, strengths, reduce="amax").view(-1, 1, height, width)
    cells = F.pixel_unshuffle(heat, cell)  # (B, cell^2, h, w)
    strongest = cells.max(dim=1)
    targets = torch.where(strongest.values > 0, strongest.indices, cell**2)
    if valid is not None:
        whole = F.pixel_unshuffle(valid[:, None].float(), cell).amin(dim=1) > 0
        targets = torch.where(whole, targets, IGNORED)
    return targets


def detector_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over the 65 classes (equation 2): (B, 65, h, w) against (B, h, w)."""
    return F.cross_entropy(logits.float(), targets, ignore_index=IGNORED)


def sample_descriptor_maps(points: Tensor, descriptor_map: Tensor) -> Tensor:
    """`networks.sample_descriptors` for batches, differentiable.

    Args:
        points: (B, N, 2) in pixels.
        descriptor_map: (B, D, h, w), not necessarily normalised.

    Returns:
        (B, N, D) of unit length.
    """
    height, width = descriptor_map.shape[2:]
    size = points.new_tensor([width, height])
    offset = STRIDE / 2 - 0.5
    grid = (points - offset) / (size * STRIDE - offset - 1) * 2 - 1
    normalised = F.normalize(descriptor_map.float(), dim=1)
    sampled = F.grid_sample(normalised, grid[:, None], mode="bilinear", align_corners=True)
    return F.normalize(sampled[:, :, 0], dim=1).mT


def dual_softmax_loss(
    descriptors0: Tensor, descriptors1: Tensor, points1: Tensor, valid: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Tell each point's correspondence from all other points, in both directions.

    It replaces the paper's hinge loss over all pairs of cells because it needs far fewer steps: the
    hard negatives get the gradient, where the hinge spends it on a million easy ones.

    Args:
        descriptors0: (B, N, D) of unit length.
        descriptors1: (B, N, D), row i corresponds to row i of image 0.
        points1: (B, N, 2) where they are in image 1, in pixels.
        valid: (B, N) boolean, the rows to learn from.
        scale: Factor on the cosine similarity, learned.

    Returns:
        The mean loss, and the share of points whose correspondence is the most similar.
    """
    similarity = descriptors0 @ descriptors1.mT * scale  # (B, N, N)
    near = torch.cdist(points1, points1) < AMBIGUOUS_PX
    own = torch.eye(points1.shape[1], dtype=torch.bool, device=points1.device)
    left_out = (near & ~own) | ~valid[:, None] | ~valid[:, :, None]
    similarity = similarity.masked_fill(left_out & ~own, -torch.inf)
    true = similarity.diagonal(dim1=1, dim2=2)
    losses = similarity.logsumexp(dim=2) + similarity.logsumexp(dim=1) - 2 * true
    right = (similarity.argmax(dim=2) == own.long().argmax(dim=1)) & valid
    count = valid.sum().clamp(min=1)
    return (losses * valid).sum() / (2 * count), right.sum() / count
