"""From pairs of images to features and matches, in as few steps as the engines allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from superglue_ros.features import GreyImage, Matches
from superglue_ros.inference.device import device_errors
from superglue_ros.inference.engines.fused_engine import (
    FusedSuperGlueEngine,
    FusedSuperPointEngine,
)
from superglue_ros.inference.engines.fused_pairs import FusedPairs, ImageBatch
from superglue_ros.inference.interface import check_extractors
from superglue_ros.inference.superglue import SuperGlueMatcher
from superglue_ros.inference.superpoint import PreparedImage, SuperPointExtractor
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.networks.superpoint import DESCRIPTOR_DIM

PAIRS_AT_ONCE = 8
"""Pairs that go through the networks together; bounds the memory."""

ImagePair = tuple[GreyImage, GreyImage]
MaskPair = tuple[GreyImage | None, GreyImage | None]


class MatchedImages(NamedTuple):
    """The features of two images, on the device, and their matches."""

    features0: FeatureTensors
    features1: FeatureTensors
    matches: Matches


class ImagePairMatcher:
    """Extracts from pairs of images and matches them.

    With the fused engine on one device, images go in and matches come out without anything in
    between that the host waits for; with others it is the same as one after the other.

    Args:
        extractor: The extractor.
        matcher: The matcher for its features.
    """

    def __init__(self, extractor: SuperPointExtractor, matcher: SuperGlueMatcher) -> None:
        """Look whether the engines can work as one."""
        self._extractor = extractor
        self._matcher = matcher
        self._fused = _fused(extractor, matcher)

    @property
    def is_fused(self) -> bool:
        """Whether both networks run in one go."""
        return self._fused is not None

    def match(
        self,
        pairs: Sequence[ImagePair],
        masks: Sequence[MaskPair] | None = None,
        *,
        with_assignment: bool = False,
    ) -> list[MatchedImages]:
        """Match several pairs of images.

        Args:
            pairs: Image 0 and image 1, each (H, W) uint8 grey, of any size.
            masks: For each pair the masks of its images or None; see
                `SuperPointExtractor.extract_tensors`.
            with_assignment: Whether to fill in `Matches.assignment` too.

        Returns:
            For each pair in order the features of both images and their matches.

        Raises:
            InputError: An image or a mask is unfit, or the features do not fit the matcher.
            DeviceError: The device failed, for want of memory say.
        """
        mask_pairs = masks or [(None, None)] * len(pairs)
        prepared = [
            tuple(self._extractor.prepared(pair, mask_pair))
            for pair, mask_pair in zip(pairs, mask_pairs, strict=True)
        ]
        alike = len({image.pixels.shape for pair in prepared for image in pair}) == 1
        if self._fused is not None and alike:
            with device_errors(self._extractor.device):
                return list(self._match_fused(self._fused, prepared, with_assignment))
        return self._one_after_the_other(pairs, mask_pairs, with_assignment)

    def _match_fused(
        self,
        fused: FusedPairs,
        prepared: Sequence[tuple[PreparedImage, ...]],
        with_assignment: bool,
    ) -> Iterator[MatchedImages]:
        images = [
            [pair[side] for side in (0, 1) for pair in prepared[begin : begin + PAIRS_AT_ONCE]]
            for begin in range(0, len(prepared), PAIRS_AT_ONCE)
        ]
        batches = [ImageBatch(*map(list, zip(*batch, strict=True))) for batch in images]
        results = fused.match(
            batches,
            self._extractor.decided_config,
            self._matcher.config,
            with_assignment=with_assignment,
        )
        for pair, (*detections, matches) in zip(prepared, results, strict=True):
            features0, features1 = (
                FeatureTensors(*found, image.size, self._extractor.name)
                for found, image in zip(detections, pair, strict=True)
            )
            check_extractors(features0, features1, self._matcher.made_for)
            yield MatchedImages(features0, features1, matches)

    def _one_after_the_other(
        self, pairs: Sequence[ImagePair], masks: Sequence[MaskPair], with_assignment: bool
    ) -> list[MatchedImages]:
        features = iter(
            self._extractor.extract_tensors(
                [image for pair in pairs for image in pair],
                [mask for pair in masks for mask in pair],
            )
        )
        extracted = list(zip(features, features, strict=True))
        found = self._matcher.match_batch(extracted, with_assignment=with_assignment)
        return [
            MatchedImages(*both, matches) for both, matches in zip(extracted, found, strict=True)
        ]


def _fused(extractor: SuperPointExtractor, matcher: SuperGlueMatcher) -> FusedPairs | None:
    """Both engines as one, where they are the fused ones on one device."""
    superpoint, superglue = extractor.running_engine, matcher.running_engine
    if (
        isinstance(superpoint, FusedSuperPointEngine)
        and isinstance(superglue, FusedSuperGlueEngine)
        and superpoint.device == superglue.device
        and matcher.descriptor_dim == DESCRIPTOR_DIM
    ):
        return FusedPairs(superpoint, superglue)
    return None
