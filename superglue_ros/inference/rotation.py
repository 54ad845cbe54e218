"""Matching images that may be turned against each other."""

from __future__ import annotations

import dataclasses

import numpy as np

from superglue_ros.features import Features, FloatArray, GreyImage, Matches
from superglue_ros.inference.interface import Extractor, Matcher

ENOUGH_SHARE = 0.1
"""Of the keypoints of image 0: where more are matched, image 1 is not turned. A match counts by its
confidence, since chance matches are many but of little confidence."""


def turn_where_few(
    extractor: Extractor,
    matcher: Matcher,
    image1: GreyImage,
    features0: Features,
    unturned: tuple[Features, Matches],
) -> tuple[Features, Matches]:
    """Match image 1 turned by quarters too, where few keypoints of image 0 matched as it is.

    Networks match across some 45 degrees of rotation; of four quarter turns one is near enough.

    Args:
        extractor: Finds the keypoints.
        matcher: Pairs them.
        image1: (H, W) uint8.
        features0: Those of image 0.
        unturned: Features of image 1 as it is, and their matches.

    Returns:
        The features of image 1, in pixels of the image as given, and the matches of the turn that
        has the most, each counted by its confidence.
    """
    best = unturned
    if _confidence(best[1]) >= ENOUGH_SHARE * len(features0):
        return best
    for quarters in (1, 2, 3):
        (found,) = extractor.extract_batch([np.ascontiguousarray(np.rot90(image1, quarters))])
        matches = matcher.match(features0, found)
        if _confidence(matches) > _confidence(best[1]):
            best = turned_back(found, quarters, unturned[0].image_size), matches
    return best


def _confidence(matches: Matches) -> float:
    return float(matches.confidences.sum())


def turned_back(features: Features, quarters: int, size: tuple[int, int]) -> Features:
    """Features of `np.rot90(image, quarters)` as features of the image of (width, height)."""
    width, height = size
    x, y = features.keypoints.T
    places = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}
    keypoints: FloatArray = np.stack(places[quarters], axis=1).astype(np.float32)
    return dataclasses.replace(features, keypoints=keypoints, image_size=size)
