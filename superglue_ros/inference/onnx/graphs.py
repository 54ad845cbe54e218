"""The networks in the form in which they are exported: operations that ONNX has, counts that vary.

Weights and function are those of `networks`; only the arrangement differs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from superglue_ros.inference.fused_superglue import FusedLayer, FusedSuperGlue
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.networks.superglue import HEADS, normalise_keypoints
from superglue_ros.networks.superpoint import detector_probabilities


class SuperPointMaps(nn.Module):
    """SuperPoint from images to dense maps."""

    def __init__(self, network: SuperPoint) -> None:
        """Take over the network."""
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, H, W) in [0, 1] to probabilities (B, H, W) and descriptors (B, 256, H/8, W/8)."""
        logits, descriptors = self.network.heads(image)
        return detector_probabilities(logits), _normalised(descriptors)


class SuperGlueScores(nn.Module):
    """SuperGlue up to its score matrix, for one pair with any two counts of keypoints."""

    def __init__(self, network: SuperGlue) -> None:
        """Rearrange the weights."""
        super().__init__()
        self.fused = FusedSuperGlue(network)

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
        """Score every pair of keypoints.

        Args:
            keypoints0: (1, N, 2) in pixels of image 0.
            scores0: (1, N) confidences.
            descriptors0: (1, N, D) of unit length: one row a keypoint.
            size0: (1, 2) width and height of image 0 in pixels.
            keypoints1: (1, M, 2), and so on for image 1.
            scores1: (1, M).
            descriptors1: (1, M, D).
            size1: (1, 2).

        Returns:
            (1, N, M) matching scores.
        """
        count0 = descriptors0.shape[1]
        positions = torch.cat(
            [normalise_keypoints(keypoints0, size0), normalise_keypoints(keypoints1, size1)], dim=1
        )
        confidences = torch.cat([scores0, scores1], dim=1)
        inputs = torch.cat([positions, confidences[:, :, None]], dim=2)  # (1, N+M, 3)
        x = torch.cat([descriptors0, descriptors1], dim=1) + self.fused.encoder(inputs)
        for layer in self.fused.layers:
            assert isinstance(layer, FusedLayer)
            message = _message(layer.project(x), count0, is_cross=layer.is_cross)
            x = x + layer.change(F.relu(layer.hidden(torch.cat([x, message], dim=2))))
        projected = self.fused.final(x) / math.sqrt(math.sqrt(x.shape[2]))
        similarity: Tensor = projected[:, :count0] @ projected[:, count0:].transpose(1, 2)
        return similarity


def _message(projected: Tensor, count0: int, *, is_cross: bool) -> Tensor:
    """Attention among both images' keypoints, of which the first `count0` are of image 0.

    Args:
        projected: (1, N+M, 3D): query, key and value, the channels of a head side by side.
        count0: N.
        is_cross: Whether each image attends to the other one rather than to itself.

    Returns:
        (1, N+M, D).
    """
    dim = projected.shape[2] // 3
    query, key, value = (
        part.reshape(1, -1, HEADS, dim // HEADS).transpose(1, 2)  # (1, heads, N+M, D/heads)
        for part in projected.chunk(3, dim=2)
    )
    query = query / math.sqrt(dim // HEADS)
    own, other = (slice(None, count0), slice(count0, None))
    sources = (other, own) if is_cross else (own, other)
    messages = [
        torch.softmax(query[:, :, at] @ key[:, :, source].transpose(2, 3), dim=3)
        @ value[:, :, source]
        for at, source in zip((own, other), sources, strict=True)
    ]
    return torch.cat(messages, dim=2).transpose(1, 2).flatten(2)


def _normalised(descriptors: Tensor) -> Tensor:
    """To unit length over dimension 1; F.normalize has no equal in ONNX where sizes vary."""
    lengths: Tensor = torch.linalg.vector_norm(descriptors, dim=1, keepdim=True)
    return descriptors / lengths.clamp(min=1e-12)
