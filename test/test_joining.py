"""Joining where stamps jump back while one input has been read further than the other.

A sequence is written as in `test_synchroniser`, in seconds: L10 is a message of the left input.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("std_msgs.msg", reason="message_filters takes the stamps of real messages")

from test_synchroniser import LIBRARIES, message_at

from superglue_ros.config import SyncConfig
from superglue_ros.drops import Drop
from superglue_ros.joining import UNSETTLED, Joining
from superglue_ros.synchroniser import NANOSECONDS, Synchronisers, stamp_nanoseconds


class Joined:
    """What is joined of two inputs, as stamps in seconds."""

    def __init__(self, library: Synchronisers, queue_size: int | None = None) -> None:
        self.pairs: list[tuple[float, float]] = []
        self.resets = 0
        self.joining = Joining(library, SyncConfig(), queue_size, 2, self._join, self._reset)

    def add(self, sequence: str) -> None:
        for word in sequence.split():
            message = message_at(round(float(word[1:]) * NANOSECONDS))
            self.joining.add("LR".index(word[0]), message)

    def _join(self, left: Any, right: Any) -> None:
        self.pairs.append(
            (stamp_nanoseconds(left) / NANOSECONDS, stamp_nanoseconds(right) / NANOSECONDS)
        )

    def _reset(self) -> None:
        self.resets += 1


@pytest.fixture(params=sorted(LIBRARIES))
def joined(request: pytest.FixtureRequest) -> Joined:
    return Joined(LIBRARIES[request.param])


def words(side: str, *stamps: float) -> str:
    return " ".join(f"{side}{stamp:g}" for stamp in stamps)


def test_an_input_that_is_behind_finds_the_partners_from_before_the_jump(joined: Joined) -> None:
    stamps = (100, 100.5, 101, 1, 1.5, 2)
    joined.add(words("L", *stamps))
    joined.add(words("R", *stamps))
    assert joined.pairs == [(stamp, stamp) for stamp in stamps]
    assert joined.resets == 2
    assert [joined.joining.unpaired(index) for index in (0, 1)] == [0, 0]


def test_inputs_may_be_several_jumps_apart(joined: Joined) -> None:
    stamps = [base + 0.5 * step for base in (900, 500, 700, 100, 400) for step in range(4)]
    joined.add(words("L", *stamps))
    joined.add(words("R", *stamps))
    assert joined.pairs == [(stamp, stamp) for stamp in stamps]


def test_a_single_wrong_stamp_costs_nothing_but_itself(joined: Joined) -> None:
    stamps = (100, 100.5, 101, 101.5, 102)
    joined.add(words("L", 100, 100.5, 3, 101, 101.5, 102))
    joined.add(words("R", *stamps))
    assert joined.pairs == [(stamp, stamp) for stamp in stamps]
    assert [joined.joining.unpaired(index) for index in (0, 1)] == [1, 0]
    assert [joined.joining.waiting(index) for index in (0, 1)] == [0, 0]


def test_what_lost_its_partner_meets_none_of_the_next_round_of_a_bag(joined: Joined) -> None:
    joined.add("L97 R97 L98")  # the right one of 98 is lost
    joined.add("L1 R1 R98")  # and this time the left one
    assert joined.pairs == [(97, 97), (1, 1)]
    assert joined.joining.waiting(0) == 0


def test_messages_out_of_order_are_joined(joined: Joined) -> None:
    joined.add("L10 L10.4 L10.2 R10.4 R10.2 R10")
    assert joined.pairs == [(10.4, 10.4), (10.2, 10.2), (10, 10)]


def test_what_never_meets_is_let_go_whatever_the_stamps_do(joined: Joined) -> None:
    for number in range(3 * UNSETTLED):
        jump = 500 if number % 10 == 0 else 0
        joined.add(f"L{1000 + 0.1 * number - jump:g} R{1000.05 + 0.1 * number - jump:g}")
    assert joined.pairs == []
    assert max(joined.joining.waiting(index) for index in (0, 1)) < 30


def test_a_short_queue_takes_the_new_stamps_after_a_jump() -> None:
    for library in LIBRARIES.values():
        joined = Joined(library, queue_size=2)
        joined.add("L100 L101 L1 R1 L2 R2")
        assert joined.pairs == [(1, 1), (2, 2)]


def test_stamps_of_zero_and_repeated_ones_pair_nothing(joined: Joined) -> None:
    joined.add("L0 R0 L0 R0 L10 L10 R10 R11 L11 L0")
    assert joined.pairs == [(10, 10), (11, 11)]
    assert joined.resets == 0
    assert dict(joined.joining.refused(0)) == {Drop.ZERO_STAMP: 3, Drop.REPEATED_STAMP: 1}
    assert dict(joined.joining.refused(1)) == {Drop.ZERO_STAMP: 2}
    assert [joined.joining.unpaired(index) for index in (0, 1)] == [0, 0]


def test_an_input_that_counts_whole_seconds_is_not_paired_by_them(joined: Joined) -> None:
    for second in (10, 11, 12):
        joined.add(" ".join(5 * [f"L{second} R{second}"]))
    assert joined.pairs == [(10, 10)]  # nothing is known yet of the first
    joined.add(" ".join(f"L{20 + 0.1 * n:g} R{20 + 0.1 * n:g}" for n in range(20)))
    assert joined.pairs[-1] == (21.9, 21.9)


def test_stamps_that_say_nothing_are_named_with_the_remedy() -> None:
    joined = Joined(LIBRARIES["built-in"])
    joined.add("L0 R0")
    assert "of 2 the stamp is 0" in joined.joining.problem()
    assert "sync_by to arrival" in joined.joining.problem()


def test_by_arrival_messages_without_stamps_meet_those_that_came_with_them() -> None:
    now_ns, pairs = 0, []
    joining = Joining(
        LIBRARIES["built-in"],
        SyncConfig(sync_by="arrival"),
        10,
        2,
        lambda left, right: pairs.append((left, right)),
        lambda: None,
        arrival_ns=lambda message: now_ns,
    )
    for number in range(4):
        now_ns += 100_000_000
        if number != 1:  # the left one is lost
            joining.add(0, f"L{number}")
        now_ns += 1_000_000
        joining.add(1, f"R{number}")
    assert pairs == [("L0", "R0"), ("L2", "R2"), ("L3", "R3")]
