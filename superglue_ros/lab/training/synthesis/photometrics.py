"""Changes of light, sensor and compression for batches of grey images in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from superglue_ros.lab.training.config import PhotometricConfig
from superglue_ros.lab.training.synthesis.homographies import uniform

_JPEG_BLOCK = 8
_BLUR_RADIUS = 4


Change = Callable[[Tensor, float, Generator], Tensor]


def change_photometry(image: Tensor, config: PhotometricConfig, generator: Generator) -> Tensor:
    """Apply each kind of change to a random share of the images.

    Args:
        image: (B, 1, H, W) in [0, 1].
        config: Strength and share.
        generator: Source of the random numbers.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    if config.strength == 0:
        return image
    for change in CHANGES:
        chosen = uniform((len(image), 1, 1, 1), 0, 1, generator) < config.share
        changed = change(image, config.strength, generator)
        image = torch.where(chosen, changed, image).clamp(0, 1)
    return image


def _per_image(count: int, low: float, high: float, generator: Generator) -> Tensor:
    return uniform((count, 1, 1, 1), low, high, generator)


def _tone(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Gamma, contrast and brightness."""
    count = len(image)
    gamma = (_per_image(count, -0.6, 0.6, generator) * strength).exp()
    contrast = (_per_image(count, -0.5, 0.4, generator) * strength).exp()
    offset = _per_image(count, -0.15, 0.15, generator) * strength
    return (image.clamp(min=1e-4) ** gamma - 0.5) * contrast + 0.5 + offset


def _shadow(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """A half plane with a soft edge, darker or brighter by a factor."""
    count, _, height, width = image.shape
    angle = _per_image(count, -math.pi, math.pi, generator)
    offset = _per_image(count, -0.5, 0.5, generator)
    softness = _per_image(count, 0.01, 0.3, generator)
    ys = torch.linspace(-1, 1, height, device=image.device)[:, None]
    xs = torch.linspace(-1, 1, width, device=image.device)
    distance = xs * angle.cos() + ys * angle.sin() - offset
    factor = (_per_image(count, -1.0, 0.4, generator) * strength).exp()
    return image * (1 + (factor - 1) * torch.sigmoid(distance / softness))


def _vignette(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Darker towards the corners."""
    _, _, height, width = image.shape
    ys = torch.linspace(-1, 1, height, device=image.device)[:, None]
    xs = torch.linspace(-1, 1, width, device=image.device)
    amount = _per_image(len(image), 0.1, 0.5, generator) * min(strength, 1.5)
    return image * (1 - amount * (xs**2 + ys**2) / 2)


def _blur(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Gaussian blur, stretched along a random direction as by motion."""
    count = len(image)
    offsets = torch.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1.0, device=image.device)
    y, x = offsets[:, None], offsets
    angle = _per_image(count, -math.pi, math.pi, generator)
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    across_sigma = _per_image(count, 0.2, 0.7, generator) * strength + 0.05
    along_sigma = across_sigma + _per_image(count, 0, 1.5, generator) ** 2 * strength
    kernel = torch.exp(-0.5 * ((along / along_sigma) ** 2 + (across / across_sigma) ** 2))
    kernel = kernel / kernel.sum(dim=(2, 3), keepdim=True)
    padded = F.pad(image, (_BLUR_RADIUS,) * 4, mode="replicate")
    return F.conv2d(padded.transpose(0, 1), kernel, groups=count).transpose(0, 1)


def _low_light(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Few photons: shot noise, then the brightness turned up again in part."""
    photons = torch.exp(_per_image(len(image), 4.0, 7.0, generator)) / max(strength, 0.1)
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    darkness = _per_image(len(image), 0.2, 1.0, generator)
    return (image + noise * (image.clamp(min=1e-3) / photons).sqrt()) * darkness


def _sensor_noise(image: Tensor, strength: float, generator: Generator) -> Tensor:
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    return image + noise * _per_image(len(image), 0.003, 0.04, generator) * strength


def _jpeg(image: Tensor, strength: float, generator: Generator) -> Tensor:
    """Quantisation of the cosine transform of 8x8 blocks, coarser for higher frequencies."""
    count, _, height, width = image.shape
    padded = F.pad(image, (0, -width % _JPEG_BLOCK, 0, -height % _JPEG_BLOCK), mode="replicate")
    basis = _cosine_basis(image.device)
    rows, columns = (side // _JPEG_BLOCK for side in padded.shape[2:])
    blocks = padded.view(count, 1, rows, _JPEG_BLOCK, columns, _JPEG_BLOCK)
    coefficients = torch.einsum("ui,bchiwj,vj->bchuwv", basis, blocks, basis)
    frequency = torch.arange(_JPEG_BLOCK, device=image.device)
    growth = 1.0 + (frequency[:, None] + frequency)  # (8, 8)
    step = _per_image(count, 0.004, 0.03, generator)[..., None, None] * strength
    step = (step * growth[:, None]).clamp(min=1e-6)
    quantised = torch.round(coefficients / step) * step
    restored = torch.einsum("ui,bchuwv,vj->bchiwj", basis, quantised, basis)
    return restored.flatten(4, 5).flatten(2, 3)[:, :, :height, :width]


def _cosine_basis(device: torch.device) -> Tensor:
    """(8, 8) orthonormal cosine transform, a row a frequency."""
    index = torch.arange(_JPEG_BLOCK, device=device, dtype=torch.float32)
    basis = torch.cos(math.pi / _JPEG_BLOCK * (index + 0.5) * index[:, None])
    basis[0] *= math.sqrt(0.5)
    return basis * math.sqrt(2 / _JPEG_BLOCK)


CHANGES: tuple[Change, ...] = (
    _shadow,
    _vignette,
    _tone,
    _blur,
    _low_light,
    _sensor_noise,
    _jpeg,
)
"""In the order of nature: light, lens, sensor, compression."""
