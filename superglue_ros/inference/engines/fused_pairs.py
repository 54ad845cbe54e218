"""Both fused networks in one go: two images in, their features and matches out, one wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from superglue_ros.config import AssignmentConfig, DetectionConfig
from superglue_ros.features import GreyImage, Matches
from superglue_ros.inference.device import strict_float32
from superglue_ros.inference.engines.fused_engine import (
    FusedSuperGlueEngine,
    FusedSuperPointEngine,
    matches_of,
    upload_images,
)
from superglue_ros.inference.engines.graphs import GraphCache
from superglue_ros.inference.engines.interface import Detections
from superglue_ros.inference.engines.transfers import Download, Transfers
from superglue_ros.inference.fused_matching import FixedMatches, MatchingSettings, match
from superglue_ros.inference.fused_superglue import FeatureBatch
from superglue_ros.inference.fused_superpoint import (
    DetectionSettings,
    FixedDetections,
    FusedSuperPoint,
    detect,
)


class ImageBatch(NamedTuple):
    """The images of P pairs of one (H, W): image 0 of each pair, then image 1 of each.

    Attributes:
        pixels: 2P times (H, W) uint8, at the size that the network sees.
        usable: For each None, or (H, W) uint8: no keypoint where 0.
        sizes: (width, height) of each image as given, in whose pixels keypoints come out.
    """

    pixels: Sequence[GreyImage]
    usable: Sequence[GreyImage | None]
    sizes: Sequence[tuple[int, int]]


class PairResult(NamedTuple):
    """What was found in two images."""

    detections0: Detections
    detections1: Detections
    matches: Matches


class FusedPairs:
    """Extracts and matches, with no step between that the host waits for.

    Args:
        superpoint: The engine whose network extracts.
        superglue: The engine whose network matches, on the same device.
    """

    def __init__(self, superpoint: FusedSuperPointEngine, superglue: FusedSuperGlueEngine) -> None:
        """Share the networks."""
        self._superpoint = superpoint.network
        self._matching = superglue
        self._device = superpoint.device
        self._transfers = Transfers(self._device)
        self._graphs = GraphCache(self._device)

    def match(
        self,
        batches: Sequence[ImageBatch],
        detection: DetectionConfig,
        assignment: AssignmentConfig,
        *,
        with_assignment: bool,
    ) -> Iterator[PairResult]:
        """Extract from and match the images of one batch after the other.

        While one is computed, the images of the next are on their way.
        """
        begun: _Begun | None = None
        settings = MatchingSettings.of(assignment, with_assignment=with_assignment)
        for batch in batches:
            begun, before = self._begin(batch, detection, settings), begun
            if before is not None:
                yield from self._finish(before)
        if begun is not None:
            yield from self._finish(begun)

    @torch.inference_mode()
    def _begin(
        self, batch: ImageBatch, detection: DetectionConfig, matching: MatchingSettings
    ) -> _Begun:
        images, usable = upload_images(self._transfers, batch.pixels, batch.usable)
        settings = DetectionSettings.of(detection, batch.pixels[0].shape)
        sizes = self._transfers.upload(np.array(batch.sizes, np.float32))
        with strict_float32():
            found, matches = self._graphs(
                (settings, matching),
                partial(_run, self._superpoint, settings, self._matching, matching),
                images,
                usable,
                sizes,
            )
        # A graph's next run overwrites its outputs
        kept = FixedDetections(*(tensor.clone() for tensor in found))
        return _Begun(kept, self._transfers.begin_download(found.counts, *matches.present))

    def _finish(self, begun: _Begun) -> Iterator[PairResult]:
        counts, results, *assignments = begun.download.result()
        detections = [
            Detections(*(tensor[index, :count] for tensor in begun.found[:3]))
            for index, count in enumerate(counts.tolist())
        ]
        half = len(detections) // 2
        pairs = list(zip(detections[:half], detections[half:], strict=True))
        matches = matches_of(
            results,
            [(len(one.scores), len(two.scores)) for one, two in pairs],
            self._matching.name,
            *assignments,
        )
        for (detections0, detections1), found in zip(pairs, matches, strict=True):
            yield PairResult(detections0, detections1, found)


class _Begun(NamedTuple):
    """What is being computed; the download brings the counts and the matches."""

    found: FixedDetections
    download: Download


def _run(
    superpoint: FusedSuperPoint,
    detection: DetectionSettings,
    superglue: FusedSuperGlueEngine,
    matching: MatchingSettings,
    images: Tensor,
    usable: Tensor | None,
    sizes: Tensor,
) -> tuple[FixedDetections, FixedMatches]:
    """The whole way from images to matches; keypoints in pixels of images of `sizes` (2P, 2)."""
    found = detect(superpoint, detection, images, usable)
    height, width = detection.shape
    # Pixel centres keep their place; see `images.rescale_keypoints`
    across, down = (
        (found.keypoints[:, :, axis] + 0.5) * (sizes[:, axis, None] / length) - 0.5
        for axis, length in ((0, width), (1, height))
    )
    found = found._replace(keypoints=torch.stack([across, down], dim=2))
    more = superglue.places(detection.places) - detection.places
    batch = FeatureBatch(
        F.pad(found.keypoints, (0, 0, 0, more)),
        F.pad(found.scores, (0, more)),
        F.pad(found.descriptors, (0, 0, 0, more)),
        sizes,
        found.counts,
    )
    return found, match(superglue.network, matching, batch)
