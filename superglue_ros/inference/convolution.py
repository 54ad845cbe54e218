"""A convolution with its bias and ReLU in one step, where cuDNN offers that."""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_logger = logging.getLogger(__name__)


def convolve_relu(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """ReLU of a convolution that keeps the size: on CUDA without passing over the result again."""
    if not _works(x.device, x.dtype):
        return F.relu(layer(x))
    return _by_cudnn(layer, x)


def _by_cudnn(layer: nn.Conv2d, x: Tensor) -> Tensor:
    padding = [side // 2 for side in layer.kernel_size]
    return torch.cudnn_convolution_relu(
        x, layer.weight, layer.bias, layer.stride, padding, layer.dilation, layer.groups
    )


@cache
def _works(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether cuDNN does it on a device as it should; says once why not."""
    if device.type != "cuda":
        return False
    random = torch.Generator(device).manual_seed(0)
    layer = nn.Conv2d(64, 64, kernel_size=3, padding=1, device="meta", dtype=dtype)
    layer.to_empty(device=device)
    for parameter in layer.parameters():
        parameter.detach().normal_(0, 0.04, generator=random)
    x = torch.randn(1, 64, 16, 16, generator=random, device=device, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    try:
        difference = float((_by_cudnn(layer, x) - F.relu(layer(x))).abs().amax())
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        problem = str(error).split("\n")[0]
    else:
        if difference < 0.1:  # results go up to 4; not a number is not
            return True
        problem = f"it differs by {difference:.3g}"
    _logger.warning("no fused convolutions on %s, which is slower: %s", device, problem)
    return False
