"""Views of pairs of real photographs, and the places of keypoints in them (see `real`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from superglue_ros.lab.training.config import PhotometricConfig, ViewConfig
from superglue_ros.lab.training.ground_truth import FAR_AWAY, Places
from superglue_ros.lab.training.pairs import HIDDEN, UNKNOWN, VISIBLE
from superglue_ros.lab.training.real import RealPair
from superglue_ros.lab.training.synthesis.homographies import (
    random_views,
    transform_points,
    uniform,
    warp_images,
)
from superglue_ros.lab.training.synthesis.photometrics import change_photometry

VIEWS = ViewConfig(scale=1.3, rotation_deg=20.0, perspective=0.08, upside_share=0.03)
"""The photographs differ already; this adds some more zoom and rotation."""

NEAR_PX = 2.0
"""A keypoint this near to one of the teacher's shares its truth."""

NEIGHBOURS = 6
NEIGHBOUR_PX = 48.0
AGREEING_PX = 1.5
"""Matches around a place tell where it went: so many, so near, that agree with one affine motion
but for so much (root mean square)."""

DOUBTFUL_PX = 8.0
"""A keypoint that the teacher holds alone may have a partner so near to where it should be."""

_RIDGE = 4.0
_ANCHOR_SPREAD = 0.3


@dataclass(frozen=True)
class RealViews:
    """A view of each photograph of B pairs.

    Attributes:
        images: (2, B, 1, H, W) in [0, 1].
        matched: For each pair (2, M, 2): point i of view 0 is point i of view 1, in pixels, also
            outside of the views.
        alone: For each pair and view (A, 2), the teacher's keypoints that have no partner.
    """

    images: Tensor
    matched: Sequence[Tensor]
    alone: Sequence[tuple[Tensor, Tensor]]


def make_real_views(
    pairs: Sequence[RealPair], size: tuple[int, int], light: PhotometricConfig, generator: Generator
) -> RealViews:
    """Look at each pair around one of its matches.

    Args:
        pairs: The B pairs.
        size: (width, height) of the views.
        light: How the light is changed.
        generator: Source of the random numbers.
    """
    images, matched, alone = [], [], []
    for pair in pairs:
        row = int(torch.randint(pair.matched.shape[1], (1,), generator=generator))
        anchor = pair.matched[:, row]  # (2, 2)
        shift = uniform((1, 2), -1, 1, generator) * _ANCHOR_SPREAD * anchor.new_tensor(size)
        views = []
        for side, photograph in enumerate(pair.images):
            height, width = photograph.shape
            centre = _within((anchor[side] + shift), (width, height), size)
            view = random_views(1, size, (width, height), VIEWS, generator, centres=centre)
            views.append((warp_images(photograph[None, None].float() / 255, view, size), view))
        images.append(torch.cat([image for image, _ in views]))
        inverse = [torch.linalg.inv(view) for _, view in views]
        matched.append(transform_points(torch.cat(inverse), pair.matched))
        lonely = [
            transform_points(back, points[None])[0]
            for back, points in zip(inverse, pair.alone, strict=True)
        ]
        alone.append((lonely[0], lonely[1]))
    stacked = torch.stack(images, dim=1)  # (2, B, 1, H, W)
    changed = change_photometry(stacked.flatten(0, 1), light, generator)
    return RealViews(changed.view_as(stacked), matched, alone)


def _within(centre: Tensor, photograph: tuple[int, int], view: tuple[int, int]) -> Tensor:
    """The nearest centre (1, 2) of a view that lies in the photograph, if it is large enough."""
    whole = centre.new_tensor(photograph)
    margin = torch.minimum(centre.new_tensor(view), whole) / 2
    return torch.minimum(torch.maximum(centre, margin), whole - margin) - 0.5


def real_places(
    keypoints0: Tensor, keypoints1: Tensor, views: RealViews, index: int
) -> tuple[Places, Places]:
    """What the teacher knows of keypoints of one pair of views.

    A keypoint lies where the matches around it say, if these agree, else where the teacher's
    matched keypoint within 2 px of it does. One within 2 px of a keypoint without a partner is
    hidden, unless the other view has a keypoint about where it should be: the teacher may have none
    there. Of the rest nothing is known.

    Args:
        keypoints0: (N, 2) in pixels of view 0.
        keypoints1: (M, 2) in pixels of view 1.
        views: The views.
        index: Which of their pairs.

    Returns:
        Places of batches of one.
    """
    matched, alone = views.matched[index], views.alone[index]
    keypoints = (keypoints0, keypoints1)
    places = []
    for side in (0, 1):
        own, here, there = keypoints[side], matched[side], matched[1 - side]
        predicted, certain = predict(own, here, there)
        distance, nearest = torch.cdist(own, here).min(dim=1)
        shared = distance <= NEAR_PX
        beside = there[nearest] + own - here[nearest]
        targets = torch.where(shared[:, None], beside, own.new_tensor(FAR_AWAY))
        targets = torch.where(certain[:, None], predicted, targets)
        doubtful = _near(predicted, keypoints[1 - side], DOUBTFUL_PX)
        hidden = _near(own, alone[side], NEAR_PX) & ~doubtful
        state = torch.where(hidden, HIDDEN, UNKNOWN)
        state = torch.where(shared | certain, VISIBLE, state)
        places.append(Places(own[None], targets[None], state[None]))
    return places[0], places[1]


def predict(points: Tensor, here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Where points go if they move as the matches around them do.

    Args:
        points: (N, 2).
        here: (M, 2) the matches in the points' image.
        there: (M, 2) the same in the other image.

    Returns:
        (N, 2) places, and (N,) whether these matches surround the point, near to it, and agree.
    """
    count = min(NEIGHBOURS, len(here))
    distance, nearest = torch.cdist(points, here).topk(count, dim=1, largest=False)  # (N, count)
    source, target = here[nearest], there[nearest]
    centre0, centre1 = source.mean(dim=1, keepdim=True), target.mean(dim=1, keepdim=True)
    spread, moved = source - centre0, target - centre1 - (source - centre0)
    # The ridge leaves a plain shift to matches in a line or nearly in one place
    covariance = spread.mT @ spread
    motion = torch.linalg.solve(covariance + _RIDGE * torch.eye(2), spread.mT @ moved)  # (N, 2, 2)
    offset = points[:, None] - centre0
    error = (moved - spread @ motion).square().sum(dim=2).mean(dim=1).sqrt()
    extent = spread.square().sum(dim=2).mean(dim=1).sqrt()
    surrounded = (offset[:, 0].norm(dim=1) <= extent) & (distance[:, -1] <= NEIGHBOUR_PX)
    places = (centre1 + offset + offset @ motion)[:, 0]
    return places, surrounded & (error <= AGREEING_PX) & (count == NEIGHBOURS)


def _near(points: Tensor, others: Tensor, distance: float) -> Tensor:
    if not len(others):
        return torch.zeros(len(points), dtype=torch.bool)
    return torch.cdist(points, others).amin(dim=1) <= distance
