"""The fused SuperGlue is the same function as the plain one, padded or not."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from random_networks import randomise
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from superglue_ros.inference.fused_superglue import FeatureBatch, FusedSuperGlue
from superglue_ros.networks import SuperGlue, mutual_matches, optimal_transport
from superglue_ros.weights.loading import load_superglue

DIM = 16

Side = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def network() -> SuperGlue:
    """Every layer, batch statistics included, changes the result by about as much as it holds."""
    torch.manual_seed(1)
    network = SuperGlue(DIM)
    randomise(network, gain=0.5)
    return network.double().eval()


@pytest.fixture
def discerning(network: SuperGlue) -> SuperGlue:
    """The same with smaller changes, so that like descriptors score highest."""
    other = copy.deepcopy(network)
    for layer in (*(one.mlp[3] for one in other.gnn.layers), other.kenc.encoder[12]):
        layer.weight.data *= 0.05
        layer.bias.data *= 0.05
    nn.init.eye_(other.final_proj.weight[:, :, 0].data).mul_(8)
    return other


def image(seed: int, count: int, size: tuple[float, float]) -> Side:
    """Keypoints (N, 2), scores (N,), descriptors (N, D) and size (2,) of random features."""
    random = torch.Generator().manual_seed(seed)
    extent = torch.tensor(size, dtype=torch.float64)
    draw = {"generator": random, "dtype": torch.float64}
    descriptors = torch.nn.functional.normalize(torch.randn(count, DIM, **draw), dim=1)
    return torch.rand(count, 2, **draw) * extent, torch.rand(count, **draw), descriptors, extent


def plain_scores(network: SuperGlue, image0: Side, image1: Side) -> torch.Tensor:
    """(N, M) scores of one pair by the plain network."""
    inputs = [
        tensor[None]
        for keypoints, scores, descriptors, size in (image0, image1)
        for tensor in (keypoints, scores, descriptors.T, size)
    ]
    return network(*inputs)[0]


def stacked(
    images: Sequence[Side], *, padding: float | None = None, length: int = 0
) -> FeatureBatch:
    """A batch of images, padded with a value where one is given."""
    counts = None if padding is None else torch.tensor([len(image[1]) for image in images])
    longest = (torch.zeros(length, 2), torch.zeros(length), torch.zeros(length, DIM))
    columns = [
        pad_sequence([*column, extra], batch_first=True, padding_value=padding or 0)[:-1]
        for column, extra in zip(list(zip(*images, strict=True))[:3], longest, strict=True)
    ]
    return FeatureBatch(*columns, torch.stack([image[3] for image in images]), counts)


@torch.inference_mode()
def test_the_scores_are_those_of_the_plain_network(network: SuperGlue) -> None:
    images0 = [image(seed, 9, (640, 480)) for seed in range(3)]
    images1 = [image(10 + seed, 9, (300, 500)) for seed in range(3)]
    found = FusedSuperGlue(network, torch.float64)(stacked([*images0, *images1]))
    for index, pair in enumerate(zip(images0, images1, strict=True)):
        torch.testing.assert_close(found[index], plain_scores(network, *pair))


@torch.inference_mode()
@pytest.mark.parametrize("padding", [0.0, 300.0, -7.0])
def test_padding_changes_no_score(network: SuperGlue, padding: float) -> None:
    counts = [(9, 4), (4, 9), (1, 1), (16, 1), (1, 16), (0, 5), (5, 0), (16, 16)]
    pairs = [
        (image(index, n, (640, 480)), image(20 + index, m, (500, 300)))
        for index, (n, m) in enumerate(counts)
    ]
    images = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
    found = FusedSuperGlue(network, torch.float64)(stacked(images, padding=padding, length=16))
    for scores, pair, (n, m) in zip(found, pairs, counts, strict=True):
        if n and m:
            torch.testing.assert_close(scores[:n, :m], plain_scores(network, *pair))


@torch.inference_mode()
def test_padding_changes_no_match(discerning: SuperGlue) -> None:
    """Half of the keypoints of each image are seen in the other; buckets of 16 and 40 places."""
    pairs = []
    for seed, (n, m) in enumerate([(12, 9), (7, 15), (16, 16), (0, 6)]):
        first, second = image(seed, n, (640, 480)), image(40 + seed, m, (640, 480))
        shared = min(n, m) // 2
        for given, taken in zip(first[:3], second[:3], strict=True):
            taken[:shared] = given[:shared]
        pairs.append((first, second))
    images = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
    fused, bin_score = FusedSuperGlue(discerning, torch.float64), torch.tensor(5.0)
    results = []
    for length in (16, 40):
        batch = stacked(images, padding=0.0, length=length)
        counts0, counts1 = batch.counts.chunk(2)  # type: ignore[union-attr]
        assigned = optimal_transport(fused(batch), bin_score, 100, (counts0, counts1))
        results.append(mutual_matches(assigned, 0.2))
    for index, (first, second) in enumerate(pairs):
        n, m = len(first[1]), len(second[1])
        small, large = ([tensor[index] for tensor in result] for result in results)
        for one, other, count in zip(small, large, (n, m, n, m), strict=True):
            torch.testing.assert_close(one[:count], other[:count], atol=1e-5, rtol=0)
        if n and m:
            alone = optimal_transport(plain_scores(discerning, first, second)[None], bin_score, 100)
            for one, expected in zip(small, mutual_matches(alone, 0.2), strict=True):
                torch.testing.assert_close(one[: expected.shape[1]], expected[0], atol=1e-5, rtol=0)
    assert sum(int((matches >= 0).sum()) for matches in results[0][0]) > 5


@torch.inference_mode()
def test_layers_that_add_a_constant_are_left_out(network: SuperGlue) -> None:
    partly = SuperGlue(DIM).double().eval()
    partly.load_state_dict(network.state_dict())
    for index in (0, 3, 4, 17):
        nn.init.zeros_(partly.gnn.layers[index].mlp[3].weight)
    fused = FusedSuperGlue(partly, torch.float64)
    assert len(fused.layers) == 14
    pair = image(0, 6, (640, 480)), image(1, 6, (640, 480))
    torch.testing.assert_close(fused(stacked(pair))[0], plain_scores(partly, *pair))


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float16, 0.01)])
def test_half_precision_gives_float32_scores_near_the_exact_ones(
    network: SuperGlue, dtype: torch.dtype, tolerance: float
) -> None:
    single = SuperGlue(DIM).eval()
    single.load_state_dict(network.state_dict())
    pair = image(0, 12, (640, 480)), image(1, 12, (640, 480))
    batch = FeatureBatch(*(one if one is None else one.float() for one in stacked(pair)))
    found = FusedSuperGlue(single, dtype)(batch)
    assert found.dtype == torch.float32
    expected = FusedSuperGlue(single)(batch)
    assert (found - expected).abs().max() < tolerance * expected.abs().max()


def test_the_shipped_network_is_left_as_it_was() -> None:
    loaded = load_superglue("superglue").network.eval()
    before = {name: tensor.clone() for name, tensor in loaded.state_dict().items()}
    FusedSuperGlue(loaded)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, before[name])
