"""Both networks fused: the engine for GPUs."""

from __future__ import annotations

from superglue_ros.inference.engines.fused_superglue_engine import FusedSuperGlueEngine
from superglue_ros.inference.engines.fused_superpoint_engine import FusedSuperPointEngine
from superglue_ros.inference.engines.interface import (
    EngineOptions,
    SuperGlueEngine,
    SuperPointEngine,
)
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import LoadedNetwork


def superpoint_engine(
    loaded: LoadedNetwork[SuperPoint], options: EngineOptions
) -> SuperPointEngine:
    """SuperPoint, fused."""
    return FusedSuperPointEngine(loaded, options)


def superglue_engine(loaded: LoadedNetwork[SuperGlue], options: EngineOptions) -> SuperGlueEngine:
    """SuperGlue, fused."""
    return FusedSuperGlueEngine(loaded, options)
