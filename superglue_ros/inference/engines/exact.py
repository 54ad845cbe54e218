"""The networks in PyTorch, one operation after the other: in float32 what the others must equal."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from superglue_ros.inference.device import strict_float32
from superglue_ros.inference.engines.dense import DenseSuperPoint
from superglue_ros.inference.engines.interface import (
    EngineOptions,
    SuperGlueEngine,
    SuperPointEngine,
)
from superglue_ros.inference.engines.pairwise import PairwiseSuperGlue
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import LoadedNetwork

_REDUCED = {"fp16": torch.float16, "bf16": torch.bfloat16}


def superpoint_engine(
    loaded: LoadedNetwork[SuperPoint], options: EngineOptions
) -> SuperPointEngine:
    """SuperPoint in PyTorch."""
    return TorchSuperPoint(loaded, options)


def superglue_engine(loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> SuperGlueEngine:
    """SuperGlue in PyTorch."""
    return TorchSuperGlue(loaded, options)


class TorchSuperPoint(DenseSuperPoint):
    """SuperPoint with its channels last, which is how convolutions run fastest."""

    def __init__(self, loaded: LoadedNetwork[SuperPoint], options: EngineOptions) -> None:
        """Copy the weights to the device."""
        super().__init__(loaded.name, options.device, _name(options))
        self._context = _context(options)
        self._network = copy.deepcopy(loaded.network).to(options.device)
        for parameter in self._network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.contiguous(memory_format=torch.channels_last)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network; see `DenseSuperPoint.maps`."""
        batch = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        with self._context, strict_float32():
            probabilities, descriptor_maps = self._network(batch)
        return probabilities, descriptor_maps.float()


class TorchSuperGlue(PairwiseSuperGlue):
    """SuperGlue, one pair after the other."""

    def __init__(self, loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> None:
        """Copy the weights to the device."""
        super().__init__(loaded, options.device, _name(options))
        self._context = _context(options)
        self._network = copy.deepcopy(loaded.network).to(options.device)

    def scores(self, features0: FeatureTensors, features1: FeatureTensors) -> Tensor:
        """Run the network; see `PairwiseSuperGlue.scores`."""
        with self._context:
            scores: Tensor = self._network(*_inputs(features0), *_inputs(features1))
        return scores


def _name(options: EngineOptions) -> str:
    return "fp32" if options.precision == "auto" else options.precision


def _context(options: EngineOptions) -> AbstractContextManager[object]:
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
