"""The networks in PyTorch, one operation after the other: in float32 what the others must equal."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from superglue_ros.config import AssignmentConfig
from superglue_ros.features import Matches
from superglue_ros.inference.device import strict_float32
from superglue_ros.inference.engines.dense import DenseSuperPoint
from superglue_ros.inference.engines.interface import (
    EngineOptions,
    FeaturePair,
    SuperGlueEngine,
    SuperPointEngine,
)
from superglue_ros.inference.interface import matches_from_assignment
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.networks import SuperGlue, SuperPoint, optimal_transport
from superglue_ros.weights.loading import LoadedNetwork

_REDUCED = {"fp16": torch.float16, "bf16": torch.bfloat16}


def superpoint_engine(
    loaded: LoadedNetwork[SuperPoint], options: EngineOptions
) -> SuperPointEngine:
    """SuperPoint in PyTorch."""
    return TorchSuperPoint(loaded.network, options)


def superglue_engine(loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> SuperGlueEngine:
    """SuperGlue in PyTorch."""
    return TorchSuperGlue(loaded, options)


class TorchSuperPoint(DenseSuperPoint):
    """SuperPoint with its channels last, which is how convolutions run fastest."""

    def __init__(self, network: SuperPoint, options: EngineOptions) -> None:
        """Copy the weights to the device."""
        super().__init__(options.device)
        self._precision = _precision(options)
        self._network = copy.deepcopy(network).to(options.device)
        for parameter in self._network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.contiguous(memory_format=torch.channels_last)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network; see `DenseSuperPoint.maps`."""
        batch = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        with self._precision, strict_float32():
            probabilities, descriptor_maps = self._network(batch)
        return probabilities, descriptor_maps.float()


class TorchSuperGlue:
    """SuperGlue, one pair after the other."""

    def __init__(self, loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> None:
        """Copy the weights to the device."""
        self._name = loaded.name
        self._precision = _precision(options)
        self._network = copy.deepcopy(loaded.network).to(options.device)

    @torch.inference_mode()
    def match(
        self, pairs: Sequence[FeaturePair], config: AssignmentConfig, *, with_assignment: bool
    ) -> list[Matches]:
        """Match pairs; see `SuperGlueEngine.match`."""
        return [
            matches_from_assignment(
                self._assignment(*pair, config),
                config.match_threshold,
                self._name,
                with_assignment=with_assignment,
            )
            for pair in pairs
        ]

    def _assignment(
        self, features0: FeatureTensors, features1: FeatureTensors, config: AssignmentConfig
    ) -> Tensor:
        with self._precision:
            scores = self._network(*_inputs(features0), *_inputs(features1))
        return optimal_transport(scores, self._network.bin_score, config.sinkhorn_iterations)


def _precision(options: EngineOptions) -> AbstractContextManager[object]:
    """The context in which the network runs at the precision that was asked for."""
    reduced = _REDUCED.get(options.precision)
    return torch.autocast(options.device.type, reduced) if reduced else nullcontext()


def _inputs(features: FeatureTensors) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Keypoints (1, N, 2), scores (1, N), descriptors (1, D, N) and size (1, 2)."""
    return (
        features.keypoints[None],
        features.scores[None],
        features.descriptors.T[None],
        features.keypoints.new_tensor([features.image_size]),
    )
