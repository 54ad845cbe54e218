"""SIFT features: RootSIFT descriptors, order, scale."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.inference import SiftExtractor

MakeImage = Callable[..., GreyImage]


@pytest.fixture(scope="module")
def image(make_image: MakeImage) -> GreyImage:
    return make_image(120, 160)


def test_features_are_opencvs_as_root_sift(image: GreyImage) -> None:
    features = SiftExtractor().extract(image)
    found, described = cv2.SIFT_create(nfeatures=1024).detectAndCompute(image, None)
    assert len(features) == len(found) > 20
    by_place = {
        (*keypoint.pt, keypoint.response): [] for keypoint in found
    }  # one place may have several orientations
    for keypoint, descriptor in zip(found, described, strict=True):
        root = np.sqrt(descriptor / descriptor.sum())
        by_place[(*keypoint.pt, keypoint.response)].append(root)
    strongest = max(keypoint.response for keypoint in found)
    for keypoint, score, descriptor in zip(
        features.keypoints, features.scores, features.descriptors, strict=True
    ):
        place = min(by_place, key=lambda known: np.abs(np.array(known[:2]) - keypoint).sum())
        np.testing.assert_allclose(keypoint, place[:2], atol=1e-4)
        assert score == pytest.approx(place[2] / strongest, rel=1e-5)
        assert min(np.abs(root - descriptor).max() for root in by_place[place]) < 1e-6


def test_features_have_unit_descriptors_and_the_strongest_come_first(image: GreyImage) -> None:
    features = SiftExtractor().extract(image)
    assert features.descriptors.shape == (len(features), 128)
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-5)
    assert features.scores[0] == 1
    assert features.scores.min() > 0
    assert (np.diff(features.scores) <= 0).all()
    for array in (features.keypoints, features.scores, features.descriptors):
        assert array.dtype == np.float32


def test_the_limit_keeps_the_strongest(image: GreyImage) -> None:
    best, every = SiftExtractor(max_keypoints=10).extract(image), SiftExtractor().extract(image)
    assert len(best) == 10 < len(every)
    np.testing.assert_array_equal(best.scores, every.scores[:10])


def test_a_reduced_image_gives_keypoints_of_the_full_one(image: GreyImage) -> None:
    large = image.repeat(2, axis=0).repeat(2, axis=1)
    features = SiftExtractor(resize=160).extract(large)
    expected = SiftExtractor().extract(image)
    np.testing.assert_allclose(features.keypoints, 2 * expected.keypoints + 0.5, atol=1e-3)
    assert features.image_size == (320, 240)


def test_a_batch_gives_what_each_image_gives_alone(image: GreyImage, make_image: MakeImage) -> None:
    images = [image, make_image(61, 77), np.zeros((5, 5), np.uint8)]
    extractor = SiftExtractor()
    for found, alone in zip(extractor.extract_batch(images), images, strict=True):
        expected = extractor.extract(alone)
        np.testing.assert_array_equal(found.keypoints, expected.keypoints)
        np.testing.assert_array_equal(found.descriptors, expected.descriptors)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 3), (64, 80)])
def test_an_image_of_one_grey_value_has_no_features(shape: tuple[int, int]) -> None:
    features = SiftExtractor().extract(np.full(shape, 200, np.uint8))
    assert features.keypoints.shape == (0, 2)
    assert features.scores.shape == (0,)
    assert features.descriptors.shape == (0, 128)
    assert features.image_size == shape[::-1]


def test_what_is_not_a_grey_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"got \(8, 8, 3\) uint8"):
        SiftExtractor().extract_batch([np.zeros((8, 8, 3), np.uint8)])


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(InputError, match="unknown setting 'nms_radius'"):
        SiftExtractor(nms_radius=4)


def test_the_name_carries_the_version_that_computes_it(image: GreyImage) -> None:
    assert SiftExtractor().extract(image).extractor == f"sift opencv-{cv2.__version__}"
