"""Methods on sets of pairs: the figures, and which pairs went best and worst."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import tee

import numpy as np

from superglue_ros.evaluation.methods import Method
from superglue_ros.evaluation.metrics import area_under_curve
from superglue_ros.evaluation.pairs import Figures, ImagePair
from superglue_ros.features import Features, Matches
from superglue_ros.inference import ImagePairMatcher, MatchedImages
from superglue_ros.inference.rotation import turn_where_few

THRESHOLDS = {"DLT": (1, 3, 5, 10), "RANSAC": (1, 3, 5, 10), "pose": (5, 10, 20)}
"""Pixels for the corners of homographies, degrees for poses."""


@dataclass(frozen=True)
class PairResult:
    """One pair's outcome.

    Attributes:
        pair: The pair.
        features: Keypoints of both images.
        matches: Their matches.
        figures: Precision, matching score and errors of this pair.
    """

    pair: ImagePair
    features: tuple[Features, Features]
    matches: Matches
    figures: Figures


@dataclass(frozen=True)
class SetResult:
    """A method's outcome on a set.

    Attributes:
        figures: Means over the pairs, in percent; counts as they are.
        best: The pair with the highest matching score.
        worst: The pair with the lowest.
    """

    figures: Figures
    best: PairResult
    worst: PairResult


def evaluate(
    method: Method, pairs: Iterable[ImagePair], on_pair: Callable[[PairResult], None]
) -> SetResult | None:
    """Run a method over a set; None where the set is empty.

    Args:
        method: What is measured.
        pairs: The set.
        on_pair: Called after each pair, for progress.
    """
    results: list[PairResult] = []
    extremes: list[PairResult] = []
    for result in outcomes(method, pairs):
        on_pair(result)
        results.append(result)
        extremes = sorted([*extremes, result], key=_matching_score)
        extremes = [extremes[0], extremes[-1]]
    if not results:
        return None
    return SetResult(summarise([r.figures for r in results]), extremes[1], extremes[0])


def _matching_score(result: PairResult) -> float:
    return result.figures["matching score"]


def outcomes(method: Method, pairs: Iterable[ImagePair]) -> Iterator[PairResult]:
    """Run a method on pair after pair."""
    pairs, again = tee(pairs)
    images = ((pair.image0, pair.image1) for pair in again)
    found = ImagePairMatcher(method.extractor, method.matcher).match(images)
    for pair, of_pair in zip(pairs, found, strict=True):
        yield _outcome(method, pair, of_pair)


def _outcome(method: Method, pair: ImagePair, found: MatchedImages) -> PairResult:
    """Compare what a method found in one pair with the truth."""
    features0, features1 = found.features0.on_host, found.features1.on_host
    matches = found.matches
    if method.any_rotation:
        features1, matches = turn_where_few(
            method.extractor,
            method.matcher.match,
            pair.image1,
            found.features0.to_features(),
            (features1, matches),
        )
    judgement = pair.truth.judge(
        features0.keypoints.astype(np.float64),
        features1.keypoints.astype(np.float64),
        matches.pairs,
        pair,
    )
    right, judged = int(judgement.right.sum()), int(judgement.judged.sum())
    figures: Figures = {
        "keypoints": (len(features0) + len(features1)) / 2,
        "matches": float(len(matches)),
        "precision": right / judged if judged else 0.0,
        "matching score": right / max(1, len(features0)),
        **judgement.errors,
    }
    if "possible" in judgement.counts:
        possible = judgement.counts["possible"]
        figures["recall"] = judgement.counts["found"] / possible if possible else 0.0
    if "within 1px" in judgement.counts:
        figures["precision 1px"] = judgement.counts["within 1px"] / judged if judged else 0.0
    return PairResult(pair, (features0, features1), matches, figures)


def summarise(figures: list[Figures]) -> Figures:
    """Means of the shares in percent and areas under the curves of the errors."""
    columns: dict[str, list[float]] = defaultdict(list)
    for one in figures:
        for name, value in one.items():
            columns[name].append(value)
    summary: Figures = {"pairs": float(len(figures))}
    for name, values in columns.items():
        if name in THRESHOLDS:
            areas = area_under_curve(values, THRESHOLDS[name])
            for threshold, area in zip(THRESHOLDS[name], areas, strict=True):
                summary[f"{name} AUC@{threshold}"] = 100 * area
        else:
            scale = 1 if name in ("keypoints", "matches") else 100
            summary[name] = scale * float(np.mean(values))
    return summary
