"""The benchmark counts right, measures what it says and says how it was measured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from superglue_ros.cli.main import main
from superglue_ros.config import SuperGlueConfig, SuperPointConfig
from superglue_ros.inference.engines.samples import sample_pair
from superglue_ros.lab.benchmark import contenders, growth, plot, run
from superglue_ros.lab.benchmark.conditions import Condition
from superglue_ros.lab.benchmark.floor import Ceilings, Work, superglue_work, superpoint_work
from superglue_ros.lab.benchmark.measure import in_turns
from superglue_ros.lab.benchmark.plan import Plan
from superglue_ros.lab.benchmark.results import Results, Row
from superglue_ros.lab.benchmark.weights import every_layer
from superglue_ros.lab.cli.bench_tables import print_results
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
    assert ceilings.floor_ms(Work(gflop=1, gigavalues=0.0125), "fp32") == pytest.approx(10)
    assert ceilings.floor_ms(Work(gflop=0.1, gigavalues=0.0125), "fp32") == pytest.approx(5)
    assert ceilings.floor_ms(Work(1, 0.01, cached_gigabytes=0.1), "fp32") == pytest.approx(12)
    assert ceilings.floor_ms(Work(1, 0.01) * 2 + Work(1, 0), "fp32") == pytest.approx(30)


@pytest.mark.parametrize(
    ("precision", "floor_ms"), [("fp32", 5), ("fp16", 3), ("bf16", 3), ("fp32 + fp16", 3)]
)
def test_half_precision_moves_half_of_what_the_networks_move(
    precision: str, floor_ms: float
) -> None:
    """10 million numbers of the networks and 10 million bytes of scores at 10 GB/s."""
    ceilings = Ceilings(gflops=100, memory_gb_s=10, cache_gb_s=50)
    work = Work(gflop=0.01, gigavalues=0.01, gigabytes=0.01)
    assert ceilings.floor_ms(work, precision) == pytest.approx(floor_ms)


def test_the_numbers_that_are_moved_are_those_counted_by_hand() -> None:
    """SuperPoint's weights and twice its results for 8x8 pixels; SuperGlue's scores of 3 and 2."""
    weights = 576 + 3 * 36_864 + 73_728 + 3 * 147_456 + 2 * 294_912 + 16_640 + 65_536
    results = 2 * 64 * 64 + 2 * 64 * 16 + 2 * 128 * 4 + 2 * 128 + 256 + 65 + 256 + 256
    assert superpoint_work(8, 8).gigavalues * 1e9 == pytest.approx(weights + 2 * results)
    assert superpoint_work(8, 8).gigabytes == 0
    matching = superglue_work(3, 2, iterations=10)
    assert matching.gigabytes * 1e9 == pytest.approx(4 * (3 + 1) * (2 + 1))
    assert matching.cached_gigabytes * 1e9 == pytest.approx(10 * 2 * 4 * (3 + 1) * (2 + 1))


def test_the_others_compute_in_float32_where_the_default_is_less() -> None:
    """PyTorch lets convolutions on a GPU take TensorFloat-32 unless it is told not to."""
    pytest.importorskip("transformers")
    task = contenders.Task(
        SuperPointConfig(device="cpu", max_keypoints=20, resize=0),
        SuperGlueConfig(device="cpu", sinkhorn_iterations=2),
    )
    images = run.stereo_images((96, 72))
    pair = sample_pair(20, 256, CPU)
    assert torch.backends.cudnn.allow_tf32
    for one in (contenders.Plain(task), contenders.Transformers(task)):
        allowed: list[bool] = []
        for network in (one._superpoint, one._superglue):
            network.register_forward_pre_hook(
                lambda *_, seen=allowed: seen.append(torch.backends.cudnn.allow_tf32)
            )
        one.extract(images)
        one.match(pair)
        one.pair(images)
        assert len(allowed) >= 4
        assert not any(allowed)
    assert torch.backends.cudnn.allow_tf32


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
    assert content["format"] == 2
    assert content["complete"]
    assert {"date", "processor", "cores", "threads", "torch"} <= set(content["machine"])
    assert set(content["ceilings"]["cpu"]) == {"gflops", "memory_gb_s", "cache_gb_s"}
    rows = [Row(**row) for row in content["rows"]]
    found = {(row.stage, row.contender) for row in rows}
    contenders = ("superglue_ros", "plain PyTorch", "transformers", "SIFT, brute force")
    expected = {(s, c) for s in ("match", "pair", "extract") for c in contenders}
    assert found == {*expected, ("refine", "superglue_ros")}
    for row in rows:
        assert row.runs == 2
        assert 0 < row.p50_ms <= row.p95_ms <= row.p99_ms
        assert row.per_second == pytest.approx(1e3 * row.batch / row.p50_ms)
    ours = [
        row for row in rows if row.contender == "superglue_ros" and row.stage in ("match", "pair")
    ]
    assert [row.same_matches for row in ours] == [1.0, 1.0] or ours[1].same_matches is None
    assert "ours, torch fp32" in capsys.readouterr().out


class Interrupted:
    """A benchmark that Ctrl-C, or something else, ends after its first condition."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._rows = [growth_row("keypoints", 64, 1.0)]

    def rows(self, condition: Condition, on_run: Callable[[float], None]) -> list[Row]:
        if not self._rows:
            raise self._error
        on_run(1.0)
        return [self._rows.pop()]


def test_an_interrupted_benchmark_gives_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "Bench", lambda *_: Interrupted(KeyboardInterrupt()))
    assert main(short(tmp_path / "bench.json")) == 130
    content = json.loads((tmp_path / "bench.json").read_text())
    assert not content["complete"]
    assert len(content["rows"]) == 1
    printed = capsys.readouterr()
    assert "interrupted" in printed.err
    assert "64 keypoints" in printed.out


def test_what_the_device_has_no_room_for_is_left_out_and_the_rest_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Interrupted(torch.cuda.OutOfMemoryError("no room for 20 GiB"))
    monkeypatch.setattr(run, "Bench", lambda *_: bench)
    assert main(short(tmp_path / "bench.json")) == 0
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["complete"]
    assert len(content["rows"]) == 1
    refine, pair, extract = content["left_out"]
    assert refine.startswith("refine, 64 keypoints")
    assert pair == "pair 64x48, 64 keypoints: cpu: no room for 20 GiB"
    assert extract.startswith("extract 64x48")
    assert f"not measured: {pair}" in capsys.readouterr().out


def test_what_is_done_is_told_by_what_it_costs() -> None:
    plan = Plan(keypoints=(64, 128), sizes=((64, 48),), batches=(1,), engines=("torch",), repeats=1)
    told: list[tuple[str, float]] = []
    run.run(dataclasses.replace(plan, peers=False), Results(), lambda *one: told.append(one))
    texts, shares = zip(*told, strict=True)
    assert shares == tuple(sorted(shares))
    assert shares[-1] == pytest.approx(1.0)
    assert list(dict.fromkeys(texts)) == [
        "match, 64 keypoints",
        "refine, 64 keypoints",
        "pair 64x48, 64 keypoints",
        "match, 128 keypoints",
        "refine, 128 keypoints",
        "pair 64x48, 128 keypoints",
        "extract 64x48, 128 keypoints",
    ]
    steps = dict(zip(texts, shares, strict=True))  # the last share of each
    matching = steps["match, 64 keypoints"]
    assert steps["match, 128 keypoints"] - steps["pair 64x48, 64 keypoints"] > matching


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--sizes", "640"], "'640' is not WIDTHxHEIGHT"),
        (["--sizes", "641x480"], "multiples of 8"),
        (["--keypoints", "0"], "not a whole number above 0"),
        (["--keypoints", "99999"], "max_keypoints must be in the range 1 to 16384, got 99999"),
        (["--engines", "magic"], "invalid choice"),
        (["--devices", "gpu"], "device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        (["--topic", "/camera"], "--topic has no effect without --bag"),
        (["--bag", "x", "--sizes", "64x48"], "--sizes has no effect with --bag"),
        (["--bag", "x", "--no-peers"], "--peers has no effect with --bag"),
        (["--bag", "x"], "there is no bag x"),
        (["--ros", "--batches", "2"], "--batches has no effect with --ros"),
        (["--ros", "--bag", "x"], "not allowed with"),
        (["--plot", "x.png", "--engines", "torch", "fused"], "--engines takes one value"),
        (["--plot", "x.txt"], "cannot write x.txt as an image"),
        (["--json", "/proc/none/x.json"], "cannot write /proc/none/x.json"),
    ],
)
def test_what_cannot_be_measured_is_one_line_before_anything_is_measured(
    flags: list[str],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "run", lambda *_: pytest.fail("something was measured"))
    monkeypatch.setattr(growth, "run", lambda *_: pytest.fail("something was measured"))
    assert main(["bench", *flags]) == 2
    error = capsys.readouterr().err.strip()
    assert text in error
    assert "\n" not in error


def test_a_file_of_an_earlier_run_is_kept_until_there_are_new_figures(tmp_path: Path) -> None:
    earlier = tmp_path / "bench.json"
    earlier.write_text("earlier")
    assert main(["bench", "--bag", str(tmp_path / "none"), "--json", str(earlier)]) == 2
    assert earlier.read_text() == "earlier"


def test_the_tables_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    row = dataclasses.replace(
        growth_row("keypoints", 2048, 12345.6),
        stage="pair",
        batch=4,
        width=1280,
        height=960,
        engine="onnxruntime",
        computes_in="fp16",
        floor_ms=4321.0,
        cpu_ms=23456.7,
        same_matches=1.0,
    )
    sift = dataclasses.replace(row, contender="SIFT, brute force", floor_ms=0.0, same_matches=None)
    plain = dataclasses.replace(row, contender="plain PyTorch", floor_ms=8642.0)
    axes = [growth_row(axis, 2048, 12345.6) for axis in plot.AXES]
    print_results(Results(rows=[row, sift, plain, *axes]))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("ours, onnxruntime fp16" in line and "100.0%" in line for line in lines)
    assert any("floor 4321 or 8642 ms" in line for line in lines)
    assert any("12346" in line and "23457" in line for line in lines)


def growth_row(axis: str, value: int, p50_ms: float) -> Row:
    sizes = {"width": 8 * value, "height": 8} if axis == "size" else {"width": 8, "height": 8}
    return Row(
        stage=f"growth with {axis}",
        contender="superglue_ros",
        engine="torch",
        precision="auto",
        computes_in="fp32",
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
    rows = [growth_row(axis, value, 3.0 * value) for axis in plot.AXES for value in (1, 4, 2)]
    plot.plot_growth(rows, tmp_path / "growth.png")
    picture = cv2.imread(str(tmp_path / "growth.png"))[64:]
    quarters = [half for side in np.split(picture, 2) for half in (side[:, :560], side[:, 560:])]
    for quarter in quarters:
        blue = (quarter == (176, 96, 24)).all(axis=2)
        ys, xs = blue[70:320, 80:480].nonzero()
        assert len(ys) > 100  # a line,
        assert ys[xs < 150].mean() > ys[xs > 350].mean()  # that rises


def test_each_point_of_growth_is_measured_in_a_process_of_its_own() -> None:
    plan = Plan(keypoints=(32,), sizes=((64, 48),), batches=(2,), engines=("torch",), repeats=1)
    results, shares = Results(), []
    growth.run(
        dataclasses.replace(plan, precisions=("fp32",)),
        results,
        lambda _, share: shares.append(share),
    )
    assert [(row.stage, row.keypoints, row.width, row.batch) for row in results.rows] == [
        ("growth with keypoints", 32, 640, 1),
        ("growth with size", 1024, 64, 1),
        ("growth with batch", 1024, 640, 2),
        ("growth with cameras", 1024, 640, 2),
    ]
    assert all(row.peak_mib > 50 and row.computes_in == "fp32" for row in results.rows)
    assert shares == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_point_whose_process_fails_is_left_out() -> None:
    plan = Plan(keypoints=(32,), sizes=(), batches=(), devices=("cuda:99",), engines=("torch",))
    results = Results()
    growth.run(plan, results)
    assert not results.rows
    (line,) = results.left_out
    assert "keypoints=32" in line
    assert "cuda:99" in line
