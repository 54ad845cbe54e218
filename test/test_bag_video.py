"""The match pictures of a run as a video."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bag_helpers import frame
from numpy.typing import NDArray

from superglue_ros.bag.outputs import Summary
from superglue_ros.bag.results import FrameResult, ImageOrigin, ImageView, MatchedPair
from superglue_ros.bag.video import VIDEO_FILE, Video
from superglue_ros.config import DrawingConfig
from superglue_ros.errors import InputError
from superglue_ros.features import Matches
from superglue_ros.inference.tensors import FeatureTensors

av = pytest.importorskip("av")

SECOND = 1_000_000_000


def view(number: int, stamp_ns: int, *, columns: int = 160) -> ImageView:
    image = np.ascontiguousarray(frame(number)[:, :columns])
    points = torch.tensor([[10.0, 10.0], [20.0, 30.0]])
    features = FeatureTensors(points, torch.ones(2), torch.zeros(2, 0), (160, 120), "")
    origin = ImageOrigin(stamp_ns // SECOND, stamp_ns % SECOND, "camera", stamp_ns, image)
    return ImageView(features, origin.stamp_sec, origin)


def result(number: int, stamp_ns: int, **how: Any) -> FrameResult:
    index, score = np.int32([0, 1]), np.float32([1, 1])
    matches = Matches(index, index, score, score, "")
    views = view(number - 1, stamp_ns - 1, **how), view(number, stamp_ns, **how)
    return FrameResult(number, pairs=[MatchedPair(*views, matches)])


def write(folder: Path, parts: list[list[FrameResult]]) -> Path:
    """The video of some parts; an empty one has no picture."""
    video = Video(DrawingConfig())
    folders = [folder / f"part_{number}" for number in range(len(parts))]
    for part, results in zip(folders, parts, strict=True):
        part.mkdir()
        with ExitStack() as stack:
            add = stack.enter_context(video.part(part))
            for one in results:
                add(one)
    video.join(folders, folder, Summary(topics=()))
    return folder / VIDEO_FILE


def pictures(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            yield picture.time, picture.to_ndarray(format="gray")


def test_each_pair_is_shown_at_the_time_of_its_stamp(tmp_path: Path) -> None:
    begin = 1_700_000_000 * SECOND
    secs = [0, 0.05, 0.1, 0.4, 0.45]
    results = [result(n, begin + round(sec * SECOND)) for n, sec in enumerate(secs, start=1)]
    found = list(pictures(write(tmp_path, [results[:2], [], results[2:]])))
    assert [sec for sec, _ in found] == pytest.approx(secs, abs=1e-4)
    for number, (_, picture) in enumerate(found, start=1):
        assert picture.shape == (120, 324)
        right = picture[60:, 170:].astype(float)
        assert np.abs(right - frame(number)[60:, 6:]).mean() < 12
        assert np.abs(right - frame(number + 3)[60:, 6:]).mean() > 20


def test_the_video_is_one_that_browsers_play(tmp_path: Path) -> None:
    path = write(tmp_path, [[result(1, SECOND)]])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert container.format.name.startswith("mov,mp4")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("secs", [[0, 0.2, 0.4, 0.6], [0, 0.2, 0.4, 1.4, 1.6]])
def test_the_last_picture_lasts_as_long_as_the_others(secs: list[float], tmp_path: Path) -> None:
    results = [result(n, SECOND + round(sec * SECOND)) for n, sec in enumerate(secs, start=1)]
    with av.open(str(write(tmp_path, [results[:2], results[2:]]))) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(secs[-1] + 0.2, abs=0.01)


def test_time_that_is_set_back_does_not_stop_the_video(tmp_path: Path) -> None:
    secs = [10, 10.05, 3, 3.05, 3.05]
    results = [result(n, round(sec * SECOND)) for n, sec in enumerate(secs, start=1)]
    times = [sec for sec, _ in pictures(write(tmp_path, [results[:4], results[4:]]))]
    assert len(times) == len(secs)
    assert np.all(np.diff(times) > 0)


def test_pictures_of_any_size_fit_into_the_first_ones(tmp_path: Path) -> None:
    results = [result(1, SECOND, columns=155), result(2, 2 * SECOND, columns=90)]
    shapes = [picture.shape for _, picture in pictures(write(tmp_path, [results]))]
    assert shapes == [(120, 314)] * 2


def test_no_pair_gives_no_video(tmp_path: Path) -> None:
    assert not write(tmp_path, [[], []]).exists()


def test_without_pyav_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match="pip install av"):
        Video(DrawingConfig())
