"""Fixtures that the tests share; nothing here needs ROS, and networks are loaded when used."""

from __future__ import annotations

import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from superglue_ros.errors import InputError
from superglue_ros.features import Features, GreyImage

if TYPE_CHECKING:
    from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-frames", type=int, default=200, help="frames that test_faults.py plays"
    )
    parser.addoption(
        "--memory-frames", type=int, default=200, help="frames that test_memory.py matches"
    )


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder for the tests and the processes they start; the user's stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_configure() -> None:
    # A job in the background of a shell ignores Ctrl-C, and so would the processes of the tests
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Triton reads this when it is imported, which is before any test that wants its interpreter
    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"


class StereoPair(NamedTuple):
    """A rectified pair: the pixel (x, y) of the left image is (x - disparity, y) of the right."""

    left: GreyImage
    right: GreyImage
    disparity: NDArray[np.float32]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def make_image() -> Callable[..., GreyImage]:
    """`make_image(height, width, seed=0)`: rectangles over a soft background, full of corners."""

    def make(height: int, width: int, seed: int = 0) -> GreyImage:
        random = np.random.default_rng(seed)
        image = random.uniform(90, 160, (height // 8 + 2, width // 8 + 2)).astype(np.float32)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
        for _ in range(height * width // 300):
            y, x = random.integers(0, height), random.integers(0, width)
            h, w = random.integers(5, 25, 2)
            image[y : y + h, x : x + w] = random.uniform(0, 255)
        return cv2.GaussianBlur(image, (3, 3), 0.7).clip(0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def make_features() -> Callable[..., Features]:
    """`make_features(count, seed=0, dim=256)`: random ones in an image of 320x240.

    They pass for features of the shipped SuperPoint, which the shipped SuperGlue asks for.
    """
    from superglue_ros.weights import SHIPPED

    extractor = f"superpoint sha256:{SHIPPED['superpoint'].sha256[:12]}"

    def make(count: int, seed: int = 0, dim: int = 256) -> Features:
        random = np.random.default_rng(seed)
        descriptors = random.normal(size=(count, dim))
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
        return Features(
            keypoints=random.uniform((4, 4), (315, 235), (count, 2)).astype(np.float32),
            scores=np.sort(random.uniform(0.01, 1, count))[::-1].astype(np.float32),
            descriptors=descriptors.astype(np.float32),
            image_size=(320, 240),
            extractor=extractor,
        )

    return make


@pytest.fixture(scope="session")
def stereo_pair() -> StereoPair:
    """The Middlebury motorcycle at 741x500, with its disparity (infinite where unknown)."""
    from superglue_ros.lab.demo.scenes import stereo_scene

    try:
        scene = stereo_scene()
    except InputError as error:
        pytest.skip(str(error))
    left, right = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in scene.frames[0])
    assert scene.disparity is not None
    return StereoPair(left, right, scene.disparity)


@pytest.fixture(scope="session")
def extractor() -> SuperPointExtractor:
    """The shipped SuperPoint with few keypoints; tests do not change its settings."""
    from superglue_ros.inference import SuperPointExtractor

    return SuperPointExtractor(max_keypoints=256, device="cpu")


@pytest.fixture(scope="session")
def matcher() -> SuperGlueMatcher:
    """The shipped SuperGlue; tests do not change its settings."""
    from superglue_ros.inference import SuperGlueMatcher

    return SuperGlueMatcher(device="cpu")


@pytest.fixture
def photographs(tmp_path: Path, make_image: Callable[..., GreyImage]) -> Path:
    """Archives of four crops to train on and two held out."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for part, seeds in (("train", range(4)), ("validation", range(4, 6))):
        with zipfile.ZipFile(folder / f"{part}-00.zip", "w") as archive:
            for seed in seeds:
                data = cv2.imencode(".webp", make_image(96, 128, seed=seed))[1].tobytes()
                archive.writestr(f"{seed}.webp", data)
    return folder
