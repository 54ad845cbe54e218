"""Our weights in the SuperPoint and SuperGlue of the `transformers` package."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from superglue_ros.networks.superglue import HEADS, LAYERS

StateDict = dict[str, Tensor]


def _transformers() -> Any:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import transformers

    return transformers


def transformers_superpoint(state: StateDict, max_keypoints: int = -1) -> nn.Module:
    """Their SuperPoint with a state dict of ours.

    Args:
        state: In the published layout.
        max_keypoints: Most keypoints of an image, -1 for all.

    Raises:
        ImportError: transformers is not installed.
    """
    names = {
        "convPa": "keypoint_decoder.conv_score_a",
        "convPb": "keypoint_decoder.conv_score_b",
        "convDa": "descriptor_decoder.conv_descriptor_a",
        "convDb": "descriptor_decoder.conv_descriptor_b",
    }
    for block in range(4):
        for part in "ab":
            names[f"conv{block + 1}{part}"] = f"encoder.conv_blocks.{block}.conv_{part}"
    renamed = {}
    for name, tensor in state.items():
        layer, kind = name.split(".")
        renamed[f"{names[layer]}.{kind}"] = tensor
    package = _transformers()
    config = package.SuperPointConfig(max_keypoints=max_keypoints)
    model: nn.Module = package.SuperPointForKeypointDetection(config)
    model.load_state_dict(renamed, strict=True)
    return model.eval()


def transformers_superglue(
    state: StateDict, detector: nn.Module, *, iterations: int, threshold: float
) -> nn.Module:
    """Their SuperGlue with a state dict of ours.

    Args:
        state: In the published layout.
        detector: What finds the keypoints; see `Given`.
        iterations: Of the matching layer.
        threshold: Least probability of a match.

    Raises:
        ImportError: transformers is not installed.
    """
    package = _transformers()
    config = package.SuperGlueConfig(
        keypoint_detector_config=package.SuperPointConfig(),
        hidden_size=len(state["final_proj.bias"]),
        sinkhorn_iterations=iterations,
        matching_threshold=threshold,
    )
    model: nn.Module = package.SuperGlueForKeypointMatching(config)
    model.keypoint_detector = nn.Identity()
    model.load_state_dict(_renamed_superglue(state), strict=True)
    model.keypoint_detector = detector
    return model.eval()


class Given(nn.Module):
    """Stands for the detector: what it would find in the two images of one pair.

    Args:
        keypoints: (2, N, 2) relative to the images' sizes.
        scores: (2, N).
        descriptors: (2, N, D).
    """

    def __init__(self, keypoints: Tensor, scores: Tensor, descriptors: Tensor) -> None:
        """Keep what is given."""
        super().__init__()
        mask = torch.ones(scores.shape, dtype=torch.int, device=scores.device)
        self.outputs = (keypoints, scores, descriptors, mask)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """What is given, whatever the images."""
        return self.outputs


def _renamed_superglue(state: StateDict) -> StateDict:
    dim = len(state["final_proj.bias"])
    # Their heads are blocks of channels, those of the published layout are interleaved.
    by_head = torch.arange(dim).view(-1, HEADS).T.flatten()
    names = _superglue_names()
    renamed = {"bin_score": state["bin_score"]}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        if not layer:
            continue
        if kind == "weight" and tensor.ndim == 3:
            tensor = tensor[:, :, 0]
        if ".attn.proj." in name:
            tensor = tensor[by_head]
        elif name.endswith("attn.merge.weight"):
            tensor = tensor[:, by_head]
        renamed[f"{names[layer]}.{kind}"] = tensor
    return renamed


def _superglue_names() -> dict[str, str]:
    """Their name of each of our layers."""
    names = {"kenc.encoder.12": "keypoint_encoder.encoder.4"}
    for index in range(4):
        names[f"kenc.encoder.{3 * index}"] = f"keypoint_encoder.encoder.{index}.linear"
        names[f"kenc.encoder.{3 * index + 1}"] = f"keypoint_encoder.encoder.{index}.batch_norm"
    for index in range(LAYERS):
        layer = f"gnn.layers.{index}"
        for number, kind in enumerate(("query", "key", "value")):
            names[f"{layer}.attn.proj.{number}"] = f"{layer}.attention.self.{kind}"
        names[f"{layer}.attn.merge"] = f"{layer}.attention.output.dense"
        names[f"{layer}.mlp.0"] = f"{layer}.mlp.0.linear"
        names[f"{layer}.mlp.1"] = f"{layer}.mlp.0.batch_norm"
        names[f"{layer}.mlp.3"] = f"{layer}.mlp.1"
    names["final_proj"] = "final_projection.final_proj"
    return names
