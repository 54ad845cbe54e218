"""What is logged to Rerun, read back from the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from superglue_ros.config import DrawingConfig
from superglue_ros.drawing import Tails, confidence_colours
from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches
from superglue_ros.rerun_log import OLDEST_VERSION, RerunLog, import_rerun

GAP = 4
SECOND = 1_000_000_000
GREY = np.full((240, 320), 60, np.uint8)

RrdReader = pytest.importorskip("rerun.chunk", reason="rerun-sdk is optional").RrdReader


def features(*points: tuple[float, float]) -> Features:
    count = len(points)
    return Features(
        np.array(points, np.float32).reshape(-1, 2),
        np.ones(count, np.float32),
        np.zeros((count, 0), np.float32),
        (320, 240),
        "test",
    )


TWO = features((100, 200), (30, 40)), features((150, 180))
ONE_MATCH = Matches(
    np.array([0, -1], np.int32),
    np.array([0], np.int32),
    np.array([0.75, 0], np.float32),
    np.array([0.75], np.float32),
    "test",
)


def logged(path: Path, entity: str) -> list[dict[str, Any]]:
    """The rows of an entity: what was logged at once, by component; times in nanoseconds."""
    rows = []
    for chunk in RrdReader(path).store().stream():
        if str(chunk.entity_path) == entity:
            batch = chunk.to_record_batch()
            for row in range(batch.num_rows):
                cells = {name: batch.column(name)[row] for name in batch.schema.names}
                rows.append({k: getattr(v, "value", None) or v.as_py() for k, v in cells.items()})
    return rows


def rgba(colour: np.ndarray) -> int:
    """A colour in the order blue, green, red as Rerun holds it."""
    blue, green, red = (int(level) for level in colour)
    return red << 24 | green << 16 | blue << 8 | 255


def test_a_pair_is_on_the_time_line_with_its_keypoints_matches_and_tracks(tmp_path: Path) -> None:
    path = tmp_path / "pair.rrd"
    track = np.array([[120, 170], [150, 180]], np.float32)
    tails = Tails(np.array([0], np.int32), track, np.array([2]))
    with RerunLog(str(path)) as log:
        log.log_pair(
            (GREY, GREY),
            TWO,
            ONE_MATCH,
            stamp_ns=5 * SECOND,
            inliers=np.array([False]),
            tails=tails,
        )
    (image,) = logged(path, "/pair")
    blob = np.array(image["EncodedImage:blob"][0], np.uint8)
    assert cv2.imdecode(blob, cv2.IMREAD_COLOR).shape == (240, 320 + GAP + 320, 3)
    assert image["stamp"] == 5 * SECOND
    right = 320 + GAP
    (keypoints,) = logged(path, "/pair/keypoints")
    assert keypoints["Points2D:positions"] == [[100, 200], [30, 40], [right + 150, 180]]
    matched = rgba(confidence_colours(np.array([0.75], np.float32))[0])
    colours = keypoints["Points2D:colors"]
    assert [colours[0], colours[2]] == [matched, matched]
    assert colours[1] == 0xA0A0A0FF
    (match,) = logged(path, "/pair/matches")
    assert match["LineStrips2D:strips"] == [[[100, 200], [right + 150, 180]]]
    (track,) = logged(path, "/pair/tracks")
    assert track["LineStrips2D:strips"] == [[[right + 120, 170], [right + 150, 180]]]
    counts = {name: logged(path, f"/counts/{name}") for name in ("matches", "inliers", "tracks")}
    assert {name: row["Scalars:scalars"] for name, (row,) in counts.items()} == {
        "matches": [1.0],
        "inliers": [0.0],
        "tracks": [1.0],
    }
    for entity, value in (("shares/median_confidence", 0.75), ("shares/refined_share", 0.0)):
        (row,) = logged(path, f"/{entity}")
        assert row["Scalars:scalars"] == pytest.approx([value])


def test_points_and_camera_are_in_the_cameras_frame(tmp_path: Path) -> None:
    path = tmp_path / "points.rrd"
    matrix = np.array([[400.0, 0, 160], [0, 400, 120], [0, 0, 1]])
    with RerunLog(str(path)) as log:
        log.log_camera(matrix, (320, 240), stamp_ns=SECOND)
        points = np.array([[1, 2, 3]], np.float32)
        log.log_points(points, np.ones(1, np.float32), stamp_ns=2 * SECOND)
    (camera,) = logged(path, "/camera/view")
    assert camera["Pinhole:image_from_camera"] == [matrix.T.ravel().tolist()]
    assert camera["Pinhole:resolution"] == [[320, 240]]
    (found,) = logged(path, "/camera/points")
    assert found["Points3D:positions"] == [[1, 2, 3]]
    assert found["stamp"] == 2 * SECOND


def test_without_image_0_only_the_keypoints_of_image_1_are_logged(tmp_path: Path) -> None:
    path = tmp_path / "alone.rrd"
    with RerunLog(str(path), DrawingConfig(layout="overlay")) as log:
        log.log_pair((None, GREY), TWO, ONE_MATCH)
    (keypoints,) = logged(path, "/pair/keypoints")
    assert keypoints["Points2D:positions"] == [[150, 180]]
    assert logged(path, "/pair/matches")[0]["LineStrips2D:strips"] == []


@pytest.mark.parametrize("target", ["pair.txt", "", "no/such/\0.rrd"])
def test_other_targets_are_refused(target: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot log to"):
        RerunLog(target)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot log to .*file/a\.rrd"):
        RerunLog(str(tmp_path / "file" / "a.rrd"))


def test_where_rerun_is_missing_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(InputError, match="not installed: pip install rerun-sdk"):
        RerunLog("a.rrd")


@pytest.mark.parametrize("version", ["0.9.1", "0.33.1", "unknown"])
def test_where_rerun_is_too_old_one_line_says_what_to_install(
    version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rerun.__version__", version)
    with pytest.raises(InputError, match="pip install --upgrade rerun-sdk") as caught:
        RerunLog(str(tmp_path / "a.rrd"))
    assert version in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", ["0.34.0", "0.100.0", "1.0.0rc1"])
def test_newer_versions_of_rerun_are_taken(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rerun.__version__", version)
    assert import_rerun().__version__ == version


def test_the_oldest_version_is_that_of_the_requirements() -> None:
    requirements = Path(__file__).resolve().parents[1] / "requirements" / "optional.in"
    assert f"rerun-sdk>={OLDEST_VERSION}" in requirements.read_text().splitlines()
