"""SuperPoint with batch-norm for training, and folded back into the published layout.

A batch-norm stands between each convolution and its ReLU, so folding it into the convolution
changes nothing. The last convolution of each head has none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from superglue_ros.networks import SuperPoint

_NORMALISED = (
    "conv1a",
    "conv1b",
    "conv2a",
    "conv2b",
    "conv3a",
    "conv3b",
    "conv4a",
    "conv4b",
    "convPa",
    "convDa",
)


class NormalisedSuperPoint(nn.Module):
    """The published network with a batch-norm behind every convolution but the heads' last ones.

    Args:
        network: Its convolutions are taken over, not copied.
        frozen_stages: First stages of the encoder that do not learn, their statistics included.
    """

    def __init__(self, network: SuperPoint, frozen_stages: int = 0) -> None:
        """Put batch-norms into a network."""
        super().__init__()
        self.network = network
        self._frozen = "1234"[:frozen_stages]
        self.norms = nn.ModuleDict(
            {name: nn.BatchNorm2d(_convolution(network, name).out_channels) for name in _NORMALISED}
        )

        for name in self._frozen_layers():
            self.norms[name].requires_grad_(requires_grad=False)
            _convolution(network, name).requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> NormalisedSuperPoint:
        """Set the mode of all but the frozen layers."""
        super().train(mode)
        for name in self._frozen_layers():
            self.norms[name].eval()
        return self

    def _frozen_layers(self) -> list[str]:
        return [f"conv{stage}{part}" for stage in self._frozen for part in "ab"]

    def _layer(self, x: Tensor, name: str) -> Tensor:
        activated: Tensor = F.relu(self.norms[name](_convolution(self.network, name)(x)))
        return activated

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Like `SuperPoint.heads`."""
        logits, descriptors, _ = self.forward_with_features(image)
        return logits, descriptors

    def forward_with_features(self, image: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The heads, and the encoder's features at full, half, quarter and eighth resolution."""
        x = image
        features = []
        for stage in "1234":
            x = self._layer(self._layer(x, f"conv{stage}a"), f"conv{stage}b")
            features.append(x)
            x = F.max_pool2d(x, kernel_size=2) if stage != "4" else x
        logits = self.network.convPb(self._layer(x, "convPa"))  # (B, 65, H/8, W/8)
        descriptors = self.network.convDb(self._layer(x, "convDa"))  # (B, 256, H/8, W/8)
        return logits, descriptors, features

    @torch.no_grad()
    def calibrate(self, image: Tensor) -> None:
        """Set every batch-norm so that the network computes what it did without them.

        Args:
            image: (B, 1, H, W), typical images: their statistics become the running ones.
        """
        hooks = [norm.register_forward_hook(_calibrate_norm) for norm in self.norms.values()]
        self.eval()(image)
        for hook in hooks:
            hook.remove()

    @torch.no_grad()
    def folded(self) -> SuperPoint:
        """The same function (in evaluation mode) as a network of the published layout."""
        folded = SuperPoint().to(next(self.parameters()).device)
        folded.load_state_dict(self.network.state_dict())
        for name in _NORMALISED:
            norm: nn.BatchNorm2d = getattr(self.norms, name)
            convolution = _convolution(folded, name)
            convolution.weight, convolution.bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                norm.get_buffer("running_mean"),
                norm.get_buffer("running_var"),
                norm.eps,
                norm.weight,
                norm.bias,
            )
        return folded.eval()


def _calibrate_norm(norm: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> Tensor:
    """A forward hook that makes a batch-norm the identity for inputs of these statistics."""
    if not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"a batch-norm is calibrated, got {type(norm).__name__}")
    (x,) = inputs
    variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3))
    statistics = {"running_mean": mean, "running_var": variance, "bias": mean}
    statistics["weight"] = (variance + norm.eps).sqrt()
    for name, value in statistics.items():
        getattr(norm, name).copy_(value)
    return x


def _convolution(network: SuperPoint, name: str) -> nn.Conv2d:
    convolution: nn.Conv2d = getattr(network, name)
    return convolution
