"""The training loop: it learns, it can be cut anywhere, and its checkpoints are whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from superglue_ros.errors import InputError
from superglue_ros.lab.training import checkpoint as checkpoint_module
from superglue_ros.lab.training.checkpoint import read_checkpoint, write_checkpoint
from superglue_ros.lab.training.config import LoopConfig
from superglue_ros.lab.training.export import MAX_PIECE_BYTES, export_weights, split_file
from superglue_ros.lab.training.history import History, read_history
from superglue_ros.lab.training.loop import (
    CHECKPOINT,
    LOG,
    MEASURE_TO,
    Loop,
    ParameterGroup,
    one_rate,
    rate_share,
)
from superglue_ros.lab.training.plot import plot_log

CPU = torch.device("cpu")


class Regression:
    """A network with batch-norm and dropout learns a plane from random points."""

    name = "regression"
    device = CPU

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.network = nn.Sequential(
            nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)
        )

    def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
        return one_rate(network)

    def loss(self, network: nn.Module, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        points = torch.rand(32, 2, generator=generator)
        error = (network(points)[:, 0] - points.sum(dim=1)).square().mean()
        return error, {"error": error}

    def validate(self, network: nn.Module) -> dict[str, float]:
        return {"at one": float(network(torch.ones(1, 2)))}


CONFIG = LoopConfig(steps=60, log_every=5, validate_every=20, warmup_steps=5, learning_rate=0.02)


def test_the_loss_decreases_and_the_average_follows(tmp_path: Path) -> None:
    loop = Loop(Regression(), CONFIG, tmp_path)
    assert loop.run()
    losses = [entry["loss"] for entry in loop.history.entries if "loss" in entry]
    assert losses[-1] < losses[0] / 5
    validated = [e["validation at one"] for e in loop.history.entries if "validation at one" in e]
    assert abs(validated[-1] - 2) < abs(validated[0] - 2)
    assert len(validated) == 3


def test_a_group_of_rate_0_does_not_learn(tmp_path: Path) -> None:
    class LastBiasFixed(Regression):
        def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
            bias, *others = reversed(list(network.parameters()))
            return [{"params": others, "rate": 1.0}, {"params": [bias], "rate": 0.0}]

    stage = LastBiasFixed()
    before = {name: value.clone() for name, value in stage.network.named_parameters()}
    Loop(stage, CONFIG.updated(weight_decay=0.0), tmp_path).run()
    same = {n for n, value in stage.network.named_parameters() if torch.equal(value, before[n])}
    assert same == {"3.bias"}


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = Loop(Regression(), CONFIG, tmp_path / "whole")
    whole.run()
    part = Loop(Regression(), CONFIG, tmp_path / "part")
    while part.step < 23:
        part._take_step()
    part.save()
    part._take_step()  # lost by the cut
    resumed = Loop(Regression(), CONFIG, tmp_path / "part")
    assert resumed.step == 23
    resumed.run()
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(value, resumed.averaged.state_dict()[name]), name


def test_a_run_stops_in_time_and_goes_on(tmp_path: Path) -> None:
    hurried = CONFIG.updated(minutes=1e-9)
    assert not Loop(Regression(), hurried, tmp_path).run()
    assert (tmp_path / CHECKPOINT).exists()
    assert Loop(Regression(), CONFIG, tmp_path).run()


def test_the_number_of_steps_is_set_by_the_time_and_kept(tmp_path: Path) -> None:
    config = CONFIG.updated(fill_minutes=0.02)
    first = Loop(Regression(), config, tmp_path)
    assert first.run()
    assert first.steps > MEASURE_TO
    assert Loop(Regression(), config, tmp_path).steps == first.steps


def test_the_rate_warms_up_stays_and_falls() -> None:
    config = LoopConfig(steps=100, warmup_steps=10, constant_share=0.5)
    shares = [rate_share(step, 100, config) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[9] == shares[50] == pytest.approx(1.0)
    assert shares[75] == pytest.approx(0.505)
    assert shares[99] < 0.02


def test_a_kill_while_writing_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / CHECKPOINT
    write_checkpoint(path, {"step": 1})

    def killed(state: object, file) -> None:
        file.write(b"half a checkpoint")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint_module.torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(path, {"step": 2})
    assert read_checkpoint(path, CPU) == {"step": 1}


def test_a_full_disk_is_told_and_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / CHECKPOINT
    write_checkpoint(path, {"step": 1})

    def full(state: object, file) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint_module.torch, "save", full)
    with pytest.raises(InputError, match=r"No space left.*previous one is whole"):
        write_checkpoint(path, {"step": 2})
    assert read_checkpoint(path, CPU) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_file_that_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="is not a checkpoint"):
        Loop(Regression(), CONFIG, tmp_path)


def test_the_log_drops_what_comes_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / LOG
    lines = [json.dumps({"step": float(step), "loss": 1.0}) for step in (1, 2, 3)]
    path.write_text("\n".join([*lines, '{"step": 4.0, "lo']))
    history = History(path, step=2)
    history.add({"step": 3.0, "loss": 0.5})
    assert [entry["step"] for entry in read_history(path)] == [1, 2, 3]
    assert read_history(path)[-1]["loss"] == 0.5


def test_the_log_is_drawn(tmp_path: Path) -> None:
    import cv2

    entries = [{"step": float(s), "loss": 1 / s, "recall": float("nan")} for s in range(1, 9)]
    plot_log(entries, tmp_path / "log.png")
    picture = cv2.imread(str(tmp_path / "log.png"))
    assert picture.shape[1] == 2 * 520
    assert (picture != 255).any()


def test_weights_are_exported_in_half_precision_and_in_pieces(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    network = Regression().network
    export_weights(network, tmp_path / "w.safetensors")
    loaded = load_file(tmp_path / "w.safetensors")
    assert loaded["0.weight"].dtype == torch.float16
    assert set(loaded) == set(network.state_dict())
    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * (MAX_PIECE_BYTES // 256 + 10))
    pieces = split_file(big, tmp_path / "pieces")
    assert b"".join(p.read_bytes() for p in pieces) == big.read_bytes()
    assert len(pieces) == 2


def test_diverged_weights_are_not_exported(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, float("nan"))
    with pytest.raises(InputError, match="weight is not finite"):
        export_weights(network, tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())
