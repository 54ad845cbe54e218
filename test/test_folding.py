"""Batch-norm folded into convolutions is the same function."""

from __future__ import annotations

import torch
from torch import nn

from superglue_ros.inference.folding import fold_batch_norms


def small_network() -> nn.Module:
    torch.manual_seed(3)
    inner = nn.Sequential(nn.Conv1d(4, 6, 1), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 2, 1))
    norm = inner[1]
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.2, 3)
    return nn.ModuleDict({"mlp": inner}).double().eval()


def test_folding_leaves_the_outputs_and_removes_the_norms() -> None:
    network = small_network()
    x = torch.randn(2, 4, 5, dtype=torch.float64)
    expected = network["mlp"](x)
    folded = fold_batch_norms(network)
    torch.testing.assert_close(folded["mlp"](x), expected)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in folded.modules())
