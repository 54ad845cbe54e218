"""Features that stay on the device they were computed on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from superglue_ros.features import Features


@dataclass(frozen=True, eq=False)
class FeatureTensors:
    """The same as `Features`, as float32 tensors on one device.

    Attributes:
        keypoints: (N, 2), x and y in pixels of the image as given to the extractor.
        scores: (N,), confidences in [0, 1].
        descriptors: (N, D) of unit length.
        image_size: (width, height) of that image in pixels.
        extractor: Name of the extractor and the digest of its weights.
    """

    keypoints: Tensor
    scores: Tensor
    descriptors: Tensor
    image_size: tuple[int, int]
    extractor: str

    def __len__(self) -> int:
        """The number of keypoints."""
        return len(self.keypoints)

    def to_features(self, *, with_descriptors: bool = True) -> Features:
        """A copy in the memory of the host, on wish with descriptors (N, 0)."""
        descriptors = self.descriptors if with_descriptors else self.descriptors[:, :0]
        return Features(
            keypoints=self.keypoints.cpu().numpy(),
            scores=self.scores.cpu().numpy(),
            descriptors=descriptors.cpu().numpy(),
            image_size=self.image_size,
            extractor=self.extractor,
        )

    def best(self, count: int | None) -> FeatureTensors:
        """The `count` most confident ones; None for all."""
        return replace(
            self,
            keypoints=self.keypoints[:count],
            scores=self.scores[:count],
            descriptors=self.descriptors[:count],
        )

    @classmethod
    def from_features(cls, features: Features, device: torch.device) -> FeatureTensors:
        """A copy on a device."""
        keypoints, scores, descriptors = (
            torch.tensor(array, dtype=torch.float32, device=device)
            for array in (features.keypoints, features.scores, features.descriptors)
        )
        return cls(keypoints, scores, descriptors, features.image_size, features.extractor)
