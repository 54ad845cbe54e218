"""Pairs of images to matches: in batches as on a GPU and one after the other, the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest
from fused_helpers import Networks, as_on_a_gpu, logged, networks

from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage, Matches
from superglue_ros.inference import (
    ImagePairMatcher,
    MatchedImages,
    NearestMatcher,
    SiftExtractor,
)
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.lab.evaluation import pairs as evaluation
from superglue_ros.lab.evaluation.methods import Method
from superglue_ros.lab.evaluation.pairs import HomographyTruth
from superglue_ros.lab.evaluation.runner import outcomes

MakeImage = Callable[..., GreyImage]


@pytest.fixture(scope="module")
def fused() -> Iterator[Networks]:
    made = networks("fused")
    assert (made[0].engine, made[1].engine) == ("fused", "fused")
    with as_on_a_gpu(*made):
        yield made


@pytest.fixture(scope="module")
def exact() -> Networks:
    return networks("torch")


def assert_same_features(found: FeatureTensors, expected: FeatureTensors) -> None:
    assert (found.image_size, found.extractor) == (expected.image_size, expected.extractor)
    np.testing.assert_allclose(found.on_host.keypoints, expected.on_host.keypoints, atol=1e-3)
    np.testing.assert_allclose(found.on_host.scores, expected.on_host.scores, atol=1e-5)
    np.testing.assert_allclose(found.descriptors, expected.descriptors, atol=1e-4)


def assert_same_matches(found: Matches, expected: Matches) -> None:
    np.testing.assert_array_equal(found.matches0, expected.matches0)
    np.testing.assert_array_equal(found.matches1, expected.matches1)
    np.testing.assert_allclose(found.matching_scores0, expected.matching_scores0, atol=1e-3)
    np.testing.assert_allclose(found.matching_scores1, expected.matching_scores1, atol=1e-3)
    assert found.matcher == expected.matcher
    if expected.assignment is not None:
        np.testing.assert_allclose(found.assignment, expected.assignment, atol=1e-3)


def assert_same(found: MatchedImages, expected: MatchedImages) -> None:
    assert_same_features(found.features0, expected.features0)
    assert_same_features(found.features1, expected.features1)
    assert_same_matches(found.matches, expected.matches)


def shifted(image: GreyImage) -> GreyImage:
    return np.roll(image, (2, -8), axis=(0, 1))


@pytest.fixture
def pairs(make_image: MakeImage) -> list[tuple[GreyImage, GreyImage]]:
    """One image nearly without corners, one without, one of another size, both of another size."""
    images = [make_image(72, 104, seed=seed) for seed in range(3)]
    plain = np.full((72, 104), 128, np.uint8)
    dotted = plain.copy()
    dotted[30:40, 50:60] = 250
    odd = make_image(67, 90)
    return [
        *((one, shifted(one)) for one in images),
        (images[0], dotted),
        (plain, images[1]),
        (images[0], images[0][:64, :96].copy()),
        (odd, odd),
    ]


def test_in_batches_is_the_same_as_one_after_the_other(
    fused: Networks, exact: Networks, pairs: list[tuple[GreyImage, GreyImage]]
) -> None:
    """Two pairs at a time, the last of one."""
    found = list(ImagePairMatcher(*fused).match(pairs))
    expected = list(ImagePairMatcher(*exact).match(pairs))
    assert len(found) == len(expected) == 7
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert [len(one.matches) > 10 for one in found] == [True, True, True, False, False, True, True]
    assert len(found[4].features0) == 0
    assert list(ImagePairMatcher(*fused).match([])) == []


def test_the_next_batch_is_begun_before_one_is_waited_for(
    fused: Networks, pairs: list[tuple[GreyImage, GreyImage]]
) -> None:
    taken: list[int] = []

    def watched() -> Iterator[tuple[GreyImage, GreyImage]]:
        for number, pair in enumerate(pairs[:5]):
            taken.append(number)
            yield pair

    results = ImagePairMatcher(*fused).match(watched())
    with logged() as log:
        next(results)
        assert taken == [0, 1, 2, 3]
        first = ["extract", "match"] * 2
        # For the matches; the features of a batch, which its matches came after, have arrived
        assert log == [*first, "wait", "wait"]
        assert len(list(results)) == 4
    assert log[len(first) :] == ["wait", "wait", "extract", "match", *["wait"] * 4]


@pytest.mark.parametrize("with_assignment", [False, True])
def test_an_image_may_be_in_several_pairs_and_is_extracted_once(
    fused: Networks,
    exact: Networks,
    pairs: list[tuple[GreyImage, GreyImage]],
    with_assignment: bool,
) -> None:
    """A sequence of which the first image was extracted before, and one that the host knows."""
    images = [pairs[0][0], pairs[0][1], pairs[4][0], pairs[5][1]]
    results = []
    for extractor, matcher in (fused, exact):
        earlier = extractor.extract_tensors(images[:1])
        known = FeatureTensors.from_features(extractor.extract(images[1]), extractor.device)
        with logged() as log:
            features = [*earlier, *extractor.extract_tensors(images[1:])]
            sequence = [*pairwise(features), (known, features[0])]
            pending = matcher.begin_batch(sequence, with_assignment=with_assignment)
            assert "wait" not in log
            results.append(pending())
    for found, expected in zip(*results, strict=True):
        assert_same_matches(found, expected)
    assert [len(one) > 10 for one in results[0]] == [True, False, False, True]


def test_masks_and_images_that_are_reduced_are_treated_alike(make_image: MakeImage) -> None:
    image = make_image(90, 130)
    mask = np.zeros_like(image)
    mask[10:70, 20:110] = 1
    found = []
    for engine in ("fused", "torch"):
        extractor, matcher = networks(engine, resize=96)
        with as_on_a_gpu(extractor, matcher) if engine == "fused" else nullcontext():
            tensors = extractor.extract_tensors([image, shifted(image)], [mask, None])
            (matches,) = matcher.match_batch([(tensors[0], tensors[1])])
        found.append(MatchedImages(*tensors, matches))
    assert_same(*found)
    assert len(found[0].matches) > 5
    assert found[0].features0.keypoints[:, 0].max() < 110


def test_other_extractors_and_matchers_do_too(pairs: list[tuple[GreyImage, GreyImage]]) -> None:
    extractor, matcher = SiftExtractor(max_keypoints=50), NearestMatcher()
    for found, pair in zip(ImagePairMatcher(extractor, matcher).match(pairs), pairs, strict=True):
        features = extractor.extract_batch(pair)
        expected = matcher.match(*features)
        np.testing.assert_array_equal(found.features1.on_host.keypoints, features[1].keypoints)
        assert_same_matches(found.matches, expected)


@pytest.mark.parametrize("unfit", [0, 1])
def test_unfit_images_are_refused(fused: Networks, make_image: MakeImage, unfit: int) -> None:
    pair = [make_image(72, 104), make_image(72, 104)]
    pair[unfit] = pair[unfit].astype(np.float32)
    with pytest.raises(InputError, match="uint8"):
        list(ImagePairMatcher(*fused).match([(pair[0], pair[1])]))


def test_an_evaluation_in_batches_has_the_figures_of_one_by_one(
    fused: Networks, exact: Networks, make_image: MakeImage
) -> None:
    """Pairs of unequal sizes, of which image 1 is the upper left part of image 0."""
    pairs = []
    for seed, (height, width) in enumerate([(64, 96), (72, 104), (56, 90)]):
        image = make_image(72, 104, seed=seed)
        part = np.ascontiguousarray(image[:height, :width])
        pairs.append(evaluation.ImagePair("part", image, part, HomographyTruth(np.eye(3))))
    found, expected = (
        [one["superglue"].figures for one in outcomes(Method("superglue", *networks), pairs)]
        for networks in (fused, exact)
    )
    assert [one["matches"] > 10 for one in found] == [True] * 3
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-2)
