"""The typed results that pass between extractors, matchers, nodes and files.

Pixel convention: (0, 0) is the centre of the top-left pixel, x to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superglue_ros.errors import InputError

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
GreyImage = NDArray[np.uint8]


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
    """

    keypoints: FloatArray
    scores: FloatArray
    descriptors: FloatArray
    image_size: tuple[int, int]
    extractor: str

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        _check_shape("keypoints", self.keypoints, ("N", 2))
        count = len(self.keypoints)
        _check_shape("scores", self.scores, (count,))
        _check_shape("descriptors", self.descriptors, (count, "D"))

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
    """

    matches0: IndexArray
    matches1: IndexArray
    matching_scores0: FloatArray
    matching_scores1: FloatArray
    matcher: str
    assignment: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        _check_shape("matches0", self.matches0, ("N",))
        _check_shape("matches1", self.matches1, ("M",))
        _check_shape("matching_scores0", self.matching_scores0, self.matches0.shape)
        _check_shape("matching_scores1", self.matching_scores1, self.matches1.shape)
        if self.assignment is not None:
            rows_columns = (len(self.matches0) + 1, len(self.matches1) + 1)
            _check_shape("assignment", self.assignment, rows_columns)

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
