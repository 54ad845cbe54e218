"""SuperGlue that matches by descriptors alone: the matcher's first step stands on it."""

from __future__ import annotations

import torch
from torch import nn

from superglue_ros.networks import SuperGlue

COSINE_SCALE = 20.0
"""Score of two equal descriptors."""

BIN_SCORE = 9.0
"""Below the score of a good match, above that of a chance one."""


@torch.no_grad()
def warm_start(network: SuperGlue) -> SuperGlue:
    """Make a network compute nearest neighbours with optimal transport, in place.

    The last convolution of every branch is zero, so the graph network and the keypoint encoder add
    nothing yet, but every gradient flows; `final_proj` scales the descriptors.

    Args:
        network: With random weights, which the hidden layers keep.

    Returns:
        The network.
    """
    for name, parameter in network.named_parameters():
        if name.startswith(_last_convolutions(network)):
            nn.init.zeros_(parameter)
    dim = network.descriptor_dim
    network.final_proj.weight.copy_(torch.eye(dim)[:, :, None] * (COSINE_SCALE * dim**0.5) ** 0.5)
    nn.init.zeros_(network.final_proj.bias)  # type: ignore[arg-type]
    network.bin_score.fill_(BIN_SCORE)
    return network


def _last_convolutions(network: SuperGlue) -> tuple[str, ...]:
    """Names of the last layers of the keypoint encoder and of the graph network's branches."""
    branches = [name for name, _ in network.named_modules() if name.endswith((".encoder", ".mlp"))]
    lengths = [len(list(network.get_submodule(name).children())) for name in branches]
    return tuple(f"{name}.{length - 1}." for name, length in zip(branches, lengths, strict=True))
