"""SuperPoint fused: from images to keypoints in fixed shapes, recorded, without a wait."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from superglue_ros.batches import batches
from superglue_ros.config import DetectionConfig
from superglue_ros.inference.device import strict_float32
from superglue_ros.inference.engines.dense import pad_to_stride
from superglue_ros.inference.engines.fused_options import DTYPES, in_buckets, precision_of
from superglue_ros.inference.engines.graphs import GraphCache
from superglue_ros.inference.engines.interface import (
    EngineOptions,
    PreparedImage,
    images_at_once,
)
from superglue_ros.inference.fused_superpoint import (
    DetectionSettings,
    FixedDetections,
    FusedSuperPoint,
    detect,
)
from superglue_ros.inference.tensors import Arrival, FeatureTensors
from superglue_ros.inference.transfers import Transfers
from superglue_ros.networks import SuperPoint
from superglue_ros.weights.loading import LoadedNetwork


class FusedSuperPointEngine:
    """SuperPoint for images of one size at a time.

    On a GPU the host goes on at once: what is found has fixed shapes, see `FeatureTensors`.
    """

    def __init__(self, loaded: LoadedNetwork[SuperPoint], options: EngineOptions) -> None:
        """Copy the weights to the device."""
        self.precision = precision_of(options)
        self.device = options.device
        self.fixed_shapes = options.device.type == "cuda"
        self._name = loaded.name
        network = FusedSuperPoint(loaded.network, DTYPES[self.precision])
        self._network = network.to(options.device)
        self._transfers = Transfers(options.device)
        self._graphs = GraphCache(options.device)

    def detect(
        self, images: Sequence[PreparedImage], config: DetectionConfig
    ) -> list[FeatureTensors]:
        """Find and describe keypoints; see `SuperPointEngine.detect`."""
        size = images_at_once(self.device, images[0].pixels.shape)
        groups = [self._detect_together(group, config) for group in batches(images, size)]
        found = [features for group in groups for features in group]
        return found if self.fixed_shapes else [features.best(None) for features in found]

    @torch.inference_mode()
    def _detect_together(
        self, images: Sequence[PreparedImage], config: DetectionConfig
    ) -> list[FeatureTensors]:
        settings = DetectionSettings.of(config, images[0].pixels.shape)
        places = in_buckets(settings.places) if self.fixed_shapes else settings.places
        pixels, usable = _upload_images(self._transfers, images)
        sizes = self._transfers.upload(np.array([image.size for image in images], np.float32))
        with strict_float32():
            found = self._graphs(
                settings,
                partial(_detect, self._network, settings, places),
                pixels,
                usable,
                sizes,
            )
        # A graph's next run overwrites its outputs
        found = FixedDetections(*(tensor.clone() for tensor in found))
        download = self._transfers.download(found.counts, found.keypoints, found.scores)
        return [
            FeatureTensors(
                found.keypoints[index],
                found.scores[index],
                found.descriptors[index],
                image.size,
                self._name,
                Arrival(found.counts[index], download, index),
                patches=found.patches[index],
                patch_scale=image.size[0] / image.pixels.shape[1],
            )
            for index, image in enumerate(images)
        ]


def _upload_images(
    transfers: Transfers, images: Sequence[PreparedImage]
) -> tuple[Tensor, Tensor | None]:
    """Images of one (H, W) and where keypoints may be taken in them, as batches on the device."""
    batch = transfers.upload(np.stack([pad_to_stride(image.pixels) for image in images]))
    if all(image.usable is None for image in images):
        return batch, None
    masks = [
        np.ones_like(image.pixels) if image.usable is None else image.usable for image in images
    ]
    return batch, transfers.upload(np.stack(masks))


def _detect(
    network: FusedSuperPoint,
    settings: DetectionSettings,
    places: int,
    images: Tensor,
    usable: Tensor | None,
    sizes: Tensor,
) -> FixedDetections:
    """Find keypoints, in pixels of images of `sizes` (B, 2), with room for so many of them."""
    found = detect(network, settings, images, usable)
    height, width = settings.shape
    # Pixel centres keep their place; see `images.rescale_keypoints`
    scales = [sizes[:, axis, None] / length for axis, length in ((0, width), (1, height))]
    moved = [
        found.keypoints[:, :, axis] * scale + (scale - 1) / 2 for axis, scale in enumerate(scales)
    ]
    found = found._replace(keypoints=torch.stack(moved, dim=2))
    more = places - settings.places
    return found if more == 0 else _with_room(found, more)


def _with_room(found: FixedDetections, more: int) -> FixedDetections:
    """The same with so many places more."""
    return FixedDetections(
        F.pad(found.keypoints, (0, 0, 0, more)),
        F.pad(found.scores, (0, more)),
        F.pad(found.descriptors, (0, 0, 0, more)),
        F.pad(found.patches, (0, 0, 0, 0, 0, more)),
        found.counts,
    )
