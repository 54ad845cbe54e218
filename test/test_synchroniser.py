"""Joining by stamps: the stand-in and, where there is one, message_filters on the same sequences.

A sequence is written as it arrives: L10 is a message of the left input with the stamp 10 ms, R12
one of the right input and M12 one of the masks.
"""

from __future__ import annotations

import pytest

pytest.importorskip("std_msgs.msg", reason="message_filters takes the stamps of real messages")

from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import Image

from superglue_ros.synchroniser import (
    ApproximateTimeSynchronizer,
    SimpleFilter,
    Synchronisers,
    TimeSynchronizer,
    stamp_nanoseconds,
    synchronisers,
)

MILLISECOND = 1_000_000

BUILT_IN = Synchronisers("built-in", SimpleFilter, TimeSynchronizer, ApproximateTimeSynchronizer)
LIBRARIES = {library.library: library for library in (BUILT_IN, synchronisers())}


def message_at(nanoseconds: int) -> Image:
    message = Image()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, 1_000_000_000)
    return message


def joined(
    library: Synchronisers,
    sequence: str,
    *,
    inputs: str = "LR",
    slop_sec: float | None = None,
    queue_size: int = 10,
) -> str:
    """What is joined, in the order of it, as "10-12" for L10 and R12; without a slop exactly."""
    sides = {name: library.SimpleFilter() for name in inputs}
    if slop_sec is None:
        synchroniser = library.TimeSynchronizer(list(sides.values()), queue_size)
    else:
        synchroniser = library.ApproximateTimeSynchronizer(
            list(sides.values()), queue_size, slop_sec
        )
    found: list[str] = []
    synchroniser.registerCallback(
        lambda *pair: found.append("-".join(f"{stamp_nanoseconds(m) / 1e6:.9g}" for m in pair))
    )
    for word in sequence.split():
        sides[word[0]].signalMessage(message_at(round(float(word[1:]) * MILLISECOND)))
    return " ".join(found)


@pytest.fixture(params=sorted(LIBRARIES))
def library(request: pytest.FixtureRequest) -> Synchronisers:
    return LIBRARIES[request.param]


@pytest.mark.parametrize(
    ("sequence", "pairs"),
    [
        ("L0 R0 L33 R33", "0-0 33-33"),
        ("R0 L0 L33 R33", "0-0 33-33"),
        ("L0 L33 L66 R0 R33 R66", "0-0 33-33 66-66"),  # one side far behind
        ("L0 R0.000001", ""),  # a nanosecond apart
        ("L0 L33 R33 L66 R66", "33-33 66-66"),  # a lost message
        ("L0 R0 R0", "0-0"),  # a duplicate finds no second partner
        ("", ""),
    ],
)
def test_exact_pairing(library: Synchronisers, sequence: str, pairs: str) -> None:
    assert joined(library, sequence) == pairs


@pytest.mark.parametrize(
    ("sequence", "pairs"),
    [
        ("L0 R0 L33 R33", "0-0 33-33"),
        ("L0 R4 R38 L33", "0-4 33-38"),
        ("L0 R9 L100 R91", "0-9 100-91"),
        ("L0 R10", ""),  # the slop itself is too much
        ("L10 R0", ""),
        ("L0 R9.999999", "0-9.999999"),
        ("L0 L8 R6", "8-6"),  # the nearest in time, not the first
        ("R0 R8 L2", "2-0"),
        ("L0 R5 R6", "0-5"),  # each message is used once
        ("L0 R20 L20 R40 L40", "20-20 40-40"),
        ("L0 L33 L66 R0 L100 R66 L133", "0-0 66-66"),  # the right camera has half the rate
        ("L0 L33 R34 R1", "33-34 0-1"),  # a late message still finds its own
    ],
)
def test_approximate_pairing_with_ten_milliseconds_of_slop(
    library: Synchronisers, sequence: str, pairs: str
) -> None:
    assert joined(library, sequence, slop_sec=0.010) == pairs


@pytest.mark.parametrize(
    ("sequence", "triples"),
    [
        ("L0 R4 M2 L33 M33 R33", "0-4-2 33-33-33"),
        ("L0 R9 M1 M8", "0-9-1"),
        ("R14 R27 M25 L20", "20-27-25"),  # the nearest right one does not go with the mask
        ("L0 R6 M12", ""),  # the nearest pairs are near enough, all three together are not
        ("L0 R0 L33 R33 M33", "33-33-33"),  # a lost mask
    ],
)
def test_approximate_joining_of_three(library: Synchronisers, sequence: str, triples: str) -> None:
    assert joined(library, sequence, inputs="LRM", slop_sec=0.010) == triples


def test_exact_joining_of_three(library: Synchronisers) -> None:
    sequence = "L0 R0 L33 M0 M33 R33.000001 R33"
    assert joined(library, sequence, inputs="LRM") == "0-0-0 33-33-33"


@pytest.mark.parametrize("slop_sec", [None, 0.010])
def test_the_oldest_of_too_many_that_wait_are_let_go(
    library: Synchronisers, slop_sec: float | None
) -> None:
    sequence = "L0 L33 L66 L100 R0 R33 R66 R100"
    assert joined(library, sequence, slop_sec=slop_sec, queue_size=2) == "66-66 100-100"


def test_large_stamps_lose_no_nanosecond(library: Synchronisers) -> None:
    epoch = 1_800_000_000_123_456_789
    left, right = library.SimpleFilter(), library.SimpleFilter()
    synchroniser = library.ApproximateTimeSynchronizer([left, right], 10, 10 / 1e9)
    found: list[str] = []
    synchroniser.registerCallback(lambda *pair: found.append([stamp_nanoseconds(m) for m in pair]))
    left.signalMessage(message_at(epoch))
    right.signalMessage(message_at(epoch + 10))
    assert found == []
    right.signalMessage(message_at(epoch + 9))
    assert found == [[epoch, epoch + 9]]


def test_further_arguments_reach_the_callback(library: Synchronisers) -> None:
    source = library.SimpleFilter()
    heard: list[tuple[object, ...]] = []
    source.registerCallback(lambda *arguments: heard.append(arguments), "first", 2)
    message = message_at(5)
    source.signalMessage(message)
    assert heard == [(message, "first", 2)]


@settings(max_examples=100, deadline=None)
@given(
    arrivals=st.lists(st.tuples(st.sampled_from("LRM"), st.integers(0, 60)), max_size=40),
    inputs=st.sampled_from(["LR", "LRM"]),
    queue_size=st.integers(1, 5),
    slop=st.integers(1, 20),
)
def test_any_sequence_is_joined_soundly_and_alike_by_every_library(
    arrivals: list[tuple[str, int]], inputs: str, queue_size: int, slop: int
) -> None:
    """Soundly: within the slop, of messages that came, and none used twice."""
    arrivals = [(side, stamp) for side, stamp in arrivals if side in inputs]
    sequence = " ".join(f"{side}{stamp}" for side, stamp in arrivals)
    options = {"inputs": inputs, "queue_size": queue_size, "slop_sec": slop / 1000}
    results = {joined(library, sequence, **options) for library in LIBRARIES.values()}
    assert len(results) == 1
    sets = [[int(stamp) for stamp in one.split("-")] for one in results.pop().split()]
    assert all(max(stamps) - min(stamps) < slop for stamps in sets)
    for side, used in zip(inputs, zip(*sets, strict=True), strict=False):
        came = [stamp for s, stamp in arrivals if s == side]
        assert all(used.count(stamp) <= came.count(stamp) for stamp in used)


def test_the_installed_library_is_taken_where_there_is_one() -> None:
    try:
        import message_filters
    except ImportError:
        assert synchronisers().library == "built-in"
    else:
        assert synchronisers().TimeSynchronizer is message_filters.TimeSynchronizer
