"""Batch-norm folded into the convolution before it: the same function with fewer operations."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Module = TypeVar("Module", bound=nn.Module)


def fold_batch_norms(module: Module) -> Module:
    """Fold every batch-norm that follows a convolution in an `nn.Sequential`, in place.

    Args:
        module: A network in evaluation mode. Its parameter names no longer fit checkpoints
            afterwards.
    """
    for sequence in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        layers = list(sequence)
        for index in range(len(layers) - 1):
            convolution, norm = layers[index], layers[index + 1]
            if isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d):
                sequence[index] = fuse_conv_bn_eval(convolution, norm)
                sequence[index + 1] = nn.Identity()
    return module
