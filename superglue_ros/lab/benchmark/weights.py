"""Weights to measure with: as costly as any, whatever the shipped ones leave out."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch

from superglue_ros.networks.superglue import LAYERS
from superglue_ros.weights.loading import load_superglue

_SMALL = 1e-4
"""Standard deviation of what is put in the place of zeros: the matches stay what they were."""


def every_layer(path: Path) -> str:
    """Write the shipped SuperGlue weights with no layer that changes nothing; returns the path.

    A layer whose last weights are all zero is left out when the network is made ready, as it should
    be; a benchmark of it would flatter.
    """
    state = load_superglue("superglue").network.state_dict()
    generator = torch.Generator().manual_seed(0)
    for index in range(LAYERS):
        weight = state[f"gnn.layers.{index}.mlp.3.weight"]
        if not weight.any():
            weight.copy_(_SMALL * torch.randn(weight.shape, generator=generator))
    safetensors.torch.save_file({name: t.contiguous() for name, t in state.items()}, path)
    return str(path)


def active_layers() -> int:
    """How many layers of the shipped SuperGlue change anything."""
    state = load_superglue("superglue").network.state_dict()
    return sum(bool(state[f"gnn.layers.{i}.mlp.3.weight"].any()) for i in range(LAYERS))
