"""The report of a run."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from bag_helpers import camera, write_bag

from superglue_ros.bag import run as run_module
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs, Summary
from superglue_ros.bag.report.charts import Mark, Series, histogram, time_line
from superglue_ros.bag.report.histograms import Spread
from superglue_ros.bag.report.output import chosen
from superglue_ros.bag.report.records import PairRecord
from superglue_ros.bag.run import BagRun
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor

COUNT = 14
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


EMPTY = ("meta", "img", "input")
SVG = "{http://www.w3.org/2000/svg}"


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
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in ("td", "dt", "dd")
        if self._in_cell:
            self.rows[-1:] = [[*self.rows[-1], ""]] if self.rows else [[""]]

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
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
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    names = page.of("svg", "xmlns") + page.of("svg", "xmlns:xlink")
    addresses = re.sub(r'base64,[^"]*', "", text)
    for name in set(names):
        addresses = addresses.replace(f'="{name}"', "")
    assert "http" not in addresses
    identities = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(identities)) == len(identities)
    targets = [t for t in page.of("a", "href") + page.of("use", "xlink:href") if t[0] == "#"]
    assert targets
    assert {target[1:] for target in targets} <= set(identities)
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


def test_the_three_worst_and_best_pairs_of_a_short_recording_are_shown_and_marked(
    reported: tuple[Path, Summary],
) -> None:
    page = Page(reported[0].read_text())
    captions = page.of("img", "alt")
    numbers = [int(re.findall(r"Pair (\d+)", caption)[0]) for caption in captions]
    inliers = [int(re.findall(r"(\d+) inliers", caption)[0]) for caption in captions]
    assert len(captions) == len(set(numbers)) == 6
    assert inliers[:3] == sorted(inliers[:3])
    assert inliers[3:] == sorted(inliers[3:], reverse=True)
    assert min(inliers) == inliers[0]
    assert max(inliers) == inliers[3]
    times = [float(re.findall(r"at ([\d.]+) s", caption)[0]) for caption in captions]
    for few in (times[:3], times[3:]):
        least = (COUNT - 2) * 0.05 / 6
        assert all(abs(a - b) > least - 0.06 for a in few for b in few if a != b)
    marks = [target for target in page.of("a", "href") if target.startswith("#pair-")]
    assert {int(target.removeprefix("#pair-")) for target in marks} == set(numbers)


def test_the_report_says_when_how_far_and_how_sure(reported: tuple[Path, Summary]) -> None:
    text = reported[0].read_text()
    assert "first pair recorded 2023-11-14 22:13:20 UTC" in text  # START_NS of bag_helpers
    cells = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", text)
    numbers = dict(cells)
    assert float(numbers["median motion"].split()[0]) == pytest.approx(4, abs=0.3)
    assert float(numbers["median error of the inliers"].split()[0]) < 1
    assert 0.2 <= float(numbers["median confidence"]) <= 1
    assert numbers["refined"].endswith("%")
    for title in ("Confidence of the matches", "Motion of the matched points"):
        assert f'aria-label="{title}"' in text


def record(number: int, time_sec: float, inliers: int) -> PairRecord:
    return PairRecord(
        number, round(time_sec * 1e9), inliers, inliers, "GENERAL", 1.0, 0.5, 0.9, 1.0
    )


def test_examples_are_a_second_apart_or_less_in_a_short_recording() -> None:
    long = [record(n, n / 10, 100 - n) for n in range(100)]
    worst = chosen(long, lambda one: one, 3, best=False)
    assert [one.number for one in worst] == [99, 89, 79]
    assert [one.number for one in chosen(long, lambda one: one, 3, best=True)] == [0, 10, 20]
    short = [record(n, n / 10, n) for n in range(7)]
    assert [one.number for one in chosen(short, lambda one: one, 3, best=True)] == [6, 5, 4]
    assert len(chosen(short[:3], lambda one: one, 3, best=False)) == 3


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


def elements(svg: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}{name}"))


def line_points(svg: str) -> list[list[tuple[float, float]]]:
    """The points of each line in the colour of the first series."""
    found = []
    for path in elements(svg, "path"):
        style = path.attrib.get("style", "")
        if "stroke: var(--first)" in style and "fill: none" in style:
            numbers = re.findall(r"[ML] ([\d.]+) ([\d.]+)", path.attrib["d"])
            found.append([(float(x), float(y)) for x, y in numbers])
    return [points for points in found if len(points) > 1]


def test_the_time_line_goes_through_the_values_and_tells_them() -> None:
    secs, values = np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 50.0, 100.0, 100.0])
    texts = [f"pair {n} <of 4>" for n in range(4)]
    svg = time_line(secs, [Series("matches", values)], texts, title="Matches")
    (line,) = line_points(svg)
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = line
    assert (x1 - x0, x3 - x2) == pytest.approx((x2 - x1, 2 * (x2 - x1)), abs=1e-3)
    assert (y1 - y0, y3) == pytest.approx((y2 - y1, y2), abs=1e-3)
    assert y0 > y1 > y2, "larger is higher"
    dots = [one for one in elements(svg, "use") if one.find(f"{SVG}title") is not None]
    assert [one.find(f"{SVG}title").text for one in dots] == texts
    assert [float(one.attrib["x"]) for one in dots] == pytest.approx([x0, x1, x2, x3], abs=1e-3)


def test_what_has_no_value_is_left_out_and_its_neighbours_tell_theirs() -> None:
    values = np.array([1.0, np.nan, 3.0])
    texts = ["first", "second", "third"]
    svg = time_line(np.arange(3.0), [Series("error", values)], texts, title="Error")
    assert [one.text for one in elements(svg, "title")] == ["first", "third"]


def test_a_mark_leads_to_its_picture() -> None:
    mark = Mark(1.0, 2.0, "worst pair: 2 inliers", "pair-1", is_good=False)
    svg = time_line(
        np.arange(3.0), [Series("inliers", np.arange(3.0))], list("abc"), [mark], title="T"
    )
    (link,) = elements(svg, "a")
    assert link.attrib["href"] == "#pair-1"
    assert link.find(f"{SVG}title").text == "worst pair: 2 inliers"


def test_the_time_line_is_cut_at_a_gap_and_keeps_extremes() -> None:
    secs = np.concatenate([np.arange(2000) / 10, 1000 + np.arange(2000) / 10])
    values = np.full(4000, 50.0)
    values[700] = 100
    svg = time_line(secs, [Series("matches", values)], ["x"] * 4000, title="Matches")
    lines = line_points(svg)
    assert len(lines) == 2
    assert max(len(line) for line in lines) <= 400
    (band,) = [
        use for use in elements(svg, "use") if "fill-opacity" in use.attrib.get("style", "")
    ][:1]
    target = band.attrib["{http://www.w3.org/1999/xlink}href"][1:]
    (shape,) = [one for one in elements(svg, "path") if one.attrib.get("id") == target]
    heights = [float(y) for y in re.findall(r"[ML] [-\d.]+ ([-\d.]+)", shape.attrib["d"])]
    highest = float(band.attrib["y"]) + min(heights)
    assert highest < min(y for line in lines for _, y in line) - 10, "the single 100 is not lost"


def test_a_histogram_tells_shares_in_bins_that_can_be_told_apart() -> None:
    spread = Spread("Depth", "metres", 0.5, 100)
    counts = spread.counts(np.array([0.1, 0.6, 0.7, 1.2, 900.0]))
    assert counts[:3].tolist() == [1, 2, 1]
    assert counts[-1] == 1
    svg = histogram(spread, [100, 300, 600, *[0] * 97])
    told = [one.text for one in elements(svg, "title")]
    assert told == [
        "0 to 0.5 metres: 10.0 %",
        "0.5 to 1 metres: 30.0 %",
        "1 to 1.5 metres: 60.0 %",
    ]


def test_the_same_chart_is_the_same_text() -> None:
    series = [Series("matches", np.arange(9.0))]
    charts = {time_line(np.arange(9.0), series, ["x"] * 9, title="T") for _ in range(2)}
    assert len(charts) == 1
