"""The networks with all that comes after them in one graph, for engines elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from superglue_ros.config import AssignmentConfig, DetectionConfig
from superglue_ros.inference.onnx.export import to_onnx
from superglue_ros.inference.onnx.graphs import SuperGlueScores, SuperPointMaps
from superglue_ros.inference.onnx.networks import (
    FEATURE_AXES,
    FEATURE_INPUTS,
    IMAGE_AXES,
    example_features,
    example_image,
)
from superglue_ros.networks import (
    SuperGlue,
    SuperPoint,
    mutual_matches,
    non_maximum_suppression,
    sample_descriptors,
)
from superglue_ros.networks.keypoints import BORDER

KEYPOINT_OUTPUTS = ("keypoints", "scores", "descriptors", "counts")
MATCH_OUTPUTS = ("matches0", "matches1", "matching_scores0", "matching_scores1")


def superpoint_keypoints(network: SuperPoint, config: DetectionConfig) -> bytes:
    """SuperPoint for images of any size that is a multiple of the stride, and any batch size."""
    return to_onnx(
        _SuperPointKeypoints(network, config),
        [example_image()],
        inputs=("image",),
        outputs=KEYPOINT_OUTPUTS,
        axes={
            "image": IMAGE_AXES,
            "counts": {0: "batch"},
            **{name: {0: "batch", 1: "max_keypoints"} for name in KEYPOINT_OUTPUTS[:-1]},
        },
    )


def superglue_matches(network: SuperGlue, config: AssignmentConfig) -> bytes:
    """SuperGlue with its matching layer for any counts of keypoints, at least one."""
    return to_onnx(
        _SuperGlueMatches(network, config),
        example_features(network.descriptor_dim),
        inputs=FEATURE_INPUTS,
        outputs=MATCH_OUTPUTS,
        axes={**FEATURE_AXES, **{name: {1: f"count{name[-1]}"} for name in MATCH_OUTPUTS}},
    )


class _SuperPointKeypoints(nn.Module):
    def __init__(self, network: SuperPoint, config: DetectionConfig) -> None:
        super().__init__()
        self.maps = SuperPointMaps(network)
        self.config = config

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find and describe keypoints, the most confident first.

        Args:
            image: (B, 1, H, W) grey in [0, 1].

        Returns:
            Of K places, which are as many as the most keypoints: keypoints (B, K, 2), x and y in
            pixels; scores (B, K); descriptors (B, K, 256) of unit length; counts (B,), how many
            places are filled, the first ones. The others have score 0.
        """
        probabilities, descriptor_map = self.maps(image)
        kept = non_maximum_suppression(probabilities, self.config.nms_radius)
        inner = kept[:, BORDER:-BORDER, BORDER:-BORDER]
        inner = torch.where(inner > self.config.keypoint_threshold, inner, torch.zeros_like(inner))
        count = self.config.max_keypoints
        scores, places = F.pad(inner.flatten(1), (0, count)).topk(count, dim=1)
        filled = scores > 0
        places = torch.where(filled, places, torch.zeros_like(places))
        columns = inner.shape[2]
        rows = torch.div(places, columns, rounding_mode="floor")
        keypoints = torch.stack([places - rows * columns, rows], dim=2).to(scores.dtype) + BORDER
        descriptors = sample_descriptors(keypoints, descriptor_map)
        return keypoints, scores, descriptors, filled.long().sum(dim=1)


class _SuperGlueMatches(nn.Module):
    def __init__(self, network: SuperGlue, config: AssignmentConfig) -> None:
        super().__init__()
        self.scores = SuperGlueScores(network)
        self.config = config

    def forward(self, *features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Match two images; arguments as those of `SuperGlueScores`, results of `mutual_matches`.

        The matching layer is in the log domain, which holds for any scores.
        """
        assignment = _assignment(
            self.scores(*features), self.scores.fused.bin_score, self.config.sinkhorn_iterations
        )
        return mutual_matches(assignment, self.config.match_threshold)


def _assignment(scores: Tensor, bin_score: Tensor, iterations: int) -> Tensor:
    """`log_optimal_transport`, exponentiated, without constants made of the counts."""
    bins0, bins1 = (torch.zeros_like(scores.sum(dim=axis, keepdim=True)) for axis in (2, 1))
    upper = torch.cat([scores, bins0 + bin_score], dim=2)  # (1, N, M+1)
    lower = torch.cat([bins1, torch.zeros_like(bin_score).reshape(1, 1, 1)], dim=2) + bin_score
    couplings = torch.cat([upper, lower], dim=1)  # (1, N+1, M+1)
    count0, count1 = (bins0 + 1).sum(dim=1, keepdim=True), (bins1 + 1).sum(dim=2, keepdim=True)
    total = torch.log(count0 + count1)
    log_rows = torch.cat([bins0, torch.log(count1)], dim=1) - total
    log_columns = torch.cat([bins1, torch.log(count0)], dim=2) - total
    v = torch.zeros_like(log_columns)
    for _ in range(iterations):
        u = log_rows - torch.logsumexp(couplings + v, dim=2, keepdim=True)
        v = log_columns - torch.logsumexp(couplings + u, dim=1, keepdim=True)
    return torch.exp(couplings + u + v + total)
