"""SuperGlue simplified is the same function."""

from __future__ import annotations

import copy

import pytest
import torch
from random_networks import random_superglue
from torch import nn

from superglue_ros.inference.folding import ConstantChange, simplify
from superglue_ros.networks import SuperGlue

IDLE = (0, 3, 4, 17)
"""Layers whose last weights are zero."""


@pytest.fixture(scope="module")
def network() -> SuperGlue:
    """One of the idle layers does nothing at all, the others add a constant."""
    network = random_superglue().eval()
    for index in IDLE:
        nn.init.zeros_(network.gnn.layers[index].mlp[3].weight)
    nn.init.zeros_(network.gnn.layers[IDLE[0]].mlp[3].bias)
    return network


def scores(network: SuperGlue, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    random = torch.Generator().manual_seed(5)
    inputs = []
    for count in (30, 40):
        descriptors = torch.randn(1, 256, count, generator=random)
        points, confidences = (torch.rand(1, *s, generator=random) for s in ((count, 2), (count,)))
        size = torch.tensor([[640.0, 480.0]])
        inputs += [points * size, confidences, nn.functional.normalize(descriptors, dim=1), size]
    with torch.inference_mode():
        return network(*(one.to(dtype) for one in inputs))


def test_the_scores_stay_and_the_norms_go(network: SuperGlue) -> None:
    double = copy.deepcopy(network).double()
    expected = scores(double, torch.float64)
    simplified = simplify(double)
    torch.testing.assert_close(scores(simplified, torch.float64), expected)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in simplified.modules())


def test_layers_that_do_nothing_are_left_out_exactly(network: SuperGlue) -> None:
    """To the last bit, beside the same network with the whole layers in their places."""
    simplified = simplify(copy.deepcopy(network))
    left_out = [isinstance(layer, ConstantChange) for layer in simplified.gnn.layers]
    assert left_out == [index in IDLE for index in range(18)]
    complete = copy.deepcopy(simplified)
    for index in IDLE:
        complete.gnn.layers[index] = network.gnn.layers[index]
    assert torch.equal(scores(simplified), scores(complete))


def test_simplifying_again_changes_nothing(network: SuperGlue) -> None:
    once = simplify(copy.deepcopy(network))
    twice = simplify(copy.deepcopy(once))
    assert torch.equal(scores(once), scores(twice))
    assert [type(layer) for layer in once.gnn.layers] == [type(layer) for layer in twice.gnn.layers]
