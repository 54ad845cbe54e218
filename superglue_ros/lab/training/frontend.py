"""Keypoints for the matcher to learn from: a fixed number an image, in batches, on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from superglue_ros.lab.training.losses import sample_descriptor_maps
from superglue_ros.lab.training.precision import autocast
from superglue_ros.lab.training.synthesis.homographies import uniform
from superglue_ros.networks import SuperPoint, detector_probabilities, non_maximum_suppression
from superglue_ros.networks.keypoints import BORDER


@dataclass(frozen=True)
class KeypointBatch:
    """N keypoints of each of B images.

    Attributes:
        keypoints: (B, N, 2) in pixels.
        scores: (B, N) confidences.
        descriptors: (B, D, N) of unit length.
    """

    keypoints: Tensor
    scores: Tensor
    descriptors: Tensor


class Frontend(Protocol):
    """An extractor that gives each image the same number of keypoints."""

    descriptor_dim: int

    def extract(self, images: Tensor, count: int, generator: Generator) -> KeypointBatch:
        """Extract from images (B, 1, H, W) in [0, 1]; random places fill up where too few are."""


class SuperPointFrontend:
    """SuperPoint with the published detection settings.

    Args:
        network: On the device; it is not changed.
        device: Where it runs.
        precision: See `autocast`.
        random_share: Share of the keypoints that are put at random places instead, so that the
            matcher sees some that no partner has.
    """

    descriptor_dim = 256
    nms_radius = 4

    def __init__(
        self, network: SuperPoint, device: torch.device, precision: str, random_share: float
    ) -> None:
        """Freeze the network."""
        self._network = network.to(device).eval().requires_grad_(False)
        self._device, self._precision, self._random_share = device, precision, random_share

    @torch.no_grad()
    def extract(self, images: Tensor, count: int, generator: Generator) -> KeypointBatch:
        """See `Frontend.extract`."""
        height, width = images.shape[2:]
        with autocast(self._device, self._precision):
            logits, maps = self._network.heads(images.contiguous(memory_format=torch.channels_last))
        heat = non_maximum_suppression(detector_probabilities(logits), self.nms_radius)
        inner = F.pad(heat[:, BORDER:-BORDER, BORDER:-BORDER], (BORDER,) * 4)
        scores, index = inner.flatten(1).topk(count, dim=1)
        rows = torch.div(index, width, rounding_mode="floor")
        found = torch.stack([index - rows * width, rows], dim=2).float()
        drawn = uniform((len(images), count), 0, 1, generator)
        random = random_places((len(images), count), (width, height), generator)
        replaced = (scores <= 0) | (drawn < self._random_share)
        keypoints = torch.where(replaced[..., None], random, found)
        scores = heat.flatten(1).gather(1, _flat_index(keypoints, width))
        descriptors = sample_descriptor_maps(keypoints, maps.float())
        return KeypointBatch(keypoints, scores, descriptors.mT)


class SiftFrontend:
    """SIFT by OpenCV as RootSIFT, image by image on the CPU.

    Args:
        count_limit: Most keypoints that will be asked for.
    """

    descriptor_dim = 128

    def __init__(self, count_limit: int) -> None:
        """Create the detector."""
        import cv2  # here, since nothing else on a training machine needs OpenCV

        self._sift = cv2.SIFT_create(nfeatures=count_limit)

    def extract(self, images: Tensor, count: int, generator: Generator) -> KeypointBatch:
        """See `Frontend.extract`."""
        size = (images.shape[3], images.shape[2])
        keypoints = random_places((len(images), count), size, generator).cpu()
        scores = torch.zeros(len(images), count)
        descriptors = torch.rand(len(images), count, self.descriptor_dim)
        greys = (images[:, 0].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        for row, grey in enumerate(greys):
            found, described = self._sift.detectAndCompute(grey, None)
            if not found:
                continue
            responses = np.array([keypoint.response for keypoint in found])
            order = np.argsort(-responses, kind="stable")[:count]
            points = np.array([keypoint.pt for keypoint in found], np.float32)[order]
            keypoints[row, : len(order)] = torch.from_numpy(points)
            relative = (responses[order] / responses.max()).astype(np.float32)
            scores[row, : len(order)] = torch.from_numpy(relative)
            descriptors[row, : len(order)] = torch.from_numpy(described[order])
        descriptors = F.normalize(descriptors, p=1, dim=2).sqrt()
        device = images.device
        return KeypointBatch(
            keypoints.to(device), scores.to(device), descriptors.mT.contiguous().to(device)
        )


def random_places(shape: tuple[int, int], size: tuple[int, int], generator: Generator) -> Tensor:
    """Whole pixels (B, N, 2) away from the border."""
    width, height = size
    x = uniform(shape, BORDER, width - BORDER - 1, generator).round()
    y = uniform(shape, BORDER, height - BORDER - 1, generator).round()
    return torch.stack([x, y], dim=2)


def _flat_index(keypoints: Tensor, width: int) -> Tensor:
    x, y = keypoints.long().unbind(dim=2)
    return y * width + x
