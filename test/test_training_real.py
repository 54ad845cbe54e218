"""Real photographs with a teacher's matches: what is learned from them is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from superglue_ros.cli.main import USER_ERROR, main
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.lab.training.config import FeaturesConfig, PhotometricConfig
from superglue_ros.lab.training.ground_truth import IGNORED, NO_MATCH, Places, match_places
from superglue_ros.lab.training.labels import Labels
from superglue_ros.lab.training.pairs import HIDDEN, UNKNOWN, VISIBLE
from superglue_ros.lab.training.real import read_real_pairs
from superglue_ros.lab.training.real_views import RealViews, make_real_views, predict, real_places
from superglue_ros.lab.training.stages.features import FeaturesStage, initial_superpoint
from superglue_ros.lab.training.stages.real_descriptors import RealDescriptors, real_loss
from superglue_ros.lab.training.synthesis.homographies import inside, sample_image
from superglue_ros.networks import superglue as superglue_module

SHIFT = (8, -4)
DARK = PhotometricConfig(strength=0.0)


@pytest.fixture
def folder(tmp_path: Path, make_image: Callable[..., GreyImage]) -> Path:
    """Five sets of two photographs, the second of which shows the first one shifted."""
    (tmp_path / "teacher").mkdir()
    grid = np.stack(np.meshgrid(np.arange(16, 150, 8), np.arange(16, 110, 8)), 2).reshape(-1, 2)
    keypoints = np.full((2, 1024, 2), np.nan, np.float32)
    keypoints[0, : len(grid)], keypoints[1, : len(grid)] = grid, (grid + SHIFT)[::-1]
    matches = np.full((1, 1024), -1)
    matches[0, : len(grid) - 10] = np.arange(len(grid))[::-1][: len(grid) - 10]
    inliers = matches >= 0
    inliers[0, 0] = False
    for index in range(5):
        large = make_image(160, 200, seed=index)
        for name, (x, y) in (("a", (20, 20)), ("b", (20 - SHIFT[0], 20 - SHIFT[1]))):
            cv2.imwrite(str(tmp_path / f"{index}{name}.png"), large[y : y + 120, x : x + 160])
        np.savez(
            tmp_path / f"teacher/set{index}.npz",
            images=np.array([f"{index}a.png", f"{index}b.png"]),
            size=np.array([[160, 120], [160, 120]]),
            keypoints=keypoints,
            pairs=np.array([[0, 1]]),
            matches0=matches,
            inliers0=inliers,
        )
    return tmp_path


def test_a_fifth_of_the_sets_is_held_out_whole(folder: Path) -> None:
    train, held_out = (read_real_pairs(folder, held_out=part) for part in (False, True))
    assert (len(train), len(held_out)) == (4, 1)
    assert not any(torch.equal(pair.images[0], held_out[0].images[0]) for pair in train)


def test_only_matches_that_agree_with_the_geometry_are_read(folder: Path) -> None:
    (pair,) = read_real_pairs(folder, held_out=True)
    torch.testing.assert_close(pair.matched[0] + torch.tensor(SHIFT), pair.matched[1])
    assert not (pair.matched[0] == torch.tensor([16.0, 16.0])).all(dim=1).any()
    assert [len(points) for points in pair.alone] == [10, 10]


def test_photographs_are_reduced_to_the_size_that_the_teacher_saw(
    folder: Path, make_image: Callable[..., GreyImage]
) -> None:
    cv2.imwrite(str(folder / "3a.png"), make_image(240, 320, seed=9))
    (pair,) = read_real_pairs(folder, held_out=True)
    assert pair.images[0].shape == (120, 160)


def test_matched_points_show_the_same_in_both_views(folder: Path) -> None:
    pairs = read_real_pairs(folder, held_out=False)
    views = make_real_views(pairs, (96, 80), DARK, Generator().manual_seed(3))
    for index, matched in enumerate(views.matched):
        seen = inside(matched, (96, 80), margin=2).all(dim=0)
        assert int(seen.sum()) > 10
        here, there = (
            sample_image(views.images[side, index][None], matched[side][seen][None])
            for side in (0, 1)
        )
        assert (here - there).abs().median() < 0.04
        mixed = there.roll(1, dims=2)
        assert (here - mixed).abs().median() > (here - there).abs().median()


def shifted_views(alone: Tensor) -> RealViews:
    here = torch.cartesian_prod(torch.arange(0.0, 100, 10), torch.arange(0.0, 100, 10))
    matched = torch.stack([here, here + torch.tensor([5.0, 2.0])])
    return RealViews(torch.zeros(2, 1, 1, 8, 8), [matched], [(alone, torch.zeros(0, 2))])


def test_a_keypoint_goes_where_the_matches_around_it_go() -> None:
    places0, places1 = real_places(
        torch.tensor([[33.0, 44.0], [300.0, 300.0]]),
        torch.tensor([[38.0, 46.0]]),
        shifted_views(torch.zeros(0, 2)),
        0,
    )
    assert places0.visibility.tolist() == [[VISIBLE, UNKNOWN]]
    torch.testing.assert_close(places0.targets[0, 0], torch.tensor([38.0, 46.0]))
    torch.testing.assert_close(places1.targets[0, 0], torch.tensor([33.0, 44.0]))
    assert match_places(places0, places1).matches0.tolist() == [[0, IGNORED]]


def test_beside_a_match_without_neighbours_a_keypoint_goes_with_it() -> None:
    views = RealViews(
        torch.zeros(2, 1, 1, 8, 8),
        [torch.tensor([[[40.0, 40.0]], [[70.0, 20.0]]])],
        [(torch.zeros(0, 2), torch.zeros(0, 2))],
    )
    places, _ = real_places(torch.tensor([[41.0, 40.5], [43.0, 40.0]]), torch.zeros(1, 2), views, 0)
    assert places.visibility.tolist() == [[VISIBLE, UNKNOWN]]
    assert places.targets[0, 0].tolist() == [71.0, 20.5]


@pytest.mark.parametrize(("other", "state"), [(900.0, HIDDEN), (126.0, UNKNOWN)])
def test_a_keypoint_that_the_teacher_holds_alone_is_hidden_unless_one_lies_where_it_should(
    other: float, state: int
) -> None:
    views = shifted_views(torch.tensor([[120.0, 50.0]]))
    places, _ = real_places(torch.tensor([[120.5, 50.0]]), torch.tensor([[other, 52.0]]), views, 0)
    assert places.visibility.tolist() == [[state]]


def test_matches_that_disagree_or_lie_to_one_side_predict_nothing() -> None:
    generator = Generator().manual_seed(0)
    here = torch.cartesian_prod(torch.arange(0.0, 50, 10), torch.arange(0.0, 50, 10))
    turned = here @ torch.tensor([[0.0, 1.2], [-1.2, 0.0]])
    points = torch.tensor([[22.0, 17.0], [80.0, 80.0]])
    places, certain = predict(points, here, turned)
    assert certain.tolist() == [True, False]
    torch.testing.assert_close(places[0], torch.tensor([-20.4, 26.4]), rtol=0, atol=0.3)
    noisy = turned + torch.randn(turned.shape, generator=generator) * 20
    assert not predict(points, here, noisy)[1].any()


def test_a_keypoint_with_an_unknown_one_at_its_place_is_not_called_alone() -> None:
    def places(x: float, target: float, state: int) -> Places:
        row = torch.tensor([[[x, 0.0]]]), torch.tensor([[[target, 0.0]]])
        return Places(*row, torch.tensor([[state]]))

    known = places(0.0, 50.0, VISIBLE)
    beside, elsewhere = places(54.0, -1e6, UNKNOWN), places(90.0, -1e6, UNKNOWN)
    assert match_places(known, beside).matches0.tolist() == [[IGNORED]]
    assert match_places(beside, known).matches1.tolist() == [[IGNORED]]
    assert match_places(known, elsewhere).matches0.tolist() == [[NO_MATCH]]


def test_what_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pairs of real photographs"):
        read_real_pairs(tmp_path / "nowhere", held_out=False)
    (folder / "0a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"0a\.png"):
        read_real_pairs(folder, held_out=False)
    (folder / "teacher/set0.npz").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match=r"set0\.npz is not a teacher's file"):
        read_real_pairs(folder, held_out=False)


def test_the_matcher_learns_from_real_pairs_and_is_validated_on_others(
    folder: Path,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(superglue_module, "LAYERS", 2)
    where = ("--output", tmp_path / "out", "--photographs", photographs)
    few = ("--view-width", 96, "--view-height", 80, "--max-keypoints", 40, "--pairs", 128)
    cache = ("train", "cache", *where, *few, "--validation-pairs", 3)
    assert main([*map(str, cache), "--real", str(folder / "nowhere")]) == USER_ERROR
    assert main([*map(str, cache), "--real", str(folder)]) == 0
    names = sorted(path.name for path in (tmp_path / "out/cache-sift").glob("*real*"))
    assert names == ["real-0000.safetensors", "train-real-0000.safetensors"]
    matcher = ("train", "matcher", *where, "--extractor", "sift", "--cached", "--steps", 2)
    keypoints = ("--min-keypoints", 30, "--max-keypoints", 40, "--validation-batches", 1)
    assert main([*map(str, (*matcher, *keypoints, "--batch", 2, "--validate-every", 2))]) == 0
    assert "real loss" in capsys.readouterr().out.replace("\n", " ")


def same_views(count: int) -> RealViews:
    """Pairs of equal views with points a cell apart, away from the border."""
    grid = torch.cartesian_prod(torch.arange(12.0, 80, 16), torch.arange(12.0, 60, 16))
    matched = torch.stack([grid, grid])
    images = torch.zeros(2, count, 1, 64, 88)
    return RealViews(images, [matched] * count, [(torch.zeros(0, 2),) * 2] * count)


def test_the_loss_on_real_pairs_is_small_where_partners_are_alike_and_places_are_not() -> None:
    generator = Generator().manual_seed(0)
    maps = torch.randn(2, 64, 8, 11, generator=generator)
    right, share = real_loss(same_views(2), torch.cat([maps, maps]), torch.tensor(30.0))
    assert float(share) == 1
    assert float(right) < 0.01
    wrong, none = real_loss(same_views(2), torch.cat([maps, maps.roll(3, 3)]), torch.tensor(30.0))
    assert float(none) < 0.05
    assert float(wrong) > 5


def test_the_loss_leaves_out_what_lies_beside_the_partner() -> None:
    views = RealViews(
        torch.zeros(2, 1, 1, 16, 16),
        [torch.tensor([[[5.0, 5.0]], [[5.0, 5.0]]])],
        [(torch.zeros(0, 2), torch.zeros(0, 2))],
    )
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, 0] = 1  # all places are alike: of the four cells, three are too far to be left out
    loss, _ = real_loss(views, torch.cat([maps, maps]), torch.tensor(20.0))
    assert float(loss) == pytest.approx(np.log(4), abs=1e-4)


def test_frozen_stages_stay_as_they_are_while_the_others_learn(folder: Path) -> None:
    config = FeaturesConfig(batch=2, view_width=64, view_height=48, frozen_stages=1)
    pairs = [read_real_pairs(folder, held_out=held_out) for held_out in (False, True)]
    photographs = (torch.rand(3, 96, 128, generator=Generator().manual_seed(0)) * 255).byte()
    labels = Labels(torch.full((3, 4, 2), 40.0), torch.ones(3, 4))
    real = RealDescriptors(*pairs, config)
    stage = FeaturesStage(
        initial_superpoint(0), photographs, labels, photographs, config, torch.device("cpu"), real
    )
    network = stage.network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    loss, figures = stage.loss(network, Generator().manual_seed(0))
    torch.autograd.backward(loss)
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    changed = {
        name for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert not [name for name in changed if "conv1" in name]
    assert {"superpoint.network.conv2a.weight", "superpoint.norms.conv2a.running_mean"} <= changed
    assert {"real descriptor", "real accuracy"} <= set(figures)


def test_features_learn_from_real_pairs(
    folder: Path, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--output", tmp_path / "out", "--photographs", photographs)
    assert main([*map(str, ("train", "label", *where, "--max-labels", 50))]) == 0
    steps = ("--steps", 2, "--validate-every", 2, "--view-width", 64, "--view-height", 48)
    features = [*map(str, ("train", "features", *where, *steps, "--real", folder))]
    assert main([*features, "--batch", "1"]) == USER_ERROR
    assert "take a larger batch" in capsys.readouterr().err
    assert main([*features, "--batch", "2", "--frozen-stages", "2"]) == 0
    assert "real accuracy" in capsys.readouterr().out.replace("\n", " ")
