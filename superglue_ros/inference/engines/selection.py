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

MODULES = {EXACT: "exact", "onnxruntime": "onnxruntime_engine"}
"""The module of this folder that makes the engines of each name; see `EngineModule`."""

AUTOMATIC: dict[tuple[str, str], tuple[str, ...]] = {
    ("superpoint", "cpu"): ("onnxruntime",),
    ("superglue", "cpu"): ("onnxruntime",),
}
"""By network and type of device what `auto` tries, the first that runs and passes; else `EXACT`."""

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
    options = EngineOptions(device, config.precision)
    for name in _candidates(network, config.engine, options):
        try:
            engine = make(name, options)
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
            "engine %s, precision %s, does not run %s as it should (%s): taking %s in fp32",
            name,
            config.precision,
            network,
            problem,
            EXACT,
        )
    return EXACT, exact


def _candidates(network: str, engine: str, options: EngineOptions) -> tuple[str, ...]:
    """The engines to try before the exact one."""
    reduced = options.precision not in ("auto", "fp32")
    if engine == "auto":
        names = AUTOMATIC.get((network, options.device.type), ())
        return (*names, EXACT) if reduced else names
    return (engine,) if engine != EXACT or reduced else ()


def _module(name: str) -> EngineModule:
    module = importlib.import_module(f"superglue_ros.inference.engines.{MODULES[name]}")
    return cast(EngineModule, module)
