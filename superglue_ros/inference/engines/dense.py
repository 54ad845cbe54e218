"""SuperPoint engines that compute dense maps, from which keypoints are selected here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from superglue_ros.batches import batches
from superglue_ros.config import DetectionConfig
from superglue_ros.features import GreyImage
from superglue_ros.images import rescale_keypoints
from superglue_ros.inference.engines.interface import PreparedImage, images_at_once
from superglue_ros.inference.suppression import suppress_on_host
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.networks import (
    non_maximum_suppression,
    sample_descriptors,
    select_keypoints,
    stay_within,
    without_slopes,
)
from superglue_ros.networks.subpixel import soft_argmax
from superglue_ros.networks.superpoint import STRIDE
from superglue_ros.refinement import cut_patches


class DenseSuperPoint:
    """A SuperPointEngine made of a function from images to maps.

    Args:
        name: Name of the weights and their digest.
        device: The torch device that selects and keeps the keypoints.
        precision: What the network computes with.
    """

    def __init__(self, name: str, device: torch.device, precision: str) -> None:
        """Remember what is constant."""
        self.precision = precision
        self._name = name
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
        self, images: Sequence[PreparedImage], config: DetectionConfig
    ) -> list[FeatureTensors]:
        """Find and describe keypoints; see `SuperPointEngine.detect`."""
        size = images_at_once(self._device, images[0].pixels.shape)
        groups = [self._detect_together(group, config) for group in batches(images, size)]
        return [features for group in groups for features in group]

    def _detect_together(
        self, images: Sequence[PreparedImage], config: DetectionConfig
    ) -> list[FeatureTensors]:
        height, width = images[0].pixels.shape
        stacked = np.stack([pad_to_stride(image.pixels) for image in images])[:, None]
        batch = torch.from_numpy(stacked).to(self._device, non_blocking=True)
        probabilities, descriptor_maps = self.maps(batch)
        probabilities = probabilities[:, :height, :width]
        allowed = _allowed(images)
        if allowed is None:
            suppressed = self._suppressed(probabilities, config.nms_radius)
        else:
            allowed = allowed.to(self._device)
            suppressed = self._suppressed_within(allowed, probabilities, config.nms_radius)
        found = []
        for index, image in enumerate(images):
            keypoints, scores, descriptors = _select(
                suppressed[index],
                probabilities[index],
                descriptor_maps[index],
                config,
                None if allowed is None else allowed[index],
            )
            patches = cut_patches(batch[index, :, :height, :width], keypoints[None])[0]
            keypoints = rescale_keypoints(keypoints, (width, height), image.size)
            found.append(
                FeatureTensors(
                    keypoints,
                    scores,
                    descriptors,
                    image.size,
                    self._name,
                    patches=patches,
                    patch_scale=image.size[0] / width,
                )
            )
        return found

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
) -> tuple[Tensor, Tensor, Tensor]:
    """Keypoints, scores and descriptors of one image.

    From its (H, W) maps and its (D, h, w) descriptor map.
    """
    keypoints, scores = select_keypoints(
        suppressed, config.keypoint_threshold, config.max_keypoints
    )
    if config.subpixel == "on":
        moved = soft_argmax(probabilities, keypoints)
        if allowed is not None:
            moved = stay_within(moved[None], keypoints[None], allowed[None])[0]
        keypoints = moved
    return keypoints, scores, sample_descriptors(keypoints, descriptor_map)


def _allowed(images: Sequence[PreparedImage]) -> Tensor | None:
    """Where keypoints may be, bool (B, H, W); None where that is everywhere."""
    allowed = np.ones((len(images), *images[0].pixels.shape), bool)
    for index, image in enumerate(images):
        if _is_plain(image.pixels):
            allowed[index] = False
        elif image.usable is not None:
            allowed[index] = image.usable != 0
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
