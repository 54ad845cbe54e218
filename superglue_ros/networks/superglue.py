"""SuperGlue: Learning Feature Matching with Graph Neural Networks (arXiv 1911.11763).

Parameter names and shapes are those of the published checkpoints, so either loads by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 4
LAYERS = 18
ENCODER_CHANNELS = (3, 32, 64, 128, 256)


def _mlp(channels: Sequence[int]) -> nn.Sequential:
    """1x1 convolutions with batch-norm and ReLU between them."""
    layers: list[nn.Module] = []
    for channels_in, channels_out in pairwise(channels):
        layers += [nn.Conv1d(channels_in, channels_out, kernel_size=1)]
        layers += [nn.BatchNorm1d(channels_out), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


def normalise_keypoints(keypoints: Tensor, size: Tensor) -> Tensor:
    """Centre keypoints and scale them by 0.7 of the longer side.

    Args:
        keypoints: (B, N, 2) in pixels.
        size: (B, 2) width and height of the images in pixels.
    """
    longest = size.amax(dim=1)[:, None, None]
    return (keypoints - size[:, None] / 2) / (0.7 * longest)


class KeypointEncoder(nn.Module):
    """Embeds position and confidence into the descriptor's space (equation 2)."""

    def __init__(self, dim: int) -> None:
        """Create the encoder for descriptors of `dim` channels."""
        super().__init__()
        self.encoder = _mlp((*ENCODER_CHANNELS, dim))

    def forward(self, keypoints: Tensor, scores: Tensor) -> Tensor:
        """(B, N, 2) normalised keypoints and (B, N) confidences to (B, D, N)."""
        inputs = torch.cat([keypoints.mT, scores[:, None]], dim=1)  # (B, 3, N)
        encoded: Tensor = self.encoder(inputs)
        return encoded


class MultiHeadAttention(nn.Module):
    """Messages along the edges of the graph (equations 4 to 6)."""

    def __init__(self, dim: int) -> None:
        """Create the projections for features of `dim` channels."""
        super().__init__()
        self.proj = nn.ModuleList(nn.Conv1d(dim, dim, kernel_size=1) for _ in range(3))
        self.merge = nn.Conv1d(dim, dim, kernel_size=1)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """The message (B, D, N) to features x (B, D, N) from source (B, D, M)."""
        query, key, value = (
            # Channel c belongs to head c mod HEADS.
            project(feature).unflatten(1, (-1, HEADS)).permute(0, 2, 3, 1)  # (B, heads, ., D/heads)
            for project, feature in zip(self.proj, (x, source, source), strict=True)
        )
        message = F.scaled_dot_product_attention(query, key, value)  # (B, heads, N, D/heads)
        merged: Tensor = self.merge(message.permute(0, 3, 1, 2).flatten(1, 2))
        return merged


class AttentionalPropagation(nn.Module):
    """One layer of the graph network, without its residual connection (equation 3)."""

    def __init__(self, dim: int) -> None:
        """Create the layer for features of `dim` channels."""
        super().__init__()
        self.attn = MultiHeadAttention(dim)
        self.mlp = _mlp((2 * dim, 2 * dim, dim))

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """The change (B, D, N) of features x (B, D, N) that see source (B, D, M)."""
        change: Tensor = self.mlp(torch.cat([x, self.attn(x, source)], dim=1))
        return change


class AttentionalGNN(nn.Module):
    """Alternating self- and cross-attention over both images (section 3.1)."""

    def __init__(self, dim: int) -> None:
        """Create the layers for features of `dim` channels."""
        super().__init__()
        self.layers = nn.ModuleList(AttentionalPropagation(dim) for _ in range(LAYERS))

    def forward(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        """Update the features x0 (B, D, N) of image 0 and x1 (B, D, M) of image 1."""
        for index, layer in enumerate(self.layers):
            source0, source1 = (x0, x1) if index % 2 == 0 else (x1, x0)
            change0, change1 = layer(x0, source0), layer(x1, source1)
            x0, x1 = x0 + change0, x1 + change1
        return x0, x1


class SuperGlue(nn.Module):
    """The matcher up to its score matrix; the matching layer is `optimal_transport`.

    Args:
        descriptor_dim: Channels D of the descriptors, a multiple of 4: 256 for SuperPoint, 128
            for SIFT.
    """

    def __init__(self, descriptor_dim: int = 256) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.descriptor_dim = descriptor_dim
        self.kenc = KeypointEncoder(descriptor_dim)
        self.gnn = AttentionalGNN(descriptor_dim)
        self.final_proj = nn.Conv1d(descriptor_dim, descriptor_dim, kernel_size=1)
        self.bin_score = nn.Parameter(torch.tensor(1.0))

    def forward(
        self,
        keypoints0: Tensor,
        scores0: Tensor,
        descriptors0: Tensor,
        size0: Tensor,
        keypoints1: Tensor,
        scores1: Tensor,
        descriptors1: Tensor,
        size1: Tensor,
    ) -> Tensor:
        """Score every pair of keypoints (sections 3.1 and 3.2).

        Args:
            keypoints0: (B, N, 2) in pixels of image 0.
            scores0: (B, N) confidences.
            descriptors0: (B, D, N) of unit length.
            size0: (B, 2) width and height of image 0 in pixels.
            keypoints1: (B, M, 2), and so on for image 1.
            scores1: (B, M).
            descriptors1: (B, D, M).
            size1: (B, 2).

        Returns:
            (B, N, M) matching scores.
        """
        x0 = descriptors0 + self.kenc(normalise_keypoints(keypoints0, size0), scores0)
        x1 = descriptors1 + self.kenc(normalise_keypoints(keypoints1, size1), scores1)
        x0, x1 = self.gnn(x0, x1)
        projected0, projected1 = self.final_proj(x0), self.final_proj(x1)  # (B, D, .)
        similarity: Tensor = projected0.mT @ projected1
        return similarity / math.sqrt(self.descriptor_dim)
