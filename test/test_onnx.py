"""The networks in ONNX Runtime give what they give in PyTorch, on real images too."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import StereoPair
from random_networks import random_superglue, random_superpoint

from superglue_ros.errors import InputError
from superglue_ros.features import Features, GreyImage
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.inference.engines import onnxruntime_engine
from superglue_ros.inference.onnx.cache import cache_folder, cached
from superglue_ros.inference.suppression import suppress_on_host
from superglue_ros.networks import non_maximum_suppression

pytest.importorskip("onnxruntime")


@pytest.fixture
def weights(tmp_path: Path) -> tuple[str, str]:
    """Weights under which every part of the networks decides about the result."""
    networks = {"superpoint": random_superpoint(), "superglue": random_superglue()}
    for name, network in networks.items():
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
    return str(tmp_path / "superpoint.pth"), str(tmp_path / "superglue.pth")


def extractors(weights: str, **settings: int) -> list[SuperPointExtractor]:
    made = [
        SuperPointExtractor(weights=weights, device="cpu", engine=engine, **settings)
        for engine in ("onnxruntime", "torch")
    ]
    assert [one.engine for one in made] == ["onnxruntime", "torch"]
    return made


@pytest.mark.parametrize("name", ["superpoint", "random"])
@pytest.mark.parametrize("size", [(96, 128), (101, 75)])
def test_the_keypoints_of_a_batch_are_the_same(
    name: str,
    size: tuple[int, int],
    weights: tuple[str, str],
    make_image: Callable[..., GreyImage],
) -> None:
    images = [make_image(*size, seed=seed) for seed in (1, 2)]
    fast, exact = (
        one.extract_batch(images) for one in extractors(weights[0] if name == "random" else name)
    )
    for found, expected in zip(fast, exact, strict=True):
        assert len(expected) > 20
        np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-3)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(found.descriptors, expected.descriptors, atol=1e-4)


@pytest.mark.parametrize("counts", [(60, 60), (60, 40), (1, 60), (60, 1)])
def test_the_matches_of_any_counts_are_the_same(
    counts: tuple[int, int], weights: tuple[str, str], make_features: Callable[..., Features]
) -> None:
    features0 = make_features(counts[0], seed=1)
    features1 = make_features(counts[1], seed=1)
    fast, exact = (
        SuperGlueMatcher(weights=weights[1], device="cpu", engine=engine).match(
            features0, features1, with_assignment=True
        )
        for engine in ("onnxruntime", "torch")
    )
    np.testing.assert_array_equal(fast.matches0, exact.matches0)
    np.testing.assert_array_equal(fast.matches1, exact.matches1)
    np.testing.assert_allclose(fast.assignment, exact.assignment, atol=1e-3)


def test_a_real_pair_matches_the_same(weights: tuple[str, str], stereo_pair: StereoPair) -> None:
    images = [stereo_pair.left, stereo_pair.right]
    for superglue in ("superglue", weights[1]):
        results = []
        for extractor in extractors("superpoint", max_keypoints=512):
            matcher = SuperGlueMatcher(weights=superglue, device="cpu", engine=extractor.engine)
            assert matcher.engine == extractor.engine
            results.append(matcher.match(*extractor.extract_batch(images)))
        fast, exact = results
        assert len(exact) > 20
        clear = np.abs(exact.matching_scores0 - 0.2) > 1e-3
        assert (fast.matches0 == exact.matches0)[clear].mean() >= 0.995


def test_a_map_is_suppressed_on_the_host_as_by_the_networks(rng: np.random.Generator) -> None:
    scores = rng.random((3, 40, 56), dtype=np.float32)
    scores[1] = scores[1].round(1)  # full of ties
    scores[2, 5:30, 7:20] = 0
    for radius in (0, 1, 4, 30):
        expected = non_maximum_suppression(torch.from_numpy(scores), radius).numpy()
        for found, wanted in zip(scores, expected, strict=True):
            np.testing.assert_array_equal(suppress_on_host(found, radius), wanted)


def test_an_export_is_made_once_for_each_content(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def export(network: torch.nn.Module) -> bytes:
        calls.append(network)
        return str(len(calls)).encode()

    network = torch.nn.Linear(2, 2)
    assert [cached(network, export) for _ in range(2)] == [b"1", b"1"]
    network.bias.data += 1
    assert cached(network, export) == b"2"
    assert len(list(cache_folder().iterdir())) == 2


def test_exports_that_were_not_used_for_long_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    networks = [torch.nn.Linear(2, 2) for _ in range(9)]
    for age, network in zip(range(9, 0, -1), networks, strict=True):
        before = set(cache_folder().glob("*"))
        cached(network, lambda _: b"content")
        (new,) = set(cache_folder().glob("*")) - before
        os.utime(new, (age * -100 + 1e9, age * -100 + 1e9))
    assert len(list(cache_folder().iterdir())) == 8
    assert cached(networks[-1], lambda _: b"other") == b"content"
    assert cached(networks[0], lambda _: b"other") == b"other"


def test_a_cache_that_cannot_be_written_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cached(torch.nn.Linear(2, 2), lambda _: b"content") == b"content"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_engine, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install onnx onnxruntime"):
        SuperPointExtractor(device="cpu", engine="onnxruntime")
    assert SuperPointExtractor(device="cpu").engine == "torch"
