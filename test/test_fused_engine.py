"""The fused engine gives what the exact one does; its steps wait for nothing; its graphs."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from fused_helpers import as_on_a_gpu
from torch.utils._python_dispatch import TorchDispatchMode

from superglue_ros.features import Features, GreyImage
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.inference.engines import (
    EngineUnavailableError,
    graphs,
)
from superglue_ros.inference.engines.graphs import GraphCache
from superglue_ros.inference.fused_matching import MatchingSettings, match
from superglue_ros.inference.fused_superglue import FeatureBatch, FusedSuperGlue
from superglue_ros.inference.fused_superpoint import DetectionSettings, FusedSuperPoint, detect
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.inference.transfers import Download
from superglue_ros.networks import log_optimal_transport
from superglue_ros.weights.loading import load_superglue, load_superpoint

if TYPE_CHECKING:
    from conftest import StereoPair

MakeFeatures = Callable[..., Features]
MakeImage = Callable[..., GreyImage]


@pytest.fixture(scope="module")
def exact() -> tuple[SuperPointExtractor, SuperGlueMatcher]:
    return (
        SuperPointExtractor(device="cpu", engine="torch", max_keypoints=300),
        SuperGlueMatcher(device="cpu", engine="torch"),
    )


@pytest.fixture(scope="module")
def fused() -> tuple[SuperPointExtractor, SuperGlueMatcher]:
    extractor = SuperPointExtractor(device="cpu", engine="fused", max_keypoints=300)
    matcher = SuperGlueMatcher(device="cpu", engine="fused")
    assert (extractor.engine, matcher.engine) == ("fused", "fused")  # it passed its test
    return extractor, matcher


def assert_same_features(found: Features, expected: Features) -> None:
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.descriptors, expected.descriptors, atol=1e-4)


@pytest.mark.parametrize("subpixel", ["on", "off"])
def test_keypoints_and_descriptors_are_those_of_the_exact_engine(
    subpixel: str, exact: Any, fused: Any, make_image: MakeImage
) -> None:
    """Images of one size and another, plain ones, masks, sides that are no multiples of 8."""
    images = [make_image(101, 131, seed=1), np.full((101, 131), 90, np.uint8), make_image(96, 64)]
    mask = np.zeros((101, 131), np.uint8)
    mask[20:70, 30:110] = 1
    for masks in (None, [mask, None, None]):
        results = []
        for extractor in (fused[0], exact[0]):
            config = extractor.config
            extractor.config = config.updated(subpixel=subpixel)
            results.append([one.to_features() for one in extractor.extract_tensors(images, masks)])
            extractor.config = config
        for found, expected in zip(*results, strict=True):
            assert_same_features(found, expected)
        assert [len(found) > 0 for found in results[0]] == [True, False, True]


def test_a_real_pair_has_the_matches_of_the_exact_engine(
    exact: Any, fused: Any, stereo_pair: StereoPair
) -> None:
    features = exact[0].extract_batch([stereo_pair.left, stereo_pair.right])
    for found, expected in zip(
        fused[0].extract_batch([stereo_pair.left, stereo_pair.right]), features, strict=True
    ):
        assert_same_features(found, expected)
    found, expected = (
        matcher.match(*features, with_assignment=True) for matcher in (fused[1], exact[1])
    )
    np.testing.assert_array_equal(found.matches0, expected.matches0)
    np.testing.assert_array_equal(found.matches1, expected.matches1)
    np.testing.assert_allclose(found.assignment, expected.assignment, atol=1e-3)
    assert len(found) > 100


def test_pairs_of_different_counts_are_matched_at_once_as_each_alone(
    exact: Any, fused: Any, make_features: MakeFeatures
) -> None:
    pairs = []
    for seed, (count0, count1) in enumerate([(30, 30), (30, 7), (1, 30), (12, 1)]):
        first, second = make_features(count0, seed=seed), make_features(count1, seed=9 + seed)
        shared = min(count0, count1) // 2 + 1
        second.descriptors[:shared] = first.descriptors[:shared]
        pairs.append(
            tuple(FeatureTensors.from_features(one, torch.device("cpu")) for one in (first, second))
        )
    with as_on_a_gpu(*fused):
        together = fused[1].match_batch(pairs, with_assignment=True)
    alone = exact[1].match_batch(pairs, with_assignment=True)
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found.matches0, expected.matches0)
        np.testing.assert_array_equal(found.matches1, expected.matches1)
        np.testing.assert_allclose(found.matching_scores0, expected.matching_scores0, atol=1e-5)
        np.testing.assert_allclose(found.matching_scores1, expected.matching_scores1, atol=1e-5)
        np.testing.assert_allclose(found.assignment, expected.assignment, atol=1e-5)
        assert len(found) > 0


def test_half_precision_is_not_for_the_cpu() -> None:
    with pytest.raises(EngineUnavailableError, match="not in fp16: take engine auto"):
        SuperPointExtractor(device="cpu", engine="fused", precision="fp16")


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "least"), [(torch.float16, 0.99), (torch.bfloat16, 0.95)])
def test_half_precision_finds_nearly_the_same_keypoints(
    dtype: torch.dtype, least: float, make_image: MakeImage
) -> None:
    image = make_image(240, 320)
    settings = DetectionSettings(image.shape, 0.005, 4, 300, subpixel=False)
    network = load_superpoint("superpoint").network
    exact, found = (
        detect(FusedSuperPoint(network, one), settings, torch.from_numpy(image)[None], None)
        for one in (torch.float32, dtype)
    )
    expected = {tuple(point) for point in exact.keypoints[0].tolist()}
    shared = expected & {tuple(point) for point in found.keypoints[0].tolist()}
    assert len(expected) == 300
    assert len(shared) >= least * 300
    assert found.descriptors.dtype == torch.float32


class Operations(TorchDispatchMode):
    """Notes the names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


WAITING = (
    "_local_scalar_dense",
    "item",
    "nonzero",
    "lift_fresh",
    "equal",
    "unique",
    "masked_select",
)
"""Operations that read a value back from the device, or that bring one from the host."""


def assert_nothing_waits(operations: Operations) -> None:
    assert len(operations.names) > 10
    found = [name for name in operations.names if any(word in name for word in WAITING)]
    assert not found


@torch.inference_mode()
@pytest.mark.parametrize("masked", [False, True])
def test_detection_waits_for_nothing(masked: bool, make_image: MakeImage) -> None:
    network = FusedSuperPoint(load_superpoint("superpoint").network)
    images = torch.from_numpy(np.stack([make_image(64, 80, seed=seed) for seed in range(2)]))
    settings = DetectionSettings((64, 80), 0.005, 4, 50, subpixel=True)
    with Operations() as operations:
        detect(network, settings, images, torch.ones_like(images) if masked else None)
    assert_nothing_waits(operations)


def solver_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has no look at the scores' range."""
    monkeypatch.setattr(
        "superglue_ros.inference.fused_matching.optimal_transport",
        lambda *problem: log_optimal_transport(*problem).exp(),
    )


@torch.inference_mode()
def test_matching_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    solver_for_gpus(monkeypatch)
    network = FusedSuperGlue(load_superglue("superglue").network.eval())
    batch = FeatureBatch(
        torch.rand(4, 20, 2),
        torch.rand(4, 20),
        torch.rand(4, 20, 256),
        torch.rand(4, 2),
        torch.tensor([20, 3, 0, 7]),
    )
    settings = MatchingSettings(0.2, 3, with_assignment=True)
    with Operations() as operations:
        match(network, settings, batch)
    assert_nothing_waits(operations)


class NoTransfers:
    """Between the host and a device that has shapes but no values."""

    def upload(self, array: np.ndarray) -> torch.Tensor:
        return torch.empty(array.shape, dtype=getattr(torch, str(array.dtype)), device="meta")

    def download(self, *tensors: torch.Tensor) -> Download:
        assert all(tensor.is_meta for tensor in tensors)
        return Download([], tensors[0].device, done=None)


def test_from_images_to_matches_nothing_comes_back_to_the_host(
    fused: Any, make_image: MakeImage, make_features: MakeFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside the recorded steps too: a device without values refuses to give one away."""
    solver_for_gpus(monkeypatch)
    extractor, matcher = (copy.deepcopy(one) for one in fused)
    for engine in (extractor._engine, matcher._engine):
        engine._network.to("meta")
        engine._transfers = NoTransfers()
    matcher.device = torch.device("meta")
    images = [make_image(61, 80, seed=seed) for seed in range(3)]
    masks = [None, np.ones((61, 80), np.uint8), None]
    known = FeatureTensors.from_features(make_features(7), torch.device("meta"))
    with as_on_a_gpu(extractor, matcher), Operations() as operations:
        (earlier,) = extractor.extract_tensors(images[:1])
        found = extractor.extract_tensors(images, masks)
        pairs = [(earlier, found[0]), (found[0], found[1]), (known, found[2])]
        matcher.begin_batch(pairs, with_assignment=True)
    assert_nothing_waits(operations)
    assert {one.places.descriptors.shape for one in found} == {(384, 256)}
    with pytest.raises(RuntimeError, match="meta"):
        found[0].places.scores.amax().item()


class FakeGraph:
    """In the place of a recording: counts what is done with it."""

    made: list[FakeGraph]
    error: Exception | None = None

    def __init__(self, function: Any, inputs: Any, pool: Any) -> None:
        if self.error is not None:
            raise self.error
        self.function, self.replays = function, 0
        self.made.append(self)

    def replay(self, inputs: Any) -> Any:
        self.replays += 1
        return self.function(*inputs)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> GraphCache:
    """A cache that takes the CPU for a device that can record."""
    monkeypatch.setattr(graphs, "_Graph", FakeGraph)
    monkeypatch.setattr(FakeGraph, "made", [], raising=False)
    monkeypatch.setattr(FakeGraph, "error", None)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    made = GraphCache(torch.device("cpu"))
    made._active = True
    return made


def twice(x: torch.Tensor) -> tuple[torch.Tensor]:
    return (2 * x,)


def test_the_second_call_records_and_later_ones_replay(cache: GraphCache) -> None:
    for value in range(5):
        assert cache("twice", twice, torch.tensor([float(value)]))[0].tolist() == [2 * value]
    assert [graph.replays for graph in FakeGraph.made] == [4]


def test_other_shapes_and_settings_have_recordings_of_their_own(cache: GraphCache) -> None:
    for _ in range(2):
        for key, size in (("twice", 1), ("twice", 2), ("other", 1)):
            cache(key, twice, torch.ones(size))
    assert len(FakeGraph.made) == 3


def test_what_was_unused_for_longest_is_forgotten(cache: GraphCache) -> None:
    for key in range(3 * graphs.CAPACITY):
        for _ in range(2):
            cache(key, twice, torch.ones(1))
        cache(0, twice, torch.ones(1))  # stays in use
    assert len(cache._graphs) == graphs.CAPACITY
    assert FakeGraph.made[0].replays == 3 * graphs.CAPACITY + 1


def test_where_recording_fails_functions_run_as_they_are_after_one_warning(
    cache: GraphCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(FakeGraph, "error", RuntimeError("operation not permitted\nand more"))
    with caplog.at_level(logging.WARNING):
        for value in range(4):
            assert cache("twice", twice, torch.tensor([value]))[0].tolist() == [2 * value]
    assert [record.getMessage() for record in caplog.records] == [
        "no CUDA graphs on cpu, which is slower: operation not permitted"
    ]


def test_want_of_memory_gives_up_all_recordings_and_is_raised(
    cache: GraphCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        cache("twice", twice, torch.ones(1))
    monkeypatch.setattr(FakeGraph, "error", torch.cuda.OutOfMemoryError("CUDA out of memory"))
    cache("other", twice, torch.ones(1))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        cache("other", twice, torch.ones(1))
    assert not cache._graphs
    assert cache("twice", twice, torch.ones(1))[0].tolist() == [2]
