"""SuperGlue fused: from features to matches in fixed shapes, recorded, with one wait at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from superglue_ros.batches import batches
from superglue_ros.config import AssignmentConfig, RefinementConfig
from superglue_ros.features import FloatArray, Matches
from superglue_ros.inference.device import strict_float32
from superglue_ros.inference.engines.fused_options import DTYPES, in_buckets, precision_of
from superglue_ros.inference.engines.graphs import GraphCache
from superglue_ros.inference.engines.interface import (
    PAIRS_AT_ONCE,
    EngineOptions,
    PendingMatches,
)
from superglue_ros.inference.fused_matching import (
    FixedMatches,
    MatchingSettings,
    PatchBatch,
    match,
)
from superglue_ros.inference.fused_superglue import FeatureBatch, FusedSuperGlue
from superglue_ros.inference.refining import refined, why_unrefined
from superglue_ros.inference.tensors import FeaturePair, FeatureTensors
from superglue_ros.inference.transfers import Download, Transfers
from superglue_ros.networks import SuperGlue
from superglue_ros.weights.loading import LoadedNetwork


class FusedSuperGlueEngine:
    """SuperGlue for several pairs at a time.

    On a GPU the host goes on at once, and whether the features have been computed is no matter.
    """

    def __init__(self, loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> None:
        """Copy the weights to the device."""
        self.precision = precision_of(options)
        self.fixed_shapes = options.device.type == "cuda"
        self._pairs_at_once = PAIRS_AT_ONCE if self.fixed_shapes else 1
        self._name = loaded.name
        self._dim = loaded.network.descriptor_dim
        network = FusedSuperGlue(loaded.network, DTYPES[self.precision])
        self._network = network.to(options.device)
        self._transfers = Transfers(options.device)
        self._graphs = GraphCache(options.device)

    def begin_match(
        self, pairs: Sequence[FeaturePair], config: AssignmentConfig, *, with_assignment: bool
    ) -> PendingMatches:
        """Begin to match pairs; see `SuperGlueEngine.begin_match`."""
        settings = MatchingSettings.of(config, with_assignment=with_assignment)
        groups = list(batches(pairs, self._pairs_at_once))
        downloads = [self._match_together(group, settings, config) for group in groups]

        def finish() -> list[Matches]:
            return [
                # what patches of several sizes keep from being refined together
                matches if matches.keypoints1 is not None else refined(matches, pair, config)
                for group, download in zip(groups, downloads, strict=True)
                for pair, matches in zip(
                    group, _matches_of(group, self._name, *download.result()), strict=True
                )
            ]

        return finish

    @torch.inference_mode()
    def _match_together(
        self, pairs: Sequence[FeaturePair], settings: MatchingSettings, config: RefinementConfig
    ) -> Download:
        features = [pair[side] for side in (0, 1) for pair in pairs]
        batch, patches = self._batch(features), None
        if config.refinement and _are_refinable_together(pairs):
            patches = self._patch_batch(features, batch.scores.shape[1])
        with strict_float32():
            found = self._graphs(
                settings, partial(_match, self._network, settings), *batch, *(patches or ())
            )
        return self._transfers.download(*found.present)

    def _patch_batch(self, features: Sequence[FeatureTensors], places: int) -> PatchBatch:
        patches = [one.places.patches for one in features]
        scales = np.array([one.patch_scale for one in features], np.float32)
        return PatchBatch(
            torch.stack([F.pad(one, (0, 0, 0, 0, 0, places - len(one))) for one in patches]),
            self._transfers.upload(scales),
        )

    def _batch(self, features: Sequence[FeatureTensors]) -> FeatureBatch:
        held = [one.places for one in features]
        lengths = {len(one.scores) for one in held}
        places = max(1, *lengths)
        places = in_buckets(places) if self.fixed_shapes else places
        full = lengths == {places} and all(one.arrival is None for one in features)
        sizes = np.array([one.image_size for one in features], np.float32)
        return FeatureBatch(
            keypoints=_stacked([one.keypoints for one in held], places, 2),
            scores=_stacked([one.scores for one in held], places),
            descriptors=_stacked([one.descriptors for one in held], places, self._dim),
            sizes=self._transfers.upload(sizes),
            # On a GPU always there, so that one graph serves all counts
            counts=None
            if full and not self.fixed_shapes
            else torch.stack([one.count for one in features]),
        )


def _match(network: FusedSuperGlue, settings: MatchingSettings, *tensors: Any) -> FixedMatches:
    batch, patches = tensors[: len(FeatureBatch._fields)], tensors[len(FeatureBatch._fields) :]
    return match(network, settings, FeatureBatch(*batch), PatchBatch(*patches) if patches else None)


def _are_refinable_together(pairs: Sequence[FeaturePair]) -> bool:
    sizes = {one.places.patches.shape[-1] for pair in pairs for one in pair}
    return len(sizes) == 1 and not why_unrefined(pairs[0])


def _matches_of(
    pairs: Sequence[FeaturePair],
    name: str,
    results: FloatArray,
    assignments: FloatArray | None = None,
) -> Iterator[Matches]:
    """The matches of pairs, from `FixedMatches` on the host."""
    for index, (features0, features1) in enumerate(pairs):
        count0, count1 = len(features0), len(features1)
        matches0, matches1, scores0, scores1, *refined = results[:, index]
        assignment = None
        if assignments is not None:
            kept = np.ix_([*range(count0), -1], [*range(count1), -1])
            assignment = assignments[index][kept]
        yield Matches(
            matches0=matches0[:count0].astype(np.int32),
            matches1=matches1[:count1].astype(np.int32),
            matching_scores0=scores0[:count0].copy(),
            matching_scores1=scores1[:count1].copy(),
            matcher=name,
            assignment=assignment,
            keypoints1=np.stack(refined[:2], axis=1)[:count1] if refined else None,
            refined0=refined[2][:count0] != 0 if refined else None,
        )


def _stacked(tensors: Sequence[Tensor], places: int, *channels: int) -> Tensor:
    """(K, ...) each to (B, places, ...), filled up with zeros."""
    return torch.stack([_filled_up(tensor, places, *channels) for tensor in tensors])


def _filled_up(tensor: Tensor, places: int, *channels: int) -> Tensor:
    more = places - len(tensor)
    if more == places:  # descriptors of nothing may have any number of channels
        return tensor.new_zeros(places, *channels)
    return F.pad(tensor, (0, 0) * len(channels) + (0, more)) if more else tensor
