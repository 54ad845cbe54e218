"""Pairs made once and kept in files, where extraction costs more than a step of the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Generator, Tensor

from superglue_ros.errors import InputError
from superglue_ros.lab.training.config import CacheConfig, PhotometricConfig
from superglue_ros.lab.training.export import save_tensors
from superglue_ros.lab.training.frontend import Frontend, KeypointBatch
from superglue_ros.lab.training.ground_truth import Places, look_up
from superglue_ros.lab.training.pairs import make_pairs
from superglue_ros.lab.training.real import RealPair
from superglue_ros.lab.training.real_views import make_real_views, real_places

PAIRS_IN_FILE = 64
REAL_LIGHT = 0.5
"""Share of the photometric change that real pairs get, whose light differs already."""
PARTS = ("keypoints", "scores", "descriptors", "targets", "visibility")

Tensors = dict[str, Tensor]
"""The `PARTS` of P pairs by name, each (2, P, N, ...): `Places`, confidences and descriptors."""


class PairMaker(Protocol):
    """Makes pairs with an extractor's keypoints in them."""

    def make(self, count: int, generator: Generator) -> Tensors:
        """`PARTS` of as many pairs, and `size`, the (width, height) of all images."""


class MadePairs:
    """Homographies of photographs and made-up scenes.

    Args:
        photographs: (N, H, W) uint8.
        frontend: The extractor.
        config: Kinds and size of the pairs.
    """

    def __init__(self, photographs: Tensor, frontend: Frontend, config: CacheConfig) -> None:
        """Take over what pairs are made of."""
        self._photographs, self._frontend, self._config = photographs, frontend, config

    def make(self, count: int, generator: Generator) -> Tensors:
        """See `PairMaker.make`."""
        config = self._config.updated(batch=count)
        pairs = make_pairs(self._photographs, config, generator)
        sides = []
        for side in (0, 1):
            found = self._frontend.extract(pairs.images[side], config.max_keypoints, generator)
            sides.append((found, look_up(pairs, side, found.keypoints)))
        return _tensors(sides, pairs.size)


class RealPairs:
    """Views of real photographs of the same places.

    Args:
        pairs: The photographs with their matches.
        frontend: The extractor.
        config: Size of the views.
    """

    def __init__(self, pairs: Sequence[RealPair], frontend: Frontend, config: CacheConfig) -> None:
        """Take over what pairs are made of."""
        self._pairs, self._frontend, self._config = pairs, frontend, config

    def make(self, count: int, generator: Generator) -> Tensors:
        """See `PairMaker.make`."""
        chosen = torch.randint(len(self._pairs), (count,), generator=generator).tolist()
        size = (self._config.view_width, self._config.view_height)
        light = PhotometricConfig(strength=self._config.strength * REAL_LIGHT)
        views = make_real_views([self._pairs[index] for index in chosen], size, light, generator)
        found = [
            self._frontend.extract(images, self._config.max_keypoints, generator)
            for images in views.images
        ]
        places = [
            real_places(found[0].keypoints[index], found[1].keypoints[index], views, index)
            for index in range(count)
        ]
        both = [Places.concatenated([pair[side] for pair in places]) for side in (0, 1)]
        return _tensors(list(zip(found, both, strict=True)), size)


def write_cache(
    maker: PairMaker,
    config: CacheConfig,
    folder: Path,
    part: str,
    count: int,
    on_pairs: Callable[[int], None],
) -> None:
    """Make pairs and keep their keypoints in `part-0000.safetensors` and so on.

    Args:
        maker: Where the pairs come from.
        config: How many to make at once, and the seed.
        folder: Where the files are; those already there stay as they are.
        part: train, or the kind of held-out pairs.
        count: Pairs in all, rounded up to whole files.
        on_pairs: Called with the number of pairs that there are.
    """
    for index in range(-(-count // PAIRS_IN_FILE)):
        path = folder / f"{part}-{index:04d}.safetensors"
        if not path.exists():
            generator = Generator().manual_seed(config.seed * 1_000_003 + index)
            batches = [
                maker.make(config.batch, generator) for _ in range(PAIRS_IN_FILE // config.batch)
            ]
            together = {
                name: torch.cat([batch[name] for batch in batches], dim=1) for name in PARTS
            }
            save_tensors(together | {"size": batches[0]["size"]}, path)
        on_pairs((index + 1) * PAIRS_IN_FILE)


def _tensors(sides: Sequence[tuple[KeypointBatch, Places]], size: tuple[int, int]) -> Tensors:
    tensors = [
        {
            "keypoints": found.keypoints,
            "scores": found.scores,
            "descriptors": found.descriptors.mT.half().contiguous(),  # (B, N, D)
            "targets": places.targets,
            "visibility": places.visibility.to(torch.uint8),
        }
        for found, places in sides
    ]
    together = {name: torch.stack([side[name] for side in tensors]) for name in PARTS}
    return together | {"size": torch.tensor(size)}


def read_cache_file(path: Path) -> Tensors:
    """Read one of the files.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read {path}: {error}; remove it and make it again") from error
