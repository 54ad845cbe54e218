"""SuperPoint: Self-Supervised Interest Point Detection and Description (arXiv 1712.07629).

Parameter names and shapes are those of the published checkpoints, so either loads by name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 8
"""Side in pixels of the cell that one position of the encoder sees."""

DESCRIPTOR_DIM = 256


def _conv3x3(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)


class SuperPoint(nn.Module):
    """The shared encoder with its detector and descriptor heads (section 3).

    Input is a grey image in [0, 1], (B, 1, H, W), with H and W multiples of 8.
    """

    def __init__(self) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.conv1a, self.conv1b = _conv3x3(1, 64), _conv3x3(64, 64)
        self.conv2a, self.conv2b = _conv3x3(64, 64), _conv3x3(64, 64)
        self.conv3a, self.conv3b = _conv3x3(64, 128), _conv3x3(128, 128)
        self.conv4a, self.conv4b = _conv3x3(128, 128), _conv3x3(128, 128)
        self.convPa = _conv3x3(128, 256)
        self.convPb = nn.Conv2d(256, STRIDE**2 + 1, kernel_size=1)
        self.convDa = _conv3x3(128, 256)
        self.convDb = nn.Conv2d(256, DESCRIPTOR_DIM, kernel_size=1)

    def heads(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The raw outputs, which training needs.

        Returns:
            Detector logits (B, 65, H/8, W/8), the last channel meaning "no keypoint", and the
            descriptor map (B, 256, H/8, W/8), not yet normalised.

        Raises:
            ValueError: The image is not (B, 1, H, W) with H and W multiples of 8.
        """
        if image.ndim != 4 or image.shape[1] != 1 or any(s % STRIDE for s in image.shape[2:]):
            raise ValueError(
                f"image must be (B, 1, H, W), H and W multiples of {STRIDE}, "
                f"got {tuple(image.shape)}"
            )
        x = image
        for first, second, pooled in (
            (self.conv1a, self.conv1b, True),
            (self.conv2a, self.conv2b, True),
            (self.conv3a, self.conv3b, True),
            (self.conv4a, self.conv4b, False),
        ):
            x = F.relu(second(F.relu(first(x))))
            x = F.max_pool2d(x, kernel_size=2) if pooled else x
        logits = self.convPb(F.relu(self.convPa(x)))  # (B, 65, H/8, W/8)
        descriptors = self.convDb(F.relu(self.convDa(x)))  # (B, 256, H/8, W/8)
        return logits, descriptors

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Detect and describe densely.

        Returns:
            Keypoint probabilities (B, H, W), and the descriptor map (B, 256, H/8, W/8) of unit
            length over its channels.
        """
        logits, descriptors = self.heads(image)
        return detector_probabilities(logits), F.normalize(descriptors, dim=1)


def detector_probabilities(logits: Tensor) -> Tensor:
    """Turn detector logits into a probability for each pixel (section 3.2).

    Args:
        logits: (B, 65, h, w); channel 8*i + j is pixel (row i, column j) of its 8x8 cell, the last
            channel "no keypoint".

    Returns:
        (B, 8h, 8w) probabilities.
    """
    probabilities = torch.softmax(logits.float(), dim=1)[:, :-1]  # (B, 64, h, w)
    return F.pixel_shuffle(probabilities, STRIDE).squeeze(1)
