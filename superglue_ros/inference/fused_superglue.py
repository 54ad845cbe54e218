"""SuperGlue rearranged for speed: the function of `networks.SuperGlue`, in fewer, larger steps.

Both images of all pairs are one batch of keypoints. What changes nothing in real numbers is done to
the weights once, in float64:

- query, key and value come from one projection;
- the channels of a head lie side by side (in the published layout, channel c is of head c mod 4);
- the merging projection, which no nonlinearity follows, is multiplied into the layer after it;
- constant changes of the features are taken together with the biases after them.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from superglue_ros.inference.folding import ConstantChange, simplify
from superglue_ros.networks import SuperGlue
from superglue_ros.networks.optimal_transport import true_places
from superglue_ros.networks.superglue import HEADS, AttentionalPropagation, normalise_keypoints


class FeatureBatch(NamedTuple):
    """The keypoints of P pairs of images: image 0 of each pair, then image 1 of each.

    Attributes:
        keypoints: (2P, N, 2), x and y in pixels.
        scores: (2P, N) confidences.
        descriptors: (2P, N, D) of unit length.
        sizes: (2P, 2) width and height of the images in pixels.
        counts: (2P,) integers: how many of the N are true, the first ones; None for all. What the
            others hold changes nothing, as long as it is finite.
    """

    keypoints: Tensor
    scores: Tensor
    descriptors: Tensor
    sizes: Tensor
    counts: Tensor | None


class FusedSuperGlue(nn.Module):
    """The matcher up to its score matrix, for inference.

    Args:
        network: The network in evaluation mode, simplified or not; it is left as it is.
        dtype: What the graph network computes with. The keypoint encoder, the sum of the layers'
            changes and the scores are float32 (or float64, to test with).
    """

    def __init__(self, network: SuperGlue, dtype: torch.dtype = torch.float32) -> None:
        """Rearrange the weights."""
        super().__init__()
        network = simplify(copy.deepcopy(network).double())
        outer = torch.promote_types(dtype, torch.float32)
        self.dtype = dtype
        self.bin_score: Tensor
        self.register_buffer("bin_score", network.bin_score.detach().to(outer))
        self.encoder = nn.Sequential(
            *(
                _linear(*_weights(module), dtype=outer) if isinstance(module, nn.Conv1d) else module
                for module in network.kenc.encoder
            )
        )
        layers = []
        # What constant changes add up to: not added to the features but to the biases after them
        constant = torch.zeros(network.descriptor_dim, dtype=torch.float64)
        for index, layer in enumerate(network.gnn.layers):
            if isinstance(layer, ConstantChange):
                constant = constant + layer.bias
                continue
            assert isinstance(layer, AttentionalPropagation)
            layers.append(FusedLayer(layer, constant, dtype, is_cross=index % 2 == 1))
            constant = constant + _weights(layer.mlp[3])[1]
        self.layers = nn.ModuleList(layers)
        weight, bias = _weights(network.final_proj)
        self.final = _linear(weight, bias + weight @ constant, dtype=outer)

    def forward(self, batch: FeatureBatch) -> Tensor:
        """Score every pair of keypoints; see `SuperGlue.forward`.

        Returns:
            (P, N, N) matching scores, of any value where a keypoint is not true.
        """
        images, count, dim = batch.descriptors.shape
        normalised = normalise_keypoints(batch.keypoints, batch.sizes)
        encoded = self.encoder(torch.cat([normalised, batch.scores[:, :, None]], dim=2))
        x = (batch.descriptors + encoded).flatten(0, 1)  # (2P*N, D)
        true = None if batch.counts is None else true_places(batch.counts, count)
        for layer in self.layers:
            x = x + layer(x.to(self.dtype), (images, count), true)
        projected = self.final(x).view(2, images // 2, count, dim)
        similarity: Tensor = projected[0] @ projected[1].mT
        return similarity / math.sqrt(dim)


class FusedLayer(nn.Module):
    """One layer of the graph network; see `FusedSuperGlue`."""

    def __init__(
        self,
        layer: AttentionalPropagation,
        constant: Tensor,
        dtype: torch.dtype,
        *,
        is_cross: bool,
    ) -> None:
        """Rearrange the weights of a layer whose input lacks `constant` (D,)."""
        super().__init__()
        dim = len(constant)
        self.is_cross = is_cross
        by_head = torch.arange(dim).view(-1, HEADS).T.flatten()
        projections = [_weights(projection) for projection in layer.attn.proj]
        weight = torch.cat([w[by_head] for w, _ in projections])  # (3D, D)
        bias = torch.cat([b[by_head] for _, b in projections])
        self.project = _linear(weight, bias + weight @ constant, dtype=dtype)
        merge_weight, merge_bias = _weights(layer.attn.merge)
        weight, bias = _weights(layer.mlp[0])
        of_feature, of_message = weight[:, :dim], weight[:, dim:]
        self.hidden = _linear(
            torch.cat([of_feature, of_message @ merge_weight[:, by_head]], dim=1),  # (2D, 2D)
            bias + of_message @ merge_bias + of_feature @ constant,
            dtype=dtype,
        )
        weight, _ = _weights(layer.mlp[3])
        self.change = _linear(weight, None, dtype=dtype)

    def forward(self, x: Tensor, shape: tuple[int, int], true: Tensor | None) -> Tensor:
        """The change (2P*N, D) of features x of the same shape.

        Args:
            x: Features of 2P images of N keypoints each.
            shape: 2P and N.
            true: (2P, N) boolean, which keypoints may be attended to; None for all.
        """
        query, source = self.project(x).view(*shape, -1).tensor_split([x.shape[1]], dim=2)
        if self.is_cross:
            source, true = _swapped(source), None if true is None else _swapped(true)
        key, value = source.chunk(2, dim=2)
        message = F.scaled_dot_product_attention(
            _heads(query),
            _heads(key),
            _heads(value),
            attn_mask=None if true is None else true[:, None, None],
        )  # (2P, heads, N, D/heads)
        joined = torch.cat([x, message.transpose(1, 2).reshape(x.shape)], dim=1)
        change: Tensor = self.change(F.relu(self.hidden(joined)))
        return change


def _heads(x: Tensor) -> Tensor:
    """(2P, N, D) to (2P, heads, N, D/heads)."""
    images, count, dim = x.shape
    return x.view(images, count, HEADS, dim // HEADS).transpose(1, 2)


def _swapped(x: Tensor) -> Tensor:
    """Of 2P images, in the place of each the other one of its pair."""
    return x.roll(len(x) // 2, dims=0)


def _weights(convolution: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight (out, in) and bias of a 1x1 convolution."""
    assert isinstance(convolution, nn.Conv1d)
    assert convolution.bias is not None
    return convolution.weight.detach()[:, :, 0], convolution.bias.detach()


def _linear(weight: Tensor, bias: Tensor | None, *, dtype: torch.dtype) -> nn.Linear:
    """A layer that keeps copies of the weights in another precision."""
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.to(dtype).clone(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.to(dtype).clone(), requires_grad=False)
    return layer
