"""Both networks fused, in fixed shapes and half precision, as CUDA graphs: the engine for GPUs.

It runs on the CPU too, in float32 and without graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from superglue_ros.config import AssignmentConfig, DetectionConfig
from superglue_ros.features import FloatArray, GreyImage, Matches
from superglue_ros.inference.device import strict_float32
from superglue_ros.inference.engines.dense import pad_to_stride
from superglue_ros.inference.engines.graphs import GraphCache
from superglue_ros.inference.engines.interface import (
    Detections,
    EngineOptions,
    EngineUnavailableError,
    FeaturePair,
    SuperGlueEngine,
    SuperPointEngine,
)
from superglue_ros.inference.engines.transfers import Transfers
from superglue_ros.inference.fused_matching import FixedMatches, MatchingSettings, match
from superglue_ros.inference.fused_superglue import FeatureBatch, FusedSuperGlue
from superglue_ros.inference.fused_superpoint import DetectionSettings, FusedSuperPoint, detect
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import LoadedNetwork

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_AUTOMATIC = {"cuda": "fp16", "cpu": "fp32"}

_BUCKET = 128
"""On a GPU, places for keypoints come in multiples of this, so that few graphs serve all counts."""


def superpoint_engine(
    loaded: LoadedNetwork[SuperPoint], options: EngineOptions
) -> SuperPointEngine:
    """SuperPoint, fused."""
    return FusedSuperPointEngine(loaded.network, options)


def superglue_engine(loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> SuperGlueEngine:
    """SuperGlue, fused."""
    return FusedSuperGlueEngine(loaded, options)


class FusedSuperPointEngine:
    """SuperPoint for images of one size at a time."""

    def __init__(self, network: SuperPoint, options: EngineOptions) -> None:
        """Copy the weights to the device."""
        self.network = FusedSuperPoint(network, _dtype(options)).to(options.device)
        self.device = options.device
        self._transfers = Transfers(options.device)
        self._graphs = GraphCache(options.device)

    @torch.inference_mode()
    def detect(
        self,
        images: Sequence[GreyImage],
        usable: Sequence[GreyImage | None],
        config: DetectionConfig,
    ) -> list[Detections]:
        """Find and describe keypoints; see `SuperPointEngine.detect`."""
        settings = DetectionSettings.of(config, images[0].shape)
        batch, masks = upload_images(self._transfers, images, usable)
        with strict_float32():
            found = self._graphs(settings, partial(detect, self.network, settings), batch, masks)
        (counts,) = self._transfers.download(found.counts)
        return [
            Detections(*(tensor[index, :count].clone() for tensor in found[:3]))
            for index, count in enumerate(counts.tolist())
        ]


class FusedSuperGlueEngine:
    """SuperGlue for several pairs at a time."""

    def __init__(self, loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> None:
        """Copy the weights to the device."""
        self.name = loaded.name
        self.network = FusedSuperGlue(loaded.network, _dtype(options)).to(options.device)
        self.device = options.device
        self.in_buckets = options.device.type == "cuda"
        self._transfers = Transfers(options.device)
        self._graphs = GraphCache(options.device)

    @torch.inference_mode()
    def match(
        self, pairs: Sequence[FeaturePair], config: AssignmentConfig, *, with_assignment: bool
    ) -> list[Matches]:
        """Match pairs; see `SuperGlueEngine.match`."""
        settings = MatchingSettings.of(config, with_assignment=with_assignment)
        batch = self._batch(pairs)
        with strict_float32():
            found = self._graphs(settings, partial(_match, self.network, settings), *batch)
        counts = [(len(features0), len(features1)) for features0, features1 in pairs]
        results, *assignments = self._transfers.download(*found.present)
        return matches_of(results, counts, self.name, *assignments)

    def places(self, count: int) -> int:
        """Room for so many keypoints, in buckets on a GPU."""
        return -(-count // _BUCKET) * _BUCKET if self.in_buckets else count

    def _batch(self, pairs: Sequence[FeaturePair]) -> FeatureBatch:
        features = [pair[side] for side in (0, 1) for pair in pairs]
        counts = [len(one) for one in features]
        places = self.places(max(counts))
        sizes = np.array([one.image_size for one in features], np.float32)
        padded = self.in_buckets or min(counts) < places
        return FeatureBatch(
            keypoints=_stacked([one.keypoints for one in features], places),
            scores=_stacked([one.scores for one in features], places),
            descriptors=_stacked([one.descriptors for one in features], places),
            sizes=self._transfers.upload(sizes),
            counts=self._transfers.upload(np.array(counts, np.int32)) if padded else None,
        )


def upload_images(
    transfers: Transfers, images: Sequence[GreyImage], usable: Sequence[GreyImage | None]
) -> tuple[Tensor, Tensor | None]:
    """Images of one (H, W) and where keypoints may be taken in them, as batches on the device."""
    batch = transfers.upload(np.stack([pad_to_stride(image) for image in images]))
    if all(mask is None for mask in usable):
        return batch, None
    masks = [
        np.ones_like(image) if mask is None else mask
        for image, mask in zip(images, usable, strict=True)
    ]
    return batch, transfers.upload(np.stack(masks))


def matches_of(
    results: FloatArray,
    counts: Sequence[tuple[int, int]],
    name: str,
    assignments: FloatArray | None = None,
) -> list[Matches]:
    """The matches of pairs with `counts` of true keypoints, from `FixedMatches` on the host."""
    matches = []
    for index, (count0, count1) in enumerate(counts):
        matches0, matches1, scores0, scores1 = results[:, index]
        assignment = None
        if assignments is not None:
            kept = np.ix_([*range(count0), -1], [*range(count1), -1])
            assignment = assignments[index][kept]
        matches.append(
            Matches(
                matches0=matches0[:count0].astype(np.int32),
                matches1=matches1[:count1].astype(np.int32),
                matching_scores0=scores0[:count0].copy(),
                matching_scores1=scores1[:count1].copy(),
                matcher=name,
                assignment=assignment,
            )
        )
    return matches


def _match(network: FusedSuperGlue, settings: MatchingSettings, *batch: Any) -> FixedMatches:
    return match(network, settings, FeatureBatch(*batch))


def _stacked(tensors: Sequence[Tensor], places: int) -> Tensor:
    """(N, ...) each to (B, places, ...), padded with zeros."""
    after = [(0, 0) * (tensor.ndim - 1) + (0, places - len(tensor)) for tensor in tensors]
    return torch.stack([F.pad(*one) for one in zip(tensors, after, strict=True)])


def _dtype(options: EngineOptions) -> torch.dtype:
    precision = options.precision
    if precision == "auto":
        precision = _AUTOMATIC[options.device.type]
    if options.device.type == "cpu" and precision != "fp32":
        raise EngineUnavailableError(
            f"engine fused computes in fp32 on the CPU, not in {precision}: take engine auto"
        )
    return _DTYPES[precision]
