"""SuperGlue on the features of two images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from superglue_ros.config import SuperGlueConfig, Value
from superglue_ros.features import Features, Matches
from superglue_ros.inference.device import select_device
from superglue_ros.inference.folding import fold_batch_norms
from superglue_ros.inference.interface import (
    check_descriptors,
    matches_from_assignment,
    no_matches,
)
from superglue_ros.networks import optimal_transport
from superglue_ros.weights import load_superglue


class SuperGlueMatcher:
    """Features of two images in, matches out.

    Args:
        config: The settings.
        **settings: Single settings by name, over those of `config`.

    Raises:
        InputError: A setting is out of range, or the weights do not load.

    Attributes:
        config: The settings; replaced, it takes effect with the next call, but for the device and
            the weights.
        device: The torch device that the network is on.
    """

    def __init__(self, config: SuperGlueConfig | None = None, **settings: Value) -> None:
        """Load the weights onto the device."""
        self.config = (config or SuperGlueConfig()).updated(**settings)
        self.device = select_device(self.config.device)
        loaded = load_superglue(self.config.weights)
        self._name = loaded.name
        self._network = fold_batch_norms(loaded.network.eval()).to(self.device)

    @property
    def name(self) -> str:
        """Name of the weights and their digest."""
        return self._name

    @torch.inference_mode()
    def match(
        self, features0: Features, features1: Features, *, with_assignment: bool = False
    ) -> Matches:
        """Match the features of two images; see `Matcher.match`."""
        config = self.config
        for features in (features0, features1):
            check_descriptors(features, self._network.descriptor_dim)
        if not len(features0) or not len(features1):
            return no_matches(features0, features1, self.name, with_assignment=with_assignment)
        scores = self._network(*self._tensors(features0), *self._tensors(features1))
        probabilities = optimal_transport(
            scores, self._network.bin_score, config.sinkhorn_iterations
        )
        return matches_from_assignment(
            probabilities, config.match_threshold, self.name, with_assignment=with_assignment
        )

    def _tensors(self, features: Features) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Keypoints (1, N, 2), scores (1, N), descriptors (1, D, N) and size (1, 2)."""

        def batch_of_one(array: np.ndarray) -> Tensor:
            return torch.tensor(array, dtype=torch.float32, device=self.device)[None]

        return (
            batch_of_one(features.keypoints),
            batch_of_one(features.scores),
            batch_of_one(features.descriptors).mT,
            batch_of_one(np.array(features.image_size)),
        )
