"""Features that stay on the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from superglue_ros.features import Features
from superglue_ros.inference.tensors import Arrival, FeatureTensors
from superglue_ros.inference.transfers import Download

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
    features = make_features(5)
    found = FeatureTensors.from_features(features, CPU).on_host
    assert found.descriptors.shape == (5, 0)
    np.testing.assert_array_equal(found.keypoints, features.keypoints)


def test_what_is_being_computed_has_room_to_spare_until_someone_asks(
    make_features: MakeFeatures,
) -> None:
    """Places for eight, of which the second image of a batch fills three."""

    class Waited(Download):
        waits = 0

        def result(self) -> list[np.ndarray]:
            Waited.waits += 1
            return super().result()

    features = make_features(8)
    everything = FeatureTensors.from_features(features, CPU).places
    counts = torch.tensor([8, 3])
    batch = [counts, *(torch.stack([one, one]) for one in everything[:2])]
    arrival = Arrival(counts[1], Waited(batch, CPU, done=None), index=1)
    tensors = FeatureTensors(*everything[:3], features.image_size, features.extractor, arrival)
    assert tensors.to(CPU) is tensors
    assert (tensors.count.item(), len(tensors.places.scores), Waited.waits) == (3, 8, 0)
    assert len(tensors) == len(tensors.descriptors) == 3
    np.testing.assert_array_equal(tensors.to_features().descriptors, features.descriptors[:3])
    np.testing.assert_array_equal(tensors.keypoints, features.keypoints[:3])
    np.testing.assert_array_equal(tensors.on_host.scores, features.scores[:3])
    assert Waited.waits == 1


def test_the_count_of_what_is_known_is_there_on_the_device(make_features: MakeFeatures) -> None:
    for count in (0, 5):
        assert FeatureTensors.from_features(make_features(count), CPU).count.tolist() == count


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
