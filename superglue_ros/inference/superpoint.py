"""SuperPoint on images of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superglue_ros.config import SuperPointConfig, Value
from superglue_ros.features import Features, GreyImage
from superglue_ros.images import check_grey, reduce_to_longest_side, scaled_mask, usable_pixels
from superglue_ros.inference.device import device_errors, select_device
from superglue_ros.inference.engines import PreparedImage, select_superpoint
from superglue_ros.inference.engines.interface import images_at_once
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.weights.loading import load_superpoint

WARM_UP_SHAPE = (120, 160)


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
        precision: What it computes with: fp32, fp16 or bf16.
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
        self.precision = self._engine.precision

    @property
    def name(self) -> str:
        """Name of the weights and their digest."""
        return self._name

    @property
    def images_at_once(self) -> int:
        """How many images it is best given together, where there are many: 1 on a CPU."""
        return images_at_once(self.device)

    def warm_up(self) -> None:
        """Run once on noise, so that the first image does not wait for what loads at first use."""
        noise = np.random.default_rng(0).integers(0, 256, WARM_UP_SHAPE, np.uint8)
        self.extract_batch([noise])

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
            Features of each image in order, which the device may be computing still.

        Raises:
            InputError: An image is not (H, W) uint8, has no pixels, or is not of its mask's size.
            DeviceError: The device failed, for want of memory say.
        """
        for image in images:
            check_grey(image)
        prepared = [
            _prepared(image, usable_pixels(image, mask, self.config.mask_border), self.config)
            for image, mask in zip(images, masks or [None] * len(images), strict=True)
        ]
        features: dict[int, FeatureTensors] = {}
        with device_errors(self.device):
            for indices in _group_by_shape([image.pixels for image in prepared]):
                group = [prepared[index] for index in indices]
                found = self._engine.detect(group, self._decided_config)
                features.update(zip(indices, found, strict=True))
        return [features[index] for index in range(len(images))]

    @property
    def _decided_config(self) -> SuperPointConfig:
        """The settings, with what they leave to the weights decided."""
        config = self.config
        return config.updated(subpixel=self._subpixel) if config.subpixel == "auto" else config


def _prepared(
    image: GreyImage, usable: GreyImage | None, config: SuperPointConfig
) -> PreparedImage:
    pixels = reduce_to_longest_side(image, config.resize)
    usable = None if usable is None else scaled_mask(usable, pixels.shape)
    return PreparedImage(pixels, usable, image.shape[::-1])


def _group_by_shape(images: Sequence[GreyImage]) -> list[list[int]]:
    """Indices of the images, those of one shape together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    return list(groups.values())
