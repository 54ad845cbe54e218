"""Which engine runs a network, by the setting `engine`.

An engine other than the exact one is tested against it first. One that fails is refused with a
warning, and the exact one runs.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import TypeVar, cast

import torch

from superglue_ros.config import DeviceConfig
from superglue_ros.inference.engines.interface import (
    EngineModule,
    EngineOptions,
    EngineUnavailableError,
    SuperGlueEngine,
    SuperPointEngine,
)
from superglue_ros.inference.engines.parity import superglue_difference, superpoint_difference
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import LoadedNetwork

Engine = TypeVar("Engine")

EXACT = "torch"

MODULES = {EXACT: "exact", "fused": "fused_engine", "onnxruntime": "onnxruntime_engine"}
"""The module of this folder that makes the engines of each name; see `EngineModule`."""

AUTOMATIC: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("superpoint", "cpu"): (("onnxruntime", "fp32"),),
    ("superglue", "cpu"): (("onnxruntime", "fp32"), ("fused", "fp32")),
    ("superpoint", "cuda"): (("fused", "fp16"), ("fused", "fp32")),
    ("superglue", "cuda"): (("fused", "fp16"), ("fused", "fp32")),
}
"""By network and type of device the engines and precisions that `auto` tries, the first that runs
and passes; else `EXACT`."""

_logger = logging.getLogger(__name__)


def select_superpoint(
    loaded: LoadedNetwork[SuperPoint], config: DeviceConfig, device: torch.device
) -> tuple[str, SuperPointEngine]:
    """Make the engine for SuperPoint; see `_select`."""
    return _select(
        "superpoint",
        config,
        device,
        lambda name, options: _module(name).superpoint_engine(loaded, options),
        superpoint_difference,
    )


def select_superglue(
    loaded: LoadedNetwork[SuperGlue], config: DeviceConfig, device: torch.device
) -> tuple[str, SuperGlueEngine]:
    """Make the engine for SuperGlue; see `_select`."""
    dim = loaded.network.descriptor_dim
    return _select(
        "superglue",
        config,
        device,
        lambda name, options: _module(name).superglue_engine(loaded, options),
        lambda engine, exact: superglue_difference(engine, exact, dim, device),
    )


def _select(
    network: str,
    config: DeviceConfig,
    device: torch.device,
    make: Callable[[str, EngineOptions], Engine],
    difference: Callable[[Engine, Engine], str],
) -> tuple[str, Engine]:
    """Make the engine that a configuration asks for.

    Args:
        network: superpoint or superglue.
        config: The engine and precision that are asked for.
        device: Where the network is to run.
        make: Makes an engine of a name.
        difference: How an engine's results differ from those of the exact one; empty if they don't.

    Returns:
        The name of the engine and the engine: the one asked for, or the exact one.

    Raises:
        EngineUnavailableError: The engine that is asked for by name cannot run here.
    """
    exact = make(EXACT, EngineOptions(device, "fp32"))
    for name, precision in _candidates(network, config, device):
        try:
            engine = make(name, EngineOptions(device, precision))
            problem = difference(engine, exact)
        except EngineUnavailableError:
            if config.engine != "auto":
                raise
            continue
        except Exception as error:  # whatever the libraries behind it raise, there is another way
            problem = f"{type(error).__name__}: {error}"
        if not problem:
            return name, engine
        _logger.warning(
            "engine %s, precision %s, does not run %s as it should (%s): taking another",
            name,
            precision,
            network,
            problem,
        )
    return EXACT, exact


def _candidates(network: str, config: DeviceConfig, device: torch.device) -> list[tuple[str, str]]:
    """The engines and precisions to try before the exact one."""
    automatic = AUTOMATIC.get((network, device.type), ())
    asked_for = (config.engine, "auto")
    tried = (*automatic, (EXACT, "fp32")) if config.engine == "auto" else (asked_for,)
    if config.precision != "auto":
        tried = tuple(dict.fromkeys((name, config.precision) for name, _ in tried))
    return [one for one in tried if one not in ((EXACT, "auto"), (EXACT, "fp32"))]


def _module(name: str) -> EngineModule:
    module = importlib.import_module(f"superglue_ros.inference.engines.{MODULES[name]}")
    return cast(EngineModule, module)
