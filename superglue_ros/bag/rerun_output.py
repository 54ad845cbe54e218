"""The pairs of a run as a recording for the Rerun viewer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from superglue_ros.bag.outputs import Summary, WriteResult
from superglue_ros.bag.results import FrameResult, MatchedPair
from superglue_ros.config import DrawingConfig
from superglue_ros.drawing import TrackTails
from superglue_ros.geometry.stereo import StereoCamera
from superglue_ros.rerun_log import RerunLog, import_rerun, join_recordings

RERUN_FILE = "matches.rrd"

_TAILS_FILE = "matches.rrd.npz"


class Rerun:
    """matches.rrd, on one time line of the stamps of image 1.

    Args:
        config: How the pair is laid out and coloured.
        stereo: The cameras, where they are a calibrated stereo pair.
        made_with: What decides the results: runs of the same are the same recording.

    Raises:
        InputError: Rerun is not installed or too old.
    """

    def __init__(
        self, config: DrawingConfig, stereo: StereoCamera | None, made_with: dict[str, Any]
    ) -> None:
        """Look for Rerun."""
        import_rerun()
        self._config = config
        self._stereo = stereo
        text = json.dumps(made_with, sort_keys=True)
        self._recording = str(uuid.uuid5(uuid.NAMESPACE_OID, text))

    @contextmanager
    def part(self, folder: Path) -> Iterator[WriteResult]:
        """See `Output`."""
        earlier = sorted(folder.parent.glob(f"part_*/{_TAILS_FILE}"))
        tails = TrackTails()
        if earlier:
            with np.load(earlier[-1]) as state:
                tails.restore(state)
        path = str(folder / RERUN_FILE)
        with RerunLog(path, self._config, recording=self._recording, has_layout=not earlier) as log:

            def write(result: FrameResult) -> None:
                for pair in result.pairs:
                    self._log_pair(log, pair, tails)

            yield write
        np.savez(folder / _TAILS_FILE, allow_pickle=False, **tails.state())

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """See `Output`."""
        join_recordings([part / RERUN_FILE for part in parts], folder / RERUN_FILE)

    def _log_pair(self, log: RerunLog, pair: MatchedPair, tails: TrackTails) -> None:
        view0, view1 = pair.view0, pair.view1
        stamp_ns = view1.origin.stamp_ns
        log.log_pair(
            (view0.origin.image, view1.origin.image),
            (view0.features, view1.features),
            pair.matches,
            stamp_ns=stamp_ns,
            inliers=pair.inliers,
            tails=None if pair.tracks is None else tails.update(pair.tracks),
        )
        if self._stereo is None or pair.points is None:
            return
        matrix = self._stereo.left.projection[:, :3]
        log.log_camera(matrix, view0.features.image_size, stamp_ns=stamp_ns)
        seen = pair.points.inliers
        confidences = pair.matches.confidences[seen]
        positions = pair.points.positions[seen].astype(np.float32)
        log.log_points(positions, confidences, stamp_ns=stamp_ns)
