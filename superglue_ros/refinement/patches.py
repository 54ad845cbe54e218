"""The grey patches around keypoints."""

from __future__ import annotations

import torch
from torch import Tensor

PATCH_SIZE = 15
"""Samples along a side: the window that is aligned (11) and two on each side for it to move in."""

_REACH = PATCH_SIZE // 2


def cut_patches(images: Tensor, keypoints: Tensor) -> Tensor:
    """Sample the grey values around keypoints, one pixel apart.

    Sampled with the cubic B-spline, which smooths a little, and as much between pixels as on them.
    Bilinear samples are softer between pixels, which draws an alignment to the pixels; the usual
    bicubic ones are off by up to 0.05 px on a ramp.

    Args:
        images: (B, H, W) uint8 grey.
        keypoints: (B, K, 2) float32, x and y in pixels of these images, (0, 0) being the centre of
            the top-left one.

    Returns:
        (B, K, S, S) uint8, S being `PATCH_SIZE`, centred on the keypoints; beyond the border the
        nearest value of the image goes on.
    """
    height, width = images.shape[1:]
    corner = keypoints.floor()
    reach = torch.arange(-_REACH - 1, _REACH + 3, device=images.device)
    columns, rows = (
        (corner[:, :, None, axis].long() + reach).clamp(0, length - 1)
        for axis, length in ((0, width), (1, height))
    )  # (B, K, S + 3)
    image = torch.arange(len(images), device=images.device)[:, None, None, None]
    values = images[image, rows[:, :, :, None], columns[:, :, None, :]].float()
    weights = _b_spline(keypoints - corner)[..., None, None]  # (4, B, K, 2, 1, 1)
    across = sum(weights[i][:, :, 0] * values[..., i : i + PATCH_SIZE] for i in range(4))
    assert isinstance(across, Tensor)
    both = sum(weights[i][:, :, 1] * across[..., i : i + PATCH_SIZE, :] for i in range(4))
    assert isinstance(both, Tensor)
    return both.round().to(torch.uint8)


def _b_spline(fractions: Tensor) -> Tensor:
    """(4, ...) weights of the pixels -1, 0, 1 and 2 for what lies a fraction beyond pixel 0."""
    f, g = fractions, 1 - fractions
    return torch.stack([g**3, 4 - 3 * f**2 * (2 - f), 4 - 3 * g**2 * (2 - g), f**3]) / 6
