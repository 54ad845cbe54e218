"""Features that stay on the device they were computed on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from superglue_ros.features import Features, FloatArray
from superglue_ros.inference.transfers import Download


class Places(NamedTuple):
    """Room for K keypoints on a device, the true ones first.

    Attributes:
        keypoints: (K, 2), x and y in pixels of the image as given to the extractor.
        scores: (K,), confidences in [0, 1].
        descriptors: (K, D) of unit length.
        patches: (K, S, S) uint8, the grey values around each keypoint; S is 0 for none.
    """

    keypoints: Tensor
    scores: Tensor
    descriptors: Tensor
    patches: Tensor


@dataclass(frozen=True, eq=False)
class Arrival:
    """How an image's keypoints come to be known to the host.

    Attributes:
        count: () int64 on the device: how many places are true.
        download: Brings counts (B,), keypoints (B, K, 2) and scores (B, K) of a batch of images.
        index: Which image of the batch it is.
    """

    count: Tensor
    download: Download
    index: int

    def result(self) -> tuple[FloatArray, FloatArray]:
        """Keypoints (N, 2) and scores (N,), when they are there."""
        counts, keypoints, scores = self.download.result()
        count = int(counts[self.index])
        return keypoints[self.index, :count], scores[self.index, :count]


class FeatureTensors:
    """The same as `Features`, as float32 tensors on one device.

    How many there are may be known to the device alone as yet. Then `places` has room to spare, and
    whoever asks for the count, or for anything of that length, waits for what is being computed.

    Args:
        keypoints: (K, 2), x and y in pixels of the image as given to the extractor.
        scores: (K,), confidences in [0, 1].
        descriptors: (K, D) of unit length.
        image_size: (width, height) of that image in pixels.
        extractor: Name of the extractor and the digest of its weights.
        arrival: How many of the K are true becomes known through this; None for all.
        patches: (K, S, S) uint8, the grey values around each keypoint; None for none.
        patch_scale: Pixels of the image from one sample of a patch to the next.
    """

    def __init__(
        self,
        keypoints: Tensor,
        scores: Tensor,
        descriptors: Tensor,
        image_size: tuple[int, int],
        extractor: str,
        arrival: Arrival | None = None,
        patches: Tensor | None = None,
        patch_scale: float = 1.0,
    ) -> None:
        """Take the tensors as they are."""
        if patches is None:
            patches = scores.new_zeros(len(scores), 0, 0, dtype=torch.uint8)
        self.places = Places(keypoints, scores, descriptors, patches)
        self.patch_scale = patch_scale
        self.image_size = image_size
        self.extractor = extractor
        self.arrival = arrival

    def __len__(self) -> int:
        """The number of keypoints."""
        return len(self.places.scores) if self.arrival is None else len(self.on_host)

    @property
    def keypoints(self) -> Tensor:
        """(N, 2), x and y in pixels of the image as given to the extractor."""
        return self.places.keypoints[: len(self)]

    @property
    def scores(self) -> Tensor:
        """(N,), confidences in [0, 1]."""
        return self.places.scores[: len(self)]

    @property
    def descriptors(self) -> Tensor:
        """(N, D) of unit length."""
        return self.places.descriptors[: len(self)]

    @property
    def patches(self) -> Tensor:
        """(N, S, S) uint8, the grey values around each keypoint; S is 0 for none."""
        return self.places.patches[: len(self)]

    @property
    def count(self) -> Tensor:
        """Their number, () int64 on the device, without waiting for it."""
        if self.arrival is not None:
            return self.arrival.count
        scores = self.places.scores
        return torch.full((), len(scores), dtype=torch.int64, device=scores.device)

    @cached_property
    def on_host(self) -> Features:
        """Keypoints and confidences in the memory of the host, without the rest."""
        if self.arrival is None:
            keypoints, scores = (tensor.cpu().numpy() for tensor in self.places[:2])
        else:
            keypoints, scores = self.arrival.result()
        nothing = np.zeros((len(scores), 0), np.float32)
        return Features(keypoints, scores, nothing, self.image_size, self.extractor)

    def to_features(self, *, descriptors: bool = True, patches: bool = True) -> Features:
        """All of it in the memory of the host, or without descriptors or patches."""
        features = self.on_host
        if descriptors:
            features = replace(features, descriptors=self.descriptors.cpu().numpy())
        if patches and self.places.patches.shape[-1]:
            of_host = self.patches.cpu().numpy()
            features = replace(features, patches=of_host, patch_scale=self.patch_scale)
        return features

    def to(self, device: torch.device) -> FeatureTensors:
        """The same on a device; itself where it is there."""
        here = self.places.scores.device
        if (here.type, device.index or 0) == (device.type, here.index or 0):
            return self
        return self._with(Places(*(tensor.to(device) for tensor in self._true_places)))

    def best(self, count: int | None) -> FeatureTensors:
        """The `count` most confident ones; None for all."""
        return self._with(Places(*(tensor[:count] for tensor in self._true_places)))

    @property
    def _true_places(self) -> Places:
        return Places(*(tensor[: len(self)] for tensor in self.places))

    def _with(self, places: Places) -> FeatureTensors:
        return FeatureTensors(
            places.keypoints,
            places.scores,
            places.descriptors,
            self.image_size,
            self.extractor,
            patches=places.patches,
            patch_scale=self.patch_scale,
        )

    @classmethod
    def from_features(cls, features: Features, device: torch.device) -> FeatureTensors:
        """A copy on a device."""
        keypoints, scores, descriptors = (
            torch.tensor(array, dtype=torch.float32, device=device)
            for array in (features.keypoints, features.scores, features.descriptors)
        )
        patches = None
        if features.patches is not None:
            patches = torch.tensor(features.patches, dtype=torch.uint8, device=device)
        return cls(
            keypoints,
            scores,
            descriptors,
            features.image_size,
            features.extractor,
            patches=patches,
            patch_scale=features.patch_scale,
        )


FeaturePair = tuple[FeatureTensors, FeatureTensors]
