"""What SuperPoint learns from: shapes, labels, losses, and its batch-norms on the way back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Generator

from superglue_ros.lab.training.batch_norm import NormalisedSuperPoint
from superglue_ros.lab.training.classical import hessian_response
from superglue_ros.lab.training.config import FeaturesConfig, LabelConfig
from superglue_ros.lab.training.labels import Labels, adapt, find_labels
from superglue_ros.lab.training.loop import Loop
from superglue_ros.lab.training.losses import (
    IGNORED,
    cell_targets,
    detector_loss,
    dual_softmax_loss,
    sample_descriptor_maps,
)
from superglue_ros.lab.training.stages import label as label_module
from superglue_ros.lab.training.stages.features import FeaturesStage, initial_superpoint
from superglue_ros.lab.training.stages.label import label_photographs, make_detector
from superglue_ros.lab.training.synthesis.homographies import pixel_grid
from superglue_ros.lab.training.synthesis.shapes import draw_shapes, polygon_coverage
from superglue_ros.networks import SuperPoint, detector_probabilities, sample_descriptors


@pytest.fixture(scope="module")
def network() -> SuperPoint:
    return initial_superpoint(0)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(2, 1, 32, 40, generator=Generator().manual_seed(1))


def test_calibrated_batch_norms_change_nothing(network: SuperPoint, image: torch.Tensor) -> None:
    normalised = NormalisedSuperPoint(SuperPoint())
    normalised.network.load_state_dict(network.state_dict())
    normalised.calibrate(torch.rand(4, 1, 32, 32))
    for expected, got in zip(network.heads(image), normalised.eval()(image), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


def test_folding_trained_batch_norms_changes_nothing(image: torch.Tensor) -> None:
    normalised = NormalisedSuperPoint(initial_superpoint(2))
    normalised.train()
    for _ in range(3):
        normalised(torch.rand(4, 1, 32, 32))
    with torch.no_grad():
        for norm in normalised.norms.values():
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    normalised.eval()
    for expected, got in zip(normalised(image), normalised.folded().heads(image), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


def test_cell_targets_by_hand() -> None:
    points = torch.tensor([[[3.0, 2.0], [9.4, 0.0], [10.0, 1.0], [math.inf, 0.0], [40.0, 3.0]]])
    scores = torch.tensor([[0.5, 0.2, 0.9, 1.0, 1.0]])
    targets = cell_targets(points, scores, (24, 16))
    assert targets.tolist() == [[[2 * 8 + 3, 1 * 8 + 2, 64], [64, 64, 64]]]


def test_cells_beyond_the_photograph_are_ignored() -> None:
    valid = torch.ones(1, 8, 16, dtype=torch.bool)
    valid[0, 3, 12] = False
    targets = cell_targets(torch.zeros(1, 1, 2), torch.ones(1, 1), (16, 8), valid)
    assert targets.tolist() == [[[0, IGNORED]]]


def test_targets_put_the_keypoint_where_the_network_reads_it() -> None:
    targets = cell_targets(torch.tensor([[[13.0, 6.0]]]), torch.ones(1, 1), (24, 16))
    logits = torch.full((1, 65, 2, 3), -20.0)
    logits.scatter_(1, targets[:, None], 20.0)
    probabilities = detector_probabilities(logits)[0]
    assert probabilities.argmax().item() == 6 * 24 + 13
    assert detector_loss(logits, targets).item() == pytest.approx(0, abs=1e-4)


def test_batched_descriptors_are_those_of_the_networks(image: torch.Tensor) -> None:
    maps = torch.randn(2, 8, 4, 5, generator=Generator().manual_seed(3))
    points = torch.rand(2, 7, 2, generator=Generator().manual_seed(4)) * torch.tensor([39.0, 31.0])
    batched = sample_descriptor_maps(points, maps)
    for index in range(2):
        unit = torch.nn.functional.normalize(maps[index], dim=0)
        torch.testing.assert_close(batched[index], sample_descriptors(points[index], unit))


def test_the_descriptor_loss_falls_where_the_true_pairs_are_alike() -> None:
    unit = torch.eye(6)[None]
    points = torch.arange(6.0)[None, :, None].expand(1, 6, 2) * 50
    valid = torch.ones(1, 6, dtype=torch.bool)
    good, right = dual_softmax_loss(unit, unit, points, valid, torch.tensor(20.0))
    bad, wrong = dual_softmax_loss(unit, unit.roll(1, 1), points, valid, torch.tensor(20.0))
    assert good.item() < 1e-3
    assert bad.item() > 10
    assert (right.item(), wrong.item()) == (1.0, 0.0)


def test_near_candidates_are_left_out_of_the_descriptor_loss() -> None:
    same = torch.ones(1, 2, 4) / 2
    valid = torch.ones(1, 2, dtype=torch.bool)
    near = torch.tensor([[[0.0, 0.0], [3.0, 0.0]]])
    far = torch.tensor([[[0.0, 0.0], [30.0, 0.0]]])
    assert dual_softmax_loss(same, same, near, valid, torch.tensor(5.0))[0].item() == 0
    by_hand = math.log(2)
    assert dual_softmax_loss(same, same, far, valid, torch.tensor(5.0))[0].item() == pytest.approx(
        by_hand
    )


def blob(x: float, y: float) -> torch.Tensor:
    grid = pixel_grid(80, 64, torch.device("cpu"))
    distance = (grid - torch.tensor([x, y])).square().sum(dim=1)
    return torch.exp(-distance / (2 * 2.0**2)).view(1, 1, 64, 80)


def test_the_classical_teacher_finds_a_blob_to_a_fraction_of_a_pixel() -> None:
    labels = find_labels(hessian_response(blob(30.3, 25.8), 1.8), 0.1, 5, 4)
    assert (labels.scores > 0).sum() == 1
    torch.testing.assert_close(labels.points[0, 0], torch.tensor([30.3, 25.8]), atol=0.1, rtol=0)


def test_adaptation_keeps_a_blob_in_its_place() -> None:
    detector = lambda image: hessian_response(image, 1.8)  # noqa: E731
    response = adapt(detector, blob(40.0, 30.0), 4, Generator().manual_seed(0))
    labels = find_labels(response, 0.05, 5, 4)
    torch.testing.assert_close(labels.points[0, 0], torch.tensor([40.0, 30.0]), atol=0.5, rtol=0)


def test_labels_survive_the_file(tmp_path: Path) -> None:
    labels = Labels(torch.rand(3, 4, 2), torch.rand(3, 4))
    labels.save(tmp_path / "new" / "labels.safetensors")
    loaded = Labels.load(tmp_path / "new" / "labels.safetensors")
    assert torch.equal(loaded.points, labels.points)
    assert torch.equal(loaded.scores, labels.scores)


def test_a_square_is_covered_inside_and_its_corners_lie_on_the_edge() -> None:
    square = torch.tensor([[[10.0, 10], [20, 10], [20, 20], [10, 20]]])
    places = torch.tensor([[15.0, 15], [10, 15], [5, 15], [15, 25]])
    torch.testing.assert_close(
        polygon_coverage(square, places), torch.tensor([[1.0, 0.5, 0.0, 0.0]])
    )


def test_drawings_have_visible_corners_with_contrast_around_them() -> None:
    drawing = draw_shapes(6, (96, 72), 4, Generator().manual_seed(3))
    assert drawing.images.shape == (6, 1, 72, 96)
    seen = drawing.scores > 0
    assert (seen.sum(dim=1) > 3).all()
    contrasts = []
    for index in range(6):
        for x, y in drawing.corners[index][seen[index]].round().long().tolist():
            if 3 <= x < 93 and 3 <= y < 69:
                patch = drawing.images[index, 0, y - 3 : y + 4, x - 3 : x + 4]
                contrasts.append(float(patch.max() - patch.min()))
    assert torch.tensor(contrasts).quantile(0.2) > 0.02
    again = draw_shapes(6, (96, 72), 4, Generator().manual_seed(3))
    assert torch.equal(drawing.images, again.images)


def test_labelling_goes_on_where_it_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_module, "_CHUNKS_BETWEEN_SAVES", 1)
    photographs = (torch.rand(3, 64, 80, generator=Generator().manual_seed(5)) * 255).byte()
    config = LabelConfig(batch=1, homographies=1, max_labels=20)
    teacher = make_detector(config, None, torch.device("cpu"))
    whole = label_photographs(photographs, teacher, config, tmp_path / "whole", lambda _: None)

    def cut(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_photographs(photographs, teacher, config, tmp_path / "cut", cut)
    seen: list[int] = []
    resumed = label_photographs(photographs, teacher, config, tmp_path / "cut", seen.append)
    assert seen == [3]
    assert torch.equal(whole.points, resumed.points)
    assert (resumed.scores > 0).any()


def test_both_heads_learn(tmp_path: Path) -> None:
    photographs = draw_shapes(4, (96, 72), 5, Generator().manual_seed(1)).images
    photographs = (photographs[:, 0] * 255).byte()
    labels = find_labels(hessian_response(photographs[:, None].float() / 255, 1.8), 0.02, 40, 4)
    config = FeaturesConfig(
        steps=25,
        batch=2,
        view_width=64,
        view_height=48,
        log_every=5,
        validate_every=100,
        warmup_steps=5,
        strength=0.0,
    )
    device = torch.device("cpu")
    stage = FeaturesStage(initial_superpoint(0), photographs, labels, photographs, config, device)
    loop = Loop(stage, config, tmp_path)
    loop.run()
    logged = [entry for entry in loop.history.entries if "loss" in entry]
    for figure in ("detector", "finer", "descriptor"):
        assert logged[-1][figure] < logged[0][figure], figure
