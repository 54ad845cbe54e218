"""Stage `matcher`: SuperGlue on a frozen extractor (SuperGlue, section 3.3)."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn

from superglue_ros.lab.training.config import MatcherConfig
from superglue_ros.lab.training.examples import Examples, ExampleSource
from superglue_ros.lab.training.frontend import KeypointBatch
from superglue_ros.lab.training.ground_truth import IGNORED, NO_MATCH, TrueMatches
from superglue_ros.lab.training.loop import ParameterGroup
from superglue_ros.lab.training.precision import autocast
from superglue_ros.lab.training.warm_start import last_convolutions
from superglue_ros.networks import SuperGlue, log_optimal_transport, mutual_matches

VALIDATION_SEED = 77
CALIBRATION_SEED = 78
CALIBRATION_BATCHES = 8
BIN_SCORE_BATCHES = 2
BIN_SCORE_RANGE = 8.0
"""How far from the learned score of the dustbins a better one is looked for, in steps of 1."""
RATES = {"bin_score": 100.0, "final_proj": 10.0, "branch": 1.0, "gnn": 3.0, "kenc": 3.0}
"""Factors on the learning rate. What the warm start begins with is in the tens (the dustbins'
score), ones (the projection) and zero (the end of each branch, which is added to components of a
descriptor of about a tenth)."""
MATCH_THRESHOLD = 0.2


class MatcherStage:
    """See the module.

    Args:
        initial: The network to begin with.
        examples: What to learn from.
        held_out: What to validate on, by name; never learned from.
        config: The settings.
        device: Where to train.
    """

    name = "matcher"

    def __init__(
        self,
        initial: SuperGlue,
        examples: ExampleSource,
        held_out: Mapping[str, ExampleSource],
        config: MatcherConfig,
        device: torch.device,
    ) -> None:
        """Take over the network."""
        self.network: nn.Module = initial
        self.config, self.device = config, device
        self._examples, self._held_out = examples, held_out

    def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
        """Rates by the size of the warm start's weights, see `RATES`."""
        last = last_convolutions(network)
        groups: dict[float, list[nn.Parameter]] = defaultdict(list)
        for name, parameter in network.named_parameters():
            kind = "branch" if name.startswith(last) else name.split(".")[0]
            groups[RATES.get(kind, 1.0)].append(parameter)
        return [{"params": parameters, "rate": rate} for rate, parameters in groups.items()]

    @torch.no_grad()
    def calibrated(self, network: nn.Module) -> nn.Module:
        """A copy whose batch-norm statistics and dustbin score are right for its other weights.

        Statistics that run along lag behind the weights, and for a moving average of the weights
        their moving average is not the right one. Nor is the dustbins' score: averaging makes the
        scores of matches clearer than those it was learned beside.
        """
        network = copy.deepcopy(network)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over the batches
            norm.train()
        generator = Generator(self.device).manual_seed(CALIBRATION_SEED)
        batches = [
            self._examples.draw(self.config.max_keypoints, generator)
            for _ in range(CALIBRATION_BATCHES)
        ]
        for examples in batches:
            self._scores(network, examples)
        network.eval()
        network.get_parameter("bin_score").copy_(
            self._best_bin_score(network, batches[:BIN_SCORE_BATCHES])
        )
        return network

    def _best_bin_score(self, network: nn.Module, batches: Sequence[Examples]) -> Tensor:
        """Of the dustbin scores around the learned one that with the least loss."""
        learned = network.get_parameter("bin_score")
        candidates = learned + torch.arange(-BIN_SCORE_RANGE, BIN_SCORE_RANGE + 1).to(self.device)
        losses = torch.zeros_like(candidates)
        for examples in batches:
            scores = self._scores(network, examples)
            for index, candidate in enumerate(candidates):
                losses[index] += assignment_loss(self._matched(scores, candidate), examples.truth)
        return candidates[losses.argmin()]

    def loss(self, network: nn.Module, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative log-likelihood of the true assignment of a batch."""
        examples = self._examples.draw(self._keypoint_count(generator), generator)
        log_probabilities = self._forward(network, examples)
        loss = assignment_loss(log_probabilities, examples.truth)
        precision, recall = precision_recall(log_probabilities.detach(), examples.truth)
        return loss, {"precision": precision, "recall": recall}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Loss, precision and recall on fixed held-out pairs, homographies and scenes apart."""
        network = self.calibrated(network)
        figures: dict[str, float] = {}
        for name, source in self._held_out.items():
            generator = Generator(self.device).manual_seed(VALIDATION_SEED)
            sums = torch.zeros(3, device=self.device)
            for _ in range(self.config.validation_batches):
                examples = source.draw(self.config.max_keypoints, generator)
                log_probabilities = self._forward(network, examples)
                result = (log_probabilities, examples.truth)
                sums += torch.stack([assignment_loss(*result), *precision_recall(*result)])
            loss, precision, recall = (sums / self.config.validation_batches).tolist()
            figures |= {f"{name} loss": loss}
            figures |= {f"{name} precision": precision, f"{name} recall": recall}
        return figures

    def _keypoint_count(self, generator: Generator) -> int:
        low, high = self.config.min_keypoints, self.config.max_keypoints
        drawn = torch.randint(
            low, max(low, high) + 1, (1,), generator=generator, device=self.device
        )
        return int(drawn)

    def _forward(self, network: nn.Module, examples: Examples) -> Tensor:
        """Log assignment probabilities (B, N+1, N+1)."""
        return self._matched(self._scores(network, examples), network.get_parameter("bin_score"))

    def _scores(self, network: nn.Module, examples: Examples) -> Tensor:
        """Matching scores (B, N, N)."""
        arguments = [
            _arguments(side, size)
            for side, size in zip(examples.sides, examples.sizes, strict=True)
        ]
        with autocast(self.device, self.config.precision):
            scores: Tensor = network(*arguments[0], *arguments[1])
        return scores.float()

    def _matched(self, scores: Tensor, bin_score: Tensor) -> Tensor:
        return log_optimal_transport(scores, bin_score, self.config.sinkhorn_iterations)


def _arguments(side: KeypointBatch, size: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return side.keypoints, side.scores, side.descriptors, size


def assignment_loss(log_probabilities: Tensor, truth: TrueMatches) -> Tensor:
    """Equation 10, matches and dustbins weighing the same.

    Args:
        log_probabilities: (B, N+1, M+1).
        truth: The true partners; ignored ones add nothing.
    """
    matched = truth.matches0 >= 0  # (B, N)
    partner = truth.matches0.clamp(min=0)
    inner = log_probabilities[:, :-1, :-1]
    of_matches = inner.gather(2, partner[..., None])[..., 0][matched]
    alone0, alone1 = truth.matches0 == NO_MATCH, truth.matches1 == NO_MATCH
    of_bins = torch.cat(
        [log_probabilities[:, :-1, -1][alone0], log_probabilities[:, -1, :-1][alone1]]
    )
    return -(_mean(of_matches) + _mean(of_bins)) / 2


def _mean(values: Tensor) -> Tensor:
    return values.sum() / max(1, len(values))


def precision_recall(log_probabilities: Tensor, truth: TrueMatches) -> tuple[Tensor, Tensor]:
    """Share of right ones among the found matches, and of found ones among the true matches.

    Found matches whose truth is ignored count in neither.
    """
    found = mutual_matches(log_probabilities.exp(), MATCH_THRESHOLD)[0]
    judged = (found >= 0) & (truth.matches0 != IGNORED)
    right = judged & (found == truth.matches0)
    precision = right.sum() / judged.sum().clamp(min=1)
    recall = right.sum() / (truth.matches0 >= 0).sum().clamp(min=1)
    return precision, recall
