"""What only a GPU can show; all of it is skipped where there is none.

The first to have one runs this, then `superglue-ros bench --devices cuda --engines auto fused torch
--precisions auto fp32 fp16 bf16`. The ten thousand frames of the memory test take about a minute.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from superglue_ros.errors import DeviceError
from superglue_ros.features import Features, GreyImage
from superglue_ros.inference import (
    ImagePairMatcher,
    MatchedImages,
    SuperGlueMatcher,
    SuperPointExtractor,
)
from superglue_ros.inference.device import release_memory
from superglue_ros.inference.engines.graphs import GraphCache
from superglue_ros.inference.tensors import FeatureTensors

if TYPE_CHECKING:
    from conftest import StereoPair

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

MakeFeatures = Callable[..., Features]
MakeImage = Callable[..., GreyImage]

CUDA = torch.device("cuda")
CPU_TOLERANCE = 1e-3
FRAMES = 10_000


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Each test begins and ends without anything of its own on the device."""
    release_memory(CUDA)
    before = torch.cuda.memory_allocated()
    yield
    gc.collect()
    release_memory(CUDA)
    # cuBLAS keeps a workspace for each stream that it ever saw
    assert torch.cuda.memory_allocated() - before < 80 * 2**20


def pair_matcher(engine: str, precision: str = "auto", **settings: Any) -> ImagePairMatcher:
    shared = {"device": "cuda", "engine": engine, "precision": precision}
    extractor = SuperPointExtractor(subpixel="off", **shared, **settings)
    matcher = SuperGlueMatcher(**shared)
    assert (extractor.engine, matcher.engine) == (engine, engine)  # it passed its own test
    return ImagePairMatcher(extractor, matcher)


def one(results: Iterator[MatchedImages]) -> MatchedImages:
    (result,) = results
    return result


def places(matched: MatchedImages) -> set[tuple[float, ...]]:
    """The matches as x0, y0, x1, y1."""
    index0, index1 = matched.matches.pairs.T
    points0 = matched.features0.keypoints.cpu().numpy()[index0]
    points1 = matched.features1.keypoints.cpu().numpy()[index1]
    return {tuple(one) for one in np.hstack([points0, points1]).round(1).tolist()}


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.995), ("fp16", 0.98)])
def test_a_real_pair_has_the_matches_of_the_exact_engine(
    precision: str, least: float, stereo_pair: StereoPair
) -> None:
    images = [(stereo_pair.left, stereo_pair.right)]
    expected = places(one(pair_matcher("torch", "fp32").match(images)))
    matcher = pair_matcher("fused", precision)
    for _ in range(4):  # as it is, recorded, replayed
        found = places(one(matcher.match(images)))
        assert len(found & expected) >= least * len(expected) > 50


def test_bfloat16_either_passes_the_self_test_or_is_refused_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of the shipped SuperPoint it moves two keypoints in a hundred."""
    with caplog.at_level(logging.WARNING):
        extractor = SuperPointExtractor(device="cuda", precision="bf16")
    assert (extractor.engine == "fused") == (not caplog.records)


def test_the_exact_engine_gives_what_it_does_on_the_cpu(stereo_pair: StereoPair) -> None:
    """Which it would not with TensorFloat-32 convolutions."""
    images = [stereo_pair.left, stereo_pair.right]
    on_gpu, on_cpu = (
        SuperPointExtractor(device=device, engine="torch", subpixel="off").extract_batch(images)
        for device in ("cuda", "cpu")
    )
    for found, expected in zip(on_gpu, on_cpu, strict=True):
        shared = {tuple(p) for p in found.keypoints.tolist()} & {
            tuple(p) for p in expected.keypoints.tolist()
        }
        assert len(shared) >= 0.999 * len(expected)


def test_graphs_give_what_eager_calls_do(
    make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing images, so that a stale input would be seen."""
    images = [make_image(240, 320, seed=seed) for seed in range(6)]
    matcher = pair_matcher("fused", max_keypoints=300)
    pairs = list(zip(images, images[1:] + images[:1], strict=True))
    replayed = [one(matcher.match([pair])) for pair in pairs for _ in range(2)][1::2]
    monkeypatch.setattr(
        GraphCache, "__call__", lambda self, key, function, *inputs: function(*inputs)
    )
    for found, pair in zip(replayed, pairs, strict=True):
        (expected,) = matcher.match([pair])
        np.testing.assert_array_equal(found.matches.matches0, expected.matches.matches0)
        np.testing.assert_allclose(
            found.matches.matching_scores0, expected.matches.matching_scores0, atol=1e-3
        )
        torch.testing.assert_close(found.features0.keypoints, expected.features0.keypoints)
        torch.testing.assert_close(found.features1.descriptors, expected.features1.descriptors)


def test_recording_works(caplog: pytest.LogCaptureFixture, make_image: MakeImage) -> None:
    matcher = pair_matcher("fused", max_keypoints=200)
    image = make_image(120, 160)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            one(matcher.match([(image, image)]))
    assert not caplog.records  # neither graphs nor Triton were given up
    for engine in (matcher._extractor._engine, matcher._matcher._engine):  # type: ignore[attr-defined]
        assert any(graph is not None for graph in engine._graphs._graphs.values())


@pytest.mark.parametrize("counts", [(300, 70), (1, 200), (128, 128), (1, 1)])
def test_images_of_different_counts_match_as_on_the_cpu(
    counts: tuple[int, int], make_features: MakeFeatures
) -> None:
    first, second = (make_features(count, seed=seed) for seed, count in enumerate(counts))
    shared = min(counts) // 2 + 1
    second.descriptors[:shared] = first.descriptors[:shared]
    on_gpu = SuperGlueMatcher(device="cuda", engine="fused", precision="fp32")
    expected = SuperGlueMatcher(device="cpu", engine="torch").match(
        first, second, with_assignment=True
    )
    for _ in range(3):
        found = on_gpu.match(first, second, with_assignment=True)
        np.testing.assert_array_equal(found.matches0, expected.matches0)
        np.testing.assert_allclose(found.assignment, expected.assignment, atol=CPU_TOLERANCE)


def test_many_pairs_at_once_are_the_same_as_each_alone(make_image: MakeImage) -> None:
    images = [make_image(120, 160, seed=seed) for seed in range(20)]
    pairs = list(zip(images, images[1:] + images[:1], strict=True))
    matcher = pair_matcher("fused", max_keypoints=100)
    for found, pair in zip(matcher.match(pairs), pairs, strict=True):
        (alone,) = matcher.match([pair])
        same = found.matches.matches0 == alone.matches.matches0
        assert same.mean() > 0.97  # other shapes, other kernels, other last digits


def test_memory_is_flat_over_many_frames(make_image: MakeImage) -> None:
    images = [make_image(240, 320, seed=seed) for seed in range(7)]
    matcher = pair_matcher("fused", max_keypoints=256)
    allocated, reserved = [], []
    for frame in range(FRAMES):
        one(matcher.match([(images[frame % 7], images[(frame + 1) % 7])]))
        if frame % (FRAMES // 10) == FRAMES // 20:
            allocated.append(torch.cuda.memory_allocated())
            reserved.append(torch.cuda.memory_reserved())
    assert max(allocated[1:]) <= allocated[1] + 2**20
    assert max(reserved[1:]) <= reserved[1] + 2 * 2**20


def test_a_pair_of_2048_keypoints_takes_less_than_one_and_a_half_gibibytes(
    make_image: MakeImage,
) -> None:
    before = torch.cuda.memory_reserved()
    matcher = pair_matcher("fused", max_keypoints=2048, keypoint_threshold=0.0)
    image = make_image(480, 640)
    for _ in range(4):
        one(matcher.match([(image, image)]))
    assert torch.cuda.memory_reserved() - before < 1.5 * 2**30


def test_want_of_memory_is_a_device_error_and_the_next_call_works(make_image: MakeImage) -> None:
    image = make_image(480, 640)
    matcher = pair_matcher("fused", max_keypoints=256)
    expected = places(one(matcher.match([(image, image)])))
    hoard = torch.empty(torch.cuda.mem_get_info()[0] - 200 * 2**20, dtype=torch.uint8, device=CUDA)
    with pytest.raises(DeviceError, match="out of memory"):
        list(matcher.match([(image, image)] * 8))
    del hoard
    release_memory(CUDA)
    for _ in range(3):
        assert places(one(matcher.match([(image, image)]))) == expected


def test_descriptors_stay_on_the_device(make_image: MakeImage) -> None:
    image = make_image(120, 160)
    (found,) = pair_matcher("fused").match([(image, image)])
    assert isinstance(found.features0, FeatureTensors)
    assert found.features0.descriptors.is_cuda
