"""Matching images that may be turned against each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from superglue_ros.features import Features, FloatArray, GreyImage, Matches
from superglue_ros.inference.interface import Extractor

Turn = TypeVar("Turn")

ENOUGH_SHARE = 0.2
"""Of the keypoints of image 0: where more are matched, nothing is turned. A match counts by its
confidence, since chance matches are many but of little confidence."""

QUARTERS = (1, 2, 3)
"""Networks match across some 45 degrees of rotation; of four quarter turns one is near enough."""


def turn_where_few(
    extractor: Extractor,
    match: Callable[[Features, Features], Matches],
    image1: GreyImage,
    features0: Features,
    unturned: tuple[Features, Matches],
) -> tuple[Features, Matches]:
    """Match image 1 turned by quarters too, where few keypoints of image 0 matched as it is.

    Args:
        extractor: Finds the keypoints.
        match: Pairs them.
        image1: (H, W) uint8.
        features0: Those of image 0.
        unturned: Features of image 1 as it is, and their matches.

    Returns:
        The features of image 1, in pixels of the image as given, and the matches of the best turn.
        Where it was turned, they are refined and carry no patches.
    """

    def turns() -> Iterator[tuple[Features, Matches]]:
        yield unturned
        for quarters in QUARTERS:
            (found,) = extractor.extract_batch([turned(image1, quarters)])
            matches = match(features0, found)
            back = turned_back(matches.refined(found), quarters, unturned[0].image_size)
            yield back, dataclasses.replace(matches, keypoints1=None)

    return best_turn(turns())


def best_turn(turns: Iterable[tuple[Turn, Matches]]) -> tuple[Turn, Matches]:
    """The turn that has the most matches, each counted by its confidence.

    Args:
        turns: What belongs to each turn, and its matches; unturned first. The others are asked for
            only where few keypoints of image 0 matched in the first.
    """
    remaining = iter(turns)
    best = next(remaining)
    if _confidence(best) >= ENOUGH_SHARE * len(best[1].matches0):
        return best
    return max([best, *remaining], key=_confidence)


def _confidence(turn: tuple[Turn, Matches]) -> float:
    return float(turn[1].confidences.sum())


def turned(image: GreyImage, quarters: int) -> GreyImage:
    """An image (H, W) turned anticlockwise by so many quarters."""
    return np.ascontiguousarray(np.rot90(image, quarters))


def turned_back(features: Features, quarters: int, size: tuple[int, int]) -> Features:
    """Features of `turned(image, quarters)` as features of the image of (width, height)."""
    width, height = size
    x, y = features.keypoints.T
    places = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}
    keypoints: FloatArray = np.stack(places[quarters], axis=1).astype(np.float32)
    return dataclasses.replace(features, keypoints=keypoints, image_size=size, patches=None)
