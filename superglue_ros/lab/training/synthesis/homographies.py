"""Random homographies, and images and points seen through them, in batches.

A homography is (B, 3, 3) and maps pixels to pixels; pixel (0, 0) is the centre of the top-left one.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from superglue_ros.lab.training.config import ViewConfig

SUPERSAMPLING = 2
"""Samples along each side of an output pixel, against aliasing where a view shrinks its source."""

_EPSILON = 1e-8


def uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    """Uniform random numbers on the generator's device."""
    drawn = torch.rand(shape, generator=generator, device=generator.device)
    return low + (high - low) * drawn


def corners_of(width: float, height: float, device: torch.device) -> Tensor:
    """(4, 2) outer pixel centres of an image, clockwise from the top left."""
    right, bottom = width - 1.0, height - 1.0
    corners = [[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]]
    return torch.tensor(corners, device=device)


def homography_from_points(points_from: Tensor, points_to: Tensor) -> Tensor:
    """The homography that takes four points to four others.

    Args:
        points_from: (B, 4, 2), no three on one line.
        points_to: (B, 4, 2).

    Returns:
        (B, 3, 3) float32 with a one in the lower right.
    """
    x, y = points_from.double().unbind(dim=2)
    u, v = points_to.double().unbind(dim=2)  # (B, 4) each
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows_u = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], dim=2)
    rows_v = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], dim=2)
    system = torch.cat([rows_u, rows_v], dim=1)  # (B, 8, 8)
    solution = torch.linalg.solve(system, torch.cat([u, v], dim=1))
    return torch.cat([solution, one[:, :1]], dim=1).reshape(-1, 3, 3).float()


def transform_points(homography: Tensor, points: Tensor) -> Tensor:
    """Apply homographies (B, 3, 3) to points (B, N, 2); points behind the view become infinite."""
    mapped = points @ homography[:, :, :2].mT + homography[:, None, :, 2]  # (B, N, 3)
    depth = mapped[..., 2:]
    visible = depth > _EPSILON
    infinite = mapped.new_full((), math.inf)
    return torch.where(visible, mapped[..., :2] / depth.clamp(min=_EPSILON), infinite)


def random_views(
    count: int,
    view_size: tuple[int, int],
    photograph_size: tuple[int, int],
    config: ViewConfig,
    generator: Generator,
    *,
    centres: Tensor | None = None,
) -> Tensor:
    """Homographies from the pixels of random views to the pixels of their photograph.

    Args:
        count: Number of views B.
        view_size: (width, height) of a view in pixels.
        photograph_size: (width, height) of the photograph in pixels.
        config: How far the views may differ.
        generator: Source of the random numbers; its device is the result's.
        centres: (B, 2) where in the photograph the views look; None draws places where the view
            at scale 1 lies inside.

    Returns:
        (B, 3, 3).
    """
    device = generator.device
    view = torch.tensor(view_size, dtype=torch.float32, device=device)
    photograph = torch.tensor(photograph_size, dtype=torch.float32, device=device)
    if centres is None:
        margin = torch.minimum(view, photograph) / 2
        share = uniform((count, 2), 0, 1, generator)
        centres = margin + share * (photograph - 2 * margin) - 0.5
    corners = corners_of(*view_size, device)
    shift = uniform((count, 4, 2), -1, 1, generator) * (config.perspective * view)
    quadrilateral = (corners - (view - 1) / 2) + shift
    log_scale = uniform((count,), -1, 1, generator) * math.log(config.scale)
    angle = _random_angles(count, config, generator)
    linear = rotation_matrices(angle) * log_scale.exp()[:, None, None]
    return homography_from_points(
        corners.expand(count, 4, 2), quadrilateral @ linear.mT + centres[:, None]
    )


def _random_angles(count: int, config: ViewConfig, generator: Generator) -> Tensor:
    angle = uniform((count,), -1, 1, generator) * math.radians(config.rotation_deg)
    any_angle = uniform((count,), -math.pi, math.pi, generator)
    return torch.where(uniform((count,), 0, 1, generator) < config.upside_share, any_angle, angle)


def rotation_matrices(angle: Tensor) -> Tensor:
    """(B, 2, 2) rotations by angles (B,) in radians."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)


def pixel_grid(width: int, height: int, device: torch.device, supersampling: int = 1) -> Tensor:
    """(height*width*supersampling^2, 2) positions of an image's (sub-)pixels, row by row."""
    offset = 0.5 - 0.5 / supersampling
    steps = 1.0 / supersampling
    xs = torch.arange(width * supersampling, device=device) * steps - offset
    ys = torch.arange(height * supersampling, device=device) * steps - offset
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=2).reshape(-1, 2)


def sample_image(image: Tensor, points: Tensor, *, padding: str = "border") -> Tensor:
    """Read images (B, C, H, W) at positions (B, N, 2) in pixels, bilinearly: (B, C, N)."""
    height, width = image.shape[2:]
    size = points.new_tensor([width, height])
    grid = (2 * points + 1) / size - 1
    grid = torch.nan_to_num(grid, nan=2.0, posinf=2.0, neginf=2.0)
    sampled = F.grid_sample(
        image, grid[:, None], mode="bilinear", padding_mode=padding, align_corners=False
    )
    return sampled[:, :, 0]


def warp_images(
    image: Tensor,
    homography: Tensor,
    view_size: tuple[int, int],
    *,
    padding: str = "border",
    supersampling: int = SUPERSAMPLING,
) -> Tensor:
    """See photographs through views.

    Args:
        image: (B, C, H, W) float.
        homography: (B, 3, 3) from pixels of the view to pixels of the image.
        view_size: (width, height) of the views.
        padding: What lies outside of the image: border or zeros.
        supersampling: Samples along each side of a pixel.

    Returns:
        (B, C, height, width).
    """
    width, height = view_size
    grid = pixel_grid(width, height, image.device, supersampling)
    points = transform_points(homography, grid.expand(len(image), -1, -1))
    sampled = sample_image(image, points, padding=padding)
    sampled = sampled.reshape(*image.shape[:2], height * supersampling, width * supersampling)
    return F.avg_pool2d(sampled, supersampling) if supersampling > 1 else sampled


def inside(points: Tensor, size: tuple[int, int], margin: float = 0.0) -> Tensor:
    """Whether points (..., 2) lie in an image of (width, height), at least `margin` px inside."""
    x, y = points.unbind(dim=-1)
    width, height = size
    low = margin - 0.5
    return (x >= low) & (y >= low) & (x < width - margin - 0.5) & (y < height - margin - 0.5)
