"""Deformable convolution by `grid_sample`, where there is no torchvision."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = int | tuple[int, int]


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """Convolve at places that are moved, as `torchvision.ops.deform_conv2d` does.

    Args:
        input: (B, C, H, W).
        offset: (B, 2 * kh * kw, H', W'), y before x for each place of the kernel, in pixels.
        weight: (C', C, kh, kw); convolutions in groups are not supported.
        bias: (C',) or None.
        stride: Of the kernel, for both axes or (y, x).
        padding: Zeros around the input.
        dilation: Pixels between the places of the kernel.
        mask: (B, kh * kw, H', W') factors of the samples, or None.

    Returns:
        (B, C', H', W'). Samples are bilinear; the input is 0 outside.
    """
    (step_y, step_x), (pad_y, pad_x), (gap_y, gap_x) = map(_pair, (stride, padding, dilation))
    height, width = input.shape[2:]
    kernel_height, kernel_width = weight.shape[2:]
    rows, columns = offset.shape[2:]
    y = torch.arange(rows, device=input.device) * step_y - pad_y
    x = torch.arange(columns, device=input.device) * step_x - pad_x
    scale = input.new_tensor([2 / width, 2 / height])
    out = input.new_zeros(len(input), len(weight), rows, columns)
    for tap in range(kernel_height * kernel_width):
        row, column = divmod(tap, kernel_width)
        at_y = offset[:, 2 * tap] + (y + row * gap_y)[:, None]
        at_x = offset[:, 2 * tap + 1] + x + column * gap_x
        # align_corners=False takes -1 and 1 for the borders: pixel 0 has its centre at 0.5
        grid = (torch.stack([at_x, at_y], dim=3) + 0.5) * scale - 1  # (B, H', W', 2)
        samples = F.grid_sample(input, grid, align_corners=False)
        if mask is not None:
            samples = samples * mask[:, tap : tap + 1]
        out += torch.einsum("oc,bchw->bohw", weight[:, :, row, column], samples)
    return out if bias is None else out + bias[:, None, None]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
