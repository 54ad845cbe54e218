"""The nodes' benchmark times real nodes in processes of their own, and real messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from superglue_ros.cli.main import main
from superglue_ros.lab.benchmark.results import NodeRow, StageRow
from superglue_ros.lab.nodes import benchmark
from superglue_ros.refinement import PATCH_SIZE


def test_latency_is_what_the_networks_take_and_what_is_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    options = ["bench", "--ros", "--keypoints", "48", "64", "--sizes", "160x120"]
    options += ["--devices", "cpu", "--engines", "torch", "--repeats", "3"]
    assert main([*options, "--json", str(tmp_path / "ros.json")]) == 0
    content = json.loads((tmp_path / "ros.json").read_text())
    assert content["complete"]
    stages = {(row["stage"], row["keypoints"]): StageRow(**row) for row in content["stages"]}
    for count in (48, 64):
        # keypoints with 256 floats each; in matches 3 + 3 floats, 2 indices and 2 scores each
        features = stages["serialise features", count]
        assert features.size_bytes == pytest.approx(count * 259 * 4, abs=200)
        matches = stages["serialise matches", count]
        assert matches.size_bytes == pytest.approx(count * 10 * 4, abs=300)
    assert stages["decode bgr8", 0].size_bytes == 160 * 120 * 3
    assert all(0 < row.p50_ms <= row.p95_ms for row in stages.values())
    nodes = [NodeRow(**row) for row in content["nodes"]]
    wanted = [(count, name) for count in (48, 64) for name in benchmark.ARRANGEMENTS]
    assert [(row.keypoints, row.name) for row in nodes] == wanted
    for row in nodes:
        assert (row.frames, row.width, row.height, row.engine) == (3, 160, 120, "torch")
        assert row.latency_p50_ms <= row.latency_p95_ms <= row.latency_p99_ms
        assert row.extract_p50_ms > 0
        assert row.match_p50_ms > 0
        assert 0 < row.decode_p50_ms + row.publish_p50_ms < row.inside_p50_ms < row.latency_p50_ms
        assert row.images_bytes == pytest.approx(2 * 160 * 120, abs=300)
        assert 1000 < row.matches_bytes < row.keypoints * 10 * 4 + 300
        if row.name == "pipeline_node":
            assert row.features_bytes == 0
        else:  # of two images, with as many keypoints as there are in them
            assert 1e4 < row.features_bytes < 2 * (row.keypoints * (259 * 4 + PATCH_SIZE**2) + 300)
    assert "superglue_node" in capsys.readouterr().out
