"""The same weights give the same results as the independent implementation in `transformers`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from superglue_ros.features import Features, GreyImage
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights import load_superglue, load_superpoint

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")

StateDict = dict[str, Tensor]
MakeImage = Callable[..., GreyImage]

THRESHOLD = 0.2
HEADS = 4


def random_superpoint() -> SuperPoint:
    """Weights that keep contrast from layer to layer and give peaks well above the threshold."""
    torch.manual_seed(11)
    network = SuperPoint()
    for layer in network.children():
        nn.init.kaiming_normal_(layer.weight)
        nn.init.normal_(layer.bias, std=0.1)
    network.convPb.weight.data *= 3
    return network


def random_superglue() -> SuperGlue:
    """Weights under which every part of the network decides about the matches.

    Gains are such that attention is far from even, hidden units are on or off by their input rather
    than by their bias, and the layers change the descriptors by more than half of their length.
    """
    torch.manual_seed(12)
    network = SuperGlue()
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
            nn.init.normal_(module.bias, std=0.05)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    network.kenc.encoder[12].weight.data *= 0.03
    for layer in network.gnn.layers:
        for projection, gain in zip(layer.attn.proj, (25, 25, 4), strict=True):
            projection.weight.data *= gain
        layer.mlp[1].running_mean *= 0.1
        layer.mlp[1].running_var *= 0.01
        layer.mlp[3].weight.data *= 0.008
        layer.mlp[3].bias.data *= 0.008
    nn.init.orthogonal_(network.final_proj.weight[:, :, 0].data, gain=12)
    nn.init.constant_(network.bin_score, 17.0)
    return network


def their_superpoint(state: StateDict) -> nn.Module:
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
    model = transformers.SuperPointForKeypointDetection(transformers.SuperPointConfig())
    model.load_state_dict(renamed, strict=True)
    return model.eval()


def their_superglue(state: StateDict) -> nn.Module:
    names = {"kenc.encoder.12": "keypoint_encoder.encoder.4"}
    for index in range(4):
        names[f"kenc.encoder.{3 * index}"] = f"keypoint_encoder.encoder.{index}.linear"
        names[f"kenc.encoder.{3 * index + 1}"] = f"keypoint_encoder.encoder.{index}.batch_norm"
    for index in range(18):
        layer = f"gnn.layers.{index}"
        for number, kind in enumerate(("query", "key", "value")):
            names[f"{layer}.attn.proj.{number}"] = f"{layer}.attention.self.{kind}"
        names[f"{layer}.attn.merge"] = f"{layer}.attention.output.dense"
        names[f"{layer}.mlp.0"] = f"{layer}.mlp.0.linear"
        names[f"{layer}.mlp.1"] = f"{layer}.mlp.0.batch_norm"
        names[f"{layer}.mlp.3"] = f"{layer}.mlp.1"
    names["final_proj"] = "final_projection.final_proj"

    dim = len(state["final_proj.bias"])
    # Their heads are blocks of channels, those of the published layout are interleaved.
    by_head = torch.arange(dim).view(-1, HEADS).T.flatten()
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
    config = transformers.SuperGlueConfig(
        keypoint_detector_config=transformers.SuperPointConfig(),
        hidden_size=dim,
        sinkhorn_iterations=100,
        matching_threshold=THRESHOLD,
    )
    model = transformers.SuperGlueForKeypointMatching(config)
    model.keypoint_detector = nn.Identity()
    model.load_state_dict(renamed, strict=True)
    return model.eval()


class Given(nn.Module):
    """Stands for the detector: keypoints relative to the size, scores, descriptors and a mask."""

    def __init__(self, features0: Features, features1: Features) -> None:
        super().__init__()
        both = (features0, features1)
        self.outputs = (
            torch.from_numpy(np.stack([f.keypoints / f.image_size for f in both])),
            torch.from_numpy(np.stack([f.scores for f in both])),
            torch.from_numpy(np.stack([f.descriptors for f in both])),
            torch.ones(2, len(features0), dtype=torch.int),
        )

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        return self.outputs


@pytest.fixture(params=["random", "shipped"])
def superpoint_weights(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "shipped":
        return "superpoint"
    torch.save(random_superpoint().state_dict(), tmp_path / "random.pth")
    return str(tmp_path / "random.pth")


@pytest.fixture(params=["random", "shipped"])
def superglue_weights(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "shipped":
        return "superglue"
    torch.save(random_superglue().state_dict(), tmp_path / "random.pth")
    return str(tmp_path / "random.pth")


@torch.inference_mode()
def test_superpoint_finds_the_same_keypoints_and_descriptors(
    superpoint_weights: str, make_image: MakeImage
) -> None:
    height, width = 120, 160
    images = [make_image(height, width, seed=1), make_image(height, width, seed=2)]
    extractor = SuperPointExtractor(weights=superpoint_weights, subpixel="off")
    ours = extractor.extract_batch(images)
    model = their_superpoint(load_superpoint(superpoint_weights).network.state_dict())
    pixels = torch.from_numpy(np.stack(images) / 255).float()[:, None].repeat(1, 3, 1, 1)
    theirs = model(pixels)
    for index, features in enumerate(ours):
        count = int(theirs.mask[index].sum())
        points = (theirs.keypoints[index, :count] * torch.tensor([width, height])).round().numpy()
        # Theirs leaves the right and the lower border in.
        inner = (points < [width - 4, height - 4]).all(axis=1)
        scores = theirs.scores[index, :count].numpy()
        order = np.flatnonzero(inner)[np.argsort(-scores[inner], kind="stable")]
        assert 100 < len(features) < 1024  # neither nothing nor everything
        np.testing.assert_array_equal(features.keypoints, points[order])
        np.testing.assert_allclose(features.scores, scores[order], atol=1e-5)
        descriptors = theirs.descriptors[index, :count].numpy()[order]
        np.testing.assert_allclose(features.descriptors, descriptors, atol=1e-4)


def pair_with_overlap(make_features: Callable[..., Features]) -> tuple[Features, Features]:
    """60 keypoints in each image: 40 are of both, more or less alike, 20 of each alone."""
    random = np.random.default_rng(9)
    features0, others = make_features(60, seed=1), make_features(60, seed=2)
    order = random.permutation(60)
    noise = random.normal(size=(60, 256)) * np.linspace(0, 0.1, 60)[:, None]
    descriptors = features0.descriptors[order] + noise
    keypoints = features0.keypoints[order] + random.normal(scale=2, size=(60, 2))
    scores = features0.scores[order]
    keypoints[::3], descriptors[::3] = others.keypoints[::3], others.descriptors[::3]
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return features0, Features(
        keypoints=keypoints.astype(np.float32),
        scores=scores,
        descriptors=descriptors.astype(np.float32),
        image_size=features0.image_size,
        extractor=features0.extractor,
    )


@torch.inference_mode()
def test_superglue_finds_the_same_matches_and_probabilities(
    superglue_weights: str, make_features: Callable[..., Features]
) -> None:
    features0, features1 = pair_with_overlap(make_features)
    matcher = SuperGlueMatcher(weights=superglue_weights, match_threshold=THRESHOLD)
    matches = matcher.match(features0, features1, with_assignment=True)
    ours = [matches.matches0, matches.matches1]
    scores = [matches.matching_scores0, matches.matching_scores1]

    model = their_superglue(load_superglue(superglue_weights).network.state_dict())
    model.keypoint_detector = Given(features0, features1)
    width, height = features0.image_size
    theirs = model(torch.zeros(1, 2, 3, height, width))

    assert 10 < len(matches) < 50  # neither nothing nor everything
    assert np.ptp(matches.confidences) > 0.2
    for side in (0, 1):
        clear = np.abs(scores[side] - THRESHOLD) > 1e-3
        assert clear.mean() > 0.9
        their_matches = theirs.matches[0, side].numpy()
        np.testing.assert_array_equal(ours[side][clear], their_matches[clear])
        # Theirs gives no score below the threshold.
        matched = clear & (ours[side] >= 0)
        their_scores = theirs.matching_scores[0, side].numpy()
        np.testing.assert_allclose(scores[side][matched], their_scores[matched], atol=1e-3)
