"""SuperPoint engines that compute dense maps, from which keypoints are selected here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from superglue_ros.config import DetectionConfig
from superglue_ros.features import GreyImage
from superglue_ros.inference.engines.interface import Detections
from superglue_ros.inference.suppression import suppress_on_host
from superglue_ros.networks import (
    non_maximum_suppression,
    sample_descriptors,
    select_keypoints,
    stay_within,
    without_slopes,
)
from superglue_ros.networks.subpixel import soft_argmax
from superglue_ros.networks.superpoint import STRIDE


class DenseSuperPoint:
    """A SuperPointEngine made of a function from images to maps.

    Args:
        device: The torch device that selects and keeps the keypoints.
    """

    def __init__(self, device: torch.device) -> None:
        """Remember the device."""
        self._device = device

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network.

        Args:
            images: (B, 1, H, W) uint8 on the device, H and W multiples of the stride.

        Returns:
            float32 probabilities (B, H, W) and descriptor maps (B, 256, H/8, W/8) of unit length,
            on the device.
        """
        raise NotImplementedError

    @torch.inference_mode()
    def detect(
        self,
        images: Sequence[GreyImage],
        usable: Sequence[GreyImage | None],
        config: DetectionConfig,
    ) -> list[Detections]:
        """Find and describe keypoints; see `SuperPointEngine.detect`."""
        height, width = images[0].shape
        batch = torch.from_numpy(np.stack([pad_to_stride(image) for image in images]))[:, None]
        probabilities, descriptor_maps = self.maps(batch.to(self._device, non_blocking=True))
        probabilities = probabilities[:, :height, :width]
        allowed = _allowed(images, usable)
        if allowed is None:
            suppressed = self._suppressed(probabilities, config.nms_radius)
        else:
            allowed = allowed.to(self._device)
            suppressed = self._suppressed_within(allowed, probabilities, config.nms_radius)
        return [
            _select(*maps, config, None if allowed is None else allowed[index])
            for index, maps in enumerate(
                zip(suppressed, probabilities, descriptor_maps, strict=True)
            )
        ]

    def _suppressed_within(self, allowed: Tensor, probabilities: Tensor, radius: int) -> Tensor:
        """The local maxima of what is allowed, bool (B, H, W).

        What is not allowed suppresses nothing; but a pixel on the slope of a peak beyond the edge
        is no peak.
        """
        suppressed = self._suppressed(torch.where(allowed, probabilities, 0.0), radius)
        return without_slopes(suppressed, probabilities, allowed, radius)

    def _suppressed(self, probabilities: Tensor, radius: int) -> Tensor:
        if self._device.type != "cpu":
            return non_maximum_suppression(probabilities, radius)
        maps = [suppress_on_host(one.numpy(), radius) for one in probabilities]
        return torch.from_numpy(np.stack(maps))


def _select(
    suppressed: Tensor,
    probabilities: Tensor,
    descriptor_map: Tensor,
    config: DetectionConfig,
    allowed: Tensor | None,
) -> Detections:
    """The keypoints of one image, from its (H, W) maps and its (D, h, w) descriptor map."""
    keypoints, scores = select_keypoints(
        suppressed, config.keypoint_threshold, config.max_keypoints
    )
    if config.subpixel == "on":
        moved = soft_argmax(probabilities, keypoints)
        if allowed is not None:
            moved = stay_within(moved[None], keypoints[None], allowed[None])[0]
        keypoints = moved
    return Detections(keypoints, scores, sample_descriptors(keypoints, descriptor_map))


def _allowed(images: Sequence[GreyImage], usable: Sequence[GreyImage | None]) -> Tensor | None:
    """Where keypoints may be, bool (B, H, W); None where that is everywhere."""
    allowed = np.ones((len(images), *images[0].shape), bool)
    for index, (image, mask) in enumerate(zip(images, usable, strict=True)):
        if _is_plain(image):
            allowed[index] = False
        elif mask is not None:
            allowed[index] = mask != 0
    return None if allowed.all() else torch.from_numpy(allowed)


def _is_plain(image: GreyImage) -> bool:
    """Whether there is no place to find again, whatever the network says: one grey value."""
    return bool((image == image[0, 0]).all())


def pad_to_stride(image: GreyImage) -> GreyImage:
    """Repeat the last row and column until both sides are multiples of the stride."""
    height, width = image.shape
    if height % STRIDE == 0 and width % STRIDE == 0:
        return image
    return np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")
