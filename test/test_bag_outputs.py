"""What a run writes beside features and matches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_helpers import (
    PERIOD_NS,
    ROS2,
    camera,
    camera_info,
    stamp_ns,
    write_bag,
    write_ros1_bag,
)
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs, Summary
from superglue_ros.bag.run import BagRun
from superglue_ros.errors import InputError
from superglue_ros.geometry import Case
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.messages import (
    matches_from_message,
    tracks_from_message,
    two_view_geometry_from_message,
)

COUNT = 5


@pytest.fixture(scope="module")
def networks() -> tuple[SuperPointExtractor, SuperGlueMatcher]:
    return (
        SuperPointExtractor(max_keypoints=128, device="cpu"),
        SuperGlueMatcher(device="cpu", sinkhorn_iterations=20),
    )


def run(source: Path, output: Path, networks: Any, outputs: Outputs, **settings: Any) -> Summary:
    return BagRun(source, output, BagConfig(**settings), outputs).run(*networks)


def messages(bag: Path, topic: str) -> list[tuple[int, Any]]:
    """Time and message, read by the definitions in the bag."""
    with AnyReader([bag]) as reader:
        wanted = [connection for connection in reader.connections if connection.topic == topic]
        return (
            [
                (time_ns, reader.deserialize(data, connection.msgtype))
                for connection, time_ns, data in reader.messages(wanted)
            ]
            if wanted
            else []
        )


def test_the_geometry_of_a_shifted_picture_is_a_shift(networks: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(COUNT))
    summary = run(bag, tmp_path / "out", networks, Outputs(geometry=True))
    found = messages(tmp_path / "out", "/geometry")
    assert [time_ns for time_ns, _ in found] == [stamp_ns(n) for n in range(1, COUNT)]
    for _, message in found:
        geometry, pairs = two_view_geometry_from_message(message)
        assert geometry.case == Case.PLANAR
        assert geometry.inliers.sum() > 0.6 * len(pairs) > 30
        assert geometry.homography is not None
        x, y, scale = geometry.homography @ (80, 60, 1)
        np.testing.assert_allclose([x / scale, y / scale], [76, 60], atol=1)
    assert summary.calibration == "none: no calibration on /camera_info"


def test_the_calibration_beside_the_images_is_found(networks: Any, tmp_path: Path) -> None:
    info = ("/cam/camera_info", stamp_ns(0), camera_info(stamp_ns(0)))
    bag = write_bag(tmp_path / "bag", [info, *camera(3, "/cam/image_raw")])
    summary = run(bag, tmp_path / "out", networks, Outputs(geometry=True))
    assert summary.calibration == "/cam/camera_info"
    geometry, _ = two_view_geometry_from_message(messages(tmp_path / "out", "/geometry")[0][1])
    assert geometry.case != Case.GENERAL
    with pytest.raises(InputError, match=r"no calibration .* on /elsewhere"):
        run(bag, tmp_path / "no", networks, Outputs(geometry=True), camera_info="/elsewhere")


def test_tracks_keep_their_ids_over_the_sequence(networks: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(COUNT))
    run(bag, tmp_path / "out", networks, Outputs(tracks=True, csv=True))
    found = [tracks_from_message(m)[0] for _, m in messages(tmp_path / "out", "/tracks")]
    matches = [matches_from_message(m) for _, m in messages(tmp_path / "out", "/matches")]
    assert len(found) == COUNT - 1
    lasting = set(found[0].ids) & set(found[-1].ids)
    assert len(lasting) > 20
    for tracks, (_, features1, _) in zip(found, matches, strict=True):
        away = tracks.points - features1.keypoints[tracks.keypoints]
        assert np.median(np.abs(away)) < 1  # a track keeps its place beside its keypoint
    one = next(iter(lasting))
    xs = [float(tracks.points[tracks.ids == one][0, 0]) for tracks in found if one in tracks.ids]
    np.testing.assert_allclose(np.diff(xs), -4, atol=0.5)
    lines = (tmp_path / "out" / "tracks.csv").read_text().splitlines()
    assert lines[0] == "stamp,id,x,y,length"
    assert len(lines) == 1 + sum(len(tracks.ids) for tracks in found)


def test_there_are_no_tracks_in_stereo(networks: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [*camera(2, "/left"), *camera(2, "/right")])
    with pytest.raises(InputError, match="no tracks in mode stereo"):
        run(bag, tmp_path / "out", networks, Outputs(tracks=True), mode="stereo")


def text(time_ns: int) -> tuple[str, int, Any]:
    return "/words", time_ns, ROS2.types["std_msgs/msg/String"](data=f"at {time_ns}")


def serialized(bag: Path, topics: set[str]) -> list[tuple[str, int, bytes]]:
    with AnyReader([bag]) as reader:
        wanted = [connection for connection in reader.connections if connection.topic in topics]
        return [(one.topic, time_ns, data) for one, time_ns, data in reader.messages(wanted)]


@pytest.mark.parametrize("storage", StoragePlugin)
def test_original_topics_are_passed_through_byte_for_byte(
    storage: StoragePlugin, networks: Any, tmp_path: Path
) -> None:
    words = [text(stamp_ns(n) + PERIOD_NS // 2) for n in range(COUNT)]
    together = sorted([*camera(COUNT), *words], key=lambda one: one[1])
    bag = write_bag(tmp_path / "bag", together, storage=storage)
    run(bag, tmp_path / "all", networks, Outputs(pass_through=None))
    run(bag, tmp_path / "one", networks, Outputs(pass_through=("/words",)), start=0.1)
    original = {"/camera", "/words"}
    assert serialized(tmp_path / "all", original) == serialized(bag, original)
    passed = serialized(tmp_path / "one", original)
    assert passed == serialized(bag, {"/words"})[2:]
    assert messages(tmp_path / "one", "/words")[0][1].data == f"at {passed[0][1]}"
    assert len(messages(tmp_path / "all", "/matches")) == COUNT - 1
    with pytest.raises(InputError, match="/absent: the bag has /camera, /words"):
        run(bag, tmp_path / "no", networks, Outputs(pass_through=("/absent",)))


def test_topics_of_ros_1_are_passed_through_as_those_of_ros_2(
    networks: Any, tmp_path: Path
) -> None:
    bag = write_ros1_bag(tmp_path / "bag.bag", 2)
    run(bag, tmp_path / "out", networks, Outputs(pass_through=None))
    same = write_bag(tmp_path / "same", camera(2))
    assert serialized(tmp_path / "out", {"/camera"}) == serialized(same, {"/camera"})


def test_a_topic_of_the_outputs_name_is_not_passed_through(networks: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(3))
    run(bag, tmp_path / "once", networks, Outputs(pass_through=None))
    summary = run(tmp_path / "once", tmp_path / "twice", networks, Outputs(pass_through=None))
    assert [note.split()[0] for note in summary.notes] == ["/features", "/matches"]
    assert summary.is_complete
    assert len(messages(tmp_path / "twice", "/matches")) == 2
