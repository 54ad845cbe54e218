"""What is noticed of images that can be decoded."""

from __future__ import annotations

import numpy as np
import pytest

from superglue_ros.features import GreyImage
from superglue_ros.image_checks import ImageChecks


def kinds(image: GreyImage) -> list[str]:
    return [finding.kind for finding in ImageChecks("image").of(image)]


def noise(rng: np.random.Generator, low: int, high: int) -> GreyImage:
    return rng.integers(low, high, (120, 160), np.uint8)


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (0, 1, "black image"),
        (0, 9, "black image"),  # a covered lens, with the noise of its sensor
        (255, 256, "overexposed image"),
        (120, 126, "image of hardly any contrast"),
    ],
)
def test_an_image_without_content_is_named(
    low: int, high: int, kind: str, rng: np.random.Generator
) -> None:
    assert kinds(noise(rng, low, high)) == [kind]


def test_an_image_of_which_more_than_half_is_white_is_overexposed(rng: np.random.Generator) -> None:
    image = noise(rng, 0, 200)
    image[:50] = 255
    assert kinds(image) == []
    image[:70] = 255
    assert kinds(image) == ["overexposed image"]


def test_a_night_scene_with_lights_is_nothing_to_tell(rng: np.random.Generator) -> None:
    image = noise(rng, 0, 9)
    image[40:50, 40:60] = 220
    assert kinds(image) == []


def test_the_fourth_of_equal_images_is_told_and_a_bit_of_noise_ends_it(
    rng: np.random.Generator,
) -> None:
    checks, image = ImageChecks("left/image"), noise(rng, 0, 255)
    found = [checks.of(image) for _ in range(5)]
    assert [len(one) for one in found] == [0, 0, 0, 1, 1]
    assert found[4][0].kind == "repeated image"
    assert "left/image" in found[4][0].text
    assert "5 times" in found[4][0].text
    image = image.copy()
    image[::2, 7] ^= 1
    assert checks.of(image) == []
