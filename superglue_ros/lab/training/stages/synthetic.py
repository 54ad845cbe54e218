"""Stage `synthetic`: a first detector from drawn shapes (SuperPoint, section 4: MagicPoint)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from superglue_ros.lab.training.batch_norm import NormalisedSuperPoint
from superglue_ros.lab.training.config import PhotometricConfig, SyntheticConfig
from superglue_ros.lab.training.loop import ParameterGroup, one_rate
from superglue_ros.lab.training.losses import cell_targets, detector_loss
from superglue_ros.lab.training.precision import autocast
from superglue_ros.lab.training.synthesis.photometrics import change_photometry
from superglue_ros.lab.training.synthesis.shapes import Drawing, draw_shapes
from superglue_ros.networks import (
    SuperPoint,
    detector_probabilities,
    non_maximum_suppression,
    select_keypoints,
)

VALIDATION_SEED = 99
VALIDATION_PICTURES = 16
NMS_RADIUS = 4
THRESHOLD = 0.015
CORRECT_PX = 3.0


class SyntheticStage:
    """See the module.

    Args:
        initial: The network to begin with.
        config: The settings.
        device: Where to train.
    """

    name = "synthetic"

    def __init__(self, initial: SuperPoint, config: SyntheticConfig, device: torch.device) -> None:
        """Put batch-norms into the network."""
        self.config, self.device = config, device
        self.network: nn.Module = NormalisedSuperPoint(initial)
        self._light = PhotometricConfig(strength=config.strength)

    def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
        """All alike."""
        return one_rate(network)

    def loss(self, network: nn.Module, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The detector's loss on freshly drawn pictures."""
        drawing = self._draw(self.config.batch, generator)
        size = (self.config.view_width, self.config.view_height)
        with autocast(self.device, self.config.precision):
            logits, _ = network(drawing.images.contiguous(memory_format=torch.channels_last))
        return detector_loss(logits, cell_targets(drawing.corners, drawing.scores, size)), {}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Precision and recall of the corners of fixed pictures, within 3 px."""
        drawing = self._draw(
            VALIDATION_PICTURES, Generator(self.device).manual_seed(VALIDATION_SEED)
        )
        logits, _ = network(drawing.images)
        suppressed = non_maximum_suppression(detector_probabilities(logits), NMS_RADIUS)
        right = found = recalled = true = 0
        for index, scores in enumerate(suppressed):
            keypoints, _ = select_keypoints(scores, THRESHOLD, self.config.validation_keypoints)
            corners = drawing.corners[index][self._is_seen(drawing, index)]
            found, true = found + len(keypoints), true + len(corners)
            if len(keypoints) and len(corners):
                near = torch.cdist(keypoints, corners) <= CORRECT_PX
                right += int(near.any(dim=1).sum())
                recalled += int(near.any(dim=0).sum())
        return {"precision": right / max(1, found), "recall": recalled / max(1, true)}

    def _is_seen(self, drawing: Drawing, index: int) -> Tensor:
        x, y = drawing.corners[index].unbind(dim=1)
        inner = (x >= NMS_RADIUS) & (x < self.config.view_width - NMS_RADIUS)
        inner &= (y >= NMS_RADIUS) & (y < self.config.view_height - NMS_RADIUS)
        return inner & (drawing.scores[index] > 0)

    def _draw(self, count: int, generator: Generator) -> Drawing:
        size = (self.config.view_width, self.config.view_height)
        drawing = draw_shapes(count, size, self.config.shapes, generator)
        images = change_photometry(drawing.images, self._light, generator)
        return Drawing(images, drawing.corners, drawing.scores)
