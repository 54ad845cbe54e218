"""Tracks over scripted sequences: what is seen in which frame is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from superglue_ros.config import TrackConfig
from superglue_ros.errors import InputError
from superglue_ros.tracks import Tracker, Tracks

Frame = list[str]  # the names of the points seen, in the order of the keypoints

STEP = np.array([7.0, -2.0], np.float32)  # how far the camera's motion takes all points a frame
PLACES = {
    name: np.array([40 + 90 * (number % 5), 60 + 80 * (number // 5)], np.float32)
    for number, name in enumerate("abcdefghijklmnop")
}


def place(name: str, time: int) -> NDArray[np.float32]:
    return PLACES[name] + time * STEP


def points(frame: Frame, time: int) -> NDArray[np.float32]:
    return np.array([place(name, time) for name in frame], np.float32).reshape(-1, 2)


def pairs(frame0: Frame, frame1: Frame) -> NDArray[np.int32]:
    shared = [(frame0.index(name), frame1.index(name)) for name in frame0 if name in frame1]
    return np.array(shared, np.int32).reshape(-1, 2)


class Sequence:
    """Feeds a tracker with frames that are matched to the one before, or to an earlier one."""

    def __init__(self, **settings: float) -> None:
        self.tracker = Tracker(TrackConfig(**settings))  # type: ignore[arg-type]
        self.frames: dict[int, Frame] = {}

    def see(self, time: int, frame: str, *, matched_to: int | None = None) -> Tracks:
        self.frames[time] = list(frame)
        before = time - 1 if matched_to is None else matched_to
        earlier = self.frames[before]
        return self.tracker.update(
            (float(before), float(time)),
            points(earlier, before),
            points(list(frame), time),
            pairs(earlier, list(frame)),
        )

    def start(self, frame: str) -> None:
        self.frames[0] = list(frame)


def by_name(tracks: Tracks, frame: str) -> dict[str, int]:
    return {frame[k]: i for k, i in zip(tracks.keypoints, tracks.ids.tolist(), strict=True)}


def test_ids_last_whatever_the_order_of_the_keypoints() -> None:
    sequence = Sequence()
    sequence.start("abcd")
    first = sequence.see(1, "dcba")
    second = sequence.see(2, "bdac")
    assert by_name(first, "dcba") == by_name(second, "bdac")
    assert sorted(first.ids.tolist()) == [0, 1, 2, 3]
    assert (first.lengths.tolist(), second.lengths.tolist()) == ([2] * 4, [3] * 4)
    np.testing.assert_array_equal(second.points, points(list("bdac"), 2))


def test_a_new_point_begins_a_track_once_it_is_matched() -> None:
    sequence = Sequence()
    sequence.start("ab")
    assert by_name(sequence.see(1, "abc"), "abc") == {"a": 0, "b": 1}
    assert by_name(sequence.see(2, "abc"), "abc") == {"a": 0, "b": 1, "c": 2}


def test_a_track_survives_an_occlusion_that_is_no_longer_than_the_gap() -> None:
    sequence = Sequence(max_gap_frames=2)
    sequence.start("abcdef")
    before = by_name(sequence.see(1, "abcdef"), "abcdef")
    for time in (2, 3):
        hidden = sequence.see(time, "abdef")
        assert before["c"] not in hidden.ids
        assert not len(hidden.ended)
    again = sequence.see(4, "cabdef")
    assert by_name(again, "cabdef") == before
    assert dict(zip(again.ids.tolist(), again.lengths.tolist(), strict=True))[before["c"]] == 3


def test_a_track_that_is_hidden_longer_ends_and_comes_back_under_a_new_id() -> None:
    sequence = Sequence(max_gap_frames=2)
    sequence.start("abcdef")
    before = by_name(sequence.see(1, "abcdef"), "abcdef")
    ended = [sequence.see(time, "abdef").ended.tolist() for time in (2, 3, 4)]
    assert ended == [[], [], [before["c"]]]
    sequence.see(5, "abcdef")
    after = by_name(sequence.see(6, "abcdef"), "abcdef")
    assert after["c"] not in before.values()
    assert {name: after[name] for name in "abdef"} == {name: before[name] for name in "abdef"}


def test_another_point_elsewhere_does_not_take_over_a_lost_track() -> None:
    sequence = Sequence()
    sequence.start("abcdef")
    before = by_name(sequence.see(1, "abcdef"), "abcdef")
    sequence.see(2, "abdef")
    sequence.see(3, "abdefg")
    after = by_name(sequence.see(4, "abdefg"), "abdefg")
    assert after["g"] not in before.values()


def test_without_a_search_radius_a_lost_track_waits_for_a_match() -> None:
    sequence = Sequence(track_search_radius_px=0.0)
    sequence.start("abcdef")
    before = by_name(sequence.see(1, "abcdef"), "abcdef")
    sequence.see(2, "abdef")
    assert by_name(sequence.see(3, "abcdef", matched_to=1), "abcdef") == before


def test_matches_to_a_keyframe_keep_the_ids() -> None:
    sequence = Sequence(max_gap_frames=3)
    sequence.start("abcdef")
    seen = ["abcdef", "abc", "def", "ace", "abcdef", "bdf"]
    names: dict[int, str] = {}
    for time, frame in enumerate(seen, start=1):
        for name, track in by_name(sequence.see(time, frame, matched_to=0), frame).items():
            assert names.setdefault(track, name) == name
    assert len(names) == 6


def test_a_lost_message_is_bridged_by_the_places_of_the_points() -> None:
    sequence = Sequence(track_search_radius_px=10.0)
    sequence.start("abcdef")
    before = by_name(sequence.see(1, "abcdef"), "abcdef")
    sequence.frames[2] = list("abcdef")  # the message of frames 1 and 2 does not come
    assert by_name(sequence.see(3, "abcdef"), "abcdef") == before


def test_ids_are_never_used_again() -> None:
    random = np.random.default_rng(5)
    sequence = Sequence(max_gap_frames=1)
    sequence.start("abcdefgh")
    alive: set[int] = set()
    gone: set[int] = set()
    for time in range(1, 80):
        frame = "".join(name for name in PLACES if random.random() < 0.6)
        tracks = sequence.see(time, frame)
        ids = tracks.ids.tolist()
        assert len(set(ids)) == len(ids)
        gone |= set(tracks.ended.tolist())
        assert not gone & set(ids)
        alive |= set(ids)
    assert gone
    assert gone <= alive


def test_every_track_ends_when_nothing_is_seen_any_more() -> None:
    sequence = Sequence(max_gap_frames=1)
    sequence.start("abc")
    ids = sequence.see(1, "abc").ids.tolist()
    black = [sequence.see(time, "") for time in (2, 3, 4)]
    assert [sorted(tracks.ended.tolist()) for tracks in black] == [[], ids, []]
    assert all(not len(tracks.ids) for tracks in black)


def test_stamps_that_jump_back_end_all_tracks() -> None:
    sequence = Sequence()
    sequence.start("abc")
    for time in range(1, 20):
        last = sequence.see(time, "abc")
    again = sequence.see(2, "abc")
    assert again.ended.tolist() == last.ids.tolist()
    assert not set(again.ids.tolist()) & set(last.ids.tolist())


def test_a_frame_that_comes_twice_is_refused() -> None:
    sequence = Sequence()
    sequence.start("abc")
    sequence.see(1, "abc")
    with pytest.raises(InputError, match="in order"):
        sequence.see(1, "abc")


def test_another_frame_under_the_stamp_of_an_earlier_one_is_refused_and_survived() -> None:
    """A late image may bear the stamp of one that was matched long ago."""
    sequence = Sequence()
    sequence.start("abcdef")
    sequence.see(1, "abcdef")
    sequence.frames[0] = list("abc")  # another image, of which fewer points were found
    with pytest.raises(InputError, match=r"two frames have stamp 0\.000 s, one with 6"):
        sequence.see(2, "abcdef", matched_to=0)
    assert len(sequence.see(3, "abcdef", matched_to=1).ids) == 6


def test_memory_is_bounded() -> None:
    sequence = Sequence(max_gap_frames=2)
    frames = itertools.cycle(["abcd", "efgh", "ijkl"])
    sequence.start(next(frames))
    for time in range(1, 200):
        sequence.see(time, next(frames))
    assert len(sequence.tracker._frames) <= 4
    assert len(sequence.tracker._table.ids) <= 12
