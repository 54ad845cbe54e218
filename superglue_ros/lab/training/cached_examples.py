"""Examples out of a cache, each time another view of what it holds.

Drawn again, a pair shows other windows of its images and other keypoints in them, the images
exchanged, some keypoints of strangers between them, one image turned by a quarter or a half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor

from superglue_ros.errors import InputError
from superglue_ros.lab.training.cache import PAIRS_IN_FILE, PARTS, Tensors, read_cache_file
from superglue_ros.lab.training.examples import Examples
from superglue_ros.lab.training.frontend import KeypointBatch
from superglue_ros.lab.training.ground_truth import FAR_AWAY, Places, match_places
from superglue_ros.lab.training.pairs import HIDDEN, VISIBLE
from superglue_ros.lab.training.synthesis.homographies import uniform

TURNED_SHARE = 0.1
"""Of SIFT's pairs, whose descriptors stay the same when the image is turned."""

_SCORE_JITTER = 0.3
_SPARSEST = 1.8
"""A window holds up to this times the keypoints that are taken of it."""


class CachedExamples:
    """Draws from the files of a cache.

    Args:
        paths: The files, at least one.
        batch: Examples of a batch.
        device: Where the examples are wanted; they are put together on the CPU.
        varied: Whether to take another window, other keypoints and so on each time; else the
            whole images with their best keypoints.
        turned_share: Share of the varied pairs of which one image is turned by a quarter or a half.

    Raises:
        InputError: A file cannot be read, or there is none.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        batch: int,
        device: torch.device,
        varied: bool,
        turned_share: float,
    ) -> None:
        """Open the files."""
        if not paths:
            raise InputError("no pairs are cached: run superglue-ros train cache first")
        self._files = [read_cache_file(path) for path in paths]
        self._batch, self._device = batch, device
        self._varied, self._turned_share = varied, turned_share

    def draw(self, count: int, generator: Generator) -> Examples:
        """See `ExampleSource.draw`."""
        seed = torch.randint(2**31 - 1, (1,), generator=generator, device=generator.device)
        generator = Generator().manual_seed(int(seed))
        total = len(self._files) * PAIRS_IN_FILE
        chosen = torch.randperm(total, generator=generator)[: self._batch].tolist()
        pairs = [self._pair(index) for index in chosen]
        if self._varied:
            drawn = [
                self._vary(pair, strangers, count, generator)
                for pair, strangers in zip(pairs, [*pairs[1:], pairs[0]], strict=True)
            ]
        else:
            drawn = [(_best(pair, count), pair["size"].expand(2, 2)) for pair in pairs]
        return self._examples(drawn)

    def _examples(self, drawn: Sequence[tuple[Tensors, Tensor]]) -> Examples:
        """A batch of pairs and the sizes of their images."""
        batch = {
            name: torch.stack([pair[name] for pair, _ in drawn], dim=1).to(self._device)
            for name in PARTS
        }
        places0, places1 = (
            Places(*values)
            for values in zip(
                batch["keypoints"], batch["targets"], batch["visibility"], strict=True
            )
        )
        side0, side1 = (
            KeypointBatch(keypoints, scores, descriptors.mT)
            for keypoints, scores, descriptors in zip(
                batch["keypoints"], batch["scores"], batch["descriptors"], strict=True
            )
        )
        sizes = torch.stack([size for _, size in drawn], dim=1).to(self._device)
        return Examples((side0, side1), sizes, match_places(places0, places1))

    def _vary(
        self, pair: Tensors, strangers: Tensors, count: int, generator: Generator
    ) -> tuple[Tensors, Tensor]:
        varied, window = _vary(pair, strangers, count, generator)
        quarters = int(torch.randint(1, 4, (1,), generator=generator))
        if float(uniform((1,), 0, 1, generator)) < self._turned_share:
            return _turn(varied, window, quarters)
        return varied, window.expand(2, 2)

    def _pair(self, index: int) -> Tensors:
        file = self._files[index // PAIRS_IN_FILE]
        pair = {name: file[name][:, index % PAIRS_IN_FILE] for name in PARTS}
        return pair | {"descriptors": pair["descriptors"].float(), "size": file["size"].float()}


def _best(pair: Tensors, count: int) -> Tensors:
    order = pair["scores"].argsort(dim=1, descending=True, stable=True)[:, :count]
    return {name: _take(pair[name], order) for name in PARTS}


def _take(values: Tensor, order: Tensor) -> Tensor:
    """Rows (2, K) of values (2, N, ...)."""
    return torch.stack([side[rows] for side, rows in zip(values, order, strict=True)])


def _vary(
    pair: Tensors, strangers: Tensors, count: int, generator: Generator
) -> tuple[Tensors, Tensor]:
    """A window of a pair with `count` keypoints in each image, some of them strangers'."""
    corner, window = _random_windows(pair, count, generator)  # (2, 2), (2,)
    sides = []
    for side in (0, 1):
        inside = _inside(pair["keypoints"][side] - corner[side], window)
        inside &= pair["scores"][side] > 0
        jitter = torch.randn(len(inside), generator=generator) * _SCORE_JITTER
        rank = torch.where(inside, pair["scores"][side] * jitter.exp(), -1.0)
        order = rank.argsort(descending=True)[: min(count, int(inside.sum()))]
        own = {name: pair[name][side][order] for name in PARTS}
        own["keypoints"] = own["keypoints"] - corner[side]
        own["targets"] = own["targets"] - corner[1 - side]
        missing = count - len(order)
        if missing:
            filled = _strangers(strangers, side, missing, window, generator)
            own = {name: torch.cat([own[name], filled[name]]) for name in PARTS}
        own["scores"] = own["scores"] / own["scores"].max().clamp(min=1e-12)
        sides.append(own)
    if float(uniform((1,), 0, 1, generator)) < 0.5:
        sides.reverse()
    varied = {name: torch.stack([side[name] for side in sides]) for name in PARTS}
    return varied, window


def _turn(pair: Tensors, window: Tensor, quarters: int) -> tuple[Tensors, Tensor]:
    """Turn image 1 clockwise; also returns both images' sizes (2, 2)."""
    turned, places, size = pair["keypoints"][1], pair["targets"][0], window
    for _ in range(quarters):
        turned, places = (
            torch.stack([size[1] - points[:, 1], points[:, 0]], dim=1)
            for points in (turned, places)
        )
        size = size.flip(0)
    changed = {
        "keypoints": torch.stack([pair["keypoints"][0], turned]),
        "targets": torch.stack([places, pair["targets"][1]]),
    }
    return pair | changed, torch.stack([window, size])


def _random_windows(pair: Tensors, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Corners (2, 2) of the windows in both images and their common (width, height)."""
    size = pair["size"]
    found = int((pair["scores"] > 0).sum(dim=1).min())
    share = count * float(uniform((1,), 1, _SPARSEST, generator)) / max(1, found)
    aspect = float(uniform((1,), -0.25, 0.25, generator).exp())
    side = math.sqrt(min(1.0, share))
    window = torch.minimum(size * side * torch.tensor([aspect, 1 / aspect]), size)
    seen = torch.nonzero((pair["visibility"][0] == VISIBLE) & (pair["scores"][0] > 0))[:, 0]
    if len(seen):
        chosen = seen[int(torch.randint(len(seen), (1,), generator=generator))]
        centres = torch.stack([pair["keypoints"][0, chosen], pair["targets"][0, chosen]])
    else:
        centres = (size / 2).expand(2, 2)
    offset = uniform((2, 2), -0.75, -0.25, generator) * window
    return torch.minimum((centres + offset).clamp(min=0), size - window), window


def _inside(points: Tensor, window: Tensor) -> Tensor:
    return ((points >= 0) & (points < window)).all(dim=1)


def _strangers(
    pair: Tensors, side: int, count: int, window: Tensor, generator: Generator
) -> Tensors:
    """Keypoints of another pair at random places: nothing in the other image belongs to them."""
    rows = torch.randint(pair["scores"].shape[1], (count,), generator=generator)
    return {
        "keypoints": uniform((count, 2), 0, 1, generator) * window,
        "scores": pair["scores"][side][rows],
        "descriptors": pair["descriptors"][side][rows],
        "targets": torch.full((count, 2), FAR_AWAY),
        "visibility": torch.full((count,), HIDDEN, dtype=torch.uint8),
    }
