"""A classical detector as the first teacher: blobs and corners by the determinant of the Hessian.

On held-out photographs under random homographies its points repeat within one pixel more often than
those of Shi-Tomasi, Harris or a difference of Gaussians, and much more often than those of a
detector trained on drawn shapes only.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_KERNEL_SIGMAS = 3


def hessian_response(image: Tensor, sigma: float) -> Tensor:
    """Square root of the scale-normalised determinant of the Hessian, 0 where it is negative.

    Args:
        image: (B, 1, H, W) in [0, 1].
        sigma: Scale of the smoothing in pixels.

    Returns:
        (B, H, W), linear in the contrast.
    """
    smoothed = F.pad(gaussian_blur(image, sigma), (1, 1, 1, 1), mode="replicate")
    centre = smoothed[..., 1:-1, 1:-1]
    left, right = smoothed[..., 1:-1, :-2], smoothed[..., 1:-1, 2:]
    above, below = smoothed[..., :-2, 1:-1], smoothed[..., 2:, 1:-1]
    xx, yy = left + right - 2 * centre, above + below - 2 * centre
    diagonal = smoothed[..., 2:, 2:] + smoothed[..., :-2, :-2]
    other_diagonal = smoothed[..., 2:, :-2] + smoothed[..., :-2, 2:]
    xy = (diagonal - other_diagonal) / 4
    determinant = (xx * yy - xy**2)[:, 0]
    return determinant.clamp(min=0).sqrt() * sigma**2


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Smooth images (B, 1, H, W)."""
    radius = max(1, round(_KERNEL_SIGMAS * sigma))
    offsets = torch.arange(-radius, radius + 1.0, device=image.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1))


def refine_subpixel(response: Tensor, keypoints: Tensor) -> Tensor:
    """Move maxima of a map to the top of the parabola through their neighbours.

    Args:
        response: (H, W).
        keypoints: (N, 2) whole pixels, x and y, none on the border.

    Returns:
        (N, 2), each moved by at most half a pixel along each axis.
    """
    x, y = keypoints.long().unbind(dim=1)
    centre = response[y, x]
    shift_x = _parabola_top(response[y, x - 1], centre, response[y, x + 1])
    shift_y = _parabola_top(response[y - 1, x], centre, response[y + 1, x])
    return keypoints + torch.stack([shift_x, shift_y], dim=1)


def _parabola_top(before: Tensor, centre: Tensor, after: Tensor) -> Tensor:
    curvature = before + after - 2 * centre
    slope = (after - before) / 2
    flat = curvature >= 0
    top = -slope / torch.where(flat, torch.ones_like(curvature), curvature)
    return torch.where(flat, torch.zeros_like(top), top).clamp(-0.5, 0.5)
