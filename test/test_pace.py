"""What is seen of images that get lost on the way to a node."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy")

from superglue_ros.nodes import pace
from superglue_ros.nodes.pace import Pace, frames_by_stamps

PERIOD = 33_000_000


@pytest.fixture(autouse=True)
def fast_dds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "is_fast_dds", lambda: True)


def camera(topic: str, size: int) -> Any:
    return SimpleNamespace(topic=topic, received=0, message_bytes=size, stamps=[])


def told(left: int, right: int, size: int = 307_200) -> str:
    """What is told where that many images of a pair have come."""
    cameras = camera("/left/image", size), camera("/right/image", size)
    one = Pace(cameras)
    assert one.problem() == ""
    cameras[0].received, cameras[1].received = left, right
    return one.problem()


def test_the_one_far_behind_is_named_with_the_file_that_cures_it() -> None:
    line = told(4, 30)
    for part in ("/left/image has brought 4", "/right/image brought 30", "614 kB", "fastdds.xml"):
        assert part in line
    assert told(30, 4).startswith("/right/image has brought 4")


def test_small_images_and_other_middlewares_are_not_sent_to_that_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "fastdds.xml" not in told(4, 30, size=40_000)
    assert "network" in told(4, 30, size=40_000)
    monkeypatch.setattr(pace, "is_fast_dds", lambda: False)
    assert "fastdds.xml" not in told(4, 30)


@pytest.mark.parametrize(("left", "right"), [(30, 30), (28, 30), (0, 5)])
def test_a_few_lost_ones_and_a_short_time_say_nothing(left: int, right: int) -> None:
    assert told(left, right) == ""


def test_frames_that_were_lost_are_counted_by_the_gaps_of_a_steady_camera() -> None:
    came = [number * PERIOD for number in range(40) if number % 3 != 1]
    assert frames_by_stamps(came) == 40
    jittered = [stamp + (number % 2) * 2_000_000 for number, stamp in enumerate(came)]
    assert frames_by_stamps(jittered) == 40


def test_a_camera_without_a_steady_rate_has_no_gaps() -> None:
    stamps = [0]
    for number in range(20):
        stamps.append(stamps[-1] + PERIOD + number * 9_000_000)
    assert frames_by_stamps(stamps) == len(stamps)
    assert frames_by_stamps([7] * 20) == 20
    assert frames_by_stamps(stamps[:5]) == 5


def test_one_large_image_after_the_other_is_told_by_its_gaps() -> None:
    single = camera("/image", 921_600)
    one = Pace([single])
    one.problem()
    single.received = 20
    single.stamps = [number * PERIOD for number in range(30) if number % 2]
    assert one.problem() == ""
    single.stamps = [0, *(number * PERIOD for number in range(1, 30) if number % 2 or number < 6)]
    line = one.problem()
    assert "on /image got lost" in line
    assert "921 kB" in line
