"""Keypoints between the pixels: the centre of mass of the detector's map around each maximum."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_argmax(probabilities: Tensor, keypoints: Tensor, radius: int = 2) -> Tensor:
    """Move whole-pixel keypoints to the expected position within a window around them.

    Args:
        probabilities: (H, W) keypoint probabilities before non-maximum suppression.
        keypoints: (N, 2) whole pixels, x and y.
        radius: Half the window's side in pixels; the border is repeated.

    Returns:
        (N, 2), each moved by less than `radius` along each axis.
    """
    if not len(keypoints):
        return keypoints
    side = 2 * radius + 1
    padded = F.pad(probabilities[None, None], (radius,) * 4, mode="replicate")[0, 0]
    steps = torch.arange(side, device=keypoints.device)
    x, y = keypoints.long().unbind(dim=1)
    windows = padded[y[:, None, None] + steps[:, None], x[:, None, None] + steps]  # (N, side, side)
    mass = windows.sum(dim=(1, 2)).clamp(min=torch.finfo(windows.dtype).tiny)
    offsets = (steps - radius).to(windows.dtype)
    shift_x = (windows * offsets).sum(dim=(1, 2)) / mass
    shift_y = (windows * offsets[:, None]).sum(dim=(1, 2)) / mass
    return keypoints + torch.stack([shift_x, shift_y], dim=1)
