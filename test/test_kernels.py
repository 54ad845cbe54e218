"""The Triton kernels against PyTorch; without a GPU, in Triton's interpreter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superglue_ros.networks.optimal_transport import log_optimal_transport, optimal_transport

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

pytest.importorskip("triton", reason="Triton comes with PyTorch for CUDA")

from superglue_ros.inference.kernels.first_layer import triton_first_layer  # noqa: E402
from superglue_ros.inference.kernels.sinkhorn import triton_optimal_transport  # noqa: E402


def solve(
    scores: torch.Tensor, bin_score: float, iterations: int, counts: list[tuple[int, int]]
) -> torch.Tensor:
    given = torch.tensor(counts, device=DEVICE)
    found = triton_optimal_transport(
        scores.to(DEVICE), torch.tensor(bin_score, device=DEVICE), iterations, (*given.T,)
    )
    return found.cpu()


def expected(
    scores: torch.Tensor, bin_score: float, iterations: int, counts: list[tuple[int, int]]
) -> torch.Tensor:
    """In float64."""
    found = log_optimal_transport(
        scores.double(),
        torch.tensor(bin_score, dtype=torch.float64),
        iterations,
        (*torch.tensor(counts).T,),
    )
    return found.exp().float()


@pytest.mark.parametrize(
    ("shape", "iterations"),
    [((1, 1), 100), ((7, 5), 100), ((1, 5), 2), ((5, 1), 2), ((12, 33), 1), ((40, 12), 3)],
)
def test_sinkhorns_algorithm(
    shape: tuple[int, int], iterations: int, rng: np.random.Generator
) -> None:
    scores = torch.from_numpy(rng.uniform(-8, 8, (1, *shape)).astype(np.float32))
    found = solve(scores, 1.5, iterations, [shape])
    torch.testing.assert_close(
        found, expected(scores, 1.5, iterations, [shape]), atol=2e-5, rtol=1e-4
    )


@pytest.mark.parametrize("spread", [12, 300, 3000])
def test_padding_and_large_ranges_change_nothing(spread: float, rng: np.random.Generator) -> None:
    counts = [(6, 9), (3, 5), (1, 9), (0, 7), (5, 0), (0, 0)]
    scores = torch.full((len(counts), 6, 9), torch.nan)
    for problem, (rows, columns) in zip(scores, counts, strict=True):
        drawn = rng.uniform(-spread / 2, spread / 2, (rows, columns))
        problem[:rows, :columns] = torch.from_numpy(drawn)
    found = solve(scores, 1.0, 20, counts)
    torch.testing.assert_close(found, expected(scores, 1.0, 20, counts), atol=2e-3, rtol=1e-3)
    if spread < 80:
        exponential = optimal_transport(scores, torch.tensor(1.0), 20, (*torch.tensor(counts).T,))
        torch.testing.assert_close(found, exponential, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 16), (9, 30)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_first_layer_is_the_convolution(
    shape: tuple[int, int], dtype: torch.dtype, rng: np.random.Generator
) -> None:
    images = torch.from_numpy(rng.integers(0, 256, (2, *shape), np.uint8))
    layer = torch.nn.Conv2d(1, 16, kernel_size=3, padding=1)
    given = (one.detach().to(DEVICE) for one in (images, layer.weight / 255, layer.bias))
    found = triton_first_layer(*given, dtype)
    assert found.is_contiguous(memory_format=torch.channels_last)
    expected = torch.relu(layer(images[:, None].float() / 255)).detach()
    torch.testing.assert_close(
        found.cpu().float(), expected, atol=1e-5, rtol=1e-5 if dtype == torch.float32 else 1e-3
    )
