"""How values are spread over a run: what is counted of each pair, in bins that never change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superglue_ros.bag.results import MatchedPair

Values = NDArray[np.float64]


class Spread(NamedTuple):
    """A kind of value.

    Attributes:
        title: What it is.
        unit: What its axis counts.
        step: Width of a bin.
        bins: How many there are; the last one holds all that is larger.
    """

    title: str
    unit: str
    step: float
    bins: int

    def counts(self, values: Values) -> NDArray[np.int_]:
        """How many values are in each bin, from 0 on."""
        bins = np.clip(values / self.step, 0, self.bins - 1).astype(np.intp)
        return np.bincount(bins, minlength=self.bins)


SPREADS = {
    "confidence": Spread("Confidence of the matches", "confidence", 0.05, 20),
    "motion": Spread("Motion of the matched points", "pixels", 1.0, 400),
    "disparity": Spread("Disparity of the inliers", "pixels", 1.0, 400),
    "depth": Spread("Depth of the points", "metres", 0.25, 400),
    "tracks": Spread("How long tracks have been followed, over all images", "images", 1.0, 400),
}


def values_of(pair: MatchedPair, *, stereo: bool) -> Iterator[tuple[str, Values]]:
    """What is counted of a pair, by kind."""
    yield "confidence", pair.matches.confidences.astype(np.float64)
    ends0, ends1 = pair.matches.points(pair.view0.features, pair.view1.features)
    if not stereo:
        yield "motion", np.linalg.norm(ends1 - ends0, axis=1)
    elif pair.inliers is not None:
        yield "disparity", (ends0 - ends1)[pair.inliers, 0]
    if pair.points is not None:
        yield "depth", pair.points.positions[pair.points.inliers, 2].astype(np.float64)
    if pair.tracks is not None:
        yield "tracks", pair.tracks.lengths.astype(np.float64)
