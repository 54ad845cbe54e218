"""Pairs from files: what is drawn of them stays true, whatever is done to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from superglue_ros.errors import InputError
from superglue_ros.lab.training.cache import PAIRS_IN_FILE
from superglue_ros.lab.training.cached_examples import CachedExamples
from superglue_ros.lab.training.examples import Examples
from superglue_ros.lab.training.export import export_weights, save_tensors
from superglue_ros.lab.training.ground_truth import NO_MATCH
from superglue_ros.lab.training.pairs import VISIBLE
from superglue_ros.lab.training.shallow import keep_layers
from superglue_ros.lab.training.warm_start import warm_start
from superglue_ros.networks import SuperGlue
from superglue_ros.networks import superglue as superglue_module
from superglue_ros.networks.superglue import LAYERS
from superglue_ros.weights.loading import load_superglue

WIDTH, HEIGHT, COUNT = 200, 100, 60
SHIFT = torch.tensor([7.0, -4.0])
CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Images 1 that show images 0 shifted; a keypoint's descriptor says which one it is."""
    generator = Generator().manual_seed(0)
    grid = torch.cartesian_prod(torch.arange(20.0, 180, 16), torch.arange(20.0, 80, 10))
    keypoints0 = grid.expand(PAIRS_IN_FILE, COUNT, 2)
    scores = torch.rand(PAIRS_IN_FILE, COUNT, generator=generator) + 0.1
    names = torch.arange(PAIRS_IN_FILE * COUNT).view(PAIRS_IN_FILE, COUNT, 1)
    descriptors = torch.cat([names // COUNT, names % COUNT, torch.ones_like(names)], dim=2).half()
    shuffled = torch.randperm(COUNT, generator=generator)
    parts = {
        "keypoints": torch.stack([keypoints0, (keypoints0 + SHIFT)[:, shuffled]]),
        "targets": torch.stack([keypoints0 + SHIFT, keypoints0[:, shuffled]]),
        "scores": torch.stack([scores, scores[:, shuffled]]),
        "descriptors": torch.stack([descriptors, descriptors[:, shuffled]]),
        "visibility": torch.full((2, PAIRS_IN_FILE, COUNT), VISIBLE, dtype=torch.uint8),
        "size": torch.tensor([WIDTH, HEIGHT]),
    }
    path = tmp_path / "train-0000.safetensors"
    save_tensors({name: tensor.contiguous() for name, tensor in parts.items()}, path)
    return path


def draw(cache: Path, count: int, *, varied: bool = True, turned_share: float = 0.0) -> Examples:
    source = CachedExamples([cache], 16, CPU, varied, turned_share)
    return source.draw(count, Generator().manual_seed(5))


def names_of(examples: Examples, side: int) -> Tensor:
    return examples.sides[side].descriptors[:, :2].mT


@pytest.mark.parametrize("turned_share", [0.0, 1.0])
def test_drawn_matches_are_those_of_the_file(cache: Path, turned_share: float) -> None:
    examples = draw(cache, 20, turned_share=turned_share)
    matches = examples.truth.matches0
    assert int((matches >= 0).sum()) > 100
    for pair in range(16):
        partners = matches[pair][matches[pair] >= 0]
        names0 = names_of(examples, 0)[pair][matches[pair] >= 0]
        assert torch.equal(names0, names_of(examples, 1)[pair][partners])


def test_matches_are_found_wherever_both_windows_show_a_keypoint(cache: Path) -> None:
    examples = draw(cache, 20)
    names0, names1 = names_of(examples, 0), names_of(examples, 1)
    same = (names0[:, :, None] == names1[:, None]).all(dim=3)
    own = [side.descriptors[:, 0].mode(dim=1).values for side in examples.sides]
    partners = same.any(dim=2) & (names0[..., 0] == own[0][:, None])  # strangers have none
    strangers_too = examples.truth.matches0 >= 0
    assert (partners == strangers_too).float().mean() > 0.98


def test_keypoints_lie_in_their_windows(cache: Path) -> None:
    examples = draw(cache, 20, turned_share=1.0)
    for side, sizes in zip(examples.sides, examples.sizes, strict=True):
        assert (side.keypoints >= 0).all()
        assert (side.keypoints <= sizes[:, None]).all()
        assert torch.allclose(side.scores.amax(dim=1), torch.ones(16))


def test_keypoints_that_are_missing_are_strangers_without_a_partner(cache: Path) -> None:
    examples = draw(cache, COUNT + 30)
    names = names_of(examples, 0)[..., 0]
    strangers = names != names.mode(dim=1).values[:, None]
    assert int(strangers.sum()) >= 16 * 30
    assert (examples.truth.matches0[strangers] == NO_MATCH).all()


def test_validation_draws_the_best_keypoints_of_whole_images(cache: Path) -> None:
    examples = draw(cache, 20, varied=False)
    scores = examples.sides[0].scores
    assert torch.equal(scores, scores.sort(dim=1, descending=True).values)
    assert (examples.sizes == torch.tensor([WIDTH, HEIGHT])).all()
    assert (examples.truth.matches0 >= 0).all()


def test_the_same_generator_draws_the_same(cache: Path) -> None:
    first, second = draw(cache, 20), draw(cache, 20)
    assert torch.equal(first.sides[1].keypoints, second.sides[1].keypoints)


def test_a_file_cut_short_is_named(cache: Path) -> None:
    cache.write_bytes(cache.read_bytes()[:1000])
    with pytest.raises(InputError, match="train-0000"):
        draw(cache, 20)


def test_a_file_of_a_shallow_network_computes_the_same_with_all_layers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shallow = keep_layers(warm_start(SuperGlue(8)), 2).eval()
    for parameter in shallow.parameters():
        parameter.data.copy_(torch.randn(parameter.shape).half() * 0.3)  # exact in the file
    export_weights(shallow, tmp_path / "shallow.safetensors")
    whole = load_superglue(str(tmp_path / "shallow.safetensors")).network.eval()
    assert len(whole.gnn.layers) == LAYERS
    side = torch.rand(1, 9, 2), torch.rand(1, 9), torch.rand(1, 8, 9), torch.ones(1, 2)
    assert torch.equal(whole(*side, *side), shallow(*side, *side))


def test_layers_that_do_something_are_not_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superglue_module, "LAYERS", 4)
    network = SuperGlue(8)
    with pytest.raises(InputError, match="layer 2"):
        keep_layers(network, 2)
