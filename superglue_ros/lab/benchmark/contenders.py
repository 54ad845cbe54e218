"""What is measured: this package as it is set up, and others on the same inputs.

Each does three things: `extract` keypoints from images, `match` features that are given, and
`pair`, from two images to matches. Images are (H, W) uint8 in the host's memory; there the results
are too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from superglue_ros.config import SuperGlueConfig, SuperPointConfig
from superglue_ros.features import GreyImage, IndexArray
from superglue_ros.inference import ImagePairMatcher, SuperGlueMatcher, SuperPointExtractor
from superglue_ros.inference.device import strict_float32
from superglue_ros.inference.image_pairs import ImagePair
from superglue_ros.inference.tensors import FeaturePair, FeatureTensors
from superglue_ros.lab.benchmark.transformers_peer import (
    Given,
    StateDict,
    transformers_superglue,
    transformers_superpoint,
)
from superglue_ros.networks import (
    SuperGlue,
    SuperPoint,
    log_optimal_transport,
    mutual_matches,
    non_maximum_suppression,
    sample_descriptors,
    select_keypoints,
)
from superglue_ros.refinement import Alignment, align_patches
from superglue_ros.weights.loading import load_superglue, load_superpoint


class Contender(Protocol):
    """Something that finds and matches keypoints.

    Attributes:
        name: What it is called.
        engine: What runs it.
        precision: The precision that was asked for.
        computes_in: What its networks compute in, where it was left to them too.
    """

    name: str
    engine: str
    precision: str
    computes_in: str

    def extract(self, images: Sequence[GreyImage]) -> object:
        """Find the keypoints of images of one size."""

    def match(self, pair: FeaturePair) -> IndexArray:
        """Match given features; returns for each of image 0 its partner or -1."""

    def pair(self, images: Sequence[GreyImage]) -> IndexArray:
        """Match two images."""


@dataclass(frozen=True)
class Task:
    """What all contenders are given.

    Attributes:
        superpoint: Weights, keypoints, device; engine and precision are ours alone.
        superglue: Weights and iterations.
    """

    superpoint: SuperPointConfig
    superglue: SuperGlueConfig


class Ours:
    """This package."""

    name = "superglue_ros"

    def __init__(self, task: Task) -> None:
        """Load the networks."""
        self._extractor = SuperPointExtractor(task.superpoint)
        self._matcher = SuperGlueMatcher(task.superglue)
        self._pairs = ImagePairMatcher(self._extractor, self._matcher)
        engines = dict.fromkeys((self._extractor.engine, self._matcher.engine))
        precisions = dict.fromkeys((self._extractor.precision, self._matcher.precision))
        self.engine, self.precision = " + ".join(engines), task.superpoint.precision
        self.computes_in = " + ".join(precisions)

    def extract(self, images: Sequence[GreyImage]) -> list[FeatureTensors]:
        """See `Contender`."""
        return self._extractor.extract_tensors(images)

    def match(self, pair: FeaturePair) -> IndexArray:
        """See `Contender`."""
        return self._matcher.match_batch([pair])[0].matches0

    def refine(self, patches: tuple[Tensor, Tensor]) -> Alignment:
        """Align the patches of matches, (K, S, S) uint8 each."""
        return align_patches(*patches)

    def pair(self, images: Sequence[GreyImage]) -> IndexArray:
        """See `Contender`."""
        image0, image1 = images
        return self.pairs([(image0, image1)])[0]

    def pairs(self, pairs: Sequence[ImagePair]) -> list[IndexArray]:
        """Match many pairs of images, as an offline run does."""
        return [found.matches.matches0 for found in self._pairs.match(pairs)]


class Plain:
    """The networks as the papers have them, an operation at a time, in float32.

    No batch-norm is folded, no layout changed, and the matching layer works in the log domain. The
    default by which PyTorch computes convolutions on a GPU in TensorFloat-32 is off.
    """

    name, engine, precision = "plain PyTorch", "eager", "fp32"
    computes_in = precision

    def __init__(self, task: Task) -> None:
        """Load the networks."""
        self._task = task
        self._device = torch.device(task.superpoint.device)
        self._superpoint: SuperPoint = load_superpoint(task.superpoint.weights).network.eval()
        self._superglue: SuperGlue = load_superglue(task.superglue.weights).network.eval()
        self._superpoint.to(self._device)
        self._superglue.to(self._device)

    @torch.inference_mode()
    def extract(self, images: Sequence[GreyImage]) -> list[FeatureTensors]:
        """See `Contender`."""
        config = self._task.superpoint
        batch = torch.from_numpy(np.stack(images))[:, None].to(self._device).float() / 255
        with strict_float32():
            probabilities, maps = self._superpoint(batch)
        suppressed = non_maximum_suppression(probabilities, config.nms_radius)
        features = []
        for index, image in enumerate(images):
            keypoints, scores = select_keypoints(
                suppressed[index], config.keypoint_threshold, config.max_keypoints
            )
            descriptors = sample_descriptors(keypoints, maps[index])
            size = (image.shape[1], image.shape[0])
            features.append(FeatureTensors(keypoints, scores, descriptors, size, extractor=""))
        return features

    @torch.inference_mode()
    def match(self, pair: FeaturePair) -> IndexArray:
        """See `Contender`."""
        config = self._task.superglue
        inputs = [
            tensor[None]
            for one in pair
            for tensor in (
                one.keypoints,
                one.scores,
                one.descriptors.T,
                one.keypoints.new_tensor(one.image_size),
            )
        ]
        with strict_float32():
            scores = self._superglue(*inputs)
        log_assignment = log_optimal_transport(
            scores, self._superglue.bin_score, config.sinkhorn_iterations
        )
        matches0, *_ = mutual_matches(log_assignment.exp(), config.match_threshold)
        return matches0[0].cpu().numpy().astype(np.int32)

    def pair(self, images: Sequence[GreyImage]) -> IndexArray:
        """See `Contender`."""
        features0, features1 = self.extract(images)
        return self.match((features0, features1))


class Transformers:
    """The networks of the `transformers` package with the same weights, in float32 as `Plain`."""

    name, engine, precision = "transformers", "eager", "fp32"
    computes_in = precision

    def __init__(self, task: Task) -> None:
        """Load the networks; raises ImportError where the package is not installed."""
        self._device = torch.device(task.superpoint.device)
        superpoint: StateDict = load_superpoint(task.superpoint.weights).network.state_dict()
        self._superpoint = transformers_superpoint(
            superpoint, max_keypoints=task.superpoint.max_keypoints
        ).to(self._device)
        self._superglue = transformers_superglue(
            load_superglue(task.superglue.weights).network.state_dict(),
            self._superpoint,
            iterations=task.superglue.sinkhorn_iterations,
            threshold=task.superglue.match_threshold,
        ).to(self._device)

    @torch.inference_mode()
    def extract(self, images: Sequence[GreyImage]) -> object:
        """See `Contender`."""
        with strict_float32():
            return self._superpoint(self._pixels(images))

    @torch.inference_mode()
    def match(self, pair: FeaturePair) -> IndexArray:
        """See `Contender`."""
        sizes = [one.keypoints.new_tensor(one.image_size) for one in pair]
        self._superglue.keypoint_detector = Given(
            torch.stack([one.keypoints / size for one, size in zip(pair, sizes, strict=True)]),
            torch.stack([one.scores for one in pair]),
            torch.stack([one.descriptors for one in pair]),
        )
        width, height = pair[0].image_size
        with strict_float32():
            found = self._superglue(torch.zeros(1, 2, 3, height, width, device=self._device))
        self._superglue.keypoint_detector = self._superpoint
        return np.asarray(found.matches[0, 0].cpu().numpy(), np.int32)

    @torch.inference_mode()
    def pair(self, images: Sequence[GreyImage]) -> IndexArray:
        """See `Contender`."""
        with strict_float32():
            found = self._superglue(self._pixels(images)[None])
        return np.asarray(found.matches[0, 0].cpu().numpy(), np.int32)

    def _pixels(self, images: Sequence[GreyImage]) -> torch.Tensor:
        batch = torch.from_numpy(np.stack(images))[:, None].to(self._device).float() / 255
        return batch.expand(-1, 3, -1, -1)


class SiftBruteForce:
    """OpenCV's SIFT with mutual nearest neighbours by brute force, on the CPU."""

    name, engine, precision = "SIFT, brute force", "OpenCV", "fp32"
    computes_in = precision

    def __init__(self, task: Task) -> None:
        """Make the detector and the matcher."""
        self._sift = cv2.SIFT_create(nfeatures=task.superpoint.max_keypoints)
        self._matcher = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True)

    def extract(self, images: Sequence[GreyImage]) -> list[np.ndarray]:
        """See `Contender`."""
        return [self._sift.detectAndCompute(image, None)[1] for image in images]

    def match(self, pair: FeaturePair) -> IndexArray:
        """See `Contender`; the first half of the channels, which are as many as SIFT's."""
        descriptors = [np.ascontiguousarray(one.descriptors.cpu().numpy()[:, :128]) for one in pair]
        return self._matched(descriptors)

    def pair(self, images: Sequence[GreyImage]) -> IndexArray:
        """See `Contender`."""
        return self._matched(self.extract(images))

    def _matched(self, descriptors: Sequence[np.ndarray]) -> IndexArray:
        matches0 = np.full(len(descriptors[0]), -1, np.int32)
        for match in self._matcher.match(*descriptors):
            matches0[match.queryIdx] = match.trainIdx
        return matches0


def same_share(matches0: IndexArray, expected0: IndexArray) -> float:
    """The share of expected matches that are the same; not a number where there is nothing."""
    expected = expected0 >= 0
    if len(matches0) != len(expected0) or not expected.any():
        return math.nan
    return float((matches0 == expected0)[expected].mean())
