"""SuperGlue with a part taken out, to measure what the part is worth; never exported for use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from superglue_ros.networks import SuperGlue


class _Unchanged(nn.Module):
    """In place of the graph network."""

    def forward(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        return x0, x1


class _SelfAttentionOnly(nn.Module):
    """The graph network with every layer looking at its own image."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.layers = graph.get_submodule("layers")

    def forward(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.layers.children():
            x0, x1 = x0 + layer(x0, x0), x1 + layer(x1, x1)
        return x0, x1


class _NoPosition(nn.Module):
    """In place of the keypoint encoder."""

    def forward(self, keypoints: Tensor, scores: Tensor) -> Tensor:
        return torch.zeros_like(scores[:, None])


def take_out(network: SuperGlue, part: str) -> SuperGlue:
    """Take a part out of a network, in place.

    Args:
        network: The whole network.
        part: no_graph, no_cross or no_position; none leaves it whole.
    """
    if part == "no_graph":
        network.gnn = _Unchanged()  # type: ignore[assignment]
    elif part == "no_cross":
        network.gnn = _SelfAttentionOnly(network.gnn)  # type: ignore[assignment]
    elif part == "no_position":
        network.kenc = _NoPosition()  # type: ignore[assignment]
    return network
