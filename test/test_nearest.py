"""Mutual nearest neighbours against a search by loops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from superglue_ros.errors import InputError
from superglue_ros.features import Features
from superglue_ros.inference import NearestMatcher, SiftExtractor

if TYPE_CHECKING:
    from conftest import StereoPair

MakeFeatures = Callable[..., Features]


def with_descriptors(make_features: MakeFeatures, rows: list[list[float]]) -> Features:
    features = make_features(len(rows), dim=len(rows[0]))
    return dataclasses.replace(features, descriptors=np.array(rows, np.float32))


def test_mutual_nearest_descriptors_match_by_their_cosine(make_features: MakeFeatures) -> None:
    features0 = with_descriptors(make_features, [[1, 0], [0, 1], [0.6, 0.8]])
    features1 = with_descriptors(make_features, [[0, 1], [0.8, 0.6]])
    # Cosines: 0 and 0.8, 1 and 0.6, 0.8 and 0.96.
    matches = NearestMatcher(match_threshold=0.7).match(features0, features1)
    assert matches.matches0.tolist() == [-1, 0, 1]
    assert matches.matches1.tolist() == [1, 2]
    np.testing.assert_allclose(matches.matching_scores0, [0, 1, 0.96], rtol=1e-6)
    np.testing.assert_allclose(matches.matching_scores1, [1, 0.96], rtol=1e-6)


@pytest.mark.parametrize("threshold", [-1.0, 0.2])
def test_it_finds_what_a_search_by_loops_finds(
    make_features: MakeFeatures, threshold: float
) -> None:
    features0, features1 = make_features(30, seed=1, dim=16), make_features(20, seed=2, dim=16)
    matches = NearestMatcher(match_threshold=threshold).match(features0, features1)
    expected = []
    for i, own in enumerate(features0.descriptors):
        nearest = min(range(20), key=lambda j: np.linalg.norm(own - features1.descriptors[j]))
        other = features1.descriptors[nearest]
        back = min(range(30), key=lambda k: np.linalg.norm(other - features0.descriptors[k]))
        if back == i and own @ other > threshold:
            expected.append([i, nearest])
    assert len(expected) > 3
    assert matches.pairs.tolist() == expected


def test_the_threshold_is_a_cosine(make_features: MakeFeatures) -> None:
    features0 = with_descriptors(make_features, [[1, 0]])
    features1 = with_descriptors(make_features, [[0.6, 0.8]])
    assert len(NearestMatcher(match_threshold=0.59).match(features0, features1)) == 1
    strict = NearestMatcher(match_threshold=0.61).match(features0, features1)
    assert len(strict) == 0
    assert strict.matching_scores0 == pytest.approx(0.6)


@pytest.mark.parametrize(("count0", "count1"), [(0, 0), (0, 4), (4, 0)])
def test_an_image_without_keypoints_has_no_matches(
    make_features: MakeFeatures, count0: int, count1: int
) -> None:
    matches = NearestMatcher().match(
        make_features(count0), make_features(count1), with_assignment=True
    )
    assert matches.matches0.tolist() == [-1] * count0
    assert matches.matches1.tolist() == [-1] * count1
    assert matches.assignment.shape == (count0 + 1, count1 + 1)


def test_the_assignment_is_the_cosines_with_empty_dustbins(make_features: MakeFeatures) -> None:
    features0, features1 = make_features(3, seed=1), make_features(2, seed=2)
    assignment = NearestMatcher().match(features0, features1, with_assignment=True).assignment
    cosines = features0.descriptors @ features1.descriptors.T
    np.testing.assert_allclose(assignment[:-1, :-1], cosines, atol=1e-6)
    assert not assignment[-1].any()
    assert not assignment[:, -1].any()


def test_descriptors_of_unlike_sizes_are_refused(make_features: MakeFeatures) -> None:
    with pytest.raises(InputError, match=r"must be \(N, 256\), got \(4, 128\)"):
        NearestMatcher().match(make_features(3), make_features(4, dim=128))


def test_features_of_different_extractors_are_refused(make_features: MakeFeatures) -> None:
    features = make_features(3)
    other = dataclasses.replace(features, extractor="other")
    with pytest.raises(InputError, match="from extractor 'other'"):
        NearestMatcher().match(features, other)
    assert len(NearestMatcher().match(other, other)) == 3


@pytest.mark.parametrize(("dim0", "dim1"), [(0, 8), (8, 0), (0, 0)])
def test_features_without_descriptors_are_refused(
    make_features: MakeFeatures, dim0: int, dim1: int
) -> None:
    with pytest.raises(InputError, match="carry no descriptors"):
        NearestMatcher().match(make_features(3, dim=dim0), make_features(3, dim=dim1))


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(InputError, match="unknown setting 'ratio'"):
        NearestMatcher(ratio=0.8)


def test_sift_features_of_a_stereo_pair_match_along_their_rows(stereo_pair: StereoPair) -> None:
    """The pair is rectified: 76 % of 294 matches lie within 3 px of the ground truth."""
    features0, features1 = SiftExtractor(max_keypoints=512).extract_batch(
        [stereo_pair.left, stereo_pair.right]
    )
    matches = NearestMatcher().match(features0, features1)
    index0, index1 = matches.pairs.T
    rows_apart = np.abs(features0.keypoints[index0, 1] - features1.keypoints[index1, 1])
    assert len(matches) > 150
    assert (rows_apart < 3).mean() > 0.6
