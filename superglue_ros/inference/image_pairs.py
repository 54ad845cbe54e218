"""From pairs of images to features and matches, as many at a time as the device likes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from superglue_ros.batches import batches, overlapped
from superglue_ros.features import GreyImage, Matches
from superglue_ros.inference.interface import Extractor, Matcher
from superglue_ros.inference.tensors import FeatureTensors

ImagePair = tuple[GreyImage, GreyImage]


class MatchedImages(NamedTuple):
    """The features of two images, on the device, and their matches."""

    features0: FeatureTensors
    features1: FeatureTensors
    matches: Matches


class ImagePairMatcher:
    """Extracts from pairs of images and matches them.

    A GPU has several pairs at a time, and the next ones before the matches are waited for; a CPU
    has one after the other.

    Args:
        extractor: The extractor.
        matcher: The matcher for its features.
    """

    def __init__(self, extractor: Extractor, matcher: Matcher) -> None:
        """Take both."""
        self._extractor = extractor
        self._matcher = matcher

    def match(self, pairs: Iterable[ImagePair]) -> Iterator[MatchedImages]:
        """Match pairs of images.

        Args:
            pairs: Image 0 and image 1, each (H, W) uint8 grey, of any size. They are taken as they
                are needed, a few pairs in advance.

        Yields:
            For each pair in order the features of both images and their matches.

        Raises:
            InputError: An image is unfit, or the features do not fit the matcher.
            DeviceError: The device failed, for want of memory say.
        """
        size = max(1, self._extractor.images_at_once // 2)
        return overlapped(map(self._begin, batches(pairs, size)))

    def _begin(self, pairs: Sequence[ImagePair]) -> Callable[[], Iterator[MatchedImages]]:
        features = iter(
            self._extractor.extract_tensors([image for pair in pairs for image in pair])
        )
        extracted = list(zip(features, features, strict=True))
        pending = self._matcher.begin_batch(extracted)
        return lambda: (
            MatchedImages(*both, matches)
            for both, matches in zip(extracted, pending(), strict=True)
        )
