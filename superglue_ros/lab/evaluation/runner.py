"""Methods on sets of pairs: the figures, and which pairs went best and worst."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import tee

import numpy as np

from superglue_ros.features import Features, Matches
from superglue_ros.inference import ImagePairMatcher, MatchedImages
from superglue_ros.inference.refining import why_unrefined
from superglue_ros.inference.rotation import turn_where_few
from superglue_ros.lab.evaluation.methods import Method
from superglue_ros.lab.evaluation.metrics import area_under_curve
from superglue_ros.lab.evaluation.pairs import Figures, ImagePair

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


UNREFINED = "{}, unrefined"
"""What the same matches are called before they are refined."""


def evaluate(
    method: Method, pairs: Iterable[ImagePair], on_pair: Callable[[PairResult], None]
) -> dict[str, SetResult]:
    """Run a method over a set.

    Args:
        method: What is measured.
        pairs: The set.
        on_pair: Called after each pair, for progress.

    Returns:
        The outcome by the name of the method, and where it refines, that of the same matches as
        they were before; nothing where the set is empty.
    """
    results: dict[str, list[PairResult]] = defaultdict(list)
    for outcome in outcomes(method, pairs):
        on_pair(outcome[method.name])
        for name, result in outcome.items():
            of_name = results[name]
            of_name.append(result)
    return {name: _set_result(of_name) for name, of_name in results.items()}


def _set_result(results: list[PairResult]) -> SetResult:
    ordered = sorted(results, key=_matching_score)
    return SetResult(summarise([r.figures for r in results]), ordered[-1], ordered[0])


def _matching_score(result: PairResult) -> float:
    return result.figures["matching score"]


def outcomes(method: Method, pairs: Iterable[ImagePair]) -> Iterator[dict[str, PairResult]]:
    """Run a method on pair after pair; see `evaluate`."""
    pairs, again = tee(pairs)
    images = ((pair.image0, pair.image1) for pair in again)
    found = ImagePairMatcher(method.extractor, method.matcher).match(images)
    for pair, of_pair in zip(pairs, found, strict=True):
        yield _outcome(method, pair, of_pair)


def _outcome(method: Method, pair: ImagePair, found: MatchedImages) -> dict[str, PairResult]:
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
    outcome = {method.name: _compared(pair, features0, matches.refined(features1), matches)}
    refines = method.matcher.config.refinement and not why_unrefined(found[:2])
    if refines and not method.any_rotation:  # which gives turned images refined alone
        raw = _compared(pair, features0, features1, matches)
        outcome[UNREFINED.format(method.name)] = raw
    return outcome


def _compared(
    pair: ImagePair, features0: Features, features1: Features, matches: Matches
) -> PairResult:
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
