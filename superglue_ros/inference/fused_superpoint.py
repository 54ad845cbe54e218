"""SuperPoint from grey images to keypoints in fixed shapes, without waiting for the device.

Half precision is kept away from where it moves keypoints: the first layer, the detector's logits,
the softmax and the normalisation are float32. On ten real pairs of 1024 keypoints float16 then lost
12 of 4828 matches of float32, bfloat16 125.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from superglue_ros.config import DetectionConfig
from superglue_ros.inference.convolution import convolve_relu
from superglue_ros.inference.kernels import triton_works
from superglue_ros.networks import (
    SuperPoint,
    detector_probabilities,
    non_maximum_suppression,
    sample_descriptors,
    select_fixed,
    stay_within,
    without_slopes,
)
from superglue_ros.networks.subpixel import soft_argmax
from superglue_ros.refinement import cut_patches


class DetectionSettings(NamedTuple):
    """What `detect` does beyond the network; constant within a CUDA graph.

    Attributes:
        shape: Height and width within which keypoints are taken; beyond is padding.
        threshold: A keypoint's probability is above this.
        radius: Of non-maximum suppression, in pixels.
        places: Room for the keypoints of each image.
        subpixel: Whether keypoints move to the centre of mass around them.
    """

    shape: tuple[int, int]
    threshold: float
    radius: int
    places: int
    subpixel: bool

    @classmethod
    def of(cls, config: DetectionConfig, shape: tuple[int, int]) -> DetectionSettings:
        """The settings of a configuration for images of a height and width."""
        return cls(
            shape,
            config.keypoint_threshold,
            config.nms_radius,
            config.max_keypoints,
            config.subpixel == "on",
        )


class FixedDetections(NamedTuple):
    """The keypoints of B images, K places each, the true ones first.

    Attributes:
        keypoints: (B, K, 2) float32, x and y in pixels.
        scores: (B, K) float32 detector probabilities; 0 beyond the true ones.
        descriptors: (B, K, 256) float32 of unit length.
        patches: (B, K, S, S) uint8 grey values around them.
        counts: (B,) integers: how many are true.
    """

    keypoints: Tensor
    scores: Tensor
    descriptors: Tensor
    patches: Tensor
    counts: Tensor


class FusedSuperPoint(nn.Module):
    """SuperPoint with its channels last, for inference.

    Args:
        network: The network; it is left as it is.
        dtype: What the layers between the first and the detector's last compute with.
    """

    def __init__(self, network: SuperPoint, dtype: torch.dtype = torch.float32) -> None:
        """Copy the weights."""
        super().__init__()
        self.dtype = dtype
        self.first = copy.deepcopy(network.conv1a).requires_grad_(False)
        self.first.weight.data /= 255  # for grey values as they are
        self.network = copy.deepcopy(network).to(dtype).requires_grad_(False)
        self.network.convPb.float()  # little work, and half precision of its logits makes ties
        for parameter in self.network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Detect and describe densely, as `SuperPoint.forward`.

        Args:
            images: (B, H, W) uint8, H and W multiples of the stride.

        Returns:
            float32 probabilities (B, H, W) and descriptor maps (B, 256, H/8, W/8) of unit length.
        """
        x, network = self._first_layer(images), self.network
        for layer, pooled in (
            (network.conv1b, True),
            (network.conv2a, False),
            (network.conv2b, True),
            (network.conv3a, False),
            (network.conv3b, True),
            (network.conv4a, False),
            (network.conv4b, False),
        ):
            x = convolve_relu(layer, x)
            x = F.max_pool2d(x, kernel_size=2) if pooled else x
        logits = network.convPb(convolve_relu(network.convPa, x).float())
        descriptors = network.convDb(convolve_relu(network.convDa, x))
        return detector_probabilities(logits), F.normalize(descriptors.float(), dim=1)

    def _first_layer(self, images: Tensor) -> Tensor:
        if triton_works(images.device):
            from superglue_ros.inference.kernels.first_layer import triton_first_layer

            weight, bias = self.first.parameters()
            return triton_first_layer(images, weight, bias, self.dtype)
        grey = images[:, None].float().contiguous(memory_format=torch.channels_last)
        return F.relu(self.first(grey)).to(self.dtype)


def detect(
    network: FusedSuperPoint, settings: DetectionSettings, images: Tensor, usable: Tensor | None
) -> FixedDetections:
    """Find and describe keypoints; see `SuperPointEngine.detect`.

    Args:
        network: The network.
        settings: What is a keypoint.
        images: (B, H, W) uint8, H and W multiples of the stride.
        usable: (B, *settings.shape) uint8: no keypoint where 0; None for everywhere.
    """
    height, width = settings.shape
    probabilities, descriptor_maps = network(images)
    probabilities = probabilities[:, :height, :width]
    # In an image of one grey value there is no place to find again, whatever the network says
    darkest, brightest = images.flatten(1).aminmax(dim=1)
    varied = (darkest < brightest)[:, None, None]
    if usable is None:
        suppressed = non_maximum_suppression(probabilities, settings.radius)
    else:
        allowed = usable != 0
        within = torch.where(allowed, probabilities, 0.0)
        suppressed = non_maximum_suppression(within, settings.radius)
        suppressed = without_slopes(suppressed, probabilities, allowed, settings.radius)
    keypoints, scores, counts = select_fixed(
        torch.where(varied, suppressed, 0.0), settings.threshold, settings.places
    )
    if settings.subpixel:
        moved = soft_argmax(probabilities, keypoints)
        keypoints = moved if usable is None else stay_within(moved, keypoints, usable != 0)
    descriptors = sample_descriptors(keypoints, descriptor_maps)
    patches = cut_patches(images[:, :height, :width], keypoints)
    return FixedDetections(keypoints, scores, descriptors, patches, counts)
