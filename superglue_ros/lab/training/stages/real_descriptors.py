"""What the descriptor learns from real photographs: to tell a place from all others in them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from superglue_ros.errors import InputError
from superglue_ros.lab.training.config import FeaturesConfig, PhotometricConfig
from superglue_ros.lab.training.losses import AMBIGUOUS_PX, sample_descriptor_maps
from superglue_ros.lab.training.real import RealPair
from superglue_ros.lab.training.real_views import RealViews, make_real_views
from superglue_ros.lab.training.synthesis.homographies import inside
from superglue_ros.networks.superpoint import STRIDE

VALIDATION_SEED = 21
VALIDATION_PAIRS = 24
VALIDATION_SIZE = (320, 240)
VALIDATION_SCALE = 20.0
CHUNK = 4


class RealDescriptors:
    """Draws views of real pairs, and measures on fixed ones of held-out pairs.

    Args:
        train: The pairs to learn from.
        held_out: Pairs of other places.
        config: Number and size of the views, and their light.

    Raises:
        InputError: A batch cannot hold both kinds of pairs.
    """

    def __init__(
        self, train: Sequence[RealPair], held_out: Sequence[RealPair], config: FeaturesConfig
    ) -> None:
        """Make the views to validate on."""
        self._train, self._config = train, config
        self.count = round(config.batch * config.real_share)
        if not 0 < self.count < config.batch:
            raise InputError(
                f"of a batch of {config.batch}, a real_share of {config.real_share:g} leaves none "
                "of a kind: take a larger batch, or no real photographs"
            )
        generator = Generator().manual_seed(VALIDATION_SEED)
        chosen = torch.randint(len(held_out), (VALIDATION_PAIRS,), generator=generator).tolist()
        pairs = [held_out[index] for index in chosen]
        light = PhotometricConfig(strength=0.0)
        self._validation = make_real_views(pairs, VALIDATION_SIZE, light, generator)

    def draw(self, generator: Generator) -> RealViews:
        """Views of the real pairs of a step; made on the CPU, wherever the generator is."""
        seed = torch.randint(2**31 - 1, (1,), generator=generator, device=generator.device)
        own = Generator().manual_seed(int(seed))
        chosen = torch.randint(len(self._train), (self.count,), generator=own).tolist()
        size = (self._config.view_width, self._config.view_height)
        light = PhotometricConfig(strength=self._config.strength)
        return make_real_views([self._train[index] for index in chosen], size, light, own)

    @torch.no_grad()
    def accuracy(self, network: nn.Module, device: torch.device) -> float:
        """The share of held-out matched points whose partner is the most similar place.

        Args:
            network: Images (B, 1, H, W) to logits and descriptor maps, in evaluation mode.
            device: The network's.
        """
        views = self._validation
        images = views.images.flatten(0, 1).to(device)
        maps = torch.cat([network(chunk)[1].float() for chunk in torch.split(images, CHUNK)])
        return float(real_loss(views, maps, maps.new_tensor(VALIDATION_SCALE))[1])


def real_loss(views: RealViews, descriptors: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Tell each matched point's partner from every other place of the other view, both ways.

    Args:
        views: B pairs of views.
        descriptors: (2B, D, h, w) maps, those of the views 0 first, not necessarily normalised.
        scale: Factor on the cosine similarity.

    Returns:
        The mean loss over all points, and the share of points whose partner is the most similar.
    """
    size = (views.images.shape[4], views.images.shape[3])
    losses, right = [], []
    for maps, matched in zip(zip(*descriptors.chunk(2), strict=True), views.matched, strict=True):
        seen = inside(matched, size, margin=STRIDE / 2).all(dim=0)
        points = matched[:, seen].to(descriptors.device)  # (2, P, 2)
        found = [
            sample_descriptor_maps(where[None], described[None])[0]
            for where, described in zip(points, maps, strict=True)
        ]
        for side in (0, 1):
            similarity = found[side] @ _candidates(found[1 - side], maps[1 - side]).mT * scale
            similarity = similarity.masked_fill(_left_out(points[1 - side], maps[0]), -torch.inf)
            own = torch.arange(len(similarity), device=similarity.device)
            losses.append(F.cross_entropy(similarity, own, reduction="none"))
            right.append(similarity.argmax(dim=1) == own)
    count = max(1, sum(len(values) for values in losses))
    return torch.cat(losses).sum() / count, torch.cat(right).sum() / count


def _candidates(partners: Tensor, described: Tensor) -> Tensor:
    """The P partners, then all cells: (P + h*w, D)."""
    return torch.cat([partners, F.normalize(described.flatten(1), dim=0).mT])


def _left_out(points: Tensor, described: Tensor) -> Tensor:
    """(P, P + h*w) the candidates that are too near to a partner to be wrong, but for itself."""
    height, width = described.shape[1:]
    rows = torch.arange(height, device=points.device) * STRIDE + (STRIDE - 1) / 2
    columns = torch.arange(width, device=points.device) * STRIDE + (STRIDE - 1) / 2
    grid_y, grid_x = torch.meshgrid(rows, columns, indexing="ij")
    centres = torch.stack([grid_x, grid_y], dim=2).reshape(-1, 2)
    near = torch.cdist(points, torch.cat([points, centres])) < AMBIGUOUS_PX
    near[:, : len(points)].fill_diagonal_(fill_value=False)
    return near
