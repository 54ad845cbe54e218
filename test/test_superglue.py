"""The SuperGlue network against an implementation of the paper with explicit loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from random_networks import randomise
from torch import nn

from superglue_ros.networks import SuperGlue
from superglue_ros.networks.superglue import normalise_keypoints

DIM = 8
"""Channels of the small network that the loops below can follow."""

Side = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def network() -> SuperGlue:
    network = SuperGlue(DIM)
    torch.manual_seed(1)
    randomise(network)
    return network.double().eval()


def side(seed: int, count: int, size: tuple[float, float], batch: int = 1) -> Side:
    """Keypoints, scores, descriptors and size of random features."""
    random = np.random.default_rng(seed)
    descriptors = random.normal(size=(batch, DIM, count))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return (
        torch.from_numpy(random.uniform((0, 0), size, (batch, count, 2))),
        torch.from_numpy(random.random((batch, count))),
        torch.from_numpy(descriptors),
        torch.tensor([size] * batch, dtype=torch.float64),
    )


class ByHand:
    """The network on one pair, following a state dict by its published names in NumPy."""

    def __init__(self, network: SuperGlue) -> None:
        self.state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return weight[:, :, 0] @ x + bias[:, None]

    def norm_relu(self, name: str, x: np.ndarray) -> np.ndarray:
        weight, bias, mean, variance = (
            self.state[f"{name}.{part}"][:, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * weight + bias, 0)

    def encode(self, keypoints: np.ndarray, scores: np.ndarray, size: np.ndarray) -> np.ndarray:
        normalised = (keypoints - size / 2) / (0.7 * max(size))
        x = np.stack([normalised[:, 0], normalised[:, 1], scores])
        for index in (0, 3, 6, 9):
            x = self.linear(f"kenc.encoder.{index}", x)
            x = self.norm_relu(f"kenc.encoder.{index + 1}", x)
        return self.linear("kenc.encoder.12", x)

    def attend(self, layer: str, x: np.ndarray, source: np.ndarray) -> np.ndarray:
        query = self.linear(f"{layer}.attn.proj.0", x)
        key = self.linear(f"{layer}.attn.proj.1", source)
        value = self.linear(f"{layer}.attn.proj.2", source)
        message = np.zeros_like(query)
        for head in range(4):
            channels = [c for c in range(DIM) if c % 4 == head]
            for n in range(x.shape[1]):
                logits = [
                    sum(query[c, n] * key[c, m] for c in channels) / math.sqrt(len(channels))
                    for m in range(source.shape[1])
                ]
                shares = np.exp(logits) / np.sum(np.exp(logits))
                for c in channels:
                    message[c, n] = value[c] @ shares
        return self.linear(f"{layer}.attn.merge", message)

    def change(self, layer: str, x: np.ndarray, source: np.ndarray) -> np.ndarray:
        joined = np.concatenate([x, self.attend(layer, x, source)])
        hidden = self.norm_relu(f"{layer}.mlp.1", self.linear(f"{layer}.mlp.0", joined))
        return self.linear(f"{layer}.mlp.3", hidden)

    def scores(self, side0: Side, side1: Side) -> np.ndarray:
        features = []
        for given in (side0, side1):
            keypoints, scores, descriptors, size = (tensor[0].numpy() for tensor in given)
            features.append(descriptors + self.encode(keypoints, scores, size))
        for index in range(18):
            before = list(features)
            for image in (0, 1):
                seen = image if index % 2 == 0 else 1 - image  # itself, then the other
                change = self.change(f"gnn.layers.{index}", before[image], before[seen])
                features[image] = before[image] + change
        projected0, projected1 = (self.linear("final_proj", x) for x in features)
        return projected0.T @ projected1 / math.sqrt(DIM)


def published_layout() -> dict[str, tuple[int, ...]]:
    def convolution(name: str, channels_in: int, channels_out: int) -> None:
        layout[f"{name}.weight"] = (channels_out, channels_in, 1)
        layout[f"{name}.bias"] = (channels_out,)

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            layout[f"{name}.{part}"] = (channels,)
        layout[f"{name}.num_batches_tracked"] = ()

    layout: dict[str, tuple[int, ...]] = {"bin_score": ()}
    sizes = (3, 32, 64, 128, 256, 256)
    for position in range(5):
        convolution(f"kenc.encoder.{3 * position}", sizes[position], sizes[position + 1])
        if position < 4:
            norm(f"kenc.encoder.{3 * position + 1}", sizes[position + 1])
    for index in range(18):
        layer = f"gnn.layers.{index}"
        for name in ("proj.0", "proj.1", "proj.2", "merge"):
            convolution(f"{layer}.attn.{name}", 256, 256)
        convolution(f"{layer}.mlp.0", 512, 512)
        norm(f"{layer}.mlp.1", 512)
        convolution(f"{layer}.mlp.3", 512, 256)
    convolution("final_proj", 256, 256)
    return layout


def test_parameters_have_the_published_names_and_shapes() -> None:
    network = SuperGlue()
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == published_layout()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(12.0e6, rel=0.01)


def test_keypoints_are_centred_and_scaled_by_the_longer_side() -> None:
    keypoints = torch.tensor([[[320.0, 240.0], [0, 0], [640, 480]]]).repeat(2, 1, 1)
    size = torch.tensor([[640.0, 480.0], [200.0, 400.0]])
    landscape, portrait = normalise_keypoints(keypoints, size)
    np.testing.assert_allclose(
        landscape, [[0, 0], [-320 / 448, -240 / 448], [320 / 448, 240 / 448]], rtol=1e-6
    )
    np.testing.assert_allclose(
        portrait, [[220 / 280, 40 / 280], [-100 / 280, -200 / 280], [540 / 280, 1]], rtol=1e-6
    )


@torch.inference_mode()
@pytest.mark.parametrize(("count0", "count1"), [(5, 7), (3, 1)])
def test_the_score_matrix_is_the_papers(network: SuperGlue, count0: int, count1: int) -> None:
    side0, side1 = side(0, count0, (640, 480)), side(1, count1, (300, 500))
    found = network(*side0, *side1)
    assert found.shape == (1, count0, count1)
    np.testing.assert_allclose(found[0], ByHand(network).scores(side0, side1), rtol=1e-7, atol=1e-9)


def test_channel_c_belongs_to_head_c_mod_4(network: SuperGlue) -> None:
    """A value channel reaches the message by the attention of its own head alone.

    Queries and keys differ in channels 1 and 5 only, those of head 1: there the first source is
    seen nearly alone, elsewhere both sources are seen alike.
    """
    attention = network.gnn.layers[0].attn
    layer = type(attention)(DIM).double()
    for projection in (*layer.proj, layer.merge):
        nn.init.eye_(projection.weight[:, :, 0].data)
        nn.init.zeros_(projection.bias)
    nn.init.zeros_(layer.proj[0].weight)
    with torch.no_grad():
        layer.proj[0].weight[[1, 5], [1, 5]] = 50
    sources = torch.ones(1, DIM, 2, dtype=torch.float64)
    sources[..., 1] = -1
    message = layer(torch.ones(1, DIM, 1, dtype=torch.float64), sources)[0, :, 0]
    expected = [1.0 if channel in (1, 5) else 0.0 for channel in range(DIM)]
    np.testing.assert_allclose(message.detach(), expected, atol=1e-6)


@torch.inference_mode()
def test_the_order_of_keypoints_does_not_matter(network: SuperGlue) -> None:
    side0, side1 = side(0, 6, (640, 480)), side(1, 5, (640, 480))
    order = [3, 0, 5, 1, 4, 2]
    keypoints, scores, descriptors, size = side0
    shuffled = (keypoints[:, order], scores[:, order], descriptors[:, :, order], size)
    expected = network(*side0, *side1)[:, order]
    torch.testing.assert_close(network(*shuffled, *side1), expected)


@torch.inference_mode()
def test_swapping_the_images_transposes_the_scores(network: SuperGlue) -> None:
    side0, side1 = side(0, 6, (640, 480)), side(1, 5, (300, 500))
    torch.testing.assert_close(network(*side1, *side0), network(*side0, *side1).mT)


@torch.inference_mode()
def test_pairs_of_a_batch_do_not_see_each_other(network: SuperGlue) -> None:
    side0, side1 = side(0, 6, (640, 480), batch=3), side(1, 5, (300, 500), batch=3)
    together = network(*side0, *side1)
    for index in range(3):
        pair = [tensor[index : index + 1] for tensor in (*side0, *side1)]
        torch.testing.assert_close(together[index], network(*pair)[0])
