"""Random cameras and how the second stands to the first: rigs, small steps, wide baselines."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from superglue_ros.lab.training.synthesis.homographies import uniform
from superglue_ros.lab.training.synthesis.scenes import (
    Cameras,
    random_directions,
    rotation_from_axis_angle,
)

STEREO_SHARE, SEQUENTIAL_SHARE = 0.25, 0.25
"""Of the pairs; the rest are wide baselines."""

UPSIDE_SHARE = 0.06
ZOOM_SHARE = 0.25
MAX_ZOOM = 1.8


def random_cameras(
    count: int, size: tuple[int, int], generator: Generator
) -> tuple[Cameras, Cameras]:
    """Camera 0 in the world's origin and camera 1 somewhere else, looking the same way roughly.

    Args:
        count: Pairs B.
        size: (width, height) of the images.
        generator: Source of the random numbers.
    """
    device = generator.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return uniform((count, *shape), low, high, generator)

    focal_px = draw(0.7, 1.4) * max(size)
    first = Cameras(
        intrinsics=_intrinsics(focal_px, size),
        rotation=torch.eye(3, device=device).expand(count, 3, 3),
        translation=torch.zeros(count, 3, device=device),
    )
    kind = draw(0, 1)
    stereo = kind < STEREO_SHARE
    sequential = ~stereo & (kind < STEREO_SHARE + SEQUENTIAL_SHARE)
    reach = torch.where(sequential, draw(0.0, 0.12), draw(0.05, 0.6))
    position = random_directions((count,), generator) * reach[:, None]
    baseline = torch.zeros_like(position)
    baseline[:, 0] = draw(0.02, 0.2)
    position = torch.where(stereo[:, None], baseline, position)
    turn_rad = torch.where(sequential, draw(0.0, 0.12), draw(0.0, 0.4))
    turn = random_directions((count,), generator) * turn_rad[:, None]
    turn[:, 1] += position[:, 0] * 0.8  # a camera that moved aside looks back at the scene
    turn[:, 0] -= position[:, 1] * 0.8
    roll = torch.where(draw(0, 1) < UPSIDE_SHARE, draw(-math.pi, math.pi), draw(-0.25, 0.25))
    roll = torch.where(sequential, roll * 0.1, roll)
    turn[:, 2] += roll
    turn = torch.where(stereo[:, None], torch.zeros_like(turn), turn)
    rotation = rotation_from_axis_angle(turn)
    zoomed = (draw(0, 1) < ZOOM_SHARE) & ~stereo & ~sequential
    zoom = torch.where(zoomed, (draw(-1, 1) * math.log(MAX_ZOOM)).exp(), 1.0)
    second = Cameras(
        intrinsics=_intrinsics(focal_px * zoom, size),
        rotation=rotation,
        translation=-(rotation @ position[..., None])[..., 0],
    )
    return first, second


def _intrinsics(focal_px: Tensor, size: tuple[int, int]) -> Tensor:
    matrix = torch.zeros(len(focal_px), 3, 3, device=focal_px.device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = focal_px
    matrix[:, 0, 2], matrix[:, 1, 2] = (size[0] - 1) / 2, (size[1] - 1) / 2
    matrix[:, 2, 2] = 1
    return matrix
