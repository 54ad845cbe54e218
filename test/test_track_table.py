"""Rows of numbers by the ids of tracks."""

from __future__ import annotations

import numpy as np

from superglue_ros.tracks import TrackTable


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_rows_are_found_by_id_whatever_the_order() -> None:
    table = TrackTable(2)
    table.put(ids(9, 2, 5), np.array([[9.0, 90.0], [2.0, 20.0], [5.0, 50.0]]))
    table.put(ids(7, 2), np.array([[7.0, 70.0], [-2.0, -20.0]]))
    assert len(table) == 4
    assert table.of(ids(7, 9, 2)).tolist() == [[7, 70], [9, 90], [-2, -20]]
    assert table.has(ids(5, 6, 2)).tolist() == [True, False, True]


def test_what_is_dropped_has_no_row_and_what_has_none_may_be_dropped() -> None:
    table = TrackTable(1, np.float32)
    table.drop(ids(3))
    table.put(ids(4, 3), np.array([[4.0], [3.0]], np.float32))
    table.drop(ids(4, 8))
    assert table.has(ids(3, 4, 8)).tolist() == [True, False, False]
    assert table.rows.dtype == np.float32


def test_no_tracks_are_a_table_too() -> None:
    table = TrackTable(3)
    table.put(ids(), np.zeros((0, 3)))
    assert len(table) == 0
    assert table.of(ids()).shape == (0, 3)
    assert table.has(ids(1)).tolist() == [False]
