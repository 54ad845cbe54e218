"""Exported files give the same results in ONNX Runtime, and what does not is not written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from random_networks import random_superglue, random_superpoint

from superglue_ros.cli.main import main
from superglue_ros.features import GreyImage
from superglue_ros.inference import SuperPointExtractor
from superglue_ros.inference.onnx import check, complete

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")


@pytest.fixture
def weights(tmp_path: Path) -> list[str]:
    torch.save(random_superpoint().state_dict(), tmp_path / "superpoint.pth")
    torch.save(random_superglue().state_dict(), tmp_path / "superglue.pth")
    return [
        *("--superpoint-weights", str(tmp_path / "superpoint.pth")),
        *("--superglue-weights", str(tmp_path / "superglue.pth")),
    ]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sizes, so that the check is short."""
    monkeypatch.setattr(check, "SHAPES", ((96, 128), (64, 48)))
    monkeypatch.setattr(check, "COUNTS", ((40, 40), (30, 50), (1, 20)))


def test_both_networks_are_written_and_agree(
    weights: list[str],
    tmp_path: Path,
    make_image: Callable[..., GreyImage],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "new" / "folder"
    settings = ["--max-keypoints", "50", "--sinkhorn-iterations", "30"]
    assert main(["export", "--onnx", str(folder), *weights, *settings]) == 0
    said = capsys.readouterr().out
    assert "opset 17" in said
    assert "image (float) (batch, 1, height, width)" in said
    for name in ("superpoint", "superglue"):
        model = onnx.load(folder / f"{name}.onnx")
        onnx.checker.check_model(model, full_check=True)
        assert [one.version for one in model.opset_import] == [17]

    # A batch of a size that was not traced, too small for as many keypoints as there are places
    images = [make_image(40, 48, seed=1), make_image(40, 48, seed=2)]
    session = onnxruntime.InferenceSession(
        folder / "superpoint.onnx", providers=["CPUExecutionProvider"]
    )
    batch = (np.stack(images)[:, None] / 255).astype(np.float32)
    keypoints, scores, descriptors, counts = session.run(None, {"image": batch})
    expected = SuperPointExtractor(
        weights=weights[1], max_keypoints=50, subpixel="off", engine="torch", device="cpu"
    ).extract_batch(images)
    assert counts.tolist() == [len(one) for one in expected]
    assert 0 < counts.max() < 50
    for index, one in enumerate(expected):
        np.testing.assert_array_equal(keypoints[index, : len(one)], one.keypoints)
        np.testing.assert_allclose(descriptors[index, : len(one)], one.descriptors, atol=1e-4)
        assert not scores[index, len(one) :].any()


@pytest.mark.parametrize("name", ["superpoint_keypoints", "superglue_matches"])
def test_an_export_that_differs_is_not_written(
    name: str,
    weights: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    export = getattr(complete, name)

    def changed(network: torch.nn.Module, config: object) -> bytes:
        with torch.no_grad():
            kept = [parameter.clone() for parameter in network.parameters()]
            for parameter in network.parameters():
                parameter *= 1.2
            content: bytes = export(network, config)
            for parameter, values in zip(network.parameters(), kept, strict=True):
                parameter.copy_(values)
        return content

    monkeypatch.setattr(complete, name, changed)
    assert main(["export", "--onnx", str(tmp_path / "out"), *weights]) == 2
    assert "the exported network is not the same" in capsys.readouterr().err
    assert not (tmp_path / "out" / f"{name.split('_')[0]}.onnx").exists()
