"""Where the tracks of a frame have come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superglue_ros.features import FloatArray, IndexArray
from superglue_ros.tracks import Tracks

TAIL_FRAMES = 20
"""Sightings of a track that its tail goes back."""

_MAX_TRACKS = 50_000  # the end of a track may be lost with its message


@dataclass(frozen=True, eq=False)
class Tails:
    """The tracks of one frame with their past.

    Attributes:
        keypoints: (T,) int32, which keypoints of the frame the tracks are.
        paths: For each track (L, 2) float32 in pixels, its last sighting, in this frame, at the
            end; L is 1 where the track is new.
    """

    keypoints: IndexArray
    paths: list[FloatArray]

    def __len__(self) -> int:
        """The number of tracks."""
        return len(self.paths)


class TrackTails:
    """Remembers where tracks have been."""

    def __init__(self) -> None:
        """Start without a past."""
        self._paths: dict[int, FloatArray] = {}

    def update(self, tracks: Tracks) -> Tails:
        """Take the tracks of the next frame; those that have ended are forgotten."""
        for track in tracks.ended.tolist():
            self._paths.pop(track, None)
        paths = []
        for track, point in zip(tracks.ids.tolist(), tracks.points, strict=True):
            before = self._paths.pop(track, np.zeros((0, 2), np.float32))
            paths.append(np.concatenate([before[1 - TAIL_FRAMES :], point[None]]))
            self._paths[track] = paths[-1]  # now the newest
        while len(self._paths) > _MAX_TRACKS:
            del self._paths[next(iter(self._paths))]
        return Tails(tracks.keypoints, paths)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs to go on from here."""
        paths = list(self._paths.values())
        return {
            "ids": np.array(list(self._paths), np.int64),
            "lengths": np.array([len(path) for path in paths], np.int64),
            "points": np.concatenate([np.zeros((0, 2), np.float32), *paths]),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where a state was taken."""
        paths = np.split(state["points"], np.cumsum(state["lengths"]))[:-1]
        self._paths = dict(zip(state["ids"].tolist(), paths, strict=True))
