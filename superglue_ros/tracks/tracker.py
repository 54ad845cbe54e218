"""Lasting ids for keypoints that are matched from frame to frame.

A match hands the id of its keypoint on. A keypoint that was not found for some frames gets its id
back in one of two ways: by a match to a frame in which it was seen (as a matcher to keyframes gives
it), or because it turns up where the motion of its neighbours would have taken it.

A refined match says where keypoint 0 is in image 1, which is a fraction of a pixel beside the
keypoint found there; and that keypoint is what the next match begins with. So a track keeps how far
it is from its keypoint and takes that along: it stays on one point instead of following a detector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from superglue_ros.config import TrackConfig
from superglue_ros.errors import InputError
from superglue_ros.features import FloatArray, IndexArray
from superglue_ros.partners import RESET_SEC

Ids = NDArray[np.int64]

_NONE = -1
_NEIGHBOURS = 8  # whose median motion a point that is out of sight is taken to follow


@dataclass(frozen=True, eq=False)
class Tracks:
    """The tracks of one frame.

    Attributes:
        ids: (T,) int64, the tracks seen in this frame, in the order of its keypoints.
        keypoints: (T,) int32, which of its keypoints each is.
        points: (T, 2) float32, where, in pixels.
        lengths: (T,) int32, in how many frames each was seen, this one included.
        ended: (E,) int64, tracks that will not come again.
    """

    ids: Ids
    keypoints: IndexArray
    points: FloatArray
    lengths: IndexArray
    ended: Ids


@dataclass(eq=False)
class _Table:
    """The tracks that have not ended: (T,) ids, (T, 2) last or expected places, and counts.

    The ids ascend, as new ones are larger than all before.
    """

    ids: Ids
    points: FloatArray
    lengths: IndexArray
    missed: IndexArray

    @classmethod
    def of(cls, ids: Ids, points: FloatArray) -> _Table:
        count = len(ids)
        return cls(ids, points, np.ones(count, np.int32), np.zeros(count, np.int32))

    def __getitem__(self, rows: NDArray[np.bool_]) -> _Table:
        return _Table(self.ids[rows], self.points[rows], self.lengths[rows], self.missed[rows])

    def __add__(self, other: _Table) -> _Table:
        return _Table(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.points, other.points]),
            np.concatenate([self.lengths, other.lengths]),
            np.concatenate([self.missed, other.missed]),
        )


class _Frame(NamedTuple):
    """The keypoints of a frame: (N,) the id of each, -1 for none, and (N, 2) where its track is."""

    ids: Ids
    places: FloatArray


class Tracker:
    """Follows keypoints through the matches of a sequence.

    Args:
        config: Settings; the defaults where None.
    """

    def __init__(self, config: TrackConfig | None = None) -> None:
        """Start without tracks."""
        self.config = config or TrackConfig()
        self._next_id = 0
        self._forget()

    def update(
        self,
        stamps_sec: tuple[float, float],
        points0: FloatArray,
        points1: FloatArray,
        pairs: IndexArray,
        refined: NDArray[np.bool_] | None = None,
    ) -> Tracks:
        """Take the matches of a new frame to an earlier one.

        Args:
            stamps_sec: Of the earlier and of the new frame; they tell frames apart.
            points0: (N, 2) float32, all keypoints of the earlier frame in pixels, as extracted.
            points1: (M, 2) float32, all keypoints of the new frame, as these matches refined them.
            pairs: (K, 2) int32, the matches to follow: index in the earlier and in the new frame.
            refined: (K,) bool, which of them were refined; None for none. A track goes through
                another one with the motion of its neighbours.

        Returns:
            The tracks of the new frame. Where the stamps jump back, as a bag that starts anew lets
            them, all tracks end and new ones begin.

        Raises:
            InputError: The new frame is not newer than the last one, or the earlier frame is not
                the one that was seen under its stamp.
        """
        stamp0, stamp1 = stamps_sec
        ended: list[Ids] = []
        if stamp1 < self._last_sec - RESET_SEC:
            ended.append(self._table.ids)
            self._forget()
        if stamp1 <= self._last_sec:
            raise InputError(
                f"a frame of {stamp1:.3f} s comes after one of {self._last_sec:.3f} s: tracks need "
                "each frame once and in order (mode sequential or keyframe)"
            )
        known = self._frames.get(stamp0)
        if known is not None and len(known.ids) != len(points0):
            raise InputError(
                f"two frames have stamp {stamp0:.3f} s, one with {len(known.ids)} keypoints and "
                f"one with {len(points0)}: tracks need a stamp of its own for each frame"
            )
        index0, index1 = pairs.T
        if stamp0 not in self._frames:
            ended.append(self._see(stamp0, points0, np.full(len(points0), _NONE, np.int64)))
        frame0 = self._with_new_tracks(self._frames.pop(stamp0), points0, index0)
        self._frames[stamp0] = frame0  # the newest of the frames that are remembered
        ids1 = np.full(len(points1), _NONE, np.int64)
        ids1[index1] = frame0.ids[index0]
        places1 = np.array(points1, np.float32)
        follows = refined is not None and bool(refined.any())
        if refined is not None and follows:
            places1[index1] = self._followed(
                frame0.places[index0], points1[index1] - points0[index0], points1[index1], refined
            )
        ended.append(self._see(stamp1, places1, ids1, follows=follows))
        return self._seen(stamp1, np.concatenate(ended))

    def _followed(
        self,
        places: FloatArray,
        motions: FloatArray,
        points: FloatArray,
        refined: NDArray[np.bool_],
    ) -> FloatArray:
        """(K, 2) where tracks have come to.

        Args:
            places: (K, 2) where they were.
            motions: (K, 2) how far their keypoints have moved.
            points: (K, 2) their keypoints in the new frame.
            refined: (K,) bool, whose motion is exact to a fraction of a pixel.
        """
        followed = np.asarray(places + motions, np.float32)
        rows = np.flatnonzero(refined)
        expected = _carried(places, motions[rows], rows, ~refined)
        apart = np.linalg.norm(expected - points[~refined], axis=1)
        near = apart <= self.config.track_search_radius_px
        followed[~refined] = np.where(near[:, None], expected, points[~refined])
        return followed

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs to go on from here, in another process say."""
        table = self._table
        return {
            "next_id": np.array(self._next_id),
            "last_sec": np.array(self._last_sec),
            "ids": table.ids,
            "points": table.points,
            "lengths": table.lengths,
            "missed": table.missed,
            "frame_secs": np.array(list(self._frames), np.float64),
            **{
                f"frame_{name}{number}": value
                for number, frame in enumerate(self._frames.values())
                for name, value in frame._asdict().items()
            },
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where a state was taken."""
        self._forget()
        self._next_id = int(state["next_id"])
        self._last_sec = float(state["last_sec"])
        names = ("ids", "points", "lengths", "missed")
        self._table = _Table(*(np.array(state[name]) for name in names))
        for number, stamp in enumerate(state["frame_secs"].tolist()):
            arrays = (np.array(state[f"frame_{name}{number}"]) for name in _Frame._fields)
            self._frames[stamp] = _Frame(*arrays)

    def _forget(self) -> None:
        self._table = _Table.of(np.zeros(0, np.int64), np.zeros((0, 2), np.float32))
        self._frames: dict[float, _Frame] = {}  # by stamp
        self._last_sec = float("-inf")

    def _with_new_tracks(self, frame: _Frame, points: FloatArray, matched: IndexArray) -> _Frame:
        """A frame whose matched keypoints have tracks, those without one having begun it there."""
        ids, lives = frame.ids, np.isin(frame.ids, self._table.ids)
        begins = np.zeros(len(ids), bool)
        begins[matched] = ~lives[matched]
        new = np.arange(self._next_id, self._next_id + int(begins.sum()), dtype=np.int64)
        self._next_id += len(new)
        ids = ids.copy()
        ids[begins] = new
        self._table += _Table.of(new, np.asarray(points[begins], np.float32))
        return _Frame(ids, np.where(lives[:, None], frame.places, points).astype(np.float32))

    def _see(self, stamp_sec: float, points: FloatArray, ids: Ids, *, follows: bool = False) -> Ids:
        """Take a frame whose keypoints have these ids; returns the tracks that ended.

        Args:
            stamp_sec: Of the frame.
            points: (N, 2) where they are, which is written to.
            ids: (N,) their ids, -1 for none; written to.
            follows: Whether motions are exact: then a track that is taken up again is where its
                neighbours' motion has taken it, else at its keypoint.
        """
        table = self._table
        keypoints = np.flatnonzero(ids >= 0)
        rows = np.searchsorted(table.ids, ids[keypoints])
        lost = np.ones(len(table.ids), bool)
        lost[rows] = False
        expected = _carried(table.points, points[keypoints] - table.points[rows], rows, lost)
        free = np.flatnonzero(ids < 0)
        back, found = _nearest_pairs(expected, points[free], self.config.track_search_radius_px)
        again = np.flatnonzero(lost)[back]
        ids[free[found]] = table.ids[again]
        if follows:
            points[free[found]] = expected[back]

        table.points[lost] = expected
        table.missed += 1
        for seen, at in ((rows, keypoints), (again, free[found])):
            table.points[seen] = points[at]
            table.missed[seen] = 0
            table.lengths[seen] += 1
        over = table.missed > self.config.max_gap_frames
        self._table = table[~over]
        self._remember(stamp_sec, _Frame(ids, points))
        return table.ids[over]

    def _remember(self, stamp_sec: float, frame: _Frame) -> None:
        self._frames[stamp_sec] = frame
        self._last_sec = max(self._last_sec, stamp_sec)
        while len(self._frames) > self.config.max_gap_frames + 2:
            del self._frames[next(iter(self._frames))]

    def _seen(self, stamp_sec: float, ended: Ids) -> Tracks:
        ids, points = self._frames[stamp_sec]
        keypoints = np.flatnonzero(ids >= 0).astype(np.int32)
        return Tracks(
            ids[keypoints],
            keypoints,
            np.asarray(points[keypoints], np.float32),
            self._table.lengths[np.searchsorted(self._table.ids, ids[keypoints])],
            ended,
        )


def _carried(
    points: FloatArray, motions: FloatArray, rows: NDArray[np.int_], lost: NDArray[np.bool_]
) -> FloatArray:
    """(L, 2) where the lost ones of (T, 2) points are, had they moved like those seen near them.

    Args:
        points: Where all tracks were.
        motions: (S, 2) how far those seen have moved.
        rows: (S,) which they are.
        lost: (T,) bool, which are not seen.
    """
    if not len(rows) or not lost.any():
        return points[lost]
    distances = np.linalg.norm(points[lost][:, None] - points[rows][None], axis=2)
    count = min(_NEIGHBOURS, len(rows))
    nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
    return np.asarray(points[lost] + np.median(motions[nearest], axis=1), np.float32)


def _nearest_pairs(
    points0: FloatArray, points1: FloatArray, radius_px: float
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Indices of the points that are mutually nearest and no farther apart than the radius."""
    if not len(points0) or not len(points1):
        return np.zeros(0, int), np.zeros(0, int)
    distances = np.linalg.norm(points0[:, None] - points1[None], axis=2)
    nearest1 = distances.argmin(axis=1)
    index0 = np.arange(len(points0))
    mutual = distances.argmin(axis=0)[nearest1] == index0
    near = distances[index0, nearest1] <= radius_px
    return index0[mutual & near], nearest1[mutual & near]
