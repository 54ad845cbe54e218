"""The benchmark counts right, measures what it says and says how it was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from superglue_ros.benchmark import growth, plot, run
from superglue_ros.benchmark.floor import Ceilings, Work, superglue_work, superpoint_work
from superglue_ros.benchmark.measure import in_turns
from superglue_ros.benchmark.results import Row
from superglue_ros.benchmark.weights import every_layer
from superglue_ros.cli.main import main
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights.loading import load_superglue

CPU = torch.device("cpu")


def test_the_operations_are_those_that_are_known() -> None:
    assert superpoint_work(640, 480).gflop == pytest.approx(52, abs=1)
    assert superglue_work(1024, 1024, 100).gflop == pytest.approx(90, abs=3)
    assert superglue_work(512, 512, 100).gflop == pytest.approx(34, abs=2)


@torch.inference_mode()
def test_the_operations_are_those_that_pytorch_counts() -> None:
    with FlopCounterMode(display=False) as counter:
        SuperPoint().eval()(torch.rand(1, 1, 48, 64))
    assert superpoint_work(64, 48).gflop == pytest.approx(counter.get_total_flops() / 1e9)
    size = torch.tensor([[640.0, 480.0]])
    inputs = [
        tensor
        for count in (24, 16)
        for tensor in (
            torch.rand(1, count, 2),
            torch.rand(1, count),
            torch.rand(1, 256, count),
            size,
        )
    ]
    with FlopCounterMode(display=False) as counter:
        SuperGlue().eval()(*inputs)
    assert superglue_work(24, 16, 100).gflop == pytest.approx(counter.get_total_flops() / 1e9)


def test_a_floor_is_what_takes_longest_and_what_the_cache_gives() -> None:
    ceilings = Ceilings(gflops=100, memory_gb_s=10, cache_gb_s=50)
    assert ceilings.floor_ms(Work(gflop=1, gigabytes=0.05)) == pytest.approx(10)
    assert ceilings.floor_ms(Work(gflop=0.1, gigabytes=0.05)) == pytest.approx(5)
    assert ceilings.floor_ms(Work(1, 0.05, cached_gigabytes=0.1)) == pytest.approx(12)
    assert ceilings.floor_ms(Work(1, 0.01) * 2 + Work(1, 0)) == pytest.approx(30)


def test_functions_run_in_turns_and_the_first_run_does_not_count() -> None:
    order: list[str] = []
    timings = in_turns(
        {name: (lambda name=name: order.append(name)) for name in "ab"}, repeats=2, device=CPU
    )
    assert order == ["a", "b"] * 3
    assert {name: len(one.wall_ms) for name, one in timings.items()} == {"a": 2, "b": 2}


def test_no_layer_of_the_weights_is_without_effect_and_the_others_are_as_shipped(
    tmp_path: Path,
) -> None:
    shipped = load_superglue("superglue").network.state_dict()
    made = load_superglue(every_layer(tmp_path / "w.safetensors")).network.state_dict()
    assert all(made[f"gnn.layers.{index}.mlp.3.weight"].any() for index in range(18))
    for name, tensor in shipped.items():
        if tensor.any():
            torch.testing.assert_close(made[name], tensor, rtol=0, atol=0)


def short(path: Path) -> list[str]:
    options = ["bench", "--keypoints", "64", "--sizes", "64x48", "--batches", "2"]
    return [
        *options,
        "--engines",
        "torch",
        "--devices",
        "cpu",
        "--repeats",
        "2",
        "--json",
        str(path),
    ]


def test_the_file_has_every_condition_and_contender(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(short(tmp_path / "bench.json")) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["format"] == 1
    assert content["complete"]
    assert {"date", "processor", "cores", "threads", "torch"} <= set(content["machine"])
    assert set(content["ceilings"]["cpu"]) == {"gflops", "memory_gb_s", "cache_gb_s"}
    rows = [Row(**row) for row in content["rows"]]
    found = {(row.stage, row.contender) for row in rows}
    contenders = ("superglue_ros", "plain PyTorch", "transformers", "SIFT, brute force")
    assert found == {(s, c) for s in ("match", "pair", "extract") for c in contenders}
    for row in rows:
        assert row.runs == 2
        assert 0 < row.p50_ms <= row.p95_ms <= row.p99_ms
        assert row.per_second == pytest.approx(1e3 * row.batch / row.p50_ms)
    ours = [row for row in rows if row.contender == "superglue_ros" and row.stage != "extract"]
    assert [row.same_matches for row in ours] == [1.0, 1.0] or ours[1].same_matches is None
    assert "superglue_ros (torch)" in capsys.readouterr().out


def test_an_interrupted_benchmark_gives_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(self: run.Bench) -> Iterator[Row]:
        yield growth_row("keypoints", 64, 1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(run.Bench, "rows", rows)
    assert main(short(tmp_path / "bench.json")) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    assert not content["complete"]
    assert len(content["rows"]) == 1


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--sizes", "640"], "'640' is not WIDTHxHEIGHT"),
        (["--sizes", "641x480"], "multiples of 8"),
        (["--keypoints", "0"], "not a whole number above 0"),
        (["--engines", "magic"], "invalid choice"),
        (["--topic", "/camera"], "--topic has no effect without --bag"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    flags: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *flags]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def growth_row(axis: str, value: int, p50_ms: float) -> Row:
    sizes = {"width": 8 * value, "height": 8} if axis == "size" else {"width": 8, "height": 8}
    return Row(
        stage=f"growth with {axis}",
        contender="superglue_ros",
        engine="torch",
        precision="auto",
        device="cpu",
        keypoints=value,
        batch=value,
        runs=1,
        p50_ms=p50_ms,
        p95_ms=p50_ms,
        p99_ms=p50_ms,
        per_second=1e3 / p50_ms,
        peak_mib=300.0,
        **sizes,
    )


def test_growth_is_drawn_with_a_panel_for_each_axis(tmp_path: Path) -> None:
    rows = [growth_row(axis, value, 3.0 * value) for axis in plot.AXES for value in (1, 2, 4)]
    plot.plot_growth(rows, tmp_path / "growth.png")
    picture = cv2.imread(str(tmp_path / "growth.png"))
    quarters = [
        half for side in (picture[:360], picture[360:]) for half in (side[:, :560], side[:, 560:])
    ]
    for quarter in quarters:
        blue = (quarter == (176, 96, 24)).all(axis=2)
        ys, xs = blue[60:300, 80:480].nonzero()
        assert len(ys) > 100  # a line,
        assert ys[xs < 150].mean() > ys[xs > 350].mean()  # that rises


def test_a_point_of_growth_is_measured_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = (growth.Point("keypoints", keypoints=32), growth.Point("cameras", 32, 64, 48, 2))
    monkeypatch.setattr(growth, "POINTS", points)
    weights = every_layer(tmp_path / "w.safetensors")
    rows = list(growth.measure_growth("cpu", weights, lambda _: None))
    assert [row.stage for row in rows] == ["growth with keypoints", "growth with cameras"]
    assert all(row.peak_mib > 50 for row in rows)
