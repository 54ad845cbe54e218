"""Networks with random weights under which every part decides about the result."""

from __future__ import annotations

import torch
from torch import nn

from superglue_ros.networks import SuperGlue, SuperPoint


def random_superpoint() -> SuperPoint:
    """Weights that keep contrast from layer to layer and give peaks well above the threshold."""
    torch.manual_seed(11)
    network = SuperPoint()
    for layer in network.children():
        nn.init.kaiming_normal_(layer.weight)
        nn.init.normal_(layer.bias, std=0.1)
    network.convPb.weight.data *= 3
    return network


def randomise(
    network: SuperGlue, *, gain: float = 1.0, bias: float = 0.1, mean: float = 0.2
) -> None:
    """Random weights and batch statistics under which every layer changes the result."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.normal_(module.weight, std=gain * module.in_channels**-0.5)
            nn.init.normal_(module.bias, std=bias)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def random_superglue() -> SuperGlue:
    """Weights under which every part of the network decides about the matches.

    Gains are such that attention is far from even, hidden units are on or off by their input rather
    than by their bias, and the layers change the descriptors by more than half of their length.
    """
    torch.manual_seed(12)
    network = SuperGlue()
    randomise(network, bias=0.05, mean=0.1)
    network.kenc.encoder[12].weight.data *= 0.03
    for layer in network.gnn.layers:
        for projection, gain in zip(layer.attn.proj, (25, 25, 4), strict=True):
            projection.weight.data *= gain
        layer.mlp[1].running_mean *= 0.1
        layer.mlp[1].running_var *= 0.01
        layer.mlp[3].weight.data *= 0.008
        layer.mlp[3].bias.data *= 0.008
    nn.init.orthogonal_(network.final_proj.weight[:, :, 0].data, gain=12)
    nn.init.constant_(network.bin_score, 17.0)
    return network
