"""Numbers that are remembered of tracks, by their ids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from superglue_ros.tracks.tracker import Ids


class TrackTable:
    """A row of numbers for each of some tracks.

    Args:
        width: Numbers in a row.
        dtype: Their type.

    Attributes:
        ids: (T,) int64, the tracks that have a row, ascending.
        rows: (T, width), their rows.
    """

    def __init__(self, width: int, dtype: DTypeLike = np.float64) -> None:
        """Start without rows."""
        self.ids: Ids = np.zeros(0, np.int64)
        self.rows: NDArray[Any] = np.zeros((0, width), dtype)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.ids)

    def has(self, ids: Ids) -> NDArray[np.bool_]:
        """(N,) bool, which of these (N,) tracks have a row."""
        return np.isin(ids, self.ids)

    def of(self, ids: Ids) -> NDArray[Any]:
        """(N, width) rows of (N,) tracks, each of which has one."""
        found: NDArray[Any] = self.rows[np.searchsorted(self.ids, ids)]
        return found

    def put(self, ids: Ids, rows: NDArray[Any]) -> None:
        """Set the (N, width) rows of (N,) different tracks, whether they have one or not."""
        self.drop(ids)
        both = np.concatenate([self.ids, ids])
        order = np.argsort(both)
        self.ids, self.rows = both[order], np.concatenate([self.rows, rows])[order]

    def drop(self, ids: Ids) -> None:
        """Forget these tracks, as far as they have a row."""
        kept = ~np.isin(self.ids, ids)
        self.ids, self.rows = self.ids[kept], self.rows[kept]
