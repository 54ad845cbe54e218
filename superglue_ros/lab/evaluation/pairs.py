"""Pairs of images with their truth, and what a method's matches are worth on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from superglue_ros.features import GreyImage
from superglue_ros.lab.evaluation import metrics
from superglue_ros.lab.evaluation.metrics import Array
from superglue_ros.lab.evaluation.robust import (
    estimate_homography,
    estimate_pose,
    least_squares_homography,
)

EPIPOLAR_LIMIT = 5e-4
"""Largest symmetric squared epipolar distance of a right match (SuperGlue, section 5.2)."""

Figures = dict[str, float]


class Truth(Protocol):
    """What is known of a pair."""

    def judge(
        self, keypoints0: Array, keypoints1: Array, pairs: NDArray[np.int32], images: ImagePair
    ) -> Judgement:
        """Compare matches with the truth.

        Args:
            keypoints0: (N, 2) in pixels of image 0.
            keypoints1: (M, 2) in pixels of image 1.
            pairs: (K, 2) indices of the matches.
            images: The pair.
        """


@dataclass(frozen=True)
class ImagePair:
    """Two images and the truth about them.

    Attributes:
        name: Where they come from.
        image0: (H, W) uint8.
        image1: (H, W) uint8.
        truth: What is known.
    """

    name: str
    image0: GreyImage
    image1: GreyImage
    truth: Truth

    @property
    def size0(self) -> tuple[int, int]:
        """(width, height) of image 0."""
        return self.image0.shape[1], self.image0.shape[0]

    @property
    def size1(self) -> tuple[int, int]:
        """(width, height) of image 1."""
        return self.image1.shape[1], self.image1.shape[0]


@dataclass(frozen=True)
class Judgement:
    """What a pair's matches are worth.

    Attributes:
        right: (K,) whether each match is right.
        judged: (K,) whether the truth says anything about it.
        counts: Named counts, summed over the pairs of a set.
        errors: Named errors of the pair as a whole, for areas under curves.
    """

    right: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    counts: Figures
    errors: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class HomographyTruth:
    """A plane or a turn: the homography (3, 3) from image 0 to image 1."""

    homography: Array

    def judge(
        self, keypoints0: Array, keypoints1: Array, pairs: NDArray[np.int32], images: ImagePair
    ) -> Judgement:
        """See `Truth.judge`."""
        points0, points1 = keypoints0[pairs[:, 0]], keypoints1[pairs[:, 1]]
        error = metrics.transfer_errors(self.homography, points0, points1)
        right = error <= metrics.MATCH_PX
        possible = metrics.possible_matches(self.homography, keypoints0, keypoints1, images.size1)
        found = int((right & possible[pairs[:, 0]]).sum())
        direct = least_squares_homography(points0, points1)
        robust = estimate_homography(points0, points1)
        return Judgement(
            right=right,
            judged=np.ones(len(pairs), bool),
            counts={
                "possible": float(possible.sum()),
                "found": float(found),
                "within 1px": float((error <= 1).sum()),
            },
            errors={
                "DLT": metrics.corner_error(direct, self.homography, images.size0),
                "RANSAC": metrics.corner_error(robust, self.homography, images.size0),
            },
        )


@dataclass(frozen=True)
class PoseTruth:
    """Two calibrated cameras: intrinsics (3, 3); rotation (3, 3), translation (3,) from 0 to 1."""

    K0: Array
    K1: Array
    rotation: Array
    translation: Array

    def judge(
        self, keypoints0: Array, keypoints1: Array, pairs: NDArray[np.int32], images: ImagePair
    ) -> Judgement:
        """See `Truth.judge`."""
        points0, points1 = keypoints0[pairs[:, 0]], keypoints1[pairs[:, 1]]
        error = metrics.epipolar_errors(
            points0, points1, self.K0, self.K1, self.rotation, self.translation
        )
        estimate = estimate_pose(points0, points1, self.K0, self.K1)
        pose_error = 180.0
        if estimate is not None:
            rotation, translation = estimate
            pose_error = max(
                metrics.rotation_error_deg(rotation, self.rotation),
                metrics.translation_error_deg(translation, self.translation),
            )
        return Judgement(
            right=error < EPIPOLAR_LIMIT,
            judged=np.ones(len(pairs), bool),
            counts={},
            errors={"pose": pose_error},
        )


@dataclass(frozen=True)
class DisparityTruth:
    """A rectified stereo pair: pixel (x, y) of image 0 is (x - disparity, y) of image 1.

    Attributes:
        disparity: (H, W), not finite where unknown.
    """

    disparity: Array

    def judge(
        self, keypoints0: Array, keypoints1: Array, pairs: NDArray[np.int32], images: ImagePair
    ) -> Judgement:
        """See `Truth.judge`."""
        points0, points1 = keypoints0[pairs[:, 0]], keypoints1[pairs[:, 1]]
        height, width = self.disparity.shape
        column = np.clip(np.rint(points0[:, 0]).astype(int), 0, width - 1)
        row = np.clip(np.rint(points0[:, 1]).astype(int), 0, height - 1)
        shift = self.disparity[row, column]
        judged = np.isfinite(shift)
        expected = points0 - np.stack([np.where(judged, shift, 0), np.zeros_like(shift)], axis=1)
        error = np.linalg.norm(expected - points1, axis=1)
        return Judgement(
            right=judged & (error <= metrics.MATCH_PX),
            judged=judged,
            counts={"within 1px": float((judged & (error <= 1)).sum())},
        )
