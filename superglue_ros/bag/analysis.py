"""What is made of the matches: their number in the run, geometry, tracks."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from superglue_ros.bag.calibration import Calibration
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs
from superglue_ros.bag.results import FrameResult, MatchedPair
from superglue_ros.errors import InputError
from superglue_ros.geometry import TwoViewGeometry, estimate_two_view_geometry
from superglue_ros.geometry.stereo import StereoPoints, stereo_geometry
from superglue_ros.tracks import Tracker, Tracks


class Analysis:
    """Completes the results of frames, each frame once and in order.

    Args:
        outputs: What is wanted.
        config: The settings of geometry and tracks.
        calibration: What is known of the cameras.

    Raises:
        InputError: There are no tracks in the mode.
    """

    def __init__(self, outputs: Outputs, config: BagConfig, calibration: Calibration) -> None:
        """Begin with the first pair."""
        if outputs.tracks and config.mode == "stereo":
            raise InputError("there are no tracks in mode stereo; take sequential or keyframe")
        by_inlier = outputs.video and config.colour == "inlier"
        counted = outputs.report or outputs.rerun or outputs.pictures
        self._with_geometry = outputs.geometry or outputs.tracks or counted or by_inlier
        self._config = config
        self._calibration = calibration
        self._tracker = Tracker(config) if outputs.tracks else None
        self._next_pair = 0

    def of(self, result: FrameResult) -> FrameResult:
        """The result with its pairs completed."""
        begin = time.perf_counter()
        pairs = [self._completed(pair) for pair in result.pairs]
        duration_ms = (time.perf_counter() - begin) * 1e3
        durations_ms = {**result.durations_ms, "geometry and tracks": duration_ms}
        return dataclasses.replace(result, pairs=pairs, durations_ms=durations_ms)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """All that `restore` needs to go on from here."""
        tracks = {} if self._tracker is None else self._tracker.state()
        return {"next_pair": np.array(self._next_pair), **tracks}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Go on from where a state was taken."""
        self._next_pair = int(state["next_pair"])
        if self._tracker is not None:
            self._tracker.restore(state)

    def _completed(self, pair: MatchedPair) -> MatchedPair:
        number, self._next_pair = self._next_pair, self._next_pair + 1
        geometry, points = self._geometry_of(pair) if self._with_geometry else (None, None)
        pair = dataclasses.replace(pair, number=number, geometry=geometry, points=points)
        return dataclasses.replace(pair, tracks=self._tracks_of(pair))

    def _geometry_of(self, pair: MatchedPair) -> tuple[TwoViewGeometry, StereoPoints | None]:
        features0, features1 = pair.view0.features, pair.view1.features
        ends = pair.matches.points(features0, features1)
        size, config = features1.image_size, self._config
        if self._calibration.stereo is not None:
            return stereo_geometry(self._calibration.stereo, *ends, size, config, config)
        return estimate_two_view_geometry(*ends, size, self._calibration.cameras, config), None

    def _tracks_of(self, pair: MatchedPair) -> Tracks | None:
        """Hand the ids on along the matches that fit the geometry."""
        if self._tracker is None or pair.geometry is None:
            return None
        view0, view1 = pair.view0, pair.view1
        try:
            return self._tracker.update(
                (view0.stamp_sec, view1.stamp_sec),
                view0.features.keypoints,
                view1.refined(pair.matches).keypoints,
                pair.matches.pairs[pair.geometry.inliers],
                pair.matches.are_refined[pair.geometry.inliers],
            )
        except InputError:  # a stamp that is there twice: the tracks go on with the next frame
            return None
