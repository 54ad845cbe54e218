"""SuperGlue engines that score one pair after the other; the matching layer is solved here."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from superglue_ros.config import AssignmentConfig
from superglue_ros.features import Matches
from superglue_ros.inference.engines.interface import PendingMatches
from superglue_ros.inference.interface import matches_from_assignment, no_matches
from superglue_ros.inference.refining import refined
from superglue_ros.inference.tensors import FeaturePair, FeatureTensors
from superglue_ros.networks import SuperGlue, optimal_transport
from superglue_ros.weights.loading import LoadedNetwork


class PairwiseSuperGlue:
    """A SuperGlueEngine made of a function from the features of a pair to scores.

    Args:
        loaded: The network and its name.
        device: Where the scores are.
        precision: What the network computes with.
    """

    def __init__(
        self, loaded: LoadedNetwork[SuperGlue], device: torch.device, precision: str
    ) -> None:
        """Take the name and the score of the dustbins."""
        self.precision = precision
        self._name = loaded.name
        self._bin_score = loaded.network.bin_score.detach().to(device, copy=True)

    def scores(self, features0: FeatureTensors, features1: FeatureTensors) -> Tensor:
        """Run the network on N and M keypoints, at least one in each image.

        Returns:
            (1, N, M) matching scores.
        """
        raise NotImplementedError

    @torch.inference_mode()
    def begin_match(
        self, pairs: Sequence[FeaturePair], config: AssignmentConfig, *, with_assignment: bool
    ) -> PendingMatches:
        """Match pairs; see `SuperGlueEngine.begin_match`."""
        found = [self._match(*pair, config, with_assignment=with_assignment) for pair in pairs]
        return lambda: found

    def _match(
        self,
        features0: FeatureTensors,
        features1: FeatureTensors,
        config: AssignmentConfig,
        *,
        with_assignment: bool,
    ) -> Matches:
        if not len(features0) or not len(features1):
            return no_matches(features0, features1, self._name, with_assignment=with_assignment)
        probabilities = optimal_transport(
            self.scores(features0, features1), self._bin_score, config.sinkhorn_iterations
        )
        matches = matches_from_assignment(
            probabilities, config.match_threshold, self._name, with_assignment=with_assignment
        )
        return refined(matches, (features0, features1), config)
