"""Drawn shapes with exactly known corners, to teach a first detector (SuperPoint, section 4.1).

A picture is a soft background with shapes on it, one over the other: polygons, lines, stars,
checkerboards, cubes, and ellipses, which have no corners. All but these are unions of convex
polygons, so each is painted by its edges' half planes, on whatever device, in batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from superglue_ros.lab.training.synthesis.homographies import (
    homography_from_points,
    pixel_grid,
    transform_points,
    uniform,
)

_HIDDEN_SCORE = 0.0
_EDGE_PX = 0.5
_BOARD = 4
_STAR_ARMS = 5
_LINES = 3


@dataclass(frozen=True)
class Shape:
    """One shape on each of B pictures.

    Attributes:
        polygons: (B, Q, V, 2) its convex parts, corners in order, in pixels.
        grey: (B, Q) grey value of each part.
        corners: (B, C, 2) the points a detector should find.
    """

    polygons: Tensor
    grey: Tensor
    corners: Tensor


@dataclass(frozen=True)
class Drawing:
    """B pictures and their corners.

    Attributes:
        images: (B, 1, H, W) in [0, 1].
        corners: (B, K, 2) in pixels, sub-pixel.
        scores: (B, K) 1 for a visible corner, 0 for one that is covered or out of the picture.
    """

    images: Tensor
    corners: Tensor
    scores: Tensor


def draw_shapes(count: int, size: tuple[int, int], shapes: int, generator: Generator) -> Drawing:
    """Draw pictures.

    Args:
        count: Pictures B.
        size: (width, height).
        shapes: Shapes on each; each kind of shape is on some share of the pictures.
        generator: Source of the random numbers.
    """
    grid = pixel_grid(*size, generator.device)
    images = _background(count, size, generator).flatten(1)  # (B, H*W)
    corners: list[Tensor] = []
    scores: list[Tensor] = []
    for _ in range(shapes):
        place = random_quadrilateral(count, size, generator)
        kinds = [kind(place, generator) for kind in KINDS]
        chosen = torch.randint(len(kinds) + 1, (count,), generator=generator, device=grid.device)
        for index, shape in enumerate(kinds):
            present = (chosen == index)[:, None]
            cover = torch.zeros_like(images)
            for part in range(shape.polygons.shape[1]):
                alpha = polygon_coverage(shape.polygons[:, part], grid) * present
                images = images + alpha * (shape.grey[:, part, None] - images)
                cover = torch.maximum(cover, alpha)
            scores = [
                _uncovered(old, cover, at, size) for old, at in zip(scores, corners, strict=True)
            ]
            corners.append(shape.corners)
            scores.append(present.float().expand(shape.corners.shape[:2]))
        round_one = (chosen == len(kinds))[:, None]
        alpha = ellipse_coverage(place, grid) * round_one
        images = images + alpha * (uniform((count, 1), 0, 1, generator) - images)
        scores = [_uncovered(old, alpha, at, size) for old, at in zip(scores, corners, strict=True)]
    width, height = size
    return Drawing(
        images=images.view(count, 1, height, width).clamp(0, 1),
        corners=torch.cat(corners, dim=1),
        scores=torch.cat(scores, dim=1),
    )


def _background(count: int, size: tuple[int, int], generator: Generator) -> Tensor:
    """Soft noise (B, 1, H, W) of random coarseness and contrast."""
    coarse = uniform((count, 1, 4, 5), 0, 1, generator)
    fine = uniform((count, 1, 16, 20), -1, 1, generator)
    low = F.interpolate(coarse, size[::-1], mode="bicubic", align_corners=True)
    high = F.interpolate(fine, size[::-1], mode="bicubic", align_corners=True)
    contrast = uniform((count, 1, 1, 1), 0.1, 0.6, generator)
    level = uniform((count, 1, 1, 1), 0.2, 0.8, generator)
    grain = uniform((count, 1, 1, 1), 0, 0.08, generator)
    background: Tensor = level + contrast * (low - 0.5) + grain * high
    return background


def random_quadrilateral(count: int, size: tuple[int, int], generator: Generator) -> Tensor:
    """(B, 4, 2) convex, clockwise, somewhere in the picture."""
    extent = torch.tensor(size, dtype=torch.float32, device=generator.device)
    centre = uniform((count, 1, 2), 0.05, 0.95, generator) * extent
    radius = uniform((count, 1), 0.08, 0.4, generator) * extent.min()
    start = uniform((count, 1), -math.pi, math.pi, generator)
    turns = torch.arange(4, device=extent.device) * (math.pi / 2)
    angle = start + turns + uniform((count, 4), -0.45, 0.45, generator)
    reach = radius * uniform((count, 4), 0.7, 1.0, generator)
    return centre + torch.stack([angle.cos(), angle.sin()], dim=2) * reach[..., None]


def polygon_coverage(polygon: Tensor, points: Tensor) -> Tensor:
    """How much of each pixel a convex polygon covers, about.

    Args:
        polygon: (B, V, 2) clockwise in pixels (y down).
        points: (M, 2) pixel centres.

    Returns:
        (B, M) in [0, 1], with an edge one pixel wide.
    """
    following = polygon.roll(-1, dims=1)
    edge = following - polygon
    length = torch.linalg.vector_norm(edge, dim=2, keepdim=True).clamp(min=1e-6)
    normal = torch.stack([-edge[..., 1], edge[..., 0]], dim=2) / length  # inwards
    distance = points @ normal.mT - (polygon * normal).sum(dim=2)[:, None]  # (B, M, V)
    coverage: Tensor = (distance.amin(dim=2) + _EDGE_PX).clamp(0, 1)
    return coverage


def ellipse_coverage(place: Tensor, points: Tensor) -> Tensor:
    """The same for the ellipse with the diagonals of a quadrilateral (B, 4, 2) as its axes."""
    centre = place.mean(dim=1)
    axes = torch.stack([place[:, 0] - centre, place[:, 1] - centre], dim=2)  # (B, 2, 2)
    inverse = torch.linalg.inv(axes)
    radius = torch.linalg.vector_norm((points - centre[:, None]) @ inverse.mT, dim=2)
    scale = torch.linalg.vector_norm(axes, dim=1).amin(dim=1)[:, None]
    coverage: Tensor = ((1 - radius) * scale + _EDGE_PX).clamp(0, 1)
    return coverage


def _uncovered(scores: Tensor, cover: Tensor, corners: Tensor, size: tuple[int, int]) -> Tensor:
    """Zero the scores (B, C) of corners that a later shape covers."""
    width, height = size
    x, y = corners.round().long().unbind(dim=2)
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return torch.where(cover.gather(1, index) > _EDGE_PX, _HIDDEN_SCORE, scores)


def _greys(count: int, parts: int, generator: Generator) -> Tensor:
    return uniform((count, parts), 0, 1, generator)


def _polygon(place: Tensor, generator: Generator) -> Shape:
    return Shape(place[:, None], _greys(len(place), 1, generator), place)


def _triangle(place: Tensor, generator: Generator) -> Shape:
    return _polygon(place[:, :3], generator)


def _thick_line(start: Tensor, end: Tensor, width: Tensor) -> Tensor:
    """A quadrilateral (B, 4, 2) along a segment (B, 2) to (B, 2)."""
    direction = F.normalize(end - start, dim=1)
    side = torch.stack([-direction[:, 1], direction[:, 0]], dim=1) * width / 2
    return torch.stack([start - side, end - side, end + side, start + side], dim=1)


def _star(place: Tensor, generator: Generator) -> Shape:
    """Lines from a centre; it and their ends are corners."""
    count = len(place)
    centre = place.mean(dim=1)
    reach = torch.linalg.vector_norm(place - centre[:, None], dim=2).amax(dim=1)
    angle = uniform((count, 1), -math.pi, math.pi, generator) + (
        torch.arange(_STAR_ARMS, device=place.device) * (2 * math.pi / _STAR_ARMS)
    )
    angle = angle + uniform((count, _STAR_ARMS), -0.4, 0.4, generator)
    length = reach[:, None] * uniform((count, _STAR_ARMS), 0.5, 1.0, generator)
    ends = centre[:, None] + torch.stack([angle.cos(), angle.sin()], dim=2) * length[..., None]
    width = uniform((count, 1), 1.5, 4, generator)
    arms = [_thick_line(centre, end, width) for end in ends.unbind(dim=1)]
    grey = _greys(count, 1, generator).expand(count, _STAR_ARMS)
    return Shape(torch.stack(arms, dim=1), grey, torch.cat([centre[:, None], ends], dim=1))


def _lines(place: Tensor, generator: Generator) -> Shape:
    """Separate segments; their ends are corners."""
    count = len(place)
    reach = torch.linalg.vector_norm(place - place.mean(dim=1, keepdim=True), dim=2).amax(dim=1)
    starts = place[:, :_LINES]
    angle = uniform((count, _LINES), -math.pi, math.pi, generator)
    length = reach[:, None] * uniform((count, _LINES), 0.5, 1.5, generator)
    ends = starts + torch.stack([angle.cos(), angle.sin()], dim=2) * length[..., None]
    width = uniform((count, 1), 1.0, 4, generator)
    parts = [
        _thick_line(start, end, width)
        for start, end in zip(starts.unbind(dim=1), ends.unbind(dim=1), strict=True)
    ]
    grey = _greys(count, _LINES, generator)
    return Shape(torch.stack(parts, dim=1), grey, torch.cat([starts, ends], dim=1))


def _checkerboard(place: Tensor, generator: Generator) -> Shape:
    """A board in perspective; every crossing and the border's corners are corners."""
    count, device = len(place), place.device
    unit = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]], device=device) * _BOARD
    to_place = homography_from_points(unit.expand(count, 4, 2), place)
    steps = torch.arange(_BOARD + 1.0, device=device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    nodes = torch.stack([x, y], dim=2).reshape(1, -1, 2).expand(count, -1, -1)
    corners = transform_points(to_place, nodes)  # (B, 25, 2)
    first = torch.arange(_BOARD, device=device)
    upper_left = (first[:, None] * (_BOARD + 1) + first).reshape(-1)
    around = torch.stack(
        [upper_left, upper_left + 1, upper_left + _BOARD + 2, upper_left + _BOARD + 1], dim=1
    )
    parity = (first[:, None] + first).reshape(-1) % 2
    two_greys = _greys(count, 2, generator)
    return Shape(corners[:, around], two_greys[:, parity], corners)


def _cube(place: Tensor, generator: Generator) -> Shape:
    """Three faces of a box; its seven visible corners."""
    count = len(place)
    shift = uniform((count, 1, 2), -0.6, 0.6, generator) * (place[:, 2:3] - place[:, :1])
    front = place
    back = place + shift
    # Of the four side faces those that look outwards are painted, in the order of their distance
    sides = [
        torch.stack([front[:, i], back[:, i], back[:, (i + 1) % 4], front[:, (i + 1) % 4]], dim=1)
        for i in range(4)
    ]
    sides = [_clockwise_or_nothing(side) for side in sides]
    parts = torch.stack([*sides, front], dim=1)
    outward = torch.stack([(side.abs().sum(dim=(1, 2)) > 0).float() for side in sides], dim=1)
    visible = torch.maximum(outward, outward.roll(1, dims=1))[..., None]  # (B, 4, 1) back corners
    far = back.new_full((), -1e4)
    corners = torch.cat([front, torch.where(visible > 0, back, far)], dim=1)
    return Shape(parts, _greys(count, 5, generator), corners)


def _clockwise_or_nothing(quadrilateral: Tensor) -> Tensor:
    """A face that looks away becomes a point, which covers no pixel."""
    following = quadrilateral.roll(-1, dims=1)
    area = (
        quadrilateral[..., 0] * following[..., 1] - quadrilateral[..., 1] * following[..., 0]
    ).sum(dim=1)
    return torch.where((area > 0)[:, None, None], quadrilateral, torch.zeros_like(quadrilateral))


KINDS: tuple[Callable[[Tensor, Generator], Shape], ...] = (
    _polygon,
    _triangle,
    _star,
    _lines,
    _checkerboard,
    _cube,
)
