"""The recording for Rerun that a run writes, read back beside the bag that it writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_helpers import camera, camera_info, stamp_ns, write_bag
from test_bag_outputs import messages, networks
from test_rerun_log import logged

from superglue_ros.bag import run as run_module
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs
from superglue_ros.bag.rerun_output import RERUN_FILE
from superglue_ros.bag.run import BagRun
from superglue_ros.cli.main import main
from superglue_ros.messages import (
    matches_from_message,
    tracks_from_message,
    two_view_geometry_from_message,
)

__all__ = ["networks"]  # the fixture

RrdReader = pytest.importorskip("rerun.chunk", reason="rerun-sdk is optional").RrdReader

COUNT = 7
EVERYTHING = Outputs(geometry=True, tracks=True, rerun=True)


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PART_FRAMES", 2)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "recording", camera(COUNT))


def rows(path: Path, entity: str) -> list[dict[str, Any]]:
    """What is logged of an entity in the order of its stamps, but for when it was logged."""
    found = sorted(logged(path, entity), key=lambda row: row["stamp"])
    own = ("rerun.", "log_time")
    return [{k: v for k, v in row.items() if not k.startswith(own)} for row in found]


def counts(path: Path, name: str) -> list[tuple[int, int]]:
    """Stamp and value of a curve."""
    values = rows(path, f"/counts/{name}")
    return [(row["stamp"], int(row["Scalars:scalars"][0])) for row in values]


def assert_is_of_the_bag(path: Path, bag: Path) -> None:
    """That counts and lines are those of the bag's messages, under their stamps."""
    stamps = [stamp_ns(n) for n in range(1, COUNT)]
    matches = [len(matches_from_message(m)[2]) for _, m in messages(bag, "/matches")]
    inliers = [two_view_geometry_from_message(m)[0].inliers for _, m in messages(bag, "/geometry")]
    tracks = [len(tracks_from_message(m)[0].ids) for _, m in messages(bag, "/tracks")]
    assert min(matches) > 30
    assert counts(path, "matches") == list(zip(stamps, matches, strict=True))
    assert counts(path, "inliers") == [
        (stamp, int(of_pair.sum())) for stamp, of_pair in zip(stamps, inliers, strict=True)
    ]
    assert counts(path, "tracks") == list(zip(stamps, tracks, strict=True))
    lines = rows(path, "/pair/matches")
    assert [len(row["LineStrips2D:strips"]) for row in lines] == matches
    assert [row["stamp"] for row in rows(path, "/pair")] == stamps


def test_after_an_interruption_it_holds_the_matches_of_the_bag_as_without(
    recording: Path, networks: Any, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    BagRun(recording, whole, BagConfig(), EVERYTHING).run(*networks)
    bag_run = BagRun(recording, cut, BagConfig(), EVERYTHING)
    with pytest.raises(KeyboardInterrupt):
        bag_run.run(*networks, on_frame=interrupt)
    assert len(list((tmp_path / "cut.partial").glob(f"part_*/{RERUN_FILE}"))) == 2
    bag_run.run(*networks, resume=True)
    for output in (whole, cut):
        assert_is_of_the_bag(output / RERUN_FILE, output)
        reader = RrdReader(output / RERUN_FILE)
        assert (len(reader.recordings()), len(reader.blueprints())) == (1, 1)
    for entity in ("/pair", "/pair/keypoints", "/pair/matches", "/pair/tracks"):
        assert rows(cut / RERUN_FILE, entity) == rows(whole / RERUN_FILE, entity)
    tails = rows(cut / RERUN_FILE, "/pair/tracks")[-1]["LineStrips2D:strips"]
    assert max(len(tail) for tail in tails) == COUNT - 1  # over all parts: new with the first pair


def test_a_calibrated_stereo_pair_has_points_in_metres(networks: Any, tmp_path: Path) -> None:
    baseline, disparity, focal = 0.1, 8, 150
    left, right = camera_info(stamp_ns(0)), camera_info(stamp_ns(0))
    right.p[3] = -focal * baseline
    infos = [("/left/camera_info", stamp_ns(0), left), ("/right/camera_info", stamp_ns(0), right)]
    images = [*camera(3, "/left/image"), *camera(3, "/right/image", shift=disparity)]
    bag = write_bag(tmp_path / "bag", sorted([*infos, *images], key=lambda one: one[1]))
    outputs = Outputs(rerun=True)
    BagRun(bag, tmp_path / "out", BagConfig(mode="stereo"), outputs).run(*networks)
    path = tmp_path / "out" / RERUN_FILE
    points = rows(path, "/camera/points")
    assert [row["stamp"] for row in points] == [stamp_ns(n) for n in range(3)]
    inliers = [count for _, count in counts(path, "inliers")]
    assert [len(row["Points3D:positions"]) for row in points] == inliers
    depths = np.array(points[0]["Points3D:positions"])[:, 2]
    assert np.median(depths) == pytest.approx(focal * baseline / disparity, rel=0.02)
    (resolution,) = {tuple(r["Pinhole:resolution"][0]) for r in rows(path, "/camera/view")}
    assert resolution == (160, 120)
    assert messages(tmp_path / "out", "/geometry") == []


def test_where_rerun_is_missing_one_line_says_what_to_install(
    recording: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert main(["bag", str(recording), str(tmp_path / "out"), "--rerun"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install rerun-sdk" in line
    assert not (tmp_path / "out.partial").exists()
