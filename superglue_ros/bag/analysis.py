"""What is made of the matches: their number in the run, geometry, tracks."""

from __future__ import annotations

import dataclasses

from superglue_ros.bag.matching import FrameResult, MatchedPair
from superglue_ros.bag.outputs import Outputs


class Analysis:
    """Completes the results of frames, each frame once and in order.

    Args:
        outputs: What is wanted.
        first_pair: Number of the next pair.
    """

    def __init__(self, outputs: Outputs, *, first_pair: int) -> None:
        """Begin with the next pair."""
        self._outputs = outputs
        self._next_pair = first_pair

    def of(self, result: FrameResult) -> FrameResult:
        """The result with its pairs completed."""
        return dataclasses.replace(result, pairs=[self._completed(pair) for pair in result.pairs])

    def _completed(self, pair: MatchedPair) -> MatchedPair:
        number, self._next_pair = self._next_pair, self._next_pair + 1
        return dataclasses.replace(pair, number=number)
