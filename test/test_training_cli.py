"""The commands photographs, train and eval, at toy size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import torch

from superglue_ros.cli.main import USER_ERROR, main
from superglue_ros.features import GreyImage
from superglue_ros.lab.training.photographs import packages as packages_module
from superglue_ros.networks import superglue as superglue_module
from superglue_ros.weights.loading import load_superglue


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The tensors are small: more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(stage: str, output: Path, *arguments: object) -> int:
    return main(["train", stage, "--output", str(output), *map(str, arguments)])


QUICK = ("--steps", 2, "--validate-every", 2, "--log-every", 1, "--batch", 2)
VIEW = ("--view-width", 64, "--view-height", 48)


def test_the_stages_follow_each_other(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superglue_module, "LAYERS", 2)
    output = tmp_path / "out"
    where = ("--photographs", photographs)
    assert train("synthetic", output, *QUICK, *VIEW) == 0
    teacher = output / "magicpoint.safetensors"
    assert train("label", output, *where, "--teacher", teacher, "--homographies", 1) == 0
    assert train("label", output, *where, "--max-labels", 50) == 0
    assert train("features", output, *where, *QUICK, *VIEW, "--initial", teacher) == 0
    keypoints = ("--min-keypoints", 30, "--max-keypoints", 40, "--validation-batches", 1)
    assert train("matcher", output, *where, *QUICK, *VIEW, *keypoints) == 0
    sift = ("--extractor", "sift")
    assert train("matcher", output, *where, *QUICK, *VIEW, *keypoints, *sift) == 0
    for name in ("superpoint", "superglue", "sift-superglue"):
        assert (output / f"{name}.safetensors").stat().st_size > 0
    assert (output / "matcher-superpoint/log.png").exists()
    assert train("plot", output) == 0


def test_a_matcher_of_one_layer_learns_from_pairs_made_before(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superglue_module, "LAYERS", 2)
    output = tmp_path / "out"
    where = ("--photographs", photographs)
    few = ("--pairs", 1, "--validation-pairs", 2, "--max-keypoints", 40)
    assert train("cache", output, *where, *VIEW, *few) == 0
    keypoints = ("--min-keypoints", 30, "--max-keypoints", 40, "--validation-batches", 1)
    cached = ("--extractor", "sift", "--cached", "--trained-layers", 1)
    assert train("matcher", output, *QUICK, *keypoints, *cached) == 0
    network = load_superglue(str(output / "sift-superglue.safetensors")).network
    assert len(network.gnn.layers) == 2
    assert not network.get_submodule("gnn.layers.1.mlp.3").get_parameter("weight").any()


def test_a_checkpoint_of_other_settings_is_named(
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(superglue_module, "LAYERS", 2)
    quick = ("--photographs", photographs, *QUICK, *VIEW, "--extractor", "sift")
    quick += ("--min-keypoints", 30, "--max-keypoints", 40, "--validation-batches", 1)
    assert train("matcher", tmp_path, *quick) == 0
    assert train("matcher", tmp_path, *quick, "--trained-layers", 1) == USER_ERROR
    assert "matcher-sift/checkpoint.pt is of other settings" in capsys.readouterr().err


def test_all_stages_run_in_the_time_they_are_given(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superglue_module, "LAYERS", 2)
    output = tmp_path / "out"
    small = ("--features-batch", 1, "--matcher-batch", 1, "--view-width", 32, "--view-height", 32)
    small += ("--pair-width", 64, "--pair-height", 48, "--max-keypoints", 16)
    times = ("--minutes", 0.02, "--features-minutes", 0.001, "--matcher-minutes", 0.001)
    arguments = ("--photographs", photographs, "--pieces", output / "pieces", *small, *times)
    assert train("all", output, *arguments) == 0
    assert (output / "pieces/superpoint.safetensors.00").exists()


def test_pairs_are_drawn_side_by_side(photographs: Path, tmp_path: Path) -> None:
    assert train("pairs", tmp_path, "--photographs", photographs, *VIEW, "--batch", 4) == 0
    picture = cv2.imread(str(tmp_path / "pairs.png"))
    assert picture.shape == (4 * 48, 2 * 64, 3)
    assert (picture[..., 0] != picture[..., 2]).any()


def test_missing_photographs_and_labels_are_told(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("label", tmp_path, "--photographs", tmp_path / "nowhere") == USER_ERROR
    assert "superglue-ros photographs" in capsys.readouterr().err
    assert train("features", tmp_path, "--photographs", photographs) == USER_ERROR
    assert "run the label stage first" in capsys.readouterr().err
    assert train("plot", tmp_path / "nowhere") == USER_ERROR


def test_photographs_are_gathered_from_unpacked_packages(
    tmp_path: Path,
    make_image: Callable[..., GreyImage],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = packages_module.Package("made-up", r"\.jpg$", "public domain")
    monkeypatch.setitem(packages_module.PACKAGES, "made-up", package)
    unpacked = tmp_path / "pool/packages/made-up"
    unpacked.mkdir(parents=True)
    (unpacked / packages_module.DONE_MARKER).touch()
    cv2.imwrite(str(unpacked / "a.jpg"), make_image(600, 800))
    assert main(["photographs", str(tmp_path / "pool"), "--packages", "made-up"]) == 0
    shown = capsys.readouterr().out
    assert "made-up" in shown
    assert "public domain" in shown
    assert len(list((tmp_path / "pool").glob("*-00.zip"))) == 1


def test_eval_measures_every_method(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("poselib")
    arguments = ["eval", "--photographs", str(photographs / "validation-00.zip"), "--pairs", "2"]
    arguments += ["--max-keypoints", "64", "--json", str(tmp_path / "figures.json")]
    assert main([*arguments, "--pictures", str(tmp_path / "pictures")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())["sets"]["homographies"]
    refined = {"superglue", "superglue, unrefined", "nearest", "nearest, unrefined"}
    found = {name for name in figures if not name.startswith("aliked")}  # where it is installed
    assert found == refined | {"sift_superglue", "sift", "orb"}
    for row in figures.values():
        assert row["pairs"] == 2
        assert 0 <= row["precision"] <= 100
        assert 0 <= row["RANSAC AUC@3"] <= 100
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2 * len(figures)
    assert "homographies (2 pairs)" in capsys.readouterr().out


def test_eval_without_pairs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval"]) == USER_ERROR
    assert "--photographs, --data or both" in capsys.readouterr().err
    assert main(["eval", "--data", str(tmp_path)]) == USER_ERROR
    assert "holds no development set" in capsys.readouterr().err
