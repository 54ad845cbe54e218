"""SuperGlue that matches by descriptors alone: the matcher's first step stands on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from superglue_ros.networks import SuperGlue
from superglue_ros.networks.superglue import MultiHeadAttention


@dataclass(frozen=True)
class Beginning:
    """Scores that suit an extractor's descriptors; the loss on training pairs chose them.

    Attributes:
        cosine_scale: Score of two equal descriptors.
        bin_score: Below the score of a good match, above that of a chance one.
        attention_scale: What makes attention look at the most similar descriptors from the first
            step on; 0 leaves it random.
    """

    cosine_scale: float
    bin_score: float
    attention_scale: float = 0.0


_RANDOM_SHARE = 0.3
"""Of the random weights that are left where the identity is added."""

BEGINNINGS = {
    "superpoint": Beginning(cosine_scale=20.0, bin_score=9.0),
    # Any two RootSIFT descriptors are alike, for they have no negative entries
    "sift": Beginning(cosine_scale=40.0, bin_score=32.0, attention_scale=18.0),
}


@torch.no_grad()
def warm_start(network: SuperGlue, extractor: str = "superpoint") -> SuperGlue:
    """Make a network compute nearest neighbours with optimal transport, in place.

    The last convolution of every branch is zero, so the graph network and the keypoint encoder add
    nothing yet, but every gradient flows; `final_proj` scales the descriptors.

    Args:
        network: With random weights, which the hidden layers keep.
        extractor: Whose descriptors it matches, one of `BEGINNINGS`.

    Returns:
        The network.
    """
    for name, parameter in network.named_parameters():
        if name.startswith(last_convolutions(network)):
            nn.init.zeros_(parameter)
    dim, beginning = network.descriptor_dim, BEGINNINGS[extractor]
    scale = (beginning.cosine_scale * dim**0.5) ** 0.5
    network.final_proj.weight.copy_(torch.eye(dim)[:, :, None] * scale)
    nn.init.zeros_(network.final_proj.bias)  # type: ignore[arg-type]
    network.bin_score.fill_(beginning.bin_score)
    if beginning.attention_scale:
        for module in network.gnn.modules():
            if isinstance(module, MultiHeadAttention):
                _look_at_the_similar(module, beginning.attention_scale)
    return network


@torch.no_grad()
def wake(network: SuperGlue, extractor: str) -> SuperGlue:
    """Give layers that do nothing the hidden weights of a warm start, in place.

    Those that a shallow training left out are zero throughout, so that no gradient would ever reach
    them. Afterwards they still do nothing, but learn.

    Args:
        network: With weights to go on from.
        extractor: Whose descriptors it matches, one of `BEGINNINGS`.

    Returns:
        The network.
    """
    fresh = warm_start(SuperGlue(network.descriptor_dim), extractor)
    for layer, random in zip(network.gnn.layers, fresh.gnn.layers, strict=True):
        if does_nothing(layer):
            layer.load_state_dict(random.state_dict())
    return network


def does_nothing(layer: nn.Module) -> bool:
    """Whether a layer of the graph network leaves its features as they are."""
    return not any(bool(parameter.any()) for parameter in layer.get_submodule("mlp.3").parameters())


def _look_at_the_similar(attention: MultiHeadAttention, scale: float) -> None:
    """Query and key become the scaled feature, the message the feature that was looked at."""
    query, key, value = attention.proj
    for projection, gain in ((query, scale), (key, scale), (value, 1.0), (attention.merge, 1.0)):
        weight = projection.get_parameter("weight")
        weight.mul_(_RANDOM_SHARE).add_(torch.eye(len(weight))[:, :, None] * gain)


def last_convolutions(network: nn.Module) -> tuple[str, ...]:
    """Names of the last layers of the keypoint encoder and of the graph network's branches."""
    branches = [name for name, _ in network.named_modules() if name.endswith((".encoder", ".mlp"))]
    lengths = [len(list(network.get_submodule(name).children())) for name in branches]
    return tuple(f"{name}.{length - 1}." for name, length in zip(branches, lengths, strict=True))
