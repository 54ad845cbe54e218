"""The stage that trains SuperGlue: its beginning, its loss, and that it learns."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from superglue_ros.lab.training import examples as examples_module
from superglue_ros.lab.training.ablations import take_out
from superglue_ros.lab.training.config import MatcherConfig
from superglue_ros.lab.training.examples import FreshExamples
from superglue_ros.lab.training.export import export_weights
from superglue_ros.lab.training.frontend import KeypointBatch
from superglue_ros.lab.training.ground_truth import IGNORED, NO_MATCH, TrueMatches
from superglue_ros.lab.training.loop import Loop
from superglue_ros.lab.training.pairs import make_pairs
from superglue_ros.lab.training.shallow import keep_layers
from superglue_ros.lab.training.stages.matcher import (
    BIN_SCORE_BATCHES,
    CALIBRATION_SEED,
    MatcherStage,
    assignment_loss,
    precision_recall,
)
from superglue_ros.lab.training.warm_start import BEGINNINGS, wake, warm_start
from superglue_ros.networks import SuperGlue, log_optimal_transport
from superglue_ros.networks import superglue as superglue_module
from superglue_ros.weights.loading import load_superglue


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The tensors are small: more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_side(count: int, dim: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = Generator().manual_seed(seed)
    descriptors = torch.nn.functional.normalize(
        torch.randn(1, dim, count, generator=generator), dim=1
    )
    keypoints = torch.rand(1, count, 2, generator=generator) * 100
    scores = torch.rand(1, count, generator=generator)
    return keypoints, scores, descriptors, torch.tensor([[100.0, 100.0]])


@pytest.mark.parametrize(("extractor", "dim"), [("superpoint", 256), ("sift", 128)])
def test_the_warm_start_is_nearest_neighbours_with_optimal_transport(
    extractor: str, dim: int
) -> None:
    torch.manual_seed(0)
    network = warm_start(SuperGlue(dim), extractor).train()
    side0, side1 = random_side(20, dim, 1), random_side(30, dim, 2)
    scores = network(*side0, *side1)
    cosine = side0[2].mT @ side1[2]
    torch.testing.assert_close(
        scores, BEGINNINGS[extractor].cosine_scale * cosine, atol=1e-4, rtol=1e-4
    )
    assert network.bin_score.item() == BEGINNINGS[extractor].bin_score


def test_gradients_reach_every_branch_of_the_warm_start() -> None:
    torch.manual_seed(0)
    network = warm_start(SuperGlue(128)).train()
    network(*random_side(20, 128, 1), *random_side(20, 128, 2)).square().sum().backward()
    for layer in network.gnn.layers:
        assert float(layer.mlp[-1].weight.grad.abs().sum()) > 0
    assert float(network.kenc.encoder[-1].weight.grad.abs().sum()) > 0


def certain_assignment() -> tuple[Tensor, TrueMatches]:
    """Keypoints 0 and 1 of image 0 match 1 and 0, keypoint 2 of image 0 is alone."""
    probabilities = torch.full((1, 4, 3), 1e-9)
    probabilities[0, 0, 1] = probabilities[0, 1, 0] = 1.0
    probabilities[0, 2, 2] = 1.0
    truth = TrueMatches(torch.tensor([[1, 0, NO_MATCH]]), torch.tensor([[1, 0]]))
    return probabilities.log(), truth


def test_a_certain_right_assignment_costs_nothing() -> None:
    log_probabilities, truth = certain_assignment()
    assert float(assignment_loss(log_probabilities, truth)) == pytest.approx(0.0, abs=1e-6)
    precision, recall = precision_recall(log_probabilities, truth)
    assert (float(precision), float(recall)) == (1.0, 1.0)


def test_the_loss_is_the_mean_of_both_kinds_by_hand() -> None:
    probabilities = torch.full((1, 3, 3), 0.1)
    probabilities[0, 0, 0], probabilities[0, 1, 2], probabilities[0, 2, 1] = 0.5, 0.25, 0.5
    truth = TrueMatches(torch.tensor([[0, NO_MATCH]]), torch.tensor([[0, NO_MATCH]]))
    by_hand = -(math.log(0.5) + (math.log(0.25) + math.log(0.5)) / 2) / 2
    assert float(assignment_loss(probabilities.log(), truth)) == pytest.approx(by_hand)


def test_ignored_keypoints_count_in_nothing() -> None:
    log_probabilities, truth = certain_assignment()
    wrong = TrueMatches(torch.tensor([[IGNORED, 0, NO_MATCH]]), torch.tensor([[1, IGNORED]]))
    log_probabilities[0, 0, 1] = -20
    assert float(assignment_loss(log_probabilities, wrong)) == pytest.approx(0.0, abs=1e-6)
    assert truth.matches0[0, 0] == 1


def test_wrong_matches_cost_precision_and_missed_ones_recall() -> None:
    probabilities = torch.full((1, 4, 4), 0.01)
    probabilities[0, 0, 0], probabilities[0, 1, 1] = 0.9, 0.9
    truth = TrueMatches(torch.tensor([[0, 2, 1]]), torch.tensor([[0, 2, 1]]))
    precision, recall = precision_recall(probabilities.log(), truth)
    assert (float(precision), float(recall)) == (pytest.approx(1 / 2), pytest.approx(1 / 3))


@pytest.mark.parametrize("part", ["no_graph", "no_cross", "no_position"])
def test_a_network_without_a_part_still_runs_and_is_another(few_layers: None, part: str) -> None:
    torch.manual_seed(0)
    sides = (*random_side(20, 128, 1), *random_side(20, 128, 2))
    whole = SuperGlue(128).eval()
    expected = whole(*sides)
    assert torch.equal(take_out(whole, "none")(*sides), expected)
    assert not torch.allclose(take_out(whole, part)(*sides), expected)


class RandomDescriptors:
    """Keypoints on a grid whose descriptors say nothing, so that position alone can match them."""

    descriptor_dim = 128

    def extract(self, images: Tensor, count: int, generator: Generator) -> KeypointBatch:
        height, width = images.shape[2:]
        steps = math.ceil(count**0.5)
        y, x = torch.meshgrid(torch.arange(steps), torch.arange(steps), indexing="ij")
        grid = torch.stack([x, y], dim=2).reshape(-1, 2)[:count]
        keypoints = (grid + 0.5) * torch.tensor([width, height]) / steps
        own = Generator().manual_seed(int(images.sum() * 1000))  # the same for the same images
        descriptors = torch.randn(len(images), 128, count, generator=own)
        return KeypointBatch(
            keypoints.round().float().expand(len(images), -1, -1),
            torch.full((len(images), count), 0.5),
            torch.nn.functional.normalize(descriptors, dim=1),
        )


def small_stage(photographs: Tensor, **settings: float) -> MatcherStage:
    config = MatcherConfig(
        batch=4,
        view_width=64,
        view_height=48,
        min_keypoints=64,
        max_keypoints=64,
        sinkhorn_iterations=10,
        validation_batches=1,
        precision="float32",
        **settings,
    )
    torch.manual_seed(0)
    network = warm_start(SuperGlue(128))
    device = torch.device("cpu")
    examples = FreshExamples(photographs, RandomDescriptors(), config)
    return MatcherStage(network, examples, {}, config, device)


@pytest.fixture
def few_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superglue_module, "LAYERS", 2)


def test_a_tiny_matcher_learns_four_pairs_by_heart(
    few_layers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs = torch.randint(0, 255, (4, 64, 80), generator=Generator().manual_seed(3)).byte()
    config = MatcherConfig(
        steps=120,
        learning_rate=2e-3,
        warmup_steps=10,
        log_every=10,
        validate_every=1000,
        average_decay=0.9,
        checkpoint_every_sec=1000.0,
    )
    stage = small_stage(photographs)
    pairs = make_pairs(photographs, stage.config, Generator().manual_seed(11))
    monkeypatch.setattr(examples_module, "make_pairs", lambda *_: pairs)
    loop = Loop(stage, config, tmp_path)
    loop.run()
    losses = [entry["loss"] for entry in loop.history.entries if "loss" in entry]
    assert losses[-1] < losses[0] / 4
    last = [entry for entry in loop.history.entries if "recall" in entry][-1]
    assert last["recall"] > 0.95
    assert last["precision"] > 0.95


def test_layers_that_were_left_out_wake_without_changing_the_function(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shallow = keep_layers(warm_start(SuperGlue(128), "sift"), 1)
    nn.init.normal_(shallow.gnn.layers[0].get_submodule("mlp.3").get_parameter("weight"), std=0.01)
    export_weights(shallow, tmp_path / "shallow.safetensors")
    network = load_superglue(str(tmp_path / "shallow.safetensors")).network
    sides = (*random_side(20, 128, 1), *random_side(30, 128, 2))
    before = network(*sides).detach()
    trained = network.gnn.layers[0].get_submodule("mlp.3").get_parameter("weight").clone()
    wake(network, "sift")
    torch.testing.assert_close(network(*sides), before)
    torch.testing.assert_close(
        network.gnn.layers[0].get_submodule("mlp.3").get_parameter("weight"), trained
    )
    network.train()
    network(*sides).square().sum().backward()
    for layer in network.gnn.layers:
        gradient = layer.get_submodule("mlp.3").get_parameter("weight").grad
        assert gradient is not None
        assert gradient.any()


def test_calibration_finds_the_dustbin_score_of_least_loss(few_layers: None) -> None:
    photographs = torch.randint(0, 255, (4, 64, 80), generator=Generator().manual_seed(3)).byte()
    stage = small_stage(photographs)
    network = stage.network.requires_grad_(False)
    network.get_parameter("bin_score").fill_(0.0)
    before = copy.deepcopy(network.state_dict())
    calibrated = stage.calibrated(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    generator = Generator().manual_seed(CALIBRATION_SEED)
    source = FreshExamples(photographs, RandomDescriptors(), stage.config)
    batches = [source.draw(64, generator) for _ in range(BIN_SCORE_BATCHES)]

    def loss(bin_score: Tensor) -> Tensor:
        losses = []
        for batch in batches:
            sides = zip(batch.sides, batch.sizes, strict=True)
            (side0, size0), (side1, size1) = sides
            scores = calibrated(
                *(side0.keypoints, side0.scores, side0.descriptors, size0),
                *(side1.keypoints, side1.scores, side1.descriptors, size1),
            )
            matched = log_optimal_transport(scores, bin_score, stage.config.sinkhorn_iterations)
            losses.append(assignment_loss(matched, batch.truth))
        return torch.stack(losses).sum()

    found = calibrated.get_parameter("bin_score")
    assert loss(found) < torch.stack([loss(found + step) for step in (-2, -1, 1, 2)]).min()
