"""Matching by mutual nearest neighbours in descriptor space."""

from __future__ import annotations

import numpy as np
import torch

from superglue_ros.config import NearestConfig, Value
from superglue_ros.features import Features, Matches
from superglue_ros.inference.interface import (
    HostMatcher,
    check_descriptors,
    check_extractors,
    matches_from_assignment,
    no_matches,
)


class NearestMatcher(HostMatcher):
    """Pairs descriptors of any kind that are each other's nearest; no weights, no positions.

    The confidence is the cosine similarity, and so is the assignment where it is asked for, with
    empty dustbins.

    Args:
        config: The settings.
        **settings: Single settings by name, over those of `config`.
    """

    def __init__(self, config: NearestConfig | None = None, **settings: Value) -> None:
        """Take over the settings."""
        self.config: NearestConfig = (config or NearestConfig()).updated(**settings)

    @property
    def name(self) -> str:
        """Name of the method."""
        return "nearest"

    @torch.inference_mode()
    def pair_up(
        self, features0: Features, features1: Features, *, with_assignment: bool
    ) -> Matches:
        """The mutual nearest neighbours; see `HostMatcher.pair_up`."""
        if not len(features0) or not len(features1):
            return no_matches(features0, features1, self.name, with_assignment=with_assignment)
        check_extractors(features0, features1, made_for="")
        for features in (features0, features1):
            dim = features0.descriptors.shape[1]
            check_descriptors(features.descriptors.shape, features.extractor, dim)
        similarity = features0.descriptors @ features1.descriptors.T
        probabilities = torch.from_numpy(np.pad(similarity, (0, 1)))[None]
        return matches_from_assignment(
            probabilities, self.config.match_threshold, self.name, with_assignment=with_assignment
        )
