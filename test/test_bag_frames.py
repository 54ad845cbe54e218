"""Which images of a bag are paired, and by which calibration, where its stamps or those fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_helpers import START_NS, camera, camera_info, frame, image_message, stamp_ns, write_bag

from superglue_ros.bag.calibration import Calibration, find_calibration
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frames
from superglue_ros.bag.reader import BagReader

SIDES = ("/left", "/right")
Messages = list[tuple[str, int, Any]]


def stereo(stamps: list[int], *, lost: int) -> Messages:
    """Pairs of images recorded a frame apart, of which one left image is lost."""
    return [
        (side, stamp_ns(n) + 1000 * (side == "/right"), image_message(frame(n), stamp))
        for n, stamp in enumerate(stamps)
        for side in SIDES
        if (side, n) != ("/left", lost)
    ]


def paired(path: Path, messages: Messages, **settings: Any) -> tuple[list[tuple[int, int]], Frames]:
    """Which left images are paired with which right ones, by their number in the recording."""
    config = BagConfig(mode="stereo", **settings)
    with BagReader(write_bag(path, messages)) as reader:
        frames = Frames(reader, SIDES, config)
        times = [tuple(one.time_ns for one in found.images) for found in frames]
    return [((a - START_NS) // 50_000_000, (b - START_NS) // 50_000_000) for a, b in times], frames


@pytest.mark.parametrize("lost", [0, 2])
@pytest.mark.parametrize(
    "stamps", [[0] * 6, [START_NS] * 6, [START_NS + n // 3 * 10**9 for n in range(6)]]
)
def test_images_are_not_paired_by_stamps_that_say_nothing(
    tmp_path: Path, stamps: list[int], lost: int
) -> None:
    pairs, frames = paired(tmp_path / "bag", stereo(stamps, lost=lost))
    assert pairs == []
    assert [problem.split(":")[0] for problem in frames.problems] == ["/left", "/right"]
    assert all("sync_by to arrival" in problem for problem in frames.problems)
    assert sum(frames.dropped.values()) == 11


def test_by_arrival_they_are_paired_as_they_were_recorded(tmp_path: Path) -> None:
    pairs, frames = paired(tmp_path / "bag", stereo([0] * 6, lost=2), sync_by="arrival")
    assert pairs == [(n, n) for n in (0, 1, 3, 4, 5)]
    assert frames.problems == []
    assert +frames.dropped == {"no partner for /right": 1}


def test_a_message_that_was_recorded_twice_costs_its_copy_alone(tmp_path: Path) -> None:
    messages = stereo([stamp_ns(n) for n in range(4)], lost=-1)
    topic, time_ns, message = messages[2]
    messages.insert(3, (topic, time_ns + 10, message))
    pairs, frames = paired(tmp_path / "bag", messages)
    assert pairs == [(n, n) for n in range(4)]
    assert +frames.dropped == {"stamp is that of another message, /left": 1}


def test_a_single_camera_needs_no_stamps_and_says_what_lacks_them(tmp_path: Path) -> None:
    messages = [("/camera", stamp_ns(n), image_message(frame(n), 0)) for n in range(3)]
    with BagReader(write_bag(tmp_path / "bag", messages)) as reader:
        frames = Frames(reader, ["/camera"], BagConfig())
        assert len(list(frames)) == 3
    (note,) = frames.notes
    assert "of 3 the stamp is 0" in note
    assert "no tracks" in note


def empty_info(time_ns: int) -> Any:
    info = camera_info(time_ns)
    info.k, info.p = np.zeros(9), np.zeros(12)
    return info


def calibration_of(
    path: Path, infos: list[Any], topic: str = "/cam/image_raw", **settings: Any
) -> Calibration:
    messages = camera(2, topic)
    messages += [("/cam/camera_info", stamp_ns(n), info) for n, info in enumerate(infos)]
    with BagReader(write_bag(path, messages)) as reader:
        return find_calibration(reader, [topic], BagConfig(**settings))


def test_calibrations_from_before_the_driver_had_one_are_passed_over(tmp_path: Path) -> None:
    infos = [empty_info(0), empty_info(0), camera_info(0)]
    found = calibration_of(tmp_path / "bag", infos)
    assert found.source == "/cam/camera_info"
    assert found.cameras is not None
    assert found.cameras[0].matrix[0].tolist() == [150, 0, 80]


def test_where_no_calibration_is_one_the_reason_is_told(tmp_path: Path) -> None:
    found = calibration_of(tmp_path / "bag", [empty_info(0), empty_info(0)])
    assert found.source == "none: /cam/camera_info: the camera is not calibrated: no focal length"


def test_rectified_images_that_would_be_rectified_again_are_noted(tmp_path: Path) -> None:
    info = camera_info(0)
    info.d = np.array([0.1, 0, 0, 0, 0])
    found = [
        calibration_of(tmp_path / name, [info], f"/cam/{topic}", rectified=rectified).notes
        for name, topic, rectified in (
            ("a", "image_rect", False),
            ("b", "image_rect_color/compressed", False),
            ("c", "image_raw", False),
            ("d", "image_rect", True),
        )
    ]
    assert [len(notes) for notes in found] == [1, 1, 0, 0]
    assert "give --rectified" in found[0][0]
