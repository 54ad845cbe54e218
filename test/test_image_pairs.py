"""Pairs of images to matches: at once and one after the other, the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.inference import (
    ImagePairMatcher,
    MatchedImages,
    SuperGlueMatcher,
    SuperPointExtractor,
    image_pairs,
)

MakeImage = Callable[..., GreyImage]


def image_pair_matcher(engine: str, **settings: Any) -> ImagePairMatcher:
    return ImagePairMatcher(
        SuperPointExtractor(device="cpu", engine=engine, max_keypoints=60, **settings),
        SuperGlueMatcher(device="cpu", engine=engine, sinkhorn_iterations=20),
    )


@pytest.fixture(scope="module")
def fused() -> ImagePairMatcher:
    matcher = image_pair_matcher("fused")
    assert matcher.is_fused
    return matcher


@pytest.fixture(scope="module")
def separate() -> ImagePairMatcher:
    matcher = image_pair_matcher("torch")
    assert not matcher.is_fused
    return matcher


def assert_same(found: MatchedImages, expected: MatchedImages) -> None:
    for one, other in ((found[0], expected[0]), (found[1], expected[1])):
        assert (one.image_size, one.extractor) == (other.image_size, other.extractor)
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.descriptors, other.descriptors, atol=1e-4)
    np.testing.assert_array_equal(found.matches.matches0, expected.matches.matches0)
    np.testing.assert_array_equal(found.matches.matches1, expected.matches.matches1)
    np.testing.assert_allclose(
        found.matches.matching_scores0, expected.matches.matching_scores0, atol=1e-3
    )
    assert found.matches.matcher == expected.matches.matcher
    if expected.matches.assignment is not None:
        np.testing.assert_allclose(found.matches.assignment, expected.matches.assignment, atol=1e-3)


def shifted(image: GreyImage) -> GreyImage:
    return np.roll(image, (2, -8), axis=(0, 1))


@pytest.fixture
def pairs(make_image: MakeImage) -> list[tuple[GreyImage, GreyImage]]:
    """One image nearly without corners, one without."""
    images = [make_image(72, 104, seed=seed) for seed in range(3)]
    plain = np.full((72, 104), 128, np.uint8)
    dotted = plain.copy()
    dotted[30:40, 50:60] = 250
    return [(one, shifted(one)) for one in images] + [(images[0], dotted), (plain, images[1])]


@pytest.mark.parametrize("with_assignment", [False, True])
def test_at_once_is_the_same_as_one_after_the_other(
    fused: ImagePairMatcher,
    separate: ImagePairMatcher,
    pairs: list[tuple[GreyImage, GreyImage]],
    with_assignment: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In batches of two pairs, the last of one."""
    monkeypatch.setattr(image_pairs, "PAIRS_AT_ONCE", 2)
    found = fused.match(pairs, with_assignment=with_assignment)
    expected = separate.match(pairs, with_assignment=with_assignment)
    assert len(found) == len(expected) == 5
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert [len(one.matches) > 10 for one in found] == [True, True, True, False, False]
    assert len(found[4].features0) == 0


def test_places_in_buckets_as_on_a_gpu_change_nothing(
    separate: ImagePairMatcher, pairs: list[tuple[GreyImage, GreyImage]]
) -> None:
    in_buckets = image_pair_matcher("fused")
    in_buckets._matcher.running_engine.in_buckets = True
    found, expected = (one.match(pairs, with_assignment=True) for one in (in_buckets, separate))
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
        matches = in_buckets._matcher.match_tensors(one.features0, one.features1)
        np.testing.assert_array_equal(matches.matches0, one.matches.matches0)


def test_masks_and_images_that_are_reduced_are_treated_alike(make_image: MakeImage) -> None:
    image = make_image(90, 130)
    mask = np.zeros_like(image)
    mask[10:70, 20:110] = 1
    results = [
        image_pair_matcher(engine, resize=96).match([(image, shifted(image))], [(mask, None)])[0]
        for engine in ("fused", "torch")
    ]
    assert_same(*results)
    assert len(results[0].matches) > 5
    assert results[0].features0.keypoints[:, 0].max() < 110


def test_images_of_different_sizes_are_taken(
    fused: ImagePairMatcher, separate: ImagePairMatcher, make_image: MakeImage
) -> None:
    image = make_image(72, 104)
    pairs = [(image, image[:64, :96].copy()), (image, image)]
    for found, expected in zip(fused.match(pairs), separate.match(pairs), strict=True):
        assert_same(found, expected)
    assert fused.match([]) == []


def test_unfit_images_are_refused(fused: ImagePairMatcher, make_image: MakeImage) -> None:
    image = make_image(72, 104)
    with pytest.raises(InputError, match="uint8"):
        fused.match([(image, image.astype(np.float32))])
