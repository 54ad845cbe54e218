"""Pairs of views of a photograph, with light changed and the homography between them known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from superglue_ros.lab.training.config import PhotometricConfig, ViewConfig
from superglue_ros.lab.training.synthesis.homographies import (
    inside,
    pixel_grid,
    random_views,
    transform_points,
    uniform,
    warp_images,
)
from superglue_ros.lab.training.synthesis.photometrics import change_photometry


@dataclass(frozen=True)
class ViewBatch:
    """Two views of each of B photographs.

    Attributes:
        images: (2, B, 1, H, W) in [0, 1].
        to_photograph: (2, B, 3, 3) from pixels of a view to pixels of the photograph.
        valid: (2, B, H, W) boolean, the pixels that show the photograph.
    """

    images: Tensor
    to_photograph: Tensor
    valid: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the views."""
        return self.images.shape[4], self.images.shape[3]

    def from_photograph(self, points: Tensor) -> Tensor:
        """Points (B, K, 2) of the photographs in both views: (2, B, K, 2)."""
        inverse = torch.linalg.inv(self.to_photograph)
        return torch.stack([transform_points(matrix, points) for matrix in inverse])

    def homography(self) -> Tensor:
        """(B, 3, 3) from pixels of view 0 to pixels of view 1."""
        inverse: Tensor = torch.linalg.inv(self.to_photograph[1])
        return inverse @ self.to_photograph[0]


def make_views(
    photographs: Tensor,
    size: tuple[int, int],
    views: ViewConfig,
    photometrics: PhotometricConfig,
    generator: Generator,
    *,
    centre_spread: float = 0.25,
) -> ViewBatch:
    """Look at each photograph twice.

    Args:
        photographs: (B, H, W) uint8.
        size: (width, height) of the views.
        views: How far they may differ.
        photometrics: How the light may differ.
        generator: Source of the random numbers.
        centre_spread: Largest distance of the views' centres, as a share of their size.

    Returns:
        The views.
    """
    count, height, width = photographs.shape
    device = photographs.device
    view = torch.tensor(size, dtype=torch.float32, device=device)
    photograph = torch.tensor([width, height], dtype=torch.float32, device=device)
    margin = torch.minimum(view, photograph) / 2
    share = uniform((count, 2), 0, 1, generator)
    centres = margin + share * (photograph - 2 * margin) - 0.5
    shift = uniform((count, 2), -1, 1, generator) * centre_spread * view
    source = photographs[:, None].float() / 255
    matrices = torch.stack(
        [
            random_views(count, size, (width, height), views, generator, centres=where)
            for where in (centres, centres + shift)
        ]
    )
    images = torch.stack([warp_images(source, matrix, size) for matrix in matrices])
    changed = change_photometry(images.flatten(0, 1), photometrics, generator)
    grid = pixel_grid(*size, device).expand(count, -1, -1)
    seen = torch.stack(
        [inside(transform_points(matrix, grid), (width, height)) for matrix in matrices]
    )
    return ViewBatch(
        images=changed.view(2, count, 1, size[1], size[0]),
        to_photograph=matrices,
        valid=seen.view(2, count, size[1], size[0]),
    )
