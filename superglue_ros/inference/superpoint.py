"""SuperPoint on images of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from superglue_ros.config import SuperPointConfig, Value
from superglue_ros.features import Features, GreyImage
from superglue_ros.images import (
    check_grey,
    reduce_to_longest_side,
    rescale_keypoints,
    usable_pixels,
)
from superglue_ros.inference.device import device_errors, select_device
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.networks import (
    non_maximum_suppression,
    sample_descriptors,
    select_keypoints,
)
from superglue_ros.networks.subpixel import soft_argmax
from superglue_ros.networks.superpoint import STRIDE
from superglue_ros.weights import load_superpoint

WARM_UP_SHAPE = (120, 160)


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
        licence: Licence of the weights.
    """

    def __init__(self, config: SuperPointConfig | None = None, **settings: Value) -> None:
        """Load the weights onto the device."""
        self.config = (config or SuperPointConfig()).updated(**settings)
        self.device = select_device(self.config.device)
        loaded = load_superpoint(self.config.weights)
        self._name = loaded.name
        self.licence = loaded.licence
        self._network = loaded.network.eval().to(self.device)
        for parameter in self._network.parameters():
            if parameter.ndim == 4:  # convolutions run faster with the channels last
                parameter.data = parameter.contiguous(memory_format=torch.channels_last)

    @property
    def name(self) -> str:
        """Name of the weights and their digest."""
        return self._name

    def warm_up(self) -> None:
        """Run once on noise, so that the first image does not wait for what loads at first use."""
        noise = np.random.default_rng(0).integers(0, 256, WARM_UP_SHAPE, np.uint8)
        self.extract_tensors([noise])

    def extract(self, image: GreyImage) -> Features:
        """Extract from one image; see `Extractor.extract_batch`."""
        return self.extract_batch([image])[0]

    def extract_batch(self, images: Sequence[GreyImage]) -> list[Features]:
        """Extract from several images; see `Extractor.extract_batch`."""
        return [tensors.to_features() for tensors in self.extract_tensors(images)]

    @torch.inference_mode()
    def extract_tensors(
        self, images: Sequence[GreyImage], masks: Sequence[GreyImage | None] | None = None
    ) -> list[FeatureTensors]:
        """Extract from several images and leave the results on the device.

        Args:
            images: Each (H, W) uint8 grey, of any size.
            masks: For each image None, or (H, W) uint8 of its size: keypoints are taken where it is
                not 0, as many as without it.

        Returns:
            Features of each image in order.

        Raises:
            InputError: An image is not (H, W) uint8, has no pixels, or is not of its mask's size.
            DeviceError: The device failed, for want of memory say.
        """
        config = self.config
        for image in images:
            check_grey(image)
        usable = [
            usable_pixels(image, mask, config.mask_border)
            for image, mask in zip(images, masks or [None] * len(images), strict=True)
        ]
        with device_errors(self.device):
            return self._extract(images, usable, config)

    def _extract(
        self, images: Sequence[GreyImage], usable: Sequence[GreyImage], config: SuperPointConfig
    ) -> list[FeatureTensors]:
        reduced = [reduce_to_longest_side(image, config.resize) for image in images]
        features: dict[int, FeatureTensors] = {}
        for indices in _group_by_shape(reduced):
            probabilities, descriptor_maps = self._run([reduced[index] for index in indices])
            scores = non_maximum_suppression(probabilities, config.nms_radius)
            for position, index in enumerate(indices):
                height, width = reduced[index].shape
                keypoints, confidences = select_keypoints(
                    scores[position] * self._scaled_mask(usable[index], width, height),
                    config.keypoint_threshold,
                    config.max_keypoints,
                )
                if config.subpixel:
                    keypoints = soft_argmax(probabilities[position], keypoints)
                image_size = images[index].shape[::-1]
                features[index] = FeatureTensors(
                    keypoints=rescale_keypoints(keypoints, (width, height), image_size),
                    scores=confidences,
                    descriptors=sample_descriptors(keypoints, descriptor_maps[position]),
                    image_size=image_size,
                    extractor=self.name,
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

    def _scaled_mask(self, usable: GreyImage, width: int, height: int) -> Tensor:
        """What holds for the pixel that a keypoint comes to lie in at the size of `usable`."""
        rows, columns = (
            ((np.arange(reduced) + 0.5) * full / reduced).astype(int)
            for reduced, full in zip((height, width), usable.shape, strict=True)
        )
        return torch.from_numpy(usable[np.ix_(rows, columns)]).to(self.device)


def _group_by_shape(images: Sequence[GreyImage]) -> list[list[int]]:
    """Indices of the images, those of one shape together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    return list(groups.values())
