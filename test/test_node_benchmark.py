"""The nodes' benchmark times real nodes in processes of their own, and real messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from superglue_ros.benchmark.results import NodeRow, StageRow
from superglue_ros.cli.main import main
from superglue_ros.nodes import benchmark


def test_latency_is_what_the_networks_take_and_what_is_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    options = ["bench", "--ros", "--keypoints", "64", "--sizes", "160x120", "--devices", "cpu"]
    assert main([*options, "--repeats", "1", "--json", str(tmp_path / "ros.json")]) == 0
    content = json.loads((tmp_path / "ros.json").read_text())
    assert content["complete"]
    stages = {row["stage"]: StageRow(**row) for row in content["stages"]}
    # 64 keypoints with 256 floats each, and in matches 3 + 3 floats and 2 indices and 2 scores each
    assert stages["serialise features"].size_bytes == pytest.approx(64 * 259 * 4, abs=200)
    assert stages["serialise matches"].size_bytes == pytest.approx(64 * 10 * 4, abs=300)
    assert stages["decode bgr8"].size_bytes == 160 * 120 * 3
    assert all(0 < row.p50_ms <= row.p95_ms for row in stages.values())
    nodes = [NodeRow(**row) for row in content["nodes"]]
    assert [row.name for row in nodes] == list(benchmark.ARRANGEMENTS)
    for row in nodes:
        assert row.frames == 4
        assert 0 < row.networks_p50_ms < row.latency_p50_ms <= row.latency_p95_ms
        assert row.inside_p50_ms > 0
        assert 1000 < row.matches_bytes < 64 * 10 * 4 + 300
    assert "pipeline_node" in capsys.readouterr().out
