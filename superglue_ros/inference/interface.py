"""What every extractor and every matcher offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from superglue_ros.config import RefinementConfig
from superglue_ros.errors import InputError
from superglue_ros.features import Features, GreyImage, Matches
from superglue_ros.images import usable_pixels
from superglue_ros.inference.refining import refined
from superglue_ros.inference.tensors import FeaturePair, FeatureTensors
from superglue_ros.networks import mutual_matches

_CPU = torch.device("cpu")


class Extractor(Protocol):
    """Finds keypoints in images and describes them.

    Attributes:
        config: The settings, of the type that the registry names; replaced, they take effect with
            the next call, but for the weights and for where and how they run.
    """

    config: Any

    @property
    def name(self) -> str:
        """Name of the extractor and the digest of its weights."""

    @property
    def images_at_once(self) -> int:
        """How many images it is best given together, where there are many."""

    @property
    def device(self) -> torch.device:
        """Where it computes and leaves its tensors."""

    @property
    def engine(self) -> str:
        """Name of what computes it."""

    @property
    def licence(self) -> str:
        """Licence of the weights."""

    def warm_up(self) -> None:
        """Run once, so that the first image does not wait for what loads at first use."""

    def extract_batch(self, images: Sequence[GreyImage]) -> list[Features]:
        """Extract from several images; those of one size go through the network together.

        Args:
            images: Each (H, W) uint8 grey, of any size.

        Returns:
            Features of each image in order, keypoints in pixels of the image as given. An image in
            which nothing is found gives no keypoints.

        Raises:
            InputError: An image is not (H, W) uint8 or has no pixels.
        """

    def extract_tensors(
        self, images: Sequence[GreyImage], masks: Sequence[GreyImage | None] | None = None
    ) -> list[FeatureTensors]:
        """The same, left on the device, which may be computing them still.

        Args:
            images: See `extract_batch`.
            masks: For each image None, or (H, W) uint8 of its size: keypoints are taken where it is
                not 0.
        """


class Matcher(Protocol):
    """Finds which keypoints of two images belong together.

    Attributes:
        config: The settings, a `RefinementConfig` among them; see `Extractor`.
    """

    config: Any

    @property
    def name(self) -> str:
        """Name of the matcher and the digest of its weights."""

    @property
    def made_for(self) -> str:
        """The extractor that it was made for; empty where any will do or it is not known."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def engine(self) -> str:
        """Name of what computes it."""

    @property
    def licence(self) -> str:
        """Licence of the weights."""

    def warm_up(self) -> None:
        """Run once, so that the first pair does not wait for what loads at first use."""

    def match(
        self, features0: Features, features1: Features, *, with_assignment: bool = False
    ) -> Matches:
        """Match the features of two images.

        Args:
            features0: Features of image 0.
            features1: Features of image 1, from the same extractor.
            with_assignment: Whether to fill in `Matches.assignment` too.

        Returns:
            The matches, refined where that is wanted and both features carry patches; none where an
            image has no keypoints.

        Raises:
            InputError: The descriptors do not fit each other or the matcher.
        """

    def match_batch(
        self, pairs: Sequence[FeaturePair], *, with_assignment: bool = False
    ) -> list[Matches]:
        """Match several pairs of images, each as `match` does."""

    def begin_batch(
        self, pairs: Sequence[FeaturePair], *, with_assignment: bool = False
    ) -> Callable[[], list[Matches]]:
        """Begin to match several pairs of images; returns what waits for the matches of each."""


class HostExtractor:
    """An Extractor made of a function that takes one image after the other, without a device."""

    config: Any
    images_at_once, device, engine, licence = 1, _CPU, "host", "none needed"

    def warm_up(self) -> None:
        """There is nothing to load."""

    def extract(self, image: GreyImage) -> Features:
        """Extract from one image; see `Extractor.extract_batch`."""
        raise NotImplementedError

    def extract_batch(self, images: Sequence[GreyImage]) -> list[Features]:
        """Extract from several images; see `Extractor.extract_batch`."""
        return [self.extract(image) for image in images]

    def extract_tensors(
        self, images: Sequence[GreyImage], masks: Sequence[GreyImage | None] | None = None
    ) -> list[FeatureTensors]:
        """Extract from several images; see `Extractor.extract_tensors`.

        With a mask, what lies where it is 0 is left out afterwards.
        """
        found = self.extract_batch(images)
        if masks is not None:
            found = [_within(*pair) for pair in zip(found, images, masks, strict=True)]
        return [FeatureTensors.from_features(one, _CPU) for one in found]


class HostMatcher:
    """A Matcher made of a function that takes one pair after the other, without a device.

    Attributes:
        config: Whether matches are refined.
    """

    config: RefinementConfig
    made_for, device, engine, licence = "", _CPU, "host", "none needed"

    def warm_up(self) -> None:
        """There is nothing to load."""

    def pair_up(
        self, features0: Features, features1: Features, *, with_assignment: bool
    ) -> Matches:
        """The matches before they are refined; see `Matcher.match`."""
        raise NotImplementedError

    def match(
        self, features0: Features, features1: Features, *, with_assignment: bool = False
    ) -> Matches:
        """Match the features of two images; see `Matcher.match`."""
        pair = (
            FeatureTensors.from_features(features0, _CPU),
            FeatureTensors.from_features(features1, _CPU),
        )
        matches = self.pair_up(features0, features1, with_assignment=with_assignment)
        return refined(matches, pair, self.config)

    def match_batch(
        self, pairs: Sequence[FeaturePair], *, with_assignment: bool = False
    ) -> list[Matches]:
        """Match several pairs of images; see `Matcher.match_batch`."""
        return [
            self.match(one.to_features(), other.to_features(), with_assignment=with_assignment)
            for one, other in pairs
        ]

    def begin_batch(
        self, pairs: Sequence[FeaturePair], *, with_assignment: bool = False
    ) -> Callable[[], list[Matches]]:
        """Match several pairs; see `Matcher.begin_batch`."""
        found = self.match_batch(pairs, with_assignment=with_assignment)
        return lambda: found


def _within(features: Features, image: GreyImage, mask: GreyImage | None) -> Features:
    """The features at whose pixel the mask is not 0."""
    usable = usable_pixels(image, mask, border=0)
    if usable is None:
        return features
    columns, rows = (features.keypoints + 0.5).astype(int).T
    height, width = image.shape
    kept = usable[rows.clip(0, height - 1), columns.clip(0, width - 1)] != 0
    patches = None if features.patches is None else features.patches[kept]
    return replace(
        features,
        keypoints=features.keypoints[kept],
        scores=features.scores[kept],
        descriptors=features.descriptors[kept],
        patches=patches,
    )


def check_extractors(
    features0: Features | FeatureTensors, features1: Features | FeatureTensors, made_for: str
) -> None:
    """Raise InputError where features come from different extractors.

    Args:
        features0: Features of image 0.
        features1: Features of image 1.
        made_for: The extractor that the matcher was made for, or its first word where any version
            will do; empty where that is not known.
    """
    wanted = made_for or features0.extractor
    for features in (features0, features1):
        if features.extractor != wanted and not features.extractor.startswith(f"{wanted} "):
            what = "the matcher was made for" if made_for else "the other image's are from"
            raise InputError(
                f"features are from extractor {features.extractor!r}, {what} {wanted!r}: "
                "descriptors of different extractors cannot be compared"
            )


def check_descriptors(shape: tuple[int, ...], extractor: str, dim: int) -> None:
    """Raise InputError unless descriptors (N, D) of an extractor have `dim` channels."""
    count, got = shape
    if count and got == 0:
        raise InputError(
            f"{count} features from {extractor} carry no descriptors: "
            "were they left out when the features were made?"
        )
    if count and got != dim:
        raise InputError(
            f"descriptors must be (N, {dim}), got ({count}, {got}) from {extractor}: "
            "take the extractor that the matcher was made for"
        )


def no_matches(
    features0: Features | FeatureTensors,
    features1: Features | FeatureTensors,
    matcher: str,
    *,
    with_assignment: bool,
) -> Matches:
    """The result where an image has no keypoints: everything goes to the dustbins."""
    count0, count1 = len(features0), len(features1)
    assignment = None
    if with_assignment:
        assignment = np.zeros((count0 + 1, count1 + 1), np.float32)
        assignment[:-1, -1] = 1
        assignment[-1, :-1] = 1
    return Matches(
        matches0=np.full(count0, -1, np.int32),
        matches1=np.full(count1, -1, np.int32),
        matching_scores0=np.zeros(count0, np.float32),
        matching_scores1=np.zeros(count1, np.float32),
        matcher=matcher,
        assignment=assignment,
    )


def matches_from_assignment(
    probabilities: Tensor, threshold: float, matcher: str, *, with_assignment: bool
) -> Matches:
    """The result that an assignment (1, N+1, M+1) with dustbins amounts to, N and M at least 1."""
    matches0, matches1, scores0, scores1 = (
        tensor[0].cpu().numpy() for tensor in mutual_matches(probabilities, threshold)
    )
    return Matches(
        matches0=matches0.astype(np.int32),
        matches1=matches1.astype(np.int32),
        matching_scores0=scores0,
        matching_scores1=scores1,
        matcher=matcher,
        assignment=probabilities[0].cpu().numpy() if with_assignment else None,
    )
