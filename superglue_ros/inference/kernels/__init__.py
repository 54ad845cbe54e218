"""Triton kernels for CUDA devices, each with something slower in PyTorch for where they do not run.

Triton comes with PyTorch for CUDA. It compiles kernels when they first run, for which it also needs
a C compiler.
"""

from __future__ import annotations

import logging
from functools import cache

import torch

_logger = logging.getLogger(__name__)


@cache
def triton_works(device: torch.device) -> bool:
    """Whether the kernels run on a device; says once why not."""
    if device.type != "cuda":
        return False
    from superglue_ros.inference.kernels.first_layer import triton_first_layer

    try:
        image = torch.zeros(1, 8, 8, dtype=torch.uint8, device=device)
        weight, bias = torch.zeros(16, 1, 3, 3, device=device), torch.zeros(16, device=device)
        triton_first_layer(image, weight, bias, torch.float32)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # of many libraries, and for all of them there is another way
        reason = str(error).strip().split("\n")[0]
        _logger.warning(
            "no Triton kernels on %s, which is slower; is there a C compiler? (%s: %s)",
            device,
            type(error).__name__,
            reason,
        )
        return False
    return True
