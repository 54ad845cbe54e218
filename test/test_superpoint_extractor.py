"""SuperPoint on images of any size: pixels of the image as given, batches, empty results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import StereoPair
from safetensors.torch import save_file

from superglue_ros.errors import InputError
from superglue_ros.features import Features, GreyImage
from superglue_ros.inference import NearestMatcher, SuperPointExtractor
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.networks import SuperPoint, detector_probabilities
from superglue_ros.weights import SHIPPED
from superglue_ros.weights.loading import load_superpoint

MakeImage = Callable[..., GreyImage]


@pytest.fixture(scope="module")
def network() -> SuperPoint:
    return load_superpoint("superpoint").network.eval()


def assert_same(found: Features, expected: Features) -> None:
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-4)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.descriptors, expected.descriptors, atol=1e-4)
    assert found.image_size == expected.image_size
    assert found.extractor == expected.extractor


def assert_empty(found: Features, image: GreyImage) -> None:
    assert found.keypoints.shape == (0, 2)
    assert found.scores.shape == (0,)
    assert found.descriptors.shape == (0, 256)
    assert found.image_size == (image.shape[1], image.shape[0])


@pytest.mark.parametrize("shape", [(120, 160), (117, 155), (65, 130)])
def test_features_are_in_pixels_of_the_image_with_unit_descriptors(
    extractor: SuperPointExtractor, make_image: MakeImage, shape: tuple[int, int]
) -> None:
    features = extractor.extract(make_image(*shape))
    assert len(features) > 20
    assert features.image_size == shape[::-1]
    assert (features.keypoints >= 3).all()  # a pixel inside the border, moved by less than one
    assert (features.keypoints <= np.array(shape[::-1]) - 4).all()
    assert (np.diff(features.scores) <= 0).all()
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-5)
    for array in (features.keypoints, features.scores, features.descriptors):
        assert array.dtype == np.float32


@torch.inference_mode()
def test_scores_are_the_networks_at_the_keypoints(
    network: SuperPoint, make_image: MakeImage
) -> None:
    image = make_image(104, 136)
    features = SuperPointExtractor(subpixel="off").extract(image)
    logits, _ = network.heads(torch.from_numpy(image / 255).float()[None, None])
    probabilities = detector_probabilities(logits)[0].numpy()
    columns, rows = features.keypoints.astype(int).T
    np.testing.assert_allclose(features.scores, probabilities[rows, columns], atol=1e-5)


@torch.inference_mode()
def test_a_size_that_is_no_multiple_of_8_is_padded_at_its_end(
    network: SuperPoint, make_image: MakeImage
) -> None:
    image = make_image(99, 133)
    features = SuperPointExtractor(subpixel="off").extract(image)
    padded = np.zeros((104, 136), np.float32)
    padded[:99, :133] = image / 255
    padded[99:] = padded[98]
    padded[:, 133:] = padded[:, 132:133]
    probabilities = network(torch.from_numpy(padded)[None, None])[0][0].numpy()
    columns, rows = features.keypoints.astype(int).T
    np.testing.assert_allclose(features.scores, probabilities[rows, columns], atol=1e-5)


def test_images_of_a_batch_give_what_each_gives_alone(
    extractor: SuperPointExtractor, make_image: MakeImage
) -> None:
    shapes = [(96, 128), (57, 121), (96, 128), (128, 96), (57, 121)]
    images = [make_image(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    together = extractor.extract_batch(images)
    assert len({len(features) for features in together}) > 1
    for image, features in zip(images, together, strict=True):
        assert_same(features, extractor.extract(image))


def test_an_empty_batch_gives_an_empty_list(extractor: SuperPointExtractor) -> None:
    assert extractor.extract_batch([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (7, 9), (8, 8)])
def test_an_image_that_is_all_border_has_no_features(
    extractor: SuperPointExtractor, rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    assert_empty(extractor.extract(image), image)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_an_image_of_one_grey_value_has_no_features(value: int) -> None:
    image = np.full((64, 90), value, np.uint8)
    assert_empty(SuperPointExtractor(keypoint_threshold=0.0).extract(image), image)


def test_an_image_without_features_does_not_disturb_its_batch(
    extractor: SuperPointExtractor, make_image: MakeImage
) -> None:
    image = make_image(96, 128)
    black = np.zeros_like(image)
    first, empty, last = extractor.extract_batch([image, black, image])
    assert_empty(empty, black)
    assert_same(first, extractor.extract(image))
    assert_same(last, first)


def test_the_limit_keeps_the_most_confident(
    extractor: SuperPointExtractor, make_image: MakeImage
) -> None:
    image = make_image(120, 160)
    every = extractor.extract(image)
    best = SuperPointExtractor(max_keypoints=10).extract(image)
    assert len(best) == 10 < len(every)
    np.testing.assert_array_equal(best.keypoints, every.keypoints[:10])


def test_keypoints_lie_farther_apart_than_the_radius(make_image: MakeImage) -> None:
    for radius in (4, 9):
        extractor = SuperPointExtractor(nms_radius=radius, subpixel="off")
        points = extractor.extract(make_image(120, 160)).keypoints
        distances = np.abs(points[:, None] - points).max(axis=2)
        np.fill_diagonal(distances, np.inf)
        assert distances.min() == radius + 1


def test_settings_take_effect_when_replaced(make_image: MakeImage) -> None:
    extractor = SuperPointExtractor()
    image = make_image(96, 128)
    threshold = float(np.median(extractor.extract(image).scores))
    extractor.config = extractor.config.updated(keypoint_threshold=threshold)
    scores = extractor.extract(image).scores
    assert len(scores) > 0
    assert scores.min() > threshold
    extractor.config = extractor.config.updated(keypoint_threshold=1.0)
    assert_empty(extractor.extract(image), image)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_reduced_image_gives_keypoints_of_the_full_one(
    extractor: SuperPointExtractor, make_image: MakeImage, factor: int
) -> None:
    """An image of repeated pixels reduces to the one it was made from, whose keypoints are known:
    the centre of a block of f pixels is f * x + (f - 1) / 2."""
    small = make_image(88, 112)
    large = small.repeat(factor, axis=0).repeat(factor, axis=1)
    features = SuperPointExtractor(max_keypoints=256, resize=112).extract(large)
    expected = extractor.extract(small)
    np.testing.assert_allclose(
        features.keypoints, factor * expected.keypoints + (factor - 1) / 2, atol=1e-3
    )
    np.testing.assert_allclose(features.scores, expected.scores, atol=1e-5)
    assert features.image_size == (112 * factor, 88 * factor)


def test_images_of_unlike_sizes_are_reduced_each_by_its_own_scale(make_image: MakeImage) -> None:
    images = [make_image(100, 200), make_image(150, 75), make_image(60, 60)]
    features = SuperPointExtractor(resize=96).extract_batch(images)
    for image, found in zip(images, features, strict=True):
        height, width = image.shape
        assert found.image_size == (width, height)
        assert (found.keypoints < [width - 4, height - 4]).all()
        assert (found.keypoints.max(axis=0) > np.array([width, height]) * 0.7).all()


def pixels_of(features: FeatureTensors) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the pixel that each keypoint lies in."""
    columns, rows = np.floor(features.keypoints.numpy() + 0.5).astype(int).T
    return rows, columns


@pytest.mark.parametrize("resize", [0, 100, 64])
def test_keypoints_are_taken_where_the_mask_is_not_0(
    make_image: MakeImage, rng: np.random.Generator, resize: int
) -> None:
    image = make_image(120, 160)
    mask = np.repeat(np.repeat(rng.integers(0, 2, (30, 40), dtype=np.uint8), 4, 0), 4, 1) * 200
    extractor = SuperPointExtractor(resize=resize, subpixel="off")
    (free,) = extractor.extract_tensors([image])
    (masked,) = extractor.extract_tensors([image], [mask])
    assert (mask[pixels_of(free)] == 0).any()
    assert (mask[pixels_of(masked)] > 0).all()
    kept = 1.0 if resize == 0 else 0.8  # a reduced mask leaves out what lies on its edges
    assert len(masked) >= kept * (mask[pixels_of(free)] > 0).sum()
    pair = extractor.extract_tensors([image, image], [mask, None])
    assert [len(found) for found in pair] == [len(masked), len(free)]


def test_far_from_the_mask_the_keypoints_are_those_without_it(
    extractor: SuperPointExtractor, make_image: MakeImage
) -> None:
    image = make_image(120, 160)
    mask = np.ones_like(image)
    mask[:, :40] = 0
    found = [one.keypoints for one in extractor.extract_tensors([image, image], [mask, None])]
    masked, free = (points[points[:, 0] > 40 + 4 * 4].tolist() for points in found)
    assert len(masked) > 10
    assert masked == free


def test_a_masked_keypoint_does_not_suppress_its_neighbour(make_image: MakeImage) -> None:
    image = make_image(120, 160)
    every = SuperPointExtractor(nms_radius=1, max_keypoints=4096, subpixel="off")
    peaks = every.extract(image).keypoints
    extractor = SuperPointExtractor(nms_radius=6, subpixel="off")
    kept = extractor.extract(image).keypoints
    suppressed = [one for one in peaks.tolist() if one not in kept.tolist()]
    shadows = np.abs(np.array(suppressed)[:, None] - kept[None]).max(axis=2) <= 6
    alone = np.flatnonzero(shadows.sum(axis=1) == 1)  # with one stronger neighbour
    neighbour = suppressed[alone[0]]
    x, y = kept[np.flatnonzero(shadows[alone[0]])[0]].astype(int)
    mask = np.ones_like(image)
    mask[y - 1 : y + 2, x - 1 : x + 2] = 0
    (masked,) = extractor.extract_tensors([image], [mask])
    assert neighbour in masked.keypoints.tolist()
    assert [x, y] not in masked.keypoints.tolist()


def test_the_slope_of_a_masked_peak_is_no_keypoint(make_image: MakeImage) -> None:
    image = make_image(120, 160)
    extractor = SuperPointExtractor(subpixel="off")
    for x, y in extractor.extract(image).keypoints.astype(int)[:20]:
        mask = np.ones_like(image)
        mask[y, x] = 0  # the peak alone, so that its neighbours are higher than all that is left
        (masked,) = extractor.extract_tensors([image], [mask])
        assert (np.abs(masked.keypoints.numpy() - [x, y]).max(axis=1) > 1).all()


def test_subpixel_keypoints_stay_where_the_mask_is_not_0(
    make_image: MakeImage, rng: np.random.Generator
) -> None:
    image = make_image(120, 160)
    mask = np.repeat(np.repeat(rng.integers(0, 2, (60, 80), dtype=np.uint8), 2, 0), 2, 1)
    extractor = SuperPointExtractor(resize=0, subpixel="on")
    (masked,) = extractor.extract_tensors([image], [mask])
    assert len(masked) > 5
    assert (masked.keypoints != masked.keypoints.round()).any()
    assert (mask[pixels_of(masked)] > 0).all()


def test_a_mask_does_not_cost_keypoints_of_the_budget(make_image: MakeImage) -> None:
    image = make_image(120, 160)
    mask = np.ones_like(image)
    mask[:, 80:] = 0
    extractor = SuperPointExtractor(max_keypoints=15)
    (masked,) = extractor.extract_tensors([image], [mask])
    assert len(masked) == 15


def test_a_border_can_be_left_out(make_image: MakeImage) -> None:
    extractor = SuperPointExtractor(mask_border=30, subpixel="off")
    keypoints = extractor.extract(make_image(120, 160)).keypoints
    assert len(keypoints) > 5
    assert (keypoints >= 30).all()
    assert (keypoints <= [160 - 31, 120 - 31]).all()


def test_a_mask_of_nothing_gives_no_features(
    extractor: SuperPointExtractor, make_image: MakeImage
) -> None:
    image = make_image(96, 128)
    (masked,) = extractor.extract_tensors([image], [np.zeros_like(image)])
    assert_empty(masked.to_features(), image)


def test_a_mask_of_another_size_is_refused(
    extractor: SuperPointExtractor, make_image: MakeImage
) -> None:
    with pytest.raises(InputError, match="mask is 96x128, its image 128x96"):
        extractor.extract_tensors([make_image(96, 128)], [np.ones((128, 96), np.uint8)])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((32, 32), np.float32),
        np.zeros((0, 32), np.uint8),
    ],
)
def test_what_is_not_a_grey_image_is_refused(
    extractor: SuperPointExtractor, image: np.ndarray
) -> None:
    with pytest.raises(InputError, match="image must be"):
        extractor.extract_batch([np.zeros((32, 32), np.uint8), image])


def test_the_image_is_left_as_it_was(extractor: SuperPointExtractor, make_image: MakeImage) -> None:
    image = make_image(60, 70)
    before = image.copy()
    image.flags.writeable = False
    extractor.extract(image)
    np.testing.assert_array_equal(image, before)


def test_a_part_of_an_image_can_be_given_without_copying(
    extractor: SuperPointExtractor, make_image: MakeImage
) -> None:
    part = make_image(120, 160)[10:90:, 20:140][:, ::-1]
    assert_same(extractor.extract(part), extractor.extract(part.copy()))


def test_the_name_carries_the_digest_of_the_weights(extractor: SuperPointExtractor) -> None:
    digest = SHIPPED["superpoint"].sha256[:12]
    assert extractor.name == f"superpoint sha256:{digest}"
    black = np.zeros((16, 16), np.uint8)
    assert extractor.extract(black).extractor == extractor.name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_keypoint": 3}, "unknown setting 'max_keypoint'"),
        ({"nms_radius": 1000}, "nms_radius must be in the range 0 to 64"),
        ({"device": "tpu"}, "device must be auto, cpu, cuda"),
        ({"weights": "no_such_weights"}, "no weights 'no_such_weights'.*superpoint"),
        ({"weights": "superglue"}, "'superglue' are of SuperGlue, not of SuperPoint"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SuperPointExtractor(**settings)  # type: ignore[arg-type]


def test_subpixel_keypoints_lie_near_the_whole_ones_and_more_often_where_the_truth_is(
    stereo_pair: StereoPair,
) -> None:
    images = [stereo_pair.left, stereo_pair.right]
    whole, fine = (
        SuperPointExtractor(
            max_keypoints=512, resize=0, device="cpu", subpixel=subpixel
        ).extract_batch(images)
        for subpixel in ("off", "on")
    )
    moved = np.abs(fine[0].keypoints - whole[0].keypoints)
    assert 0 < moved.max() < 2

    def share_within_one_pixel(features: list[Features]) -> float:
        index0, index1 = NearestMatcher().match(*features).pairs.T
        ends0, ends1 = features[0].keypoints[index0], features[1].keypoints[index1]
        x, y = whole[0].keypoints[index0].astype(int).T
        truth = ends0 - np.stack([stereo_pair.disparity[y, x], np.zeros(len(x))], axis=1)
        error = np.linalg.norm(ends1 - truth, axis=1)
        return float(np.mean(error[np.isfinite(error)] < 1))

    assert share_within_one_pixel(fine) > share_within_one_pixel(whole)


def test_auto_takes_subpixel_keypoints_for_shipped_weights_and_whole_ones_for_others(
    stereo_pair: StereoPair, tmp_path: Path, network: SuperPoint
) -> None:
    unknown = tmp_path / "unknown.safetensors"
    save_file(network.state_dict(), unknown)

    def keypoints(**settings: str) -> np.ndarray:
        extractor = SuperPointExtractor(max_keypoints=50, device="cpu", **settings)
        return extractor.extract(stereo_pair.left).keypoints

    fine, whole = keypoints(subpixel="on"), keypoints(subpixel="off")
    assert not np.array_equal(fine, whole)
    np.testing.assert_array_equal(keypoints(), fine)
    np.testing.assert_array_equal(keypoints(weights=str(unknown)), whole)
