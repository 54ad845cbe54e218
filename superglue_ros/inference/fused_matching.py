"""From features to matches in fixed shapes, without waiting for the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from superglue_ros.config import AssignmentConfig
from superglue_ros.inference.fused_superglue import FeatureBatch, FusedSuperGlue
from superglue_ros.inference.kernels import triton_works
from superglue_ros.networks import log_optimal_transport, mutual_matches, optimal_transport
from superglue_ros.networks.optimal_transport import Counts
from superglue_ros.refinement import align_patches


class MatchingSettings(NamedTuple):
    """What `match` does beyond the network; constant within a CUDA graph.

    Attributes:
        threshold: A match's probability is above this.
        iterations: Of the optimal-transport layer.
        with_assignment: Whether the assignment is returned.
    """

    threshold: float
    iterations: int
    with_assignment: bool

    @classmethod
    def of(cls, config: AssignmentConfig, *, with_assignment: bool) -> MatchingSettings:
        """The settings of a configuration."""
        return cls(config.match_threshold, config.sinkhorn_iterations, with_assignment)


class PatchBatch(NamedTuple):
    """What the matches of P pairs of images are refined by.

    Attributes:
        patches: (2P, N, S, S) uint8: image 0 of each pair, then image 1 of each.
        scales: (2P,) pixels from one sample of an image's patches to the next.
    """

    patches: Tensor
    scales: Tensor


class FixedMatches(NamedTuple):
    """The matches of P pairs, N places in each image.

    Attributes:
        results: (4, P, N) float32: matches0, matches1, matching_scores0 and matching_scores1 of
            `Matches`, in one piece for one copy to the host; refined (7, P, N), with x and
            y of keypoints1 and refined0 behind them.
        assignment: (P, N+1, N+1) float32 with the dustbins last, or None.
    """

    results: Tensor
    assignment: Tensor | None

    @property
    def present(self) -> list[Tensor]:
        """The tensors that are there."""
        return [tensor for tensor in self if tensor is not None]


def match(
    network: FusedSuperGlue,
    settings: MatchingSettings,
    batch: FeatureBatch,
    patches: PatchBatch | None = None,
) -> FixedMatches:
    """Match several pairs of images, each as if it were alone; nothing matches padding.

    Where there are patches, the matches are refined.
    """
    images = len(batch.scores)
    counts: Counts | None = None
    if batch.counts is not None:
        counts = (batch.counts[: images // 2], batch.counts[images // 2 :])
    scores = network(batch)
    assignment = _transport(scores, network.bin_score, settings.iterations, counts)
    matches0, matches1, scores0, scores1 = mutual_matches(assignment, settings.threshold)
    results = torch.stack([matches0.float(), matches1.float(), scores0, scores1])
    if patches is not None:
        keypoints1, refined0 = _refined(batch.keypoints[images // 2 :], matches0, patches)
        results = torch.cat([results, keypoints1.permute(2, 0, 1), refined0.float()[None]])
    return FixedMatches(results, assignment if settings.with_assignment else None)


def _refined(keypoints1: Tensor, matches0: Tensor, batch: PatchBatch) -> tuple[Tensor, Tensor]:
    """Keypoints of image 1 (P, N, 2), the refined ones (P, N) where those of image 0 are."""
    pairs = len(matches0)
    partners = matches0.clamp(min=0)  # (P, N); what is not matched is aligned with anything
    patches0, patches1 = batch.patches[:pairs], batch.patches[pairs:]
    pair = torch.arange(pairs, device=partners.device)[:, None]
    alignment = align_patches(patches0.flatten(0, 1), patches1[pair, partners].flatten(0, 1))
    offsets = alignment.offsets.view(*partners.shape, 2) * batch.scales[pairs:, None, None]
    refined0 = alignment.accepted.view(partners.shape) & (matches0 >= 0)
    offsets = torch.where(refined0[..., None], offsets, 0.0)
    return keypoints1.scatter_add(1, partners[..., None].expand(-1, -1, 2), offsets), refined0


def _transport(scores: Tensor, bin_score: Tensor, iterations: int, counts: Counts | None) -> Tensor:
    """The optimal-transport layer that suits the device."""
    if not scores.is_cuda:
        return optimal_transport(scores, bin_score, iterations, counts)
    assert counts is not None
    if triton_works(scores.device):
        from superglue_ros.inference.kernels.sinkhorn import triton_optimal_transport

        return triton_optimal_transport(scores, bin_score, iterations, counts)
    return log_optimal_transport(scores, bin_score, iterations, counts).exp()
