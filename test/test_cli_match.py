"""superglue-ros match, on image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from superglue_ros.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_image: Any) -> Path:
    """A current folder with left.png, right.png, 16 px to its right, black.png and text.png."""
    monkeypatch.chdir(tmp_path)
    wide = make_image(160, 256)
    cv2.imwrite("left.png", wide[:, :240])
    cv2.imwrite("right.png", wide[:, 16:])
    cv2.imwrite("black.png", np.zeros((120, 200), np.uint8))
    Path("text.png").write_text("not an image")
    return tmp_path


def match(*arguments: str) -> int:
    return main(["match", *arguments])


def test_the_npz_holds_keypoints_and_matches_in_pixels_of_the_files(folder: Path) -> None:
    assert match("left.png", "right.png", "--npz", "out.npz", "--max-keypoints", "200") == 0
    found = np.load("out.npz")
    count0, count1 = len(found["keypoints0"]), len(found["keypoints1"])
    assert {name: found[name].shape for name in found} == {
        "keypoints0": (count0, 2),
        "keypoints1": (count1, 2),
        "scores0": (count0,),
        "scores1": (count1,),
        "matches": (count0,),
        "match_confidence": (count0,),
    }
    matched = found["matches"] >= 0
    assert matched.sum() > 50
    shift = found["keypoints0"][matched] - found["keypoints1"][found["matches"][matched]]
    np.testing.assert_allclose(np.median(shift, axis=0), [16, 0], atol=0.5)
    assert (found["match_confidence"][matched] >= 0.2).all()
    assert not Path("left_right_matches.png").exists()


def test_the_picture_goes_to_the_current_folder_where_nothing_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert match("left.png", "right.png", "--max-keypoints", "64") == 0
    picture = cv2.imread("left_right_matches.png")
    assert picture.shape[0] >= 160
    assert picture.shape[1] >= 480
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "wrote left_right_matches.png"
    assert "left.png: 240x160, 64 keypoints" in printed.out
    assert "mean confidence 0." in printed.out


@pytest.mark.parametrize(
    ("layout", "size"), [("side_by_side", (160, 484)), ("stacked", (324, 240))]
)
def test_the_layout_and_the_colours_of_the_picture_are_chosen(
    folder: Path, layout: str, size: tuple[int, int]
) -> None:
    arguments = ("--layout", layout, "--output", "a.png", "--matcher", "nearest")
    assert match("left.png", "right.png", *arguments) == 0
    by_confidence = cv2.imread("a.png")
    assert by_confidence.shape[0] - size[0] in range(1 + size[0] // 2), "there may be a caption"
    assert by_confidence.shape[1] == size[1]
    assert match("left.png", "right.png", *arguments, "--colour", "inlier") == 0
    blue_dots = (cv2.imread("a.png") == (233, 180, 86)).all(axis=2).sum()
    assert blue_dots > 50 > (by_confidence == (233, 180, 86)).all(axis=2).sum()


def test_a_recording_for_rerun(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rerun")
    arguments = ("--rerun", "made/a.rrd", "--matcher", "nearest", "--max-keypoints", "64")
    assert match("left.png", "right.png", *arguments) == 0
    assert Path("made/a.rrd").read_bytes()[:3] == b"RRF"
    assert capsys.readouterr().out.splitlines()[-1] == "wrote made/a.rrd"
    assert not Path("left_right_matches.png").exists()


def test_folders_are_made_and_names_kept(folder: Path) -> None:
    arguments = ("--output", "made/for/it.jpg", "--npz", "also/made", "--max-keypoints", "16")
    assert match("left.png", "right.png", *arguments) == 0
    assert cv2.imread("made/for/it.jpg") is not None
    assert set(np.load("also/made"))


def test_shipped_weights_that_are_preliminary_are_noted_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert match("left.png", "right.png", "--max-keypoints", "16", "--npz", "out.npz") == 0
    noted = capsys.readouterr().err
    match_without = ("--extractor", "sift", "--matcher", "nearest", "--npz", "out.npz")
    assert match("left.png", "right.png", *match_without) == 0
    from superglue_ros.weights import SHIPPED

    used = ("superpoint", "superglue")
    preliminary = [name for name in used if "preliminary" in SHIPPED[name].note]
    assert len(noted.splitlines()) == bool(preliminary)
    assert all(name in noted for name in preliminary)
    assert capsys.readouterr().err == ""


def test_sift_with_the_nearest_matcher(folder: Path) -> None:
    arguments = ("--extractor", "sift", "--matcher", "nearest", "--npz", "out.npz")
    assert match("left.png", "right.png", *arguments, "--match-threshold", "0.9") == 0
    found = np.load("out.npz")
    matched = found["matches"] >= 0
    assert matched.sum() > 20
    assert (found["match_confidence"][matched] >= 0.9).all()


def test_an_image_on_its_side_matches_where_that_is_asked_for(folder: Path) -> None:
    cv2.imwrite("side.png", np.rot90(cv2.imread("left.png")))
    counts = []
    for more in ((), ("--any-rotation",)):
        assert match("left.png", "side.png", "--npz", "out.npz", *more) == 0
        counts.append((np.load("out.npz")["matches"] >= 0).sum())
    assert counts[1] > 100 > counts[0]


def test_sift_takes_the_superglue_that_was_made_for_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--extractor", "sift", "--matcher", "superglue", "--npz", "out.npz")
    assert match("left.png", "right.png", *arguments) == 0
    assert (np.load("out.npz")["matches"] >= 0).sum() > 20
    assert "superglue_sift" in capsys.readouterr().err  # the line on preliminary weights


@pytest.mark.parametrize("methods", [(), ("--extractor", "sift", "--matcher", "nearest")])
def test_a_black_image_gives_an_empty_result_and_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str], methods: tuple[str, ...]
) -> None:
    assert match("left.png", "black.png", "--npz", "out.npz", *methods) == 0
    found = np.load("out.npz")
    assert found["keypoints1"].shape == (0, 2)
    assert len(found["matches"]) == len(found["keypoints0"]) > 0
    assert (found["matches"] == -1).all()
    assert (found["match_confidence"] == 0).all()
    printed = capsys.readouterr()
    assert "no keypoints in black.png" in printed.err
    assert "0 matches\n" in printed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("left.png", "gone.png"), "cannot read gone.png: No such file"),
        (("text.png", "left.png"), "text.png is not an image"),
        ((".", "left.png"), "cannot read .: Is a directory"),
        (("left.png", "right.png", "--superpoint-weights", "gone.pth"), "gone.pth"),
        (("left.png", "right.png", "--superglue-weights", "wrong.pth"), "bin_score is missing"),
        (("left.png", "right.png", "--superpoint-weights", "text.png"), "not a checkpoint"),
        (("left.png", "right.png", "--max-keypoints", "0"), "--max-keypoints must be in the range"),
        (("left.png", "right.png", "--device", "abacus"), "device must be"),
        (
            ("left.png", "right.png", "--extractor", "sift", "--superglue-weights", "superglue"),
            "made for 'superpoint sha256",
        ),
        (("left.png", "right.png", "--superglue-weights", "superglue_sift"), "made for 'sift'"),
        (("left.png", "right.png", "--matcher", "nearest", "--sinkhorn-iterations", "9"), "sinkh"),
        (("left.png", "black.png", "--matcher", "nearest", "--output", "a.xyz"), "a.xyz"),
        (("left.png", "right.png", "--npz", "a.npz", "--layout", "stacked"), "without --output"),
        (("left.png", "right.png", "--layout", "round"), "--layout must be one of"),
        (("left.png", "black.png", "--matcher", "nearest", "--npz", "text.png/a"), "text.png/a"),
    ],
)
def test_unusable_input_ends_with_one_line_and_status_2(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    torch.save({"weight": torch.zeros(3)}, "wrong.pth")
    assert match(*arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert errors[0].startswith("superglue-ros: error: ")
    assert message in errors[0]
