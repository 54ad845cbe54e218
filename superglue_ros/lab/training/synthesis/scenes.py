"""Made-up rooms of textured planes, seen by two cameras: parallax and occlusion exactly known.

A scene is a wall, a floor and a side wall without end and some cards with outlines in front of
them, each plane papered with a photograph. Every pixel of a view is cast onto every plane and keeps
the nearest, so images, depths and correspondences are exact to sub-pixel; there are no holes to
fill as there are where a depth map is splatted. World coordinates are those of camera 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from superglue_ros.lab.training.synthesis.homographies import pixel_grid, uniform

BACKGROUND_PLANES = 3
OUTLINE_WAVES = 4
NEAREST_DEPTH = 0.05
FARTHEST_DEPTH = 50.0
NO_PLANE = -1


@dataclass(frozen=True)
class Planes:
    """The P textured planes of each of B scenes.

    Attributes:
        origin: (B, P, 3) a point of the plane.
        axes: (B, P, 3, 2) two orthonormal directions in it.
        texture: (B, P) index of its photograph.
        texture_scale: (B, P) pixels of the photograph in a world unit.
        texture_centre: (B, P, 2) pixel of the photograph at the origin.
        half_size: (B, P) half the side of a card in world units, infinite for the background.
        outline: (B, P, 2, OUTLINE_WAVES) amplitudes and phases of a card's edge; all amplitudes
            zero make it a square.
    """

    origin: Tensor
    axes: Tensor
    texture: Tensor
    texture_scale: Tensor
    texture_centre: Tensor
    half_size: Tensor
    outline: Tensor


@dataclass(frozen=True)
class Cameras:
    """A pinhole camera in each of B scenes; a world point X is R X + t in its coordinates.

    Attributes:
        intrinsics: (B, 3, 3).
        rotation: (B, 3, 3) R.
        translation: (B, 3) t.
    """

    intrinsics: Tensor
    rotation: Tensor
    translation: Tensor


@dataclass(frozen=True)
class Rendered:
    """What a camera sees.

    Attributes:
        image: (B, 1, H, W) in [0, 1].
        plane: (B, H, W) index of the plane in each pixel's centre, `NO_PLANE` for none.
        points: (B, H, W, 3) world coordinates there.
    """

    image: Tensor
    plane: Tensor
    points: Tensor


def plane_homography(planes: Planes, index: int, cameras: Cameras) -> Tensor:
    """(B, 3, 3) from coordinates in plane `index` to homogeneous pixels of a camera."""
    world = torch.cat([planes.axes[:, index], planes.origin[:, index, :, None]], dim=2)  # (B, 3, 3)
    camera = cameras.rotation @ world
    offset = torch.zeros_like(camera)
    offset[:, :, 2] = cameras.translation
    return cameras.intrinsics @ (camera + offset)


def render(
    planes: Planes,
    cameras: Cameras,
    photographs: Tensor,
    size: tuple[int, int],
    supersampling: int = 2,
) -> Rendered:
    """See scenes through cameras.

    Args:
        planes: The scenes.
        cameras: One camera a scene.
        photographs: (N, H, W) uint8, the textures.
        size: (width, height) of the views.
        supersampling: Samples along each side of a pixel.

    Returns:
        The images and what is in their pixels.
    """
    width, height = size
    centres = pixel_grid(width, height, planes.origin.device)
    plane, coordinates = _cast(planes, cameras, centres)
    # The plane in a pixel's centre fills the pixel: casting each sample takes several times as long
    steps = pixel_grid(1, 1, centres.device, supersampling)
    samples = [_places_in(planes, cameras, plane, centres + step) for step in steps]
    grey = torch.stack([_paper(planes, plane, places, photographs) for places in samples])
    shape = (len(planes.origin), height, width)
    return Rendered(
        image=grey.mean(dim=0).view(shape)[:, None],
        plane=plane.view(shape),
        points=_lift(planes, plane, coordinates).view(*shape, 3),
    )


def _places_in(planes: Planes, cameras: Cameras, plane: Tensor, pixels: Tensor) -> Tensor:
    """Where pixels (M, 2) see planes of which the index (B, M) is known: (B, M, 2) in them."""
    inverse = torch.stack(
        [
            torch.linalg.inv(plane_homography(planes, index, cameras))
            for index in range(planes.texture.shape[1])
        ],
        dim=1,
    )  # (B, P, 3, 3)
    index = plane.clamp(min=0)[..., None].expand(-1, -1, 9)
    x, y, z = inverse.flatten(2).gather(1, index).unflatten(2, (3, 3)).unbind(dim=3)  # type: ignore[no-untyped-call]
    mapped = x * pixels[:, :1] + y * pixels[:, 1:] + z  # (B, M, 3)
    places: Tensor = mapped[..., :2] / mapped[..., 2:].clamp(min=1 / (2 * FARTHEST_DEPTH))
    return places


def _cast(planes: Planes, cameras: Cameras, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest plane (B, M) behind pixels (M, 2), and where in it (B, M, 2)."""
    count, plane_count = planes.texture.shape
    shape = (count, len(pixels))
    nearest = pixels.new_full(shape, FARTHEST_DEPTH)
    plane = torch.full(shape, NO_PLANE, device=pixels.device)
    coordinates = pixels.new_zeros((*shape, 2))
    rays = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)  # (M, 3)
    for index in range(plane_count):
        inverse = torch.linalg.inv(plane_homography(planes, index, cameras))
        mapped = rays @ inverse.mT  # (B, M, 3): plane coordinates over depth, one over depth
        depth = 1 / mapped[..., 2].clamp(min=1 / (2 * FARTHEST_DEPTH))
        here = mapped[..., :2] * depth[..., None]
        hit = (mapped[..., 2] > 0) & (depth > NEAREST_DEPTH) & (depth < nearest)
        hit &= _within_outline(planes, index, here)
        nearest = torch.where(hit, depth, nearest)
        plane = torch.where(hit, index, plane)
        coordinates = torch.where(hit[..., None], here, coordinates)
    return plane, coordinates


def _within_outline(planes: Planes, index: int, coordinates: Tensor) -> Tensor:
    """Whether plane coordinates (B, M, 2) lie on a card."""
    half = planes.half_size[:, index, None]
    amplitudes, phases = planes.outline[:, index].unbind(dim=1)  # (B, waves)
    x, y = coordinates.unbind(dim=2)
    square = torch.maximum(x.abs(), y.abs()) < half
    angle = torch.atan2(y, x)
    waves = torch.arange(2, 2 + OUTLINE_WAVES, device=half.device)
    edge = torch.ones_like(angle)
    for wave, amplitude, phase in zip(
        waves, amplitudes.unbind(dim=1), phases.unbind(dim=1), strict=True
    ):
        edge = edge + amplitude[:, None] * torch.cos(wave * angle + phase[:, None])
    blob = torch.hypot(x, y) < half * edge
    is_square = (amplitudes == 0).all(dim=1)[:, None]
    return torch.where(is_square, square, blob)


def _paper(planes: Planes, plane: Tensor, coordinates: Tensor, photographs: Tensor) -> Tensor:
    """The grey values (B, M) in [0, 1] at places of planes; 0 where there is no plane."""
    index = plane.clamp(min=0)
    scale = planes.texture_scale.gather(1, index)[..., None]
    centre = planes.texture_centre.gather(1, index[..., None].expand(-1, -1, 2))
    photograph = planes.texture.gather(1, index)
    grey = sample_mirrored(photographs, photograph, centre + coordinates * scale)
    return torch.where(plane == NO_PLANE, torch.zeros_like(grey), grey)


def sample_mirrored(photographs: Tensor, index: Tensor, points: Tensor) -> Tensor:
    """Read photographs bilinearly, mirrored beyond their borders.

    Args:
        photographs: (N, H, W) uint8.
        index: (...) which photograph.
        points: (..., 2) where in it, in pixels.

    Returns:
        (...) in [0, 1].
    """
    _, height, width = photographs.shape
    x, y = points.unbind(dim=-1)
    x, y = _mirror(x, width - 1), _mirror(y, height - 1)
    left, top = x.floor().clamp(max=width - 2), y.floor().clamp(max=height - 2)
    right_share, lower_share = x - left, y - top
    first = (index * height + top.long()) * width + left.long()
    flat = photographs.reshape(-1)

    def read(offset: int) -> Tensor:
        return flat[first + offset].float()

    upper = read(0) * (1 - right_share) + read(1) * right_share
    lower = read(width) * (1 - right_share) + read(width + 1) * right_share
    return (upper * (1 - lower_share) + lower * lower_share) / 255


def _mirror(position: Tensor, last: int) -> Tensor:
    return last - (position.remainder(2 * last) - last).abs()


def _lift(planes: Planes, plane: Tensor, coordinates: Tensor) -> Tensor:
    """World points (B, M, 3) of places in planes."""
    index = plane.clamp(min=0)[..., None]
    origin = planes.origin.gather(1, index.expand(-1, -1, 3))
    axes = planes.axes.flatten(2).gather(1, index.expand(-1, -1, 6)).unflatten(2, (3, 2))  # type: ignore[no-untyped-call]
    lifted: Tensor = origin + (axes @ coordinates[..., None])[..., 0]
    return lifted


def project(cameras: Cameras, points: Tensor) -> Tensor:
    """World points (B, M, 3) to pixels (B, M, 2); infinite behind the camera."""
    seen = points @ cameras.rotation.mT + cameras.translation[:, None]
    mapped = seen @ cameras.intrinsics.mT
    depth = mapped[..., 2:]
    pixels = mapped[..., :2] / depth.clamp(min=NEAREST_DEPTH)
    return torch.where(depth > NEAREST_DEPTH, pixels, pixels.new_full((), math.inf))


def rotation_from_axis_angle(vectors: Tensor) -> Tensor:
    """(..., 3) rotation vectors in radians to (..., 3, 3) matrices."""
    zero = torch.zeros_like(vectors[..., 0])
    x, y, z = vectors.unbind(dim=-1)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    cross = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    rotation: Tensor = torch.linalg.matrix_exp(cross)
    return rotation


def random_directions(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Unit vectors (*shape, 3), all directions alike."""
    drawn = torch.randn((*shape, 3), generator=generator, device=generator.device)
    length = torch.linalg.vector_norm(drawn, dim=-1, keepdim=True)
    directions: Tensor = drawn / length.clamp(min=1e-6)
    return directions


def random_planes(
    count: int, cards: int, focal_px: Tensor, photographs: Tensor, generator: Generator
) -> Planes:
    """Random rooms with cards in them, in front of camera 0.

    Args:
        count: Scenes B.
        cards: Cards in each.
        focal_px: (B,) focal length of camera 0.
        photographs: (N, H, W), of which the textures are drawn.
        generator: Source of the random numbers.
    """
    total = BACKGROUND_PLANES + cards
    device = generator.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return uniform((count, *shape), low, high, generator)

    wall = torch.stack([draw(-0.2, 0.2), draw(-0.2, 0.2), draw(1.0, 2.5)], dim=1)
    floor = torch.stack([draw(-0.2, 0.2), draw(0.35, 0.9), draw(0.8, 1.2)], dim=1)
    side_sign = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    side = torch.stack([side_sign * draw(0.6, 1.5), draw(-0.2, 0.2), draw(0.8, 1.2)], dim=1)
    depth = draw(0.4, 1.1, cards)
    across = draw(-0.6, 0.6, cards, 2) * depth[..., None]
    card = torch.cat([across, depth[..., None]], dim=2)
    origin = torch.cat([torch.stack([wall, floor, side], dim=1), card], dim=1)
    facing = torch.eye(3, device=device)[:, :2].expand(count, total, 3, 2)
    lying = rotation_from_axis_angle(torch.tensor([math.pi / 2, 0.0, 0.0], device=device))
    turned = rotation_from_axis_angle(torch.tensor([0.0, math.pi / 2, 0.0], device=device))
    base = torch.stack([torch.eye(3, device=device), lying, turned])
    base = torch.cat([base, torch.eye(3, device=device).expand(cards, 3, 3)])
    tilt = random_directions((count, total), generator) * draw(0, 0.7, total, 1)
    axes = rotation_from_axis_angle(tilt) @ base @ facing
    has_waves = draw(0, 1, total, 1) < 0.6
    amplitudes = torch.where(has_waves, draw(0.02, 0.22, total, OUTLINE_WAVES), 0.0)
    phases = draw(-math.pi, math.pi, total, OUTLINE_WAVES)
    half_size = draw(0.08, 0.35, total) * origin[..., 2].clamp(max=1.5)
    half_size[:, :BACKGROUND_PLANES] = math.inf
    amplitudes[:, :BACKGROUND_PLANES] = 0
    photograph_size = torch.tensor(photographs.shape[:0:-1], device=device)
    return Planes(
        origin=origin,
        axes=axes,
        texture=torch.randint(len(photographs), (count, total), generator=generator, device=device),
        texture_scale=focal_px[:, None] / origin[..., 2] * draw(0.6, 1.5, total),
        texture_centre=draw(0.2, 0.8, total, 2) * photograph_size,
        half_size=half_size,
        outline=torch.stack([amplitudes, phases], dim=2),
    )
