"""The same weights give the same results as the independent implementation in `transformers`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from random_networks import random_superglue, random_superpoint

from superglue_ros.features import Features, GreyImage
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.lab.benchmark.transformers_peer import (
    Given,
    transformers_superglue,
    transformers_superpoint,
)
from superglue_ros.weights.loading import load_superglue, load_superpoint

pytest.importorskip("transformers")

MakeImage = Callable[..., GreyImage]

THRESHOLD = 0.2


def given(features0: Features, features1: Features) -> Given:
    """Stands for the detector of their SuperGlue."""
    both = (features0, features1)
    return Given(
        torch.from_numpy(np.stack([f.keypoints / f.image_size for f in both])),
        torch.from_numpy(np.stack([f.scores for f in both])),
        torch.from_numpy(np.stack([f.descriptors for f in both])),
    )


@pytest.fixture(params=["random", "shipped"])
def superpoint_weights(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "shipped":
        return "superpoint"
    torch.save(random_superpoint().state_dict(), tmp_path / "random.pth")
    return str(tmp_path / "random.pth")


@pytest.fixture(params=["random", "shipped"])
def superglue_weights(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "shipped":
        return "superglue"
    torch.save(random_superglue().state_dict(), tmp_path / "random.pth")
    return str(tmp_path / "random.pth")


@torch.inference_mode()
def test_superpoint_finds_the_same_keypoints_and_descriptors(
    superpoint_weights: str, make_image: MakeImage
) -> None:
    height, width = 120, 160
    images = [make_image(height, width, seed=1), make_image(height, width, seed=2)]
    extractor = SuperPointExtractor(weights=superpoint_weights, subpixel="off")
    ours = extractor.extract_batch(images)
    model = transformers_superpoint(load_superpoint(superpoint_weights).network.state_dict())
    pixels = torch.from_numpy(np.stack(images) / 255).float()[:, None].repeat(1, 3, 1, 1)
    theirs = model(pixels)
    for index, features in enumerate(ours):
        count = int(theirs.mask[index].sum())
        points = (theirs.keypoints[index, :count] * torch.tensor([width, height])).round().numpy()
        # Theirs leaves the right and the lower border in.
        inner = (points < [width - 4, height - 4]).all(axis=1)
        scores = theirs.scores[index, :count].numpy()
        order = np.flatnonzero(inner)[np.argsort(-scores[inner], kind="stable")]
        assert 100 < len(features) < 1024  # neither nothing nor everything
        np.testing.assert_array_equal(features.keypoints, points[order])
        np.testing.assert_allclose(features.scores, scores[order], atol=1e-5)
        descriptors = theirs.descriptors[index, :count].numpy()[order]
        np.testing.assert_allclose(features.descriptors, descriptors, atol=1e-4)


def pair_with_overlap(make_features: Callable[..., Features]) -> tuple[Features, Features]:
    """60 keypoints in each image: 40 are of both, more or less alike, 20 of each alone."""
    random = np.random.default_rng(9)
    features0, others = make_features(60, seed=1), make_features(60, seed=2)
    order = random.permutation(60)
    noise = random.normal(size=(60, 256)) * np.linspace(0, 0.1, 60)[:, None]
    descriptors = features0.descriptors[order] + noise
    keypoints = features0.keypoints[order] + random.normal(scale=2, size=(60, 2))
    scores = features0.scores[order]
    keypoints[::3], descriptors[::3] = others.keypoints[::3], others.descriptors[::3]
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return features0, Features(
        keypoints=keypoints.astype(np.float32),
        scores=scores,
        descriptors=descriptors.astype(np.float32),
        image_size=features0.image_size,
        extractor=features0.extractor,
    )


@torch.inference_mode()
def test_superglue_finds_the_same_matches_and_probabilities(
    superglue_weights: str, make_features: Callable[..., Features]
) -> None:
    features0, features1 = pair_with_overlap(make_features)
    matcher = SuperGlueMatcher(weights=superglue_weights, match_threshold=THRESHOLD)
    matches = matcher.match(features0, features1, with_assignment=True)
    ours = [matches.matches0, matches.matches1]
    scores = [matches.matching_scores0, matches.matching_scores1]

    model = transformers_superglue(
        load_superglue(superglue_weights).network.state_dict(),
        given(features0, features1),
        iterations=100,
        threshold=THRESHOLD,
    )
    width, height = features0.image_size
    theirs = model(torch.zeros(1, 2, 3, height, width))

    assert 10 < len(matches) < 50  # neither nothing nor everything
    assert np.ptp(matches.confidences) > 0.2
    for side in (0, 1):
        clear = np.abs(scores[side] - THRESHOLD) > 1e-3
        assert clear.mean() > 0.9
        their_matches = theirs.matches[0, side].numpy()
        np.testing.assert_array_equal(ours[side][clear], their_matches[clear])
        # Theirs gives no score below the threshold.
        matched = clear & (ours[side] >= 0)
        their_scores = theirs.matching_scores[0, side].numpy()
        np.testing.assert_allclose(scores[side][matched], their_scores[matched], atol=1e-3)
