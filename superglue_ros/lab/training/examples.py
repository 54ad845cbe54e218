"""What the matcher learns from: keypoints of pairs of images and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

from superglue_ros.lab.training.config import PairConfig
from superglue_ros.lab.training.frontend import Frontend, KeypointBatch
from superglue_ros.lab.training.ground_truth import TrueMatches, true_matches
from superglue_ros.lab.training.pairs import make_pairs


@dataclass(frozen=True)
class Examples:
    """B pairs of images by their keypoints.

    Attributes:
        sides: The N keypoints of each image 0 and of each image 1.
        sizes: (2, B, 2) width and height of the images in pixels.
        truth: The true partners.
    """

    sides: tuple[KeypointBatch, KeypointBatch]
    sizes: Tensor
    truth: TrueMatches


class ExampleSource(Protocol):
    """Gives batches of examples."""

    def draw(self, count: int, generator: Generator) -> Examples:
        """A batch with `count` keypoints an image; the generator alone decides which."""


class FreshExamples:
    """Makes pairs of images and extracts their keypoints, every time anew.

    Args:
        photographs: (N, H, W) uint8 on the device.
        frontend: The extractor.
        config: Number, size and kinds of the pairs.
    """

    def __init__(self, photographs: Tensor, frontend: Frontend, config: PairConfig) -> None:
        """Take over what pairs are made of."""
        self._photographs, self._frontend, self._config = photographs, frontend, config

    def draw(self, count: int, generator: Generator) -> Examples:
        """See `ExampleSource.draw`."""
        pairs = make_pairs(self._photographs, self._config, generator)
        side0, side1 = (self._frontend.extract(images, count, generator) for images in pairs.images)
        sizes = side0.keypoints.new_tensor(pairs.size).expand(2, len(side0.keypoints), 2)
        truth = true_matches(pairs, side0.keypoints, side1.keypoints)
        return Examples((side0, side1), sizes, truth)
