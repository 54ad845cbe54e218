"""SuperGlue on features: what belongs together, thresholds, empty and unfit inputs."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from superglue_ros.errors import InputError
from superglue_ros.features import Features, GreyImage, Matches
from superglue_ros.inference import SiftExtractor, SuperGlueMatcher, SuperPointExtractor
from superglue_ros.networks import SuperGlue
from superglue_ros.weights import SHIPPED

if TYPE_CHECKING:
    from conftest import StereoPair

MakeFeatures = Callable[..., Features]
MakeImage = Callable[..., GreyImage]


def taken(features: Features, order: np.ndarray) -> Features:
    return dataclasses.replace(
        features,
        keypoints=features.keypoints[order],
        scores=features.scores[order],
        descriptors=features.descriptors[order],
        patches=None if features.patches is None else features.patches[order],
    )


def correct_share(
    matches: Matches, features0: Features, features1: Features, disparity: np.ndarray
) -> float:
    """Share of the matches within 3 px of the ground truth, of those for which it is known."""
    index0, index1 = matches.pairs.T
    points0, points1 = features0.keypoints[index0], features1.keypoints[index1]
    columns, rows = np.rint(points0).astype(int).T
    known = np.isfinite(disparity[rows, columns])
    expected = points0 - np.stack([disparity[rows, columns], np.zeros(len(rows))], axis=1)
    errors = np.linalg.norm(points1 - expected, axis=1)[known]
    return float((errors < 3).mean())


def test_identical_features_match_to_themselves(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    features = make_features(60)
    matches = matcher.match(features, features)
    np.testing.assert_array_equal(matches.matches0, np.arange(60))
    np.testing.assert_array_equal(matches.matches1, np.arange(60))
    assert matches.matching_scores0.min() > 0.9


def test_shuffled_features_are_found_again(
    matcher: SuperGlueMatcher, make_features: MakeFeatures, rng: np.random.Generator
) -> None:
    features, order = make_features(50), rng.permutation(50)
    matches = matcher.match(features, taken(features, order))
    np.testing.assert_array_equal(matches.matches1, order)
    np.testing.assert_array_equal(matches.matches0, np.argsort(order))


def test_keypoints_that_the_other_image_lacks_stay_unmatched(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    features = make_features(40)
    matches = matcher.match(features, taken(features, np.arange(25)))
    assert matches.matches0.tolist() == [*range(25), *[-1] * 15]
    assert matches.matches1.tolist() == list(range(25))
    assert len(matches) == 25


def test_swapping_the_images_swaps_the_matches(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    features0 = make_features(40)
    features1 = taken(features0, np.arange(39, 10, -1))
    forth, back = matcher.match(features0, features1), matcher.match(features1, features0)
    np.testing.assert_array_equal(forth.matches0, back.matches1)
    np.testing.assert_array_equal(forth.matches1, back.matches0)
    np.testing.assert_allclose(forth.matching_scores0, back.matching_scores1, atol=1e-3)


@pytest.fixture(scope="module")
def stereo_features(stereo_pair: StereoPair) -> list[Features]:
    extractor = SuperPointExtractor(max_keypoints=512, device="cpu")
    return extractor.extract_batch([stereo_pair.left, stereo_pair.right])


def test_a_real_image_matches_to_itself(
    matcher: SuperGlueMatcher, stereo_features: list[Features]
) -> None:
    features = taken(stereo_features[0], np.arange(200))
    matches = matcher.match(features, features)
    assert (matches.matches0 == np.arange(200)).mean() > 0.95


def test_a_stereo_pair_matches_along_its_disparity(
    matcher: SuperGlueMatcher, stereo_features: list[Features], stereo_pair: StereoPair
) -> None:
    """291 matches, 63 % of them within 3 px, with the preliminary weights."""
    matches = matcher.match(*stereo_features)
    assert len(matches) > 150
    assert correct_share(matches, *stereo_features, stereo_pair.disparity) > 0.5


def test_a_black_image_beside_a_good_one_has_no_matches(
    extractor: SuperPointExtractor, matcher: SuperGlueMatcher, make_image: MakeImage
) -> None:
    image = make_image(96, 128)
    features0, features1 = extractor.extract_batch([image, np.zeros_like(image)])
    matches = matcher.match(features0, features1)
    assert len(matches) == 0
    assert matches.matches0.shape == (len(features0),)


@pytest.mark.parametrize(("count0", "count1"), [(0, 0), (0, 5), (5, 0)])
def test_an_image_without_keypoints_has_no_matches(
    matcher: SuperGlueMatcher, make_features: MakeFeatures, count0: int, count1: int
) -> None:
    matches = matcher.match(make_features(count0), make_features(count1), with_assignment=True)
    assert matches.matches0.tolist() == [-1] * count0
    assert matches.matches1.tolist() == [-1] * count1
    assert matches.matching_scores0.tolist() == [0] * count0
    assert matches.matching_scores1.tolist() == [0] * count1
    assert matches.assignment.shape == (count0 + 1, count1 + 1)
    assert matches.assignment[:-1].tolist() == [[1]] * count0  # all of it in the dustbin
    assert matches.assignment[-1].tolist() == [1] * count1 + [0]


def test_features_without_keypoints_may_come_without_descriptors(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    assert len(matcher.match(make_features(0, dim=0), make_features(3))) == 0


def test_a_single_keypoint_can_be_matched(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    features = make_features(1)
    assert matcher.match(features, features).pairs.tolist() == [[0, 0]]


def test_the_assignment_comes_only_when_asked_for(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    features0 = make_features(12)
    features1 = taken(features0, np.arange(8))
    assert matcher.match(features0, features1).assignment is None
    matches = matcher.match(features0, features1, with_assignment=True)
    assignment = matches.assignment
    assert (assignment.shape, assignment.dtype) == ((13, 9), np.float32)
    np.testing.assert_allclose(assignment.sum(axis=0), [1] * 8 + [12], rtol=1e-3)
    index0, index1 = matches.pairs.T
    np.testing.assert_array_equal(assignment[index0, index1], matches.confidences)


def test_below_the_threshold_the_score_stays_beside_no_match(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    features = make_features(20)
    strict = SuperGlueMatcher(match_threshold=1.0)
    matches = strict.match(features, features)
    assert len(matches) == 0
    expected = matcher.match(features, features).matching_scores0
    np.testing.assert_allclose(matches.matching_scores0, expected)


def test_settings_take_effect_when_replaced(make_features: MakeFeatures) -> None:
    matcher, features = SuperGlueMatcher(), make_features(20)
    noise = np.random.default_rng(5).normal(scale=0.05, size=features.descriptors.shape)
    noisy = dataclasses.replace(
        features, descriptors=(features.descriptors + noise).astype(np.float32)
    )
    many = matcher.match(features, noisy, with_assignment=True).assignment
    matcher.config = matcher.config.updated(sinkhorn_iterations=1)
    few = matcher.match(features, noisy, with_assignment=True).assignment
    assert np.abs(many - few).max() > 0.01
    matcher.config = matcher.config.updated(match_threshold=1.0)
    assert len(matcher.match(features, features)) == 0


def test_descriptors_of_another_size_are_refused_with_the_extractor(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    with pytest.raises(InputError, match=r"must be \(N, 256\), got \(4, 128\) from superpoint"):
        matcher.match(make_features(3), make_features(4, dim=128))


def test_features_without_descriptors_are_refused_with_the_remedy(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    with pytest.raises(InputError, match=r"4 features from superpoint .* carry no descriptors"):
        matcher.match(make_features(4, dim=0), make_features(3))


def test_features_of_another_extractor_are_refused(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    features = make_features(4)
    other = dataclasses.replace(features, extractor="disk sha256:0123456789ab")
    for pair in ((features, other), (other, features), (other, other)):
        with pytest.raises(InputError, match=r"'disk sha256:0123.* made for 'superpoint"):
            matcher.match(*pair)


def test_arrays_of_another_precision_or_read_only_are_taken(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    features = make_features(10)
    arrays = {
        "keypoints": features.keypoints.astype(np.float64),
        "scores": features.scores.astype(np.float64),
        "descriptors": features.descriptors.astype(np.float64),
    }
    for array in arrays.values():
        array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matches = matcher.match(dataclasses.replace(features, **arrays), features)
    assert matches.matches0.tolist() == list(range(10))
    assert matches.matching_scores0.dtype == np.float32


def test_the_name_carries_the_digest_of_the_weights(
    matcher: SuperGlueMatcher, make_features: MakeFeatures
) -> None:
    assert matcher.name == f"superglue sha256:{SHIPPED['superglue'].sha256[:12]}"
    assert matcher.match(make_features(2), make_features(2)).matcher == matcher.name
    assert matcher.match(make_features(0), make_features(2)).matcher == matcher.name


def test_a_network_for_sift_matches_sift_features(tmp_path: Path, make_image: MakeImage) -> None:
    torch.save(SuperGlue(128).state_dict(), tmp_path / "sift.pth")
    matcher = SuperGlueMatcher(weights=str(tmp_path / "sift.pth"))
    features = SiftExtractor(max_keypoints=20).extract(make_image(90, 120))
    matches = matcher.match(features, features)
    assert matches.matches0.shape == (len(features),)
    assert matcher.name.startswith("sift sha256:")
    with pytest.raises(InputError, match=r"must be \(N, 128\)"):
        matcher.match(dataclasses.replace(features, descriptors=np.ones((20, 256))), features)
    with pytest.raises(InputError, match="the other image's are from"):
        matcher.match(features, dataclasses.replace(features, extractor="other"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sinkhorn_iterations": 0}, "sinkhorn_iterations must be in the range 1 to 1000"),
        ({"match_thresh": 0.1}, "unknown setting 'match_thresh'"),
        ({"device": "cuda:99"}, "'cuda:99' asked for"),
        ({"weights": "superpoint"}, "'superpoint' are of SuperPoint, not of SuperGlue"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SuperGlueMatcher(**settings)  # type: ignore[arg-type]
