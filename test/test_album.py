"""Which images, geometries and tracks belong to which matches, and how long they are waited for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")  # the folder of nodes is for where there is ROS

from superglue_ros.nodes.album import MAX_BYTES, PATIENCE_FRAMES, Album, Exhibit


def header(stamp: int) -> SimpleNamespace:
    return SimpleNamespace(stamp=SimpleNamespace(sec=stamp, nanosec=0))


def message(stamp: int, size: int = 1) -> SimpleNamespace:
    return SimpleNamespace(header=header(stamp), data=range(size))


def matches(stamp0: int, stamp: int) -> SimpleNamespace:
    return SimpleNamespace(header=header(stamp), header0=header(stamp0), header1=header(stamp))


def stamp(found: Any) -> int | None:
    return None if found is None else found.header.stamp.sec


def album(**options: Any) -> tuple[Album, list[Exhibit]]:
    shown: list[Exhibit] = []
    settings = {"image_topics": ("image",), "extra_topics": ("geometry",), "capacity": 20}
    settings |= {"is_published": lambda _: True, "on_complete": shown.append} | options
    return Album(**settings), shown


def test_the_image_is_waited_for_and_found_with_the_one_before() -> None:
    pages, shown = album()
    pages.add("image", message(1))
    pages.add_matches(matches(1, 2))
    assert not shown
    pages.add("image", message(2))
    assert [(stamp(one.image0), stamp(one.image1)) for one in shown] == [(1, 2)]


def test_an_image_that_was_lost_is_not_waited_for_once_a_newer_one_has_come() -> None:
    pages, shown = album()
    pages.add("image", message(1))
    pages.add_matches(matches(1, 2))
    pages.add("image", message(3))
    assert [stamp(one.image1) for one in shown] == [None]


def test_without_a_publisher_of_images_nothing_is_waited_for() -> None:
    pages, shown = album(is_published=lambda _: False)
    pages.add_matches(matches(1, 2))
    assert [stamp(one.image1) for one in shown] == [None]


def test_a_geometry_that_comes_regularly_is_waited_for_in_order() -> None:
    pages, shown = album()
    for second in range(1, 5):
        pages.add("image", message(second))
    pages.add_matches(matches(0, 1))
    pages.add("geometry", message(1))
    pages.add_matches(matches(1, 2))
    pages.add_matches(matches(2, 3))
    assert [stamp(one.extras[0]) for one in shown] == [None], "none had come before"
    pages.add("geometry", message(3))
    assert [stamp(one.extras[0]) for one in shown] == [None, None, 3]


def test_a_geometry_that_has_ceased_holds_up_a_few_matches_and_then_none() -> None:
    pages, shown = album()
    pages.add("geometry", message(1))
    for second in range(2, 2 + 3 * PATIENCE_FRAMES):
        pages.add("image", message(second))
        pages.add_matches(matches(second - 1, second))
        assert second - 1 - len(shown) <= PATIENCE_FRAMES
    assert stamp(shown[-1].matches) == second


def test_what_is_kept_is_bounded_by_number_and_by_size() -> None:
    for size, capacity, kept in ((1, 4, 4), (MAX_BYTES // 3, 100, 3)):
        pages, shown = album(capacity=capacity)
        for second in range(1, 11):
            pages.add("image", message(second, size))
        for second in range(1, 11):
            pages.add_matches(matches(0, second))
        found = [stamp(one.image1) for one in shown if one.image1 is not None]
        assert found == list(range(11 - kept, 11))


def test_matches_whose_image_never_comes_are_let_go_when_there_are_too_many() -> None:
    pages, shown = album(capacity=3)
    for second in range(1, 7):
        pages.add_matches(matches(0, second))
    assert [stamp(one.matches) for one in shown] == [1, 2, 3]
