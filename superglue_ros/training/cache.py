"""Pairs made once and kept in files, where extraction costs more than a step of the training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Generator, Tensor

from superglue_ros.errors import InputError
from superglue_ros.training.config import CacheConfig
from superglue_ros.training.export import save_tensors
from superglue_ros.training.frontend import Frontend
from superglue_ros.training.ground_truth import look_up
from superglue_ros.training.pairs import PairBatch, make_pairs

PAIRS_IN_FILE = 64
PARTS = ("keypoints", "scores", "descriptors", "targets", "visibility")

Tensors = dict[str, Tensor]
"""The `PARTS` of P pairs by name, each (2, P, N, ...): `Places`, confidences and descriptors."""


def write_cache(
    photographs: Tensor,
    frontend: Frontend,
    config: CacheConfig,
    folder: Path,
    part: str,
    count: int,
    on_pairs: Callable[[int], None],
) -> None:
    """Make pairs and keep their keypoints in `part-0000.safetensors` and so on.

    Args:
        photographs: (N, H, W) uint8.
        frontend: The extractor.
        config: Kinds and size of the pairs.
        folder: Where the files are; those already there stay as they are.
        part: train or validation.
        count: Pairs in all, rounded up to whole files.
        on_pairs: Called with the number of pairs that there are.
    """
    for index in range(-(-count // PAIRS_IN_FILE)):
        path = folder / f"{part}-{index:04d}.safetensors"
        if not path.exists():
            generator = Generator().manual_seed(config.seed * 1_000_003 + index)
            save_tensors(_make_file(photographs, frontend, config, generator), path)
        on_pairs((index + 1) * PAIRS_IN_FILE)


def _make_file(
    photographs: Tensor, frontend: Frontend, config: CacheConfig, generator: Generator
) -> Tensors:
    batches = []
    for _ in range(PAIRS_IN_FILE // config.batch):
        pairs = make_pairs(photographs, config, generator)
        batches.append([_tensors(frontend, pairs, side, config, generator) for side in (0, 1)])
    together = {
        name: torch.stack([torch.cat([batch[side][name] for batch in batches]) for side in (0, 1)])
        for name in PARTS
    }
    return together | {"size": torch.tensor([config.view_width, config.view_height])}


def _tensors(
    frontend: Frontend, pairs: PairBatch, side: int, config: CacheConfig, generator: Generator
) -> Tensors:
    found = frontend.extract(pairs.images[side], config.max_keypoints, generator)
    places = look_up(pairs, side, found.keypoints)
    return {
        "keypoints": found.keypoints,
        "scores": found.scores,
        "descriptors": found.descriptors.mT.half().contiguous(),  # (B, N, D)
        "targets": places.targets,
        "visibility": places.visibility.to(torch.uint8),
    }


def read_cache_file(path: Path) -> Tensors:
    """Read one of the files.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {path}: {error}; remove it and make it again") from error
