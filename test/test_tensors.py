"""Features that stay on the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from superglue_ros.features import Features
from superglue_ros.inference.tensors import FeatureTensors

MakeFeatures = Callable[..., Features]
CPU = torch.device("cpu")


def test_features_come_back_as_they_went(make_features: MakeFeatures) -> None:
    for count in (0, 5):
        features = make_features(count)
        tensors = FeatureTensors.from_features(features, CPU)
        assert len(tensors) == count
        back = tensors.to_features()
        np.testing.assert_array_equal(back.keypoints, features.keypoints)
        np.testing.assert_array_equal(back.scores, features.scores)
        np.testing.assert_array_equal(back.descriptors, features.descriptors)
        assert back.image_size == features.image_size
        assert back.extractor == features.extractor


def test_descriptors_can_be_left_behind(make_features: MakeFeatures) -> None:
    tensors = FeatureTensors.from_features(make_features(5), CPU)
    assert tensors.to_features(with_descriptors=False).descriptors.shape == (5, 0)


def test_tensors_are_copies_in_single_precision(make_features: MakeFeatures) -> None:
    features = make_features(5)
    tensors = FeatureTensors.from_features(features, CPU)
    tensors.keypoints.zero_()
    assert features.keypoints.any()
    assert tensors.descriptors.dtype == torch.float32


def test_the_best_are_the_first(make_features: MakeFeatures) -> None:
    features = make_features(5)
    best = FeatureTensors.from_features(features, CPU).best(2).to_features()
    np.testing.assert_array_equal(best.keypoints, features.keypoints[:2])
    np.testing.assert_array_equal(best.scores, features.scores[:2])
    np.testing.assert_array_equal(best.descriptors, features.descriptors[:2])
    assert len(FeatureTensors.from_features(features, CPU).best(9)) == 5
