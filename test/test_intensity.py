"""Intensities of 16 bits as grey of 8, and contrast."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from superglue_ros.config import IntensityConfig
from superglue_ros.intensity import Intensity


def ramp(low: int, high: int, side: int = 64) -> NDArray[np.uint16]:
    """(side, side) intensities from low to high, evenly."""
    return np.linspace(low, high, side * side).round().astype(np.uint16).reshape(side, side)


@pytest.mark.parametrize(
    ("low", "high"), [(7400, 8170), (0, 1023), (0, 4095), (100, 16383), (20000, 20300), (0, 65535)]
)
def test_whatever_part_of_16_bits_an_image_uses_fills_most_of_8(low: int, high: int) -> None:
    grey = Intensity().grey(ramp(low, high))
    assert int(grey.max()) - int(grey.min()) > 0.8 * 255
    assert (np.diff(grey.ravel().astype(int)) >= 0).all()


def test_few_dead_and_hot_pixels_do_not_stretch_the_range() -> None:
    image = ramp(7400, 8170)
    image[0, :5], image[1, :5] = 0, 65535
    grey = Intensity().grey(image)[2:]
    assert int(grey.max()) - int(grey.min()) > 0.8 * 255


def test_equal_counts_stay_equal_grey_while_the_images_fit() -> None:
    intensity = Intensity()
    first = intensity.grey(ramp(1000, 2000))
    second = intensity.grey(ramp(1000, 2000) + np.uint16(60))
    assert intensity.grey(ramp(1000, 2000)).tolist() == first.tolist()
    # 60 counts of a range of 1200, with its margins, are 60 * 255 / 1190 = 12.9 steps.
    assert np.abs(second.astype(int) - first.astype(int) - 12.9).max() <= 1.5


@pytest.mark.parametrize(("low", "high"), [(3000, 4000), (1400, 1600)], ids=["left", "shrunk"])
def test_an_image_outside_the_range_or_in_little_of_it_makes_it_anew(low: int, high: int) -> None:
    intensity = Intensity()
    intensity.grey(ramp(1000, 2000))
    grey = intensity.grey(ramp(low, high))
    assert int(grey.max()) - int(grey.min()) > 0.8 * 255


def test_a_given_range_holds_whatever_comes() -> None:
    intensity = Intensity(IntensityConfig(intensity_min=100, intensity_max=355))
    values = np.array([[0, 100, 101, 227, 355, 4000]], np.uint16)
    assert intensity.grey(values).tolist() == [[0, 0, 1, 127, 255, 255]]


def test_alpha_has_no_say_in_the_range() -> None:
    image = np.dstack([ramp(1000, 2000)] * 3 + [np.full((64, 64), 65535, np.uint16)])
    grey = Intensity().grey(image)[..., 0]
    assert int(grey.max()) - int(grey.min()) > 0.8 * 255


@pytest.mark.parametrize(("level", "grey"), [(0, 0), (65535, 255)])
def test_black_stays_black_and_white_white(level: int, grey: int) -> None:
    assert (Intensity().grey(np.full((8, 8), level, np.uint16)) == grey).all()


def test_equalisation_is_opencvs_and_off_at_first(rng: np.random.Generator) -> None:
    image = rng.integers(100, 130, (80, 96), np.uint8)
    assert Intensity().equalised(image) is image
    equalised = Intensity(IntensityConfig(clahe_clip_limit=2.0)).equalised(image)
    assert (equalised == cv2.createCLAHE(2.0, (8, 8)).apply(image)).all()
    assert equalised.std() > 1.5 * image.std()
    tiny = np.zeros((3, 5), np.uint8)
    assert Intensity(IntensityConfig(clahe_clip_limit=2.0)).equalised(tiny) is tiny
