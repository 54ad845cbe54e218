"""Pairs of images with the place of every pixel in the other image known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from superglue_ros.lab.training.config import PairConfig, PhotometricConfig, ViewConfig
from superglue_ros.lab.training.synthesis.homographies import inside, pixel_grid, transform_points
from superglue_ros.lab.training.synthesis.motions import random_cameras
from superglue_ros.lab.training.synthesis.photometrics import change_photometry
from superglue_ros.lab.training.synthesis.scenes import (
    NO_PLANE,
    Cameras,
    Rendered,
    project,
    random_planes,
    render,
)
from superglue_ros.lab.training.views import ViewBatch, make_views

VISIBLE, HIDDEN, UNKNOWN = 0, 1, 2
"""What is known of a pixel in the other image. Hidden: occluded or out of view."""

_NEIGHBOUR_PX = 1.5


@dataclass(frozen=True)
class PairBatch:
    """B pairs.

    Attributes:
        images: (2, B, 1, H, W) in [0, 1].
        targets: (2, B, H, W, 2) where each pixel lies in the other image.
        visibility: (2, B, H, W) `VISIBLE`, `HIDDEN` or `UNKNOWN`.
    """

    images: Tensor
    targets: Tensor
    visibility: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the images."""
        return self.images.shape[4], self.images.shape[3]


def make_pairs(photographs: Tensor, config: PairConfig, generator: Generator) -> PairBatch:
    """Make a batch of both kinds of pairs.

    Args:
        photographs: (N, H, W) uint8.
        config: Number, size and kinds.
        generator: Source of the random numbers, on the photographs' device.
    """
    scenes = round(config.batch * config.scene_share)
    batches = []
    if scenes < config.batch:
        batches.append(homography_pairs(photographs, config.batch - scenes, config, generator))
    if scenes:
        batches.append(scene_pairs(photographs, scenes, config, generator))
    images = torch.cat([batch.images for batch in batches], dim=1)
    light = PhotometricConfig(strength=config.strength)
    changed = change_photometry(images.flatten(0, 1), light, generator)
    return PairBatch(
        images=changed.view_as(images),
        targets=torch.cat([batch.targets for batch in batches], dim=1),
        visibility=torch.cat([batch.visibility for batch in batches], dim=1),
    )


def homography_pairs(
    photographs: Tensor, count: int, config: PairConfig, generator: Generator
) -> PairBatch:
    """Views of photographs, before any change of light."""
    chosen = torch.randint(len(photographs), (count,), generator=generator, device=generator.device)
    views = make_views(
        photographs[chosen],
        (config.view_width, config.view_height),
        ViewConfig(scale=config.scale, perspective=config.perspective),
        PhotometricConfig(strength=0.0),
        generator,
    )
    homography = views.homography()
    both = [
        _homography_targets(views, homography, 0),
        _homography_targets(views, torch.linalg.inv(homography), 1),
    ]
    targets, visibility = (torch.stack(parts) for parts in zip(*both, strict=True))
    return PairBatch(views.images, targets, visibility)


def _homography_targets(views: ViewBatch, homography: Tensor, side: int) -> tuple[Tensor, Tensor]:
    width, height = views.size
    count = len(homography)
    grid = pixel_grid(width, height, homography.device).expand(count, -1, -1)
    targets = transform_points(homography, grid)
    seen = inside(targets, views.size)
    shown = views.valid[side].flatten(1)
    visibility = torch.where(seen, VISIBLE, HIDDEN)
    visibility = torch.where(shown, visibility, UNKNOWN)  # beyond the photograph's border
    return targets.view(count, height, width, 2), visibility.view(count, height, width)


def scene_pairs(
    photographs: Tensor, count: int, config: PairConfig, generator: Generator
) -> PairBatch:
    """Made-up scenes seen by two cameras, before any change of light."""
    size = (config.view_width, config.view_height)
    cameras = random_cameras(count, size, generator)
    focal_px = cameras[0].intrinsics[:, 0, 0]
    planes = random_planes(count, config.cards, focal_px, photographs, generator)
    rendered = [render(planes, camera, photographs, size) for camera in cameras]
    both = [
        scene_targets(rendered[0], rendered[1], cameras[1]),
        scene_targets(rendered[1], rendered[0], cameras[0]),
    ]
    targets, visibility = (torch.stack(parts) for parts in zip(*both, strict=True))
    return PairBatch(torch.stack([view.image for view in rendered]), targets, visibility)


def scene_targets(view: Rendered, other: Rendered, camera: Cameras) -> tuple[Tensor, Tensor]:
    """Where a view's pixels lie in the other view, and whether they are seen there.

    A pixel is seen where the other view shows the same plane, hidden where it shows others all
    around, unknown on the edge between.

    Args:
        view: The view whose pixels are asked for.
        other: The other view.
        camera: The other view's camera.

    Returns:
        Targets (B, H, W, 2) and visibility (B, H, W).
    """
    count, height, width = view.plane.shape
    size = (width, height)
    plane = view.plane.flatten(1)
    targets = project(camera, view.points.flatten(1, 2))
    steps = targets.new_tensor([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * _NEIGHBOUR_PX
    same = torch.stack([_plane_at(other.plane, targets + step, size) == plane for step in steps])
    seen = inside(targets, size)
    visibility = torch.where(same.any(dim=0), UNKNOWN, HIDDEN)
    visibility = torch.where(same[0], VISIBLE, visibility)
    visibility = torch.where(seen, visibility, HIDDEN)
    visibility = torch.where(plane == NO_PLANE, UNKNOWN, visibility)
    return targets.view(count, height, width, 2), visibility.view(count, height, width)


def _plane_at(plane: Tensor, points: Tensor, size: tuple[int, int]) -> Tensor:
    """The planes (B, M) in the pixels nearest to points (B, M, 2), those outside on the border."""
    width, height = size
    rounded = torch.nan_to_num(points, posinf=0.0, neginf=0.0).round().long()
    x, y = rounded[..., 0].clamp(0, width - 1), rounded[..., 1].clamp(0, height - 1)
    return plane.flatten(1).gather(1, y * width + x)
