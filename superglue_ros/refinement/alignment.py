"""Aligning pairs of patches: where the middle of one lies in the other.

Gauss-Newton, inverse compositional (Baker and Matthews, IJCV 2004): gradients and Hessian come from
patch 0 once, each iteration samples patch 1 anew. Gain and bias of the light are solved for beside
the map, and so drop out of it. First a shift alone, then an affine map, whose shift is the result.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW = 11
"""Samples along a side of what is compared; patches must be larger by at least 2."""

SHIFT_ITERATIONS = 1
AFFINE_ITERATIONS = 5

FINE_SAMPLES = 3
"""How many of the last samples of patch 1 are bicubic: the others bring the window near, but what a
bilinear sample softens draws the result aside, always the same way: 1 px after 50 frames."""

MAX_STEP = 1.0
"""Samples that one iteration may move."""

MAX_OFFSET = 3.0
"""Samples beyond which a result is not believed: keypoints of right matches are nearer."""

MIN_CORRELATION = 0.5

_MIN_DEVIATION = 1.0
"""Of grey values: what varies less shows nothing to align."""

_MAX_STRETCH = 0.3  # of the affine map in one iteration
_REGULARISATION = 1e-4  # of the Hessian's diagonal, so that it can be inverted on straight edges
_REACH = WINDOW // 2


class Alignment(NamedTuple):
    """Where patches belong.

    Attributes:
        offsets: (K, 2) float32, x and y of patch 0's middle in patch 1, from patch 1's middle, in
            samples; 0 where not accepted.
        accepted: (K,) bool, whether the patches show the same within the limits.
    """

    offsets: Tensor
    accepted: Tensor


class _Template(NamedTuple):
    """What is constant of patch 0.

    Attributes:
        values: (K, n) grey values of the window at mean 0 and deviation 1.
        shift: (K, 2, n), what multiplied by grey values, per deviation of these, gives the shift.
        affine: (K, 6, n), what gives the shift and the four entries of the affine map.
        clear: (K,) bool, whether there is something to align.
    """

    values: Tensor
    shift: Tensor
    affine: Tensor
    clear: Tensor


class _Sample(NamedTuple):
    """What patch 1 shows in a window.

    Attributes:
        values: (K, n) grey values.
        deviation: (K, 1) their standard deviation.
    """

    values: Tensor
    deviation: Tensor

    def correlation(self, template: _Template) -> Tensor:
        """(K,) with the template, from -1 to 1."""
        return (self.values * template.values).mean(dim=1) / self.deviation[:, 0]

    def step(self, solution: Tensor) -> Tensor:
        """(K, P) the parameters that a (K, P, n) solution finds, their shift limited."""
        step = (solution * self.values[:, None]).sum(dim=2) / self.deviation
        length = step[:, :2].norm(dim=1, keepdim=True)
        limited: Tensor = step * (MAX_STEP / length.clamp(min=MAX_STEP))
        return limited


@torch.inference_mode()
def align_patches(patches0: Tensor, patches1: Tensor) -> Alignment:
    """Find the middle of each patch 0 in its patch 1.

    Shapes decide the work, not values: it can be recorded on a GPU.

    Args:
        patches0: (K, S, S) uint8 grey, S odd and at least `WINDOW` + 2.
        patches1: (K, S, S) uint8 grey, of the same points more or less.
    """
    window = _window(patches0.device)
    template = _template(patches0.float(), window)
    searched = patches1.float()[:, None]
    maps = torch.eye(2, device=searched.device).repeat(len(searched), 1, 1)
    offsets = searched.new_zeros(len(searched), 2)
    sample = _sample(searched, maps, offsets, window)
    before = sample.correlation(template)
    for _ in range(SHIFT_ITERATIONS):
        offsets = offsets - sample.step(template.shift)
        sample = _sample(searched, maps, offsets, window)
    for iteration in range(AFFINE_ITERATIONS):
        step = sample.step(template.affine)
        offsets = offsets - (maps * step[:, None, :2]).sum(dim=2)
        maps = maps @ _inverse_change(step[:, 2:])
        mode = "bicubic" if iteration >= AFFINE_ITERATIONS - FINE_SAMPLES else "bilinear"
        sample = _sample(searched, maps, offsets, window, mode)
    after = sample.correlation(template)
    accepted = (
        template.clear
        & (offsets.norm(dim=1) <= MAX_OFFSET)  # false for what is not a number
        & (after >= MIN_CORRELATION)
        & (after >= before)
    )
    return Alignment(torch.where(accepted[:, None], offsets, 0.0), accepted)


def _window(device: torch.device) -> Tensor:
    """(2, n) x and y of the window's samples from its middle."""
    reach = torch.arange(-_REACH, _REACH + 1, device=device, dtype=torch.float32)
    y, x = torch.meshgrid(reach, reach, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)])


def _template(patches: Tensor, window: Tensor) -> _Template:
    margin = patches.shape[1] // 2 - _REACH
    inner = slice(margin, margin + WINDOW)
    following, preceding = (slice(margin + by, margin + by + WINDOW) for by in (1, -1))
    grey = patches[:, inner, inner].flatten(1)
    centred = grey - grey.mean(dim=1, keepdim=True)
    deviation = (centred * centred).mean(dim=1, keepdim=True).sqrt().clamp(min=_MIN_DEVIATION)
    values = centred / deviation
    across = (patches[:, inner, following] - patches[:, inner, preceding]).flatten(1)
    down = (patches[:, following, inner] - patches[:, preceding, inner]).flatten(1)
    across, down = across / (2 * deviation), down / (2 * deviation)
    x, y = window
    # By how much each parameter changes the values: bias and gain of the light, shift, affine map
    changes = torch.stack(
        [
            torch.ones_like(values),
            values,
            across,
            down,
            *(across * x, across * y, down * x, down * y),
        ],
        dim=1,
    )  # (K, 8, n)
    hessian = changes @ changes.mT
    return _Template(
        values,
        _solved(hessian[:, :4, :4]) @ changes[:, :4],
        _solved(hessian) @ changes,
        deviation[:, 0] > _MIN_DEVIATION,
    )


def _solved(hessian: Tensor) -> Tensor:
    """(K, Q - 2, Q) the inverse of (K, Q, Q), but for the rows of the light, which come first."""
    weights = _REGULARISATION * hessian.diagonal(dim1=1, dim2=2)
    weights[:, :2] = 0  # else the light would not drop out
    inverse, _ = torch.linalg.inv_ex(hessian + torch.diag_embed(weights))
    rows: Tensor = inverse[:, 2:]
    return rows


def _sample(
    patches: Tensor, maps: Tensor, offsets: Tensor, window: Tensor, mode: str = "bilinear"
) -> _Sample:
    """What (K, 1, S, S) patches show where a map and an offset put the window."""
    scale = 2 / (patches.shape[-1] - 1)  # `grid_sample` counts from -1 to 1
    places = maps @ (scale * window) + scale * offsets[:, :, None]  # (K, 2, n)
    grid = places.mT.reshape(-1, WINDOW, WINDOW, 2)
    sampled = F.grid_sample(patches, grid, mode, padding_mode="border", align_corners=True)
    values = sampled.flatten(1)
    variance = (values * values).mean(dim=1) - values.mean(dim=1) ** 2
    return _Sample(values, variance.clamp(min=_MIN_DEVIATION**2).sqrt()[:, None])


def _inverse_change(entries: Tensor) -> Tensor:
    """(K, 2, 2) the inverse of the identity changed by (K, 4) entries."""
    a, b, c, d = entries.clamp(-_MAX_STRETCH, _MAX_STRETCH).unbind(dim=1)
    a, d = a + 1, d + 1
    determinant = a * d - b * c
    return torch.stack([d, -b, -c, a], dim=1).view(-1, 2, 2) / determinant[:, None, None]
