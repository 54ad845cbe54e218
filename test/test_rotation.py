"""Images that are turned against each other."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import StereoPair

from superglue_ros.features import Features, GreyImage
from superglue_ros.inference import NearestMatcher, SuperPointExtractor
from superglue_ros.inference.rotation import turn_where_few, turned_back
from superglue_ros.lab.evaluation.methods import Method
from superglue_ros.lab.evaluation.pairs import HomographyTruth, ImagePair
from superglue_ros.lab.evaluation.runner import outcomes


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_keypoints_turned_back_lie_where_their_pixel_came_from(quarters: int) -> None:
    image = np.arange(5 * 8, dtype=np.uint8).reshape(5, 8)
    turned = np.rot90(image, quarters)
    rows, columns = np.indices(turned.shape)
    keypoints = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)
    features = Features(
        keypoints=keypoints,
        scores=np.ones(len(keypoints), np.float32),
        descriptors=np.zeros((len(keypoints), 0), np.float32),
        image_size=(turned.shape[1], turned.shape[0]),
        extractor="test",
    )
    back = turned_back(features, quarters, (8, 5))
    x, y = back.keypoints.astype(int).T
    np.testing.assert_array_equal(image[y, x], turned.ravel())
    assert back.image_size == (8, 5)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_an_image_turned_by_quarters_matches_itself(stereo_pair: StereoPair, quarters: int) -> None:
    image0: GreyImage = stereo_pair.left[:240, :320]
    image1 = np.ascontiguousarray(np.rot90(image0, quarters))
    extractor = SuperPointExtractor(max_keypoints=200, device="cpu", subpixel="off")
    matcher = NearestMatcher(match_threshold=0.9)
    features0, features1 = extractor.extract_batch([image0, image1])
    unturned = features1, matcher.match(features0, features1)
    features1, matches = turn_where_few(extractor, matcher.match, image1, features0, unturned)
    index0, index1 = matches.pairs.T
    assert len(index0) > 100
    x, y = features1.keypoints[index1].T
    height, width = image1.shape
    places = ((x, y), (height - 1 - y, x), (width - 1 - x, height - 1 - y), (y, width - 1 - x))
    truth = np.stack(places[quarters], axis=1)
    error = np.abs(truth - features0.keypoints[index0]).max(axis=1)
    assert (error < 1.5).mean() > 0.9


def test_the_evaluation_measures_matches_in_any_rotation(stereo_pair: StereoPair) -> None:
    image0: GreyImage = stereo_pair.left[:160, :240]
    on_its_side = np.array([[0.0, 1, 0], [-1, 0, 239], [0, 0, 1]])  # (x, y) to (y, 239 - x)
    image1 = np.ascontiguousarray(np.rot90(image0))
    pair = ImagePair("turned", image0, image1, HomographyTruth(on_its_side))
    extractor = SuperPointExtractor(max_keypoints=100, device="cpu")
    matcher = NearestMatcher(match_threshold=0.9)
    plain, turning = (
        next(outcomes(Method("test", extractor, matcher, any_rotation), [pair]))["test"].figures
        for any_rotation in (False, True)
    )
    assert turning["matching score"] > 0.7 > 0.2 > plain["matching score"]
    assert turning["RANSAC"] < 1 < plain["RANSAC"]
