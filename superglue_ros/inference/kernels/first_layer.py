"""SuperPoint's first convolution with its ReLU as a Triton kernel, for CUDA devices.

It reads grey values as the bytes they are and computes in float32, whatever the layers after it
take: grey values divided by 255 in half precision are what makes keypoints come out elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # comes with PyTorch for CUDA, and with no other
    triton = None

_PIXELS = 64
"""Pixels of one program."""

if triton is not None:

    @triton.jit
    def _convolve(
        images,
        weight,
        bias,
        output,
        height,
        width,
        PIXELS: tl.constexpr,
        CHANNELS: tl.constexpr,
    ):
        """All channels of a run of pixels: program (run, image)."""
        image = tl.program_id(1).to(tl.int64) * height * width
        pixels = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
        channels = tl.arange(0, CHANNELS)
        row, column = pixels // width, pixels % width
        inside = row < height
        sums = tl.zeros((PIXELS, CHANNELS), tl.float32) + tl.load(bias + channels)[None, :]
        for tap in tl.static_range(9):
            y = row + (tap // 3 - 1)
            x = column + (tap % 3 - 1)
            seen = inside & (y >= 0) & (y < height) & (x >= 0) & (x < width)
            grey = tl.load(images + image + y * width + x, mask=seen, other=0).to(tl.float32)
            sums += grey[:, None] * tl.load(weight + channels * 9 + tap)[None, :]
        places = (image + pixels)[:, None] * CHANNELS + channels[None, :]
        result = tl.maximum(sums, 0.0).to(output.dtype.element_ty)
        tl.store(output + places, result, mask=inside[:, None])


def triton_first_layer(images: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """ReLU of the 3x3 convolution of grey images with zeros around them.

    Args:
        images: (B, H, W) uint8.
        weight: (C, 1, 3, 3) float32, made for grey values of 0 to 255; C is a power of two.
        bias: (C,) float32.
        dtype: That of the result.

    Returns:
        (B, C, H, W), the channels last in memory.
    """
    count, height, width = images.shape
    channels = len(weight)
    output = torch.empty((count, height, width, channels), dtype=dtype, device=images.device)
    _convolve[(triton.cdiv(height * width, _PIXELS), count)](
        images.contiguous(), weight.contiguous(), bias, output, height, width, _PIXELS, channels
    )
    return output.permute(0, 3, 1, 2)
