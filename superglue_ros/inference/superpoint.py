"""SuperPoint on images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from superglue_ros.config import SuperPointConfig, Value
from superglue_ros.features import Features, GreyImage
from superglue_ros.images import (
    check_grey,
    reduce_to_longest_side,
    rescale_keypoints,
    usable_pixels,
)
from superglue_ros.inference.device import device_errors, select_device
from superglue_ros.inference.engines import SuperPointEngine, select_superpoint
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.weights.loading import load_superpoint

WARM_UP_SHAPE = (120, 160)


class PreparedImage(NamedTuple):
    """An image as an engine takes it.

    Attributes:
        pixels: (H, W) uint8, at the size that the network sees.
        usable: (H, W) uint8, no keypoint where 0; None for everywhere.
        size: (width, height) of the image as given.
    """

    pixels: GreyImage
    usable: GreyImage | None
    size: tuple[int, int]


class SuperPointExtractor:
    """Grey images in, SuperPoint features out.

    Args:
        config: The settings.
        **settings: Single settings by name, over those of `config`.

    Raises:
        InputError: A setting is out of range, or the weights do not load.

    Attributes:
        config: The settings; replaced, it takes effect with the next call, but for the weights and
            for where and how they run.
        device: The torch device that the network is on.
        engine: Name of what runs the network: `config.engine`, or the choice made for `auto`.
        licence: Licence of the weights.
    """

    def __init__(self, config: SuperPointConfig | None = None, **settings: Value) -> None:
        """Load the weights onto the device."""
        self.config = (config or SuperPointConfig()).updated(**settings)
        self.device = select_device(self.config.device)
        loaded = load_superpoint(self.config.weights)
        self._name = loaded.name
        self.licence = loaded.licence
        self._subpixel = "on" if loaded.subpixel else "off"
        loaded.network.eval()
        self.engine, self._engine = select_superpoint(loaded, self.config, self.device)

    @property
    def name(self) -> str:
        """Name of the weights and their digest."""
        return self._name

    @property
    def running_engine(self) -> SuperPointEngine:
        """What runs the network."""
        return self._engine

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
        prepared = self.prepared(images, masks)
        with device_errors(self.device):
            return self._extract(prepared, self.decided_config)

    def prepared(
        self, images: Sequence[GreyImage], masks: Sequence[GreyImage | None] | None
    ) -> list[PreparedImage]:
        """Images and masks as the engine takes them; see `extract_tensors`."""
        for image in images:
            check_grey(image)
        return [
            _prepared(image, usable_pixels(image, mask, self.config.mask_border), self.config)
            for image, mask in zip(images, masks or [None] * len(images), strict=True)
        ]

    @property
    def decided_config(self) -> SuperPointConfig:
        """The settings, with what they leave to the weights decided."""
        config = self.config
        return config.updated(subpixel=self._subpixel) if config.subpixel == "auto" else config

    @torch.inference_mode()
    def _extract(
        self, images: Sequence[PreparedImage], config: SuperPointConfig
    ) -> list[FeatureTensors]:
        features: dict[int, FeatureTensors] = {}
        for indices in _group_by_shape([image.pixels for image in images]):
            group = [images[index] for index in indices]
            found = self._engine.detect(
                [image.pixels for image in group], [image.usable for image in group], config
            )
            for index, detections in zip(indices, found, strict=True):
                image = images[index]
                features[index] = FeatureTensors(
                    keypoints=rescale_keypoints(
                        detections.keypoints, image.pixels.shape[::-1], image.size
                    ),
                    scores=detections.scores,
                    descriptors=detections.descriptors,
                    image_size=image.size,
                    extractor=self.name,
                )
        return [features[index] for index in range(len(images))]


def _prepared(
    image: GreyImage, usable: GreyImage | None, config: SuperPointConfig
) -> PreparedImage:
    pixels = reduce_to_longest_side(image, config.resize)
    usable = None if usable is None else _scaled_mask(usable, pixels.shape)
    return PreparedImage(pixels, usable, image.shape[::-1])


def _scaled_mask(usable: GreyImage, shape: tuple[int, ...]) -> GreyImage:
    """What holds for the pixel that a keypoint comes to lie in at the size of `usable`."""
    rows, columns = (
        ((np.arange(reduced) + 0.5) * full / reduced).astype(int)
        for reduced, full in zip(shape, usable.shape, strict=True)
    )
    return usable[np.ix_(rows, columns)]


def _group_by_shape(images: Sequence[GreyImage]) -> list[list[int]]:
    """Indices of the images, those of one shape together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    return list(groups.values())
