"""What an engine does: grey images to keypoints, features to matches.

An engine begins where images have their network size and ends with keypoints in pixels of the
images as given; sizes and masks of any size are dealt with before it. It may keep what it needs
from one call to the next (graphs, buffers), but what it returns is the caller's and stays as it is.
How many images or pairs it works on at a time is its own affair: callers give it all they have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch

from superglue_ros.config import AssignmentConfig, DetectionConfig
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage, Matches
from superglue_ros.inference.tensors import FeaturePair, FeatureTensors
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import LoadedNetwork

PendingMatches = Callable[[], list[Matches]]
"""Waits for matches that are being computed, and returns them in the host's memory."""

IMAGES_AT_ONCE = 16
PAIRS_AT_ONCE = 8
"""What a GPU is given together; bounds the memory."""

_PIXELS_AT_ONCE = IMAGES_AT_ONCE * 640 * 480


def images_at_once(device: torch.device, shape: tuple[int, ...] = (480, 640)) -> int:
    """How many images of a height and width go through a network together on a device."""
    if device.type == "cpu":  # together they take as long and many times the memory
        return 1
    height, width = shape
    return max(1, min(IMAGES_AT_ONCE, _PIXELS_AT_ONCE // (height * width)))


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


class PreparedImage(NamedTuple):
    """An image as an engine takes it.

    Attributes:
        pixels: (H, W) uint8 in the host's memory, at the size that the network sees; H and W at
            least 1 and of any remainder by the stride: the engine pads.
        usable: (H, W) uint8 in the host's memory, no keypoint where 0, and as many as without it;
            None for everywhere. It is applied after non-maximum suppression.
        size: (width, height) of the image as given, in whose pixels keypoints come out.
    """

    pixels: GreyImage
    usable: GreyImage | None
    size: tuple[int, int]


class SuperPointEngine(Protocol):
    """Runs SuperPoint with non-maximum suppression, selection and sampling.

    Attributes:
        precision: fp32, fp16 or bf16: what most of the network computes with.
    """

    precision: str

    def detect(
        self, images: Sequence[PreparedImage], config: DetectionConfig
    ) -> list[FeatureTensors]:
        """Find and describe the keypoints of several images of one size.

        Args:
            images: At least one, all of one height and width.
            config: Thresholds and counts, which may change from call to call. `resize` and
                `mask_border` have been applied.

        Returns:
            For each image its keypoints, the most confident first, with 256 channels; none in an
            image of one grey value. They may still be being computed.
        """


class SuperGlueEngine(Protocol):
    """Runs SuperGlue with its matching layer.

    Attributes:
        precision: fp32, fp16 or bf16: what most of the network computes with.
    """

    precision: str

    def begin_match(
        self, pairs: Sequence[FeaturePair], config: AssignmentConfig, *, with_assignment: bool
    ) -> PendingMatches:
        """Begin to match several pairs of images, each as if it were alone.

        Args:
            pairs: Features on the engine's device, which may still be being computed; counts may
                differ within and between pairs, and be 0.
            config: Threshold, iterations and whether matches are refined, which may change from
                call to call.
            with_assignment: Whether to fill in `Matches.assignment`.

        Returns:
            What waits for the matches of each pair.
        """


class EngineModule(Protocol):
    """The functions by which `selection` makes the engines of a module.

    Each takes a network in evaluation mode on the CPU, simplified (see `folding`), which it leaves
    as it is, and raises EngineUnavailableError where it cannot run.
    """

    def superpoint_engine(
        self, loaded: LoadedNetwork[SuperPoint], options: EngineOptions
    ) -> SuperPointEngine:
        """Make the engine for SuperPoint."""

    def superglue_engine(
        self, loaded: LoadedNetwork[SuperGlue], options: EngineOptions
    ) -> SuperGlueEngine:
        """Make the engine for SuperGlue."""
