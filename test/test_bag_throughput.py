"""What a run over a bag comes to beside its networks alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bag_helpers import camera, write_bag

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.throughput import measure_throughput
from superglue_ros.cli.main import main
from superglue_ros.errors import InputError
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor


def test_a_run_and_its_networks_are_measured_on_the_same_frames(tmp_path: Path) -> None:
    messages = camera(5)
    messages[1][2].encoding = "32FC1"
    bag = write_bag(tmp_path / "bag", messages)
    networks = SuperPointExtractor(max_keypoints=32, device="cpu"), SuperGlueMatcher(device="cpu")
    calls = []
    match = networks[1].match
    networks[1].match = lambda *pair: calls.append(pair) or match(*pair)  # type: ignore[method-assign]
    found = measure_throughput(bag, BagConfig(), *networks, rounds=1)
    assert found.frames == 4
    assert found.share == pytest.approx(found.run_hz / found.networks_hz)
    assert len(calls) == 2 * 2 * 3  # of a warm-up and a round, both do the same work
    with pytest.raises(InputError, match="keyframe"):
        measure_throughput(bag, BagConfig(mode="keyframe"), *networks)


def test_the_command_measures_a_stereo_bag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path / "bag", [*camera(2, "/left"), *camera(2, "/right", shift=8)])
    written = tmp_path / "figures.json"
    assert main(["bench", "--bag", str(bag), "--mode", "stereo", "--json", str(written)]) == 0
    figures = json.loads(written.read_text())
    assert figures["frames"] == 2
    assert min(figures["run_hz"], figures["networks_hz"], figures["share"]) > 0
    assert capsys.readouterr().out.startswith("2 frames: ")
