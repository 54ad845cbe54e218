"""Generated input to test and to time engines with, so that nothing need be shipped."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from superglue_ros.features import GreyImage
from superglue_ros.inference.tensors import FeaturePair, FeatureTensors
from superglue_ros.refinement import cut_patches


def sample_image(height: int, width: int) -> GreyImage:
    """Rectangles over a soft background, full of corners."""
    random = np.random.default_rng(1)
    coarse = random.uniform(90, 160, (height // 8, width // 8)).astype(np.float32)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(height * width // 300):
        y, x = random.integers(0, height), random.integers(0, width)
        h, w = random.integers(5, 25, 2)
        image[y : y + h, x : x + w] = random.uniform(0, 255)
    return np.asarray(cv2.GaussianBlur(image, (3, 3), 0.7).clip(0, 255), np.uint8)


def sample_pair(count: int, dim: int, device: torch.device) -> FeaturePair:
    """Features of two images of 640x480, of which two thirds are in both, more or less alike.

    Args:
        count: Keypoints in each image.
        dim: Channels of the descriptors.
        device: Where the tensors are.
    """
    random = np.random.default_rng(2)
    width, height = 640, 480
    points = random.uniform((4, 4), (width - 5, height - 5), (2, count, 2))
    described = random.normal(size=(2, count, dim)) / np.sqrt(dim)
    noise = random.normal(size=(count, dim)) / np.sqrt(dim)
    shared = np.arange(count) % 3 != 0
    noise *= np.linspace(0, 0.8, count)[:, None]
    points[1, shared] = points[0, shared] + (12, 3)
    described[1, shared] = (described[0] + noise)[shared]
    order = random.permutation(count)  # which is not to be found by leaving all in place
    points[1], described[1] = points[1, order], described[1, order]
    described /= np.linalg.norm(described, axis=2, keepdims=True)
    scores = np.linspace(0.9, 0.01, count)
    first, second = (
        FeatureTensors(
            keypoints=torch.tensor(points[index], dtype=torch.float32, device=device),
            scores=torch.tensor(scores, dtype=torch.float32, device=device),
            descriptors=torch.tensor(described[index], dtype=torch.float32, device=device),
            image_size=(width, height),
            extractor="",
        )
        for index in (0, 1)
    )
    return first, second


def sample_patches(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(K, S, S) uint8 each: patches of a generated image, and of places up to a pixel beside."""
    image = sample_image(480, 640)
    random = np.random.default_rng(3)
    points = random.uniform((20, 20), (620, 460), (count, 2))
    beside = points + random.uniform(-1, 1, (count, 2))
    pixels = torch.from_numpy(image)[None].to(device)
    first, second = (
        cut_patches(pixels, torch.tensor(one[None], dtype=torch.float32, device=device))[0]
        for one in (points, beside)
    )
    return first, second
