"""Deformable convolution against what it is by definition, and against torchvision's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from superglue_ros.inference.deformable import deform_conv2d


def value(image: np.ndarray, y: float, x: float) -> float:
    """Bilinear, 0 outside."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                total += image[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def test_it_is_the_sum_over_the_moved_places_of_the_kernel() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 5, 6))
    weight = rng.normal(size=(3, 2, 3, 3))
    offset = rng.normal(size=(18, 5, 6)) * 2
    wanted = np.zeros((3, 5, 6))
    for out in range(3):
        for y in range(5):
            for x in range(6):
                for tap in range(9):
                    at_y = y - 1 + tap // 3 + offset[2 * tap, y, x]
                    at_x = x - 1 + tap % 3 + offset[2 * tap + 1, y, x]
                    for channel in range(2):
                        factor = weight[out, channel, tap // 3, tap % 3]
                        wanted[out, y, x] += factor * value(image[channel], at_y, at_x)
    tensors = (torch.tensor(array)[None] for array in (image, offset))
    got = deform_conv2d(*tensors, torch.tensor(weight), padding=1)
    np.testing.assert_allclose(got[0].numpy(), wanted, atol=1e-10)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), ((1, 2), (2, 3))])
def test_without_offsets_it_is_a_convolution(
    stride: int | tuple[int, int], dilation: int | tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(1)
    image, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((2, 3, 11, 13), (4, 3, 3, 3), (4,))
    )
    how = {"stride": stride, "padding": 1, "dilation": dilation}
    wanted = F.conv2d(image, weight, bias, **how)  # type: ignore[arg-type]
    offset = image.new_zeros(2, 18, *wanted.shape[2:])
    got = deform_conv2d(image, offset, weight, bias, **how)  # type: ignore[arg-type]
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("masked", [False, True])
def test_it_equals_that_of_torchvision(masked: bool) -> None:
    try:
        from torchvision.ops import deform_conv2d as theirs
    except Exception as error:  # it is not here, or was built for another PyTorch
        pytest.skip(f"no torchvision: {error}")
    generator = torch.Generator().manual_seed(2)
    image, offset, weight, mask = (
        torch.randn(shape, generator=generator, dtype=torch.float64) * factor
        for shape, factor in (
            ((2, 3, 17, 23), 1),
            ((2, 18, 17, 23), 6),
            ((5, 3, 3, 3), 1),
            ((2, 9, 17, 23), 1),
        )
    )
    given = {"padding": 1, "mask": mask if masked else None}
    wanted, got = (one(image, offset, weight, **given) for one in (theirs, deform_conv2d))
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)
