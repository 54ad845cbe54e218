"""The report of a run."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bag_helpers import camera, write_bag

from superglue_ros.bag import run as run_module
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs, Summary
from superglue_ros.bag.report.charts import Series, time_line
from superglue_ros.bag.run import BagRun
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor

COUNT = 14
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Page(HTMLParser):
    """The attributes of all elements, and the cells of all tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "img", "path"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in ("td", "dt", "dd")
        if self._in_cell:
            self.rows[-1:] = [[*self.rows[-1], ""]] if self.rows else [[""]]

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "img", "path"):
            assert self.open.pop() == tag
        self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data

    def of(self, tag: str, attribute: str) -> list[str]:
        return [value for t, name, value in self.attributes if (t, name) == (tag, attribute)]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Summary]]:
    folder = tmp_path_factory.mktemp("reported")
    messages = camera(COUNT)
    messages[2][2].encoding = "32FC1"
    bag = write_bag(folder / "drive <1>", messages)
    file = next(bag.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:-100])
    networks = (
        SuperPointExtractor(max_keypoints=64, device="cpu"),
        SuperGlueMatcher(device="cpu", sinkhorn_iterations=20),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "PART_FRAMES", 4)
        run = BagRun(bag, folder / "out", BagConfig(), Outputs(report=True))
        yield folder / "out" / "report.html", run.run(*networks)


def test_the_report_needs_nothing_outside_itself(reported: tuple[Path, Summary]) -> None:
    text = reported[0].read_text()
    page = Page(text)
    assert not page.open
    assert all(source.startswith("data:image/jpeg") for source in page.of("img", "src"))
    assert not [tag for tag, *_ in page.attributes if tag in ("script", "link", "iframe")]
    assert "url(" not in text
    assert "http" not in re.sub(r'base64,[^"]*', "", text)
    assert "drive &lt;1&gt;" in text


def test_the_report_accounts_for_every_frame(reported: tuple[Path, Summary]) -> None:
    path, summary = reported
    rows = {row[0]: row[1:] for row in Page(path.read_text()).rows if row}
    assert rows["unpaired: first of the sequence"] == ["1"]
    reason = "unusable: image encoding '32FC1' is not one of intensities"
    assert rows[reason] == ["1"]
    assert summary.pairs == COUNT - 2
    assert {"decode", "extract", "match"} <= set(rows)
    assert "Not readable" in path.read_text()
    assert "File end magic is invalid" in path.read_text()


def test_worst_and_best_pairs_are_shown_and_neighbours_once(
    reported: tuple[Path, Summary],
) -> None:
    captions = Page(reported[0].read_text()).of("img", "alt")
    numbers = [int(re.findall(r"Pair (\d+)", caption)[0]) for caption in captions]
    inliers = [int(re.findall(r"(\d+) inliers", caption)[0]) for caption in captions]
    assert 2 <= len(captions) <= 6
    assert min(inliers) == inliers[0]
    assert max(inliers) in inliers[1:]
    assert len(set(numbers)) > 1


def test_the_report_is_legible_in_a_browser(reported: tuple[Path, Summary], tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    for width in (1200, 390):
        picture = screenshot(reported[0], tmp_path, width)
        assert picture.shape[1] == width
        blue = (picture[:, :, 0] > 180) & (picture[:, :, 2] < 80)  # the line of matches
        assert blue.sum() > width / 4
        assert (picture[:, -4:] == picture[0, -1]).all()  # nothing runs off the right side


def screenshot(path: Path, folder: Path, width: int) -> Any:
    file = folder / f"{width}.png"
    assert CHROMIUM is not None
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--hide-scrollbars", f"--user-data-dir={folder / 'profile'}"),
        *(f"--window-size={width},1400", f"--screenshot={file}"),
    ]
    subprocess.run([CHROMIUM, *flags, path.as_uri()], check=True, capture_output=True, timeout=120)
    return cv2.imread(str(file))


def points(svg: str, kind: str) -> list[list[tuple[float, ...]]]:
    """The points of each path of a kind."""
    paths = re.findall(rf'class="{kind} matches" d="M([^"Zh]*)', svg)
    return [[tuple(map(float, point.split())) for point in path.split("L")] for path in paths]


def test_the_time_line_goes_through_the_values() -> None:
    secs, values = np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 50.0, 100.0, 100.0])
    svg = time_line(secs, [Series("matches", values)], (460, 256))
    (line,) = points(svg, "line")
    assert line == [(48, 212), (148, 112), (248, 12), (448, 12)]
    assert not points(svg, "band")


def test_the_time_line_is_cut_at_a_gap_and_keeps_extremes() -> None:
    secs = np.concatenate([np.arange(2000) / 10, 1000 + np.arange(2000) / 10])
    values = np.full(4000, 50.0)
    values[700] = 100
    svg = time_line(secs, [Series("matches", values)], (460, 256))
    assert len(points(svg, "line")) == 2
    highest = min(y for band in points(svg, "band") for _, y in band)
    assert highest == 12
    assert svg.count("L") < 1200
