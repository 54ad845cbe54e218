"""The two networks as ONNX files, without what comes after them."""

from __future__ import annotations

import torch
from torch import Tensor

from superglue_ros.inference.onnx.export import to_onnx
from superglue_ros.inference.onnx.graphs import SuperGlueScores, SuperPointMaps
from superglue_ros.networks import SuperGlue, SuperPoint

IMAGE_AXES = {0: "batch", 2: "height", 3: "width"}
FEATURE_INPUTS = tuple(
    f"{name}{index}" for index in (0, 1) for name in ("keypoints", "scores", "descriptors", "size")
)
FEATURE_AXES = {
    f"{name}{index}": {1: f"count{index}"}
    for index in (0, 1)
    for name in ("keypoints", "scores", "descriptors")
}
"""How many keypoints there are may differ from image to image and from call to call."""

_EXAMPLE_SIDE = 64
_EXAMPLE_COUNTS = (24, 16)


def superpoint_maps(network: SuperPoint) -> bytes:
    """`SuperPointMaps` for images of any size that is a multiple of the stride."""
    return to_onnx(
        SuperPointMaps(network),
        [example_image()],
        inputs=("image",),
        outputs=("probabilities", "descriptors"),
        axes={
            "image": IMAGE_AXES,
            "probabilities": {0: "batch", 1: "height", 2: "width"},
            "descriptors": {0: "batch", 2: "rows", 3: "columns"},
        },
    )


def superglue_scores(network: SuperGlue) -> bytes:
    """`SuperGlueScores` for any counts of keypoints."""
    return to_onnx(
        SuperGlueScores(network),
        example_features(network.descriptor_dim),
        inputs=FEATURE_INPUTS,
        outputs=("scores",),
        axes={**FEATURE_AXES, "scores": {1: "count0", 2: "count1"}},
    )


def example_image() -> Tensor:
    """An image (1, 1, H, W) to trace with."""
    return torch.rand(1, 1, _EXAMPLE_SIDE, _EXAMPLE_SIDE)


def example_features(dim: int) -> list[Tensor]:
    """Features of two images to trace with, of different counts."""
    size = torch.tensor([[640.0, 480.0]])
    return [
        tensor
        for count in _EXAMPLE_COUNTS
        for tensor in (
            torch.rand(1, count, 2),
            torch.rand(1, count),
            torch.rand(1, count, dim),
            size,
        )
    ]
