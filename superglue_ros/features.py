"""The typed results that pass between extractors, matchers, nodes and files.

Pixel convention: (0, 0) is the centre of the top-left pixel, x to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from superglue_ros.errors import InputError

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
GreyImage = NDArray[np.uint8]
PatchArray = NDArray[np.uint8]
PointArray = NDArray[np.float64]


def _check_shape(name: str, array: NDArray[np.generic], expected: tuple[int | str, ...]) -> None:
    fits = array.ndim == len(expected) and all(
        isinstance(want, str) or want == got
        for want, got in zip(expected, array.shape, strict=True)
    )
    if not fits:
        wanted = f"({', '.join(str(want) for want in expected)})"
        raise InputError(f"{name} must be {wanted}, got {array.shape}")


@dataclass(frozen=True, eq=False)
class Features:
    """Keypoints of one image with their confidences and descriptors, the most confident first.

    Attributes:
        keypoints: (N, 2) float32, x and y in pixels of the image as given to the extractor.
        scores: (N,) float32, confidences in [0, 1].
        descriptors: (N, D) float32 of unit length; (N, 0) where they were not wanted.
        image_size: (width, height) of that image in pixels.
        extractor: Name of the extractor and the digest of its weights.
        patches: (N, S, S) uint8, the grey values around each keypoint, S odd, by which matches are
            refined; None where there are none.
        patch_scale: Pixels of the image from one sample of a patch to the next.
    """

    keypoints: FloatArray
    scores: FloatArray
    descriptors: FloatArray
    image_size: tuple[int, int]
    extractor: str
    patches: PatchArray | None = None
    patch_scale: float = 1.0

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        _check_shape("keypoints", self.keypoints, ("N", 2))
        count = len(self.keypoints)
        _check_shape("scores", self.scores, (count,))
        _check_shape("descriptors", self.descriptors, (count, "D"))
        if self.patches is not None:
            side = self.patches.shape[-1]
            _check_shape("patches", self.patches, (count, side, side))

    def __len__(self) -> int:
        """The number of keypoints."""
        return len(self.keypoints)


@dataclass(frozen=True, eq=False)
class Matches:
    """Which keypoint of image 0 belongs to which of image 1.

    Attributes:
        matches0: (N,) int32, for each keypoint of image 0 its index in image 1, -1 for none.
        matches1: (M,) int32, the same from image 1.
        matching_scores0: (N,) float32, confidence at the keypoint's mutual best partner, 0 where it
            has none. A score can stand beside -1: the pair was below the matcher's threshold.
        matching_scores1: (M,) float32, the same from image 1.
        matcher: Name of the matcher and the digest of its weights.
        assignment: (N+1, M+1) float32 assignment probabilities, dustbins last; None where they were
            not asked for.
        keypoints1: (M, 2) float32, the keypoints of image 1 in its pixels, those of refined matches
            moved by a fraction of a pixel to where the partner in image 0 is; None where matches
            were not to be refined or could not be.
        refined0: (N,) bool, for each keypoint of image 0 whether its match was refined; None
            with `keypoints1`.
    """

    matches0: IndexArray
    matches1: IndexArray
    matching_scores0: FloatArray
    matching_scores1: FloatArray
    matcher: str
    assignment: FloatArray | None = None
    keypoints1: FloatArray | None = None
    refined0: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        _check_shape("matches0", self.matches0, ("N",))
        _check_shape("matches1", self.matches1, ("M",))
        _check_shape("matching_scores0", self.matching_scores0, self.matches0.shape)
        _check_shape("matching_scores1", self.matching_scores1, self.matches1.shape)
        if self.assignment is not None:
            rows_columns = (len(self.matches0) + 1, len(self.matches1) + 1)
            _check_shape("assignment", self.assignment, rows_columns)
        if self.keypoints1 is not None:
            _check_shape("keypoints1", self.keypoints1, (len(self.matches1), 2))
        if self.refined0 is not None:
            _check_shape("refined0", self.refined0, self.matches0.shape)

    def __len__(self) -> int:
        """The number of matches."""
        return int(np.count_nonzero(self.matches0 >= 0))

    @property
    def pairs(self) -> IndexArray:
        """(K, 2) int32: index in image 0 and index in image 1 of each match."""
        index0 = np.flatnonzero(self.matches0 >= 0).astype(np.int32)
        return np.stack([index0, self.matches0[index0]], axis=1)

    @property
    def confidences(self) -> FloatArray:
        """(K,) float32: the confidence of each of `pairs`."""
        return self.matching_scores0[self.matches0 >= 0]

    @property
    def are_refined(self) -> NDArray[np.bool_]:
        """(K,) bool: whether each of `pairs` was refined."""
        if self.refined0 is None:
            return np.zeros(len(self), bool)
        return self.refined0[self.matches0 >= 0]

    def refined(self, features1: Features) -> Features:
        """The features of image 1 with their keypoints where these matches have them."""
        if self.keypoints1 is None:
            return features1
        return replace(features1, keypoints=self.keypoints1)

    def points(self, features0: Features, features1: Features) -> tuple[PointArray, PointArray]:
        """(K, 2) float64 each: the two ends of each of `pairs`, refined where they were.

        Args:
            features0: Features of image 0.
            features1: Features of image 1, as extracted or `refined`.
        """
        index0, index1 = self.pairs.T
        ends = (features0.keypoints[index0], self.refined(features1).keypoints[index1])
        return ends[0].astype(np.float64), ends[1].astype(np.float64)
