"""What an engine does: grey images to keypoints, features to matches.

An engine begins where images have their network size and ends with results in pixels of that size;
sizes, masks of any size and empty input are dealt with before it. It may keep what it needs from
one call to the next (graphs, buffers), but what it returns is the caller's and stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from superglue_ros.config import AssignmentConfig, DetectionConfig
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage, Matches
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import LoadedNetwork

FeaturePair = tuple[FeatureTensors, FeatureTensors]


class EngineUnavailableError(InputError):
    """An engine cannot run here: a package is missing, or the device or precision does not fit."""


class EngineOptions(NamedTuple):
    """What is asked of an engine when it is made.

    Attributes:
        device: Where it takes features from and leaves them.
        precision: auto (the engine's choice), fp32, fp16 or bf16.
    """

    device: torch.device
    precision: str


class Detections(NamedTuple):
    """The keypoints of one image on the engine's device, the most confident first; N may be 0.

    Attributes:
        keypoints: (N, 2) float32, x and y in pixels of the image as given to the engine.
        scores: (N,) float32 detector probabilities.
        descriptors: (N, 256) float32 of unit length.
    """

    keypoints: Tensor
    scores: Tensor
    descriptors: Tensor


class SuperPointEngine(Protocol):
    """Runs SuperPoint with non-maximum suppression, selection and sampling."""

    def detect(
        self,
        images: Sequence[GreyImage],
        usable: Sequence[GreyImage | None],
        config: DetectionConfig,
    ) -> list[Detections]:
        """Find and describe the keypoints of several images of one size.

        Args:
            images: Each (H, W) uint8 in the host's memory, at least one, H and W at least 1 and of
                any remainder by the stride: the engine pads.
            usable: For each image None, or (H, W) uint8 in the host's memory: no keypoint where 0,
                and as many as without it. It is applied after non-maximum suppression.
            config: Thresholds and counts, which may change from call to call. `resize` and
                `mask_border` have been applied.

        Returns:
            For each image its keypoints; none in an image of one grey value.
        """


class SuperGlueEngine(Protocol):
    """Runs SuperGlue with its matching layer."""

    def match(
        self, pairs: Sequence[FeaturePair], config: AssignmentConfig, *, with_assignment: bool
    ) -> list[Matches]:
        """Match several pairs of images, each as if it were alone.

        Args:
            pairs: Features on the engine's device, at least one in either image; counts may differ
                within and between pairs.
            config: Threshold and iterations, which may change from call to call.
            with_assignment: Whether to fill in `Matches.assignment`.

        Returns:
            The matches of each pair, in the host's memory.
        """


class EngineModule(Protocol):
    """The functions by which `selection` makes the engines of a module.

    Each takes a network in evaluation mode on the CPU, batch-norm folded, which it leaves as it is,
    and raises EngineUnavailableError where it cannot run.
    """

    def superpoint_engine(
        self, loaded: LoadedNetwork[SuperPoint], options: EngineOptions
    ) -> SuperPointEngine:
        """Make the engine for SuperPoint."""

    def superglue_engine(
        self, loaded: LoadedNetwork[SuperGlue], options: EngineOptions
    ) -> SuperGlueEngine:
        """Make the engine for SuperGlue."""
