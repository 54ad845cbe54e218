"""What is compared: ours, and the classical methods beside it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.config import (
    SIFT_SUPERGLUE,
    RefinementConfig,
    SuperGlueConfig,
    SuperPointConfig,
)
from superglue_ros.features import Features, GreyImage, Matches
from superglue_ros.images import reduce_to_longest_side, rescale_keypoints
from superglue_ros.inference import Extractor, Matcher, NearestMatcher, registry
from superglue_ros.inference.interface import HostExtractor, HostMatcher

SIFT_RATIO = 0.8
"""Lowe's: the nearest descriptor is nearer than this times the second nearest."""

REGISTERED = {
    "superglue": ("superpoint", "superglue"),
    "nearest": ("superpoint", "nearest"),
    "sift_superglue": ("sift", "superglue"),
    "aliked_lightglue": ("aliked", "lightglue"),
    "aliked_nearest": ("aliked", "nearest"),
}
"""Extractor and matcher of the methods that are made of those of the registry."""

METHODS = (*REGISTERED, "sift", "orb")


@dataclass(frozen=True)
class Method:
    """An extractor with its matcher.

    Attributes:
        name: One of `METHODS`.
        extractor: Finds the keypoints.
        matcher: Pairs them.
        any_rotation: Whether image 1 is turned by quarters too where few match.
    """

    name: str
    extractor: Extractor
    matcher: Matcher
    any_rotation: bool = False


def make_method(
    name: str,
    superpoint: SuperPointConfig,
    superglue: SuperGlueConfig,
    sift_weights: str = SIFT_SUPERGLUE,
) -> Method:
    """Load a method.

    Args:
        name: One of `METHODS`.
        superpoint: Its size and number of keypoints hold for every method.
        superglue: Settings of the matcher.
        sift_weights: SuperGlue weights for SIFT.
    """
    if name in REGISTERED:
        of_extractor, of_matcher = REGISTERED[name]
        if of_extractor == "sift":
            superglue = superglue.updated(weights=sift_weights)
        extractor = _extractor(of_extractor, superpoint)
        entry = registry.MATCHERS[of_matcher]
        own = of_matcher == "superglue"
        refinement = {"refinement": superglue.refinement}
        config = superglue if own else entry.config().updated(**refinement)
        return Method(name, extractor, registry.make_matcher(config))
    if name == "sift":
        return Method(name, _extractor("sift", superpoint), RatioMatcher())
    # Mutual nearest neighbours in Hamming distance, as is usual
    orb = OrbExtractor(superpoint.resize, superpoint.max_keypoints)
    return Method(name, orb, NearestMatcher(match_threshold=-1.0))


def _extractor(name: str, superpoint: SuperPointConfig) -> Extractor:
    """An extractor of the registry; one that is not SuperPoint takes its size and numbers."""
    config = registry.EXTRACTORS[name].config
    return registry.make_extractor(superpoint if name == "superpoint" else superpoint.part(config))


def available_methods() -> list[str]:
    """Those whose packages are installed."""
    missing = {
        name
        for name, (extractor, matcher) in REGISTERED.items()
        for entry in (registry.EXTRACTORS[extractor], registry.MATCHERS[matcher])
        if not registry.is_installed(entry)
    }
    return [name for name in METHODS if name not in missing]


class OrbExtractor(HostExtractor):
    """ORB by OpenCV; a bit of its descriptors is 1/16 or -1/16, which makes them unit vectors.

    Args:
        resize: Longest side to which larger images are reduced, 0 for none.
        max_keypoints: Most keypoints.
    """

    def __init__(self, resize: int, max_keypoints: int) -> None:
        """Create the detector."""
        self._resize = resize
        self._orb = cv2.ORB_create(nfeatures=max_keypoints)

    @property
    def name(self) -> str:
        """Name and the version of OpenCV."""
        return f"orb opencv-{cv2.__version__}"

    def extract(self, image: GreyImage) -> Features:
        """See `HostExtractor.extract`."""
        reduced = reduce_to_longest_side(image, self._resize)
        found, described = self._orb.detectAndCompute(reduced, None)
        bits = np.zeros((0, 256)) if described is None else np.unpackbits(described, axis=1)
        points = np.array([keypoint.pt for keypoint in found], np.float32).reshape(-1, 2)
        responses = np.array([keypoint.response for keypoint in found], np.float32)
        size_reduced, size = reduced.shape[::-1], image.shape[::-1]
        return Features(
            keypoints=rescale_keypoints(points, size_reduced, size),
            scores=(responses / responses.max(initial=1e-12)).clip(0, 1),
            descriptors=((bits * 2.0 - 1.0) / 16).astype(np.float32),
            image_size=size,
            extractor=self.name,
        )


class RatioMatcher(HostMatcher):
    """Mutual nearest neighbours that pass Lowe's ratio test in image 1."""

    name = "ratio"
    config = RefinementConfig(refinement=False)

    def pair_up(
        self, features0: Features, features1: Features, *, with_assignment: bool
    ) -> Matches:
        """See `HostMatcher.pair_up`; there is no assignment."""
        if len(features0) == 0 or len(features1) < 2:
            nothing = np.full(len(features0), -1), np.zeros(len(features0))
            return _matches(features0, features1, *nothing)
        similarity = features0.descriptors @ features1.descriptors.T
        distance = np.sqrt(np.maximum(2 - 2 * similarity, 0))
        nearest = distance.argmin(axis=1)
        best, second = np.partition(distance, 1, axis=1)[:, :2].T
        mutual = distance.argmin(axis=0)[nearest] == np.arange(len(nearest))
        kept = mutual & (best < SIFT_RATIO * second)
        confidence = 1 - best / np.maximum(second, 1e-12)
        return _matches(features0, features1, np.where(kept, nearest, -1), confidence)


def _matches(
    features0: Features,
    features1: Features,
    matches0: NDArray[np.integer],
    confidence: NDArray[np.floating],
) -> Matches:
    matches1 = np.full(len(features1), -1, np.int32)
    scores0 = np.where(matches0 >= 0, confidence, 0).astype(np.float32)
    scores1 = np.zeros(len(features1), np.float32)
    index0 = np.flatnonzero(matches0 >= 0)
    matches1[matches0[index0]] = index0
    scores1[matches0[index0]] = scores0[index0]
    return Matches(matches0.astype(np.int32), matches1, scores0, scores1, RatioMatcher.name)
