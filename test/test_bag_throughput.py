"""What a run over a bag comes to beside its networks alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bag_helpers import camera, write_bag

from superglue_ros.bag.config import BagConfig
from superglue_ros.cli.main import main
from superglue_ros.errors import InputError
from superglue_ros.inference import SuperGlueMatcher
from superglue_ros.lab.benchmark import throughput
from superglue_ros.lab.benchmark.plan import Plan
from superglue_ros.lab.benchmark.results import BagRow, Results
from superglue_ros.lab.benchmark.throughput import BagBenchmark

PLAN = Plan(keypoints=(32,), batches=(1,), devices=("cpu",), engines=("torch",), repeats=1)


def test_a_run_and_its_networks_are_measured_on_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = camera(5)
    messages[1][2].encoding = "32FC1"
    bag = write_bag(tmp_path / "bag", messages)
    calls = []

    class Counted(SuperGlueMatcher):
        def begin_batch(self, pairs, **options):  # type: ignore[no-untyped-def]
            calls.extend(max(map(len, pair)) for pair in pairs)
            return super().begin_batch(pairs, **options)

    monkeypatch.setattr(throughput, "SuperGlueMatcher", Counted)
    results, shares = Results(), []
    BagBenchmark(bag, BagConfig()).run(PLAN, results, lambda _, share: shares.append(share))
    (found,) = results.bags
    assert (found.frames, found.rounds, found.keypoints, found.engine) == (4, 1, 32, "torch")
    assert found.share == pytest.approx(found.run_hz / found.networks_hz)
    assert len(calls) == 2 * 2 * 3  # of a warm-up and a round, both do the same work
    assert max(calls) <= 32
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    messages = camera(2)
    for _, _, message in messages:
        message.encoding = "32FC1"
    bag = write_bag(tmp_path / "bag", messages)
    with pytest.raises(InputError, match="keyframe"):
        BagBenchmark(bag, BagConfig(mode="keyframe"))
    with pytest.raises(InputError, match="no frame"):
        BagBenchmark(bag, BagConfig()).run(PLAN, Results())


def test_the_command_measures_a_stereo_bag_under_each_combination(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path / "bag", [*camera(2, "/left"), *camera(2, "/right", shift=8)])
    written = tmp_path / "figures.json"
    options = ["--mode", "stereo", "--keypoints", "16", "32", "--batches", "2", "--repeats", "2"]
    assert main(["bench", "--bag", str(bag), *options, "--json", str(written)]) == 0
    rows = [BagRow(**row) for row in json.loads(written.read_text())["bags"]]
    assert [(row.keypoints, row.batch, row.frames, row.rounds) for row in rows] == [
        (16, 2, 2, 2),
        (32, 2, 2, 2),
    ]
    assert all(min(row.run_hz, row.networks_hz, row.share) > 0 for row in rows)
    printed = capsys.readouterr()
    assert "16 keypoints, 2 at once" in printed.out
    assert "left" in printed.err


def test_what_was_measured_before_an_interruption_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_bag(tmp_path / "bag", camera(2))
    written = tmp_path / "figures.json"
    rounds = BagBenchmark._rounds

    def interrupted(self, *arguments):  # type: ignore[no-untyped-def]
        yield next(rounds(self, *arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(BagBenchmark, "_rounds", interrupted)
    options = ["--keypoints", "16", "--devices", "cpu", "--json", str(written)]
    assert main(["bench", "--bag", str(bag), *options]) == 130
    content = json.loads(written.read_text())
    assert not content["complete"]
    assert content["bags"][0]["rounds"] == 1
