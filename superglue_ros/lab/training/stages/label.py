"""Stage `label`: keypoints of the photographs by homographic adaptation (SuperPoint, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Generator, Tensor

from superglue_ros.lab.training.checkpoint import read_checkpoint, write_checkpoint
from superglue_ros.lab.training.classical import hessian_response
from superglue_ros.lab.training.config import LabelConfig
from superglue_ros.lab.training.labels import Detector, Labels, adapt, find_labels
from superglue_ros.lab.training.precision import autocast
from superglue_ros.networks import SuperPoint

PARTIAL = "labels.part.pt"
_CHUNKS_BETWEEN_SAVES = 25
_SEED_STRIDE = 1_000_003


def make_detector(
    config: LabelConfig, network: SuperPoint | None, device: torch.device
) -> Detector:
    """The teacher: the classical one, or a trained detector where a network is given."""
    if network is None:
        return lambda image: hessian_response(image, config.sigma)
    frozen = network.to(device).eval().requires_grad_(False)

    def detect(image: Tensor) -> Tensor:
        with autocast(device, config.precision):
            probabilities: Tensor = frozen(image)[0]
        return probabilities.float()

    return detect


def label_photographs(
    photographs: Tensor,
    detector: Detector,
    config: LabelConfig,
    folder: Path,
    on_chunk: Callable[[int], None],
) -> Labels:
    """Label all photographs; goes on where an earlier run was cut.

    Args:
        photographs: (N, H, W) uint8 on the device.
        detector: The teacher.
        config: The settings.
        folder: Holds what is labelled so far.
        on_chunk: Called with the number of photographs done.
    """
    device = photographs.device
    state = read_checkpoint(folder / PARTIAL, device) or {"points": [], "scores": []}
    chunks = torch.split(photographs, config.batch)
    for index in range(len(state["points"]), len(chunks)):
        generator = Generator(device).manual_seed(config.seed * _SEED_STRIDE + index)
        image = chunks[index][:, None].float() / 255
        response = adapt(detector, image, config.homographies, generator)
        found = find_labels(response, config.threshold, config.max_labels, config.nms_radius)
        state["points"].append(found.points)
        state["scores"].append(found.scores)
        if index % _CHUNKS_BETWEEN_SAVES == _CHUNKS_BETWEEN_SAVES - 1:
            write_checkpoint(folder / PARTIAL, state)
        on_chunk(min(len(photographs), (index + 1) * config.batch))
    (folder / PARTIAL).unlink(missing_ok=True)
    return Labels(torch.cat(state["points"]), torch.cat(state["scores"]))
