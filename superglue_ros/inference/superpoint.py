"""SuperPoint on images of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from superglue_ros.config import SuperPointConfig, Value
from superglue_ros.features import Features, GreyImage
from superglue_ros.images import check_grey, reduce_to_longest_side, rescale_keypoints
from superglue_ros.inference.device import select_device
from superglue_ros.networks import (
    SuperPoint,
    non_maximum_suppression,
    sample_descriptors,
    select_keypoints,
)
from superglue_ros.networks.superpoint import STRIDE
from superglue_ros.weights import load_superpoint


def _pad_to_stride(image: GreyImage) -> GreyImage:
    """Repeat the last row and column until both sides are multiples of the stride."""
    height, width = image.shape
    return np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")


class SuperPointExtractor:
    """Grey images in, SuperPoint features out.

    Args:
        config: The settings.
        **settings: Single settings by name, over those of `config`.

    Raises:
        InputError: A setting is out of range, or the weights do not load.

    Attributes:
        config: The settings; replaced, it takes effect with the next call, but for the device and
            the weights.
        device: The torch device that the network is on.
    """

    def __init__(self, config: SuperPointConfig | None = None, **settings: Value) -> None:
        """Load the weights onto the device."""
        self.config = (config or SuperPointConfig()).updated(**settings)
        self.device = select_device(self.config.device)
        loaded = load_superpoint(self.config.weights)
        self._name = loaded.name
        self._network = loaded.network.eval().to(
            device=self.device, memory_format=torch.channels_last
        )

    @property
    def name(self) -> str:
        """Name of the weights and their digest."""
        return self._name

    def extract(self, image: GreyImage) -> Features:
        """Extract from one image; see `Extractor.extract_batch`."""
        return self.extract_batch([image])[0]

    @torch.inference_mode()
    def extract_batch(self, images: Sequence[GreyImage]) -> list[Features]:
        """Extract from several images; see `Extractor.extract_batch`."""
        config = self.config
        for image in images:
            check_grey(image)
        reduced = [reduce_to_longest_side(image, config.resize) for image in images]
        features: dict[int, Features] = {}
        for indices in _group_by_shape(reduced):
            scores, descriptor_maps = self._run([reduced[index] for index in indices])
            scores = non_maximum_suppression(scores, config.nms_radius)
            for position, index in enumerate(indices):
                features[index] = self._features(
                    scores[position],
                    descriptor_maps[position],
                    config,
                    reduced_size=reduced[index].shape[::-1],
                    image_size=images[index].shape[::-1],
                )
        return [features[index] for index in range(len(images))]

    def _run(self, images: Sequence[GreyImage]) -> tuple[Tensor, Tensor]:
        """Images of one (H, W) to scores (B, H, W) and descriptor maps (B, D, h, w)."""
        height, width = images[0].shape
        batch = torch.from_numpy(np.stack([_pad_to_stride(image) for image in images]))
        batch = batch.to(self.device, non_blocking=True)[:, None].float() / 255
        scores, descriptor_maps = self._network(batch.contiguous(memory_format=torch.channels_last))
        # In an image of one grey value there is no place to find again, whatever the network says.
        varied = batch.amax(dim=(1, 2, 3)) > batch.amin(dim=(1, 2, 3))
        return scores[:, :height, :width] * varied[:, None, None], descriptor_maps

    def _features(
        self,
        scores: Tensor,
        descriptor_map: Tensor,
        config: SuperPointConfig,
        *,
        reduced_size: tuple[int, int],
        image_size: tuple[int, int],
    ) -> Features:
        keypoints, confidences = select_keypoints(
            scores, config.keypoint_threshold, config.max_keypoints
        )
        descriptors = sample_descriptors(keypoints, descriptor_map)
        return Features(
            keypoints=rescale_keypoints(_to_numpy(keypoints), reduced_size, image_size),
            scores=_to_numpy(confidences),
            descriptors=_to_numpy(descriptors),
            image_size=image_size,
            extractor=self.name,
        )


def _group_by_shape(images: Sequence[GreyImage]) -> list[list[int]]:
    """Indices of the images, those of one shape together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    return list(groups.values())


def _to_numpy(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
