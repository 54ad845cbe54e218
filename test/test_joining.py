"""Joining where stamps jump back while one input has been read further than the other.

A sequence is written as in `test_synchroniser`, in seconds: L10 is a message of the left input.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("std_msgs.msg", reason="message_filters takes the stamps of real messages")

from test_synchroniser import LIBRARIES, message_at

from superglue_ros.config import SyncConfig
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
