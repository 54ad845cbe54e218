"""Where the tracks of a frame have come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superglue_ros.features import FloatArray, IndexArray
from superglue_ros.tracks import Tracks, TrackTable

TAIL_FRAMES = 20
"""Sightings of a track that its tail goes back."""

_MAX_TRACKS = 50_000  # the end of a track may be lost with its message
_COLUMNS = 2 + 2 * TAIL_FRAMES  # the last update, the length, and x, y of each sighting


@dataclass(frozen=True, eq=False)
class Tails:
    """The tracks of one frame with their past.

    Attributes:
        keypoints: (T,) int32, which keypoints of the frame the tracks are.
        points: (P, 2) float32 in pixels, the sightings of one track after the other; of each the
            last one, which is in this frame, at the end.
        lengths: (T,) int, how many of them are of each track; 1 where it is new.
    """

    keypoints: IndexArray
    points: FloatArray
    lengths: NDArray[np.int_]

    def __len__(self) -> int:
        """The number of tracks."""
        return len(self.lengths)

    @property
    def paths(self) -> list[FloatArray]:
        """For each track the (L, 2) points."""
        return split(self.points, self.lengths)


class TrackTails:
    """Remembers where tracks have been."""

    def __init__(self) -> None:
        """Start without a past."""
        self._updates = 0
        self._past = TrackTable(_COLUMNS, np.float32)

    def update(self, tracks: Tracks) -> Tails:
        """Take the tracks of the next frame; those that have ended are forgotten."""
        self._updates += 1
        self._past.drop(tracks.ended)
        rows = np.zeros((len(tracks.ids), _COLUMNS), np.float32)
        known = self._past.has(tracks.ids)
        rows[known] = self._past.of(tracks.ids[known])
        rows[:, 0] = self._updates
        rows[:, 1] = np.minimum(rows[:, 1] + 1, TAIL_FRAMES)
        rows[:, 2:] = np.column_stack([rows[:, 4:], tracks.points])
        self._past.put(tracks.ids, rows)
        if len(self._past) > _MAX_TRACKS:
            oldest = np.argsort(self._past.rows[:, 0], kind="stable")[:-_MAX_TRACKS]
            self._past.drop(self._past.ids[oldest])
        lengths = rows[:, 1].astype(int)
        is_sighting = np.arange(TAIL_FRAMES) >= TAIL_FRAMES - lengths[:, None]
        points = rows[:, 2:].reshape(-1, TAIL_FRAMES, 2)[is_sighting]
        return Tails(tracks.keypoints, points, lengths)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs to go on from here."""
        return {
            "updates": np.array(self._updates),
            "ids": self._past.ids,
            "rows": self._past.rows,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where a state was taken."""
        self._updates = int(state["updates"])
        self._past = TrackTable(_COLUMNS, np.float32)
        self._past.put(np.array(state["ids"]), np.array(state["rows"]))


def split(points: FloatArray, lengths: NDArray[np.int_]) -> list[FloatArray]:
    """(P, 2) points in pieces of these lengths, one after the other."""
    return np.split(points, np.cumsum(lengths)[:-1]) if len(lengths) else []
