"""Keypoints between the pixels: the centre of mass of the detector's map around each maximum."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_argmax(probabilities: Tensor, keypoints: Tensor, radius: int = 2) -> Tensor:
    """Move whole-pixel keypoints to the expected position within a window around them.

    Args:
        probabilities: (H, W) or (B, H, W) keypoint probabilities before non-maximum suppression.
        keypoints: (N, 2) or (B, N, 2) whole pixels of the image, x and y.
        radius: Half the window's side in pixels; the border is repeated.

    Returns:
        The keypoints, each moved by less than `radius` along each axis.
    """
    if keypoints.ndim == 2:
        return soft_argmax(probabilities[None], keypoints[None], radius)[0]
    padded = F.pad(probabilities[:, None], (radius,) * 4, mode="replicate")[:, 0]
    steps = torch.arange(2 * radius + 1, device=keypoints.device)
    images = torch.arange(len(keypoints), device=keypoints.device)[:, None, None, None]
    x, y = keypoints.long()[..., None, None].unbind(dim=2)  # (B, N, 1, 1)
    windows = padded[images, y + steps[:, None], x + steps]  # (B, N, side, side)
    mass = windows.sum(dim=(2, 3)).clamp(min=torch.finfo(windows.dtype).tiny)
    offsets = (steps - radius).to(windows.dtype)
    shift_x = (windows * offsets).sum(dim=(2, 3)) / mass
    shift_y = (windows * offsets[:, None]).sum(dim=(2, 3)) / mass
    return keypoints + torch.stack([shift_x, shift_y], dim=2)
