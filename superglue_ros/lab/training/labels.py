"""Detector labels of photographs: homographic adaptation of a teacher (SuperPoint, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Generator, Tensor

from superglue_ros.errors import InputError
from superglue_ros.lab.training.classical import refine_subpixel
from superglue_ros.lab.training.config import ViewConfig
from superglue_ros.lab.training.export import save_tensors
from superglue_ros.lab.training.synthesis.homographies import (
    random_views,
    warp_images,
)
from superglue_ros.networks import non_maximum_suppression, select_keypoints

Detector = Callable[[Tensor], Tensor]
"""Images (B, 1, H, W) in [0, 1] to responses (B, H, W)."""

ADAPTATION_VIEWS = ViewConfig(scale=1.5, rotation_deg=30.0, perspective=0.15, upside_share=0.0)
_BORDER = 8
_WHOLE = 0.99


@dataclass(frozen=True)
class Labels:
    """Keypoints of photographs.

    Attributes:
        points: (N, K, 2) float32 in pixels of the photographs, sub-pixel.
        scores: (N, K) float32, descending, 0 where a photograph has fewer than K.
    """

    points: Tensor
    scores: Tensor

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        save_tensors({"points": self.points.cpu(), "scores": self.scores.cpu()}, path)

    @staticmethod
    def load(path: Path) -> Labels:
        """Read what `save` wrote.

        Raises:
            InputError: There is no such file, or it holds something else.
        """
        try:
            content = load_file(path)
            return Labels(content["points"], content["scores"])
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(f"{path} holds no labels; run the label stage first") from error

    def to(self, device: torch.device) -> Labels:
        """The same on another device."""
        return Labels(self.points.to(device), self.scores.to(device))


@torch.no_grad()
def adapt(detector: Detector, image: Tensor, views: int, generator: Generator) -> Tensor:
    """Average a detector's responses over an image and random homographies of it.

    Args:
        detector: The teacher.
        image: (B, 1, H, W) in [0, 1].
        views: Homographies beside the identity.
        generator: Source of the random numbers.

    Returns:
        (B, H, W).
    """
    count, _, height, width = image.shape
    size = (width, height)
    total = detector(image)
    seen = torch.ones_like(total)
    inner = torch.zeros_like(total)
    inner[:, _BORDER:-_BORDER, _BORDER:-_BORDER] = 1
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=image.device)
    for _ in range(views):
        view = random_views(
            count, size, size, ADAPTATION_VIEWS, generator, centres=centre.expand(count, 2)
        )
        response = detector(warp_images(image, view, size))
        back = warp_images(
            torch.stack([response, inner], dim=1),
            torch.linalg.inv(view),
            size,
            padding="zeros",
            supersampling=1,
        )
        whole = (back[:, 1] > _WHOLE).to(total.dtype)
        total, seen = total + back[:, 0] * whole, seen + whole
    return total / seen


def find_labels(response: Tensor, threshold: float, count: int, nms_radius: int) -> Labels:
    """The strongest local maxima of responses (B, H, W), refined to sub-pixel."""
    points = response.new_zeros((len(response), count, 2))
    scores = response.new_zeros((len(response), count))
    for index, suppressed in enumerate(non_maximum_suppression(response, nms_radius)):
        found, strengths = select_keypoints(suppressed, threshold, count)
        points[index, : len(found)] = refine_subpixel(response[index], found)
        scores[index, : len(found)] = strengths
    return Labels(points, scores)
