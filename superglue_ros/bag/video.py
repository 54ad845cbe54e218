"""The match pictures of a run as an H.264 video that browsers play.

The encoder is FFmpeg's libx264, through PyAV. Neither is part of this package: whoever wants a
video installs them, and with them their licences (PyAV: BSD; FFmpeg: LGPL; x264: GPL, and H.264
itself is patented in some countries).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from superglue_ros.bag.outputs import Summary, WriteResult
from superglue_ros.bag.pictures import picture_of
from superglue_ros.bag.results import FrameResult, MatchedPair
from superglue_ros.config import DrawingConfig
from superglue_ros.drawing import BgrImage
from superglue_ros.errors import InputError
from superglue_ros.synchroniser import NANOSECONDS

VIDEO_FILE = "matches.mp4"

_STAMP_FILE = "matches.mp4.json"
_CLOCK_HZ = 90_000
_STEP = _CLOCK_HZ // 30  # between pictures whose stamps do not rise, and after the last one
_OPTIONS = {
    "preset": "veryfast",
    "crf": "23",
    "bf": "0",  # pictures are stored as they are shown: parts can be put one after the other
    "threads": "1",  # as many would change the bytes, and take cores from the networks
}


class Video:
    """matches.mp4.

    Args:
        config: How matches are drawn.

    Raises:
        InputError: PyAV is not installed, or has no H.264 encoder.
    """

    def __init__(self, config: DrawingConfig) -> None:
        """Look for the encoder."""
        self._config = config
        _check_encoder()

    @contextmanager
    def part(self, folder: Path) -> Iterator[WriteResult]:
        """See `Output`."""
        earlier = sorted(folder.parent.glob(f"part_*/{VIDEO_FILE}"))
        segment = _Segment(folder, _size_of(earlier[0]) if earlier else None, self._config)
        try:

            def write(result: FrameResult) -> None:
                for pair in result.pairs:
                    segment.add(pair)

            yield write
        finally:
            segment.close()

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """See `Output`."""
        found = [part for part in parts if (part / VIDEO_FILE).exists()]
        if found:
            _join(found, folder / VIDEO_FILE)


class _Segment:
    """The video of one part, its clock at 0 with its first picture."""

    def __init__(self, folder: Path, size: tuple[int, int] | None, config: DrawingConfig) -> None:
        """Take the folder, and the size where an earlier part has set it."""
        self._folder = folder
        self._config = config
        self._size = size
        self._container: Any = None
        self._begin_ns = self._newest = 0

    def add(self, pair: MatchedPair) -> None:
        picture = picture_of(pair, self._config)
        stamp_ns = pair.view1.origin.stamp_ns
        if self._container is None:
            self._open(picture, stamp_ns)
            at = 0
        else:
            at = _clock(stamp_ns - self._begin_ns)
            at = at if at > self._newest else self._newest + _STEP
        self._newest = at
        self._encode(picture, at)

    def close(self) -> None:
        if self._container is None:
            return
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _open(self, picture: BgrImage, stamp_ns: int) -> None:
        import av
        from av.video.reformatter import ColorRange, Colorspace

        self._size = self._size or _even_size(picture)
        self._begin_ns = stamp_ns
        (self._folder / _STAMP_FILE).write_text(json.dumps(stamp_ns))
        self._container = av.open(str(self._folder / VIDEO_FILE), "w")
        self._stream = self._container.add_stream("libx264", rate=30, options=_OPTIONS)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.colorspace = Colorspace.SMPTE170M  # OpenCV's, of BT.601
        self._stream.codec_context.color_range = ColorRange.MPEG
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, _CLOCK_HZ)

    def _encode(self, picture: BgrImage, at: int) -> None:
        import av

        assert self._size is not None
        # FFmpeg's own conversion reads past the right side, and gives other bytes from run to run
        planes = cv2.cvtColor(_fitted(picture, self._size), cv2.COLOR_BGR2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = at, Fraction(1, _CLOCK_HZ)
        self._container.mux(self._stream.encode(frame))


def _check_encoder() -> None:
    try:
        import av
    except ImportError:
        raise InputError("a video needs PyAV: pip install av") from None
    if "libx264" not in av.codecs_available:
        raise InputError("this PyAV has no encoder libx264: pip install --force-reinstall av")


def _join(parts: Sequence[Path], path: Path) -> None:
    """Copy the pictures of all parts, without decoding them, each at the time of its stamp."""
    import av

    begin_ns = json.loads((parts[0] / _STAMP_FILE).read_text())
    newest = -_STEP
    steps: list[int] = []
    waiting: Any = None  # how long a picture is shown is known with the next one
    with av.open(str(path), "w", options={"movflags": "faststart"}) as output:
        stream: Any = None
        for part in parts:
            with av.open(str(part / VIDEO_FILE)) as segment:
                given = segment.streams.video[0]
                if stream is None:
                    stream = output.add_stream_from_template(given)
                    stream.time_base = Fraction(1, _CLOCK_HZ)
                offset = _clock(json.loads((part / _STAMP_FILE).read_text()) - begin_ns)
                offset = offset if offset > newest else newest + _STEP
                for packet in segment.demux(given):
                    if packet.pts is None:  # the end
                        continue
                    newest = offset + round(packet.pts * (given.time_base or 0) * _CLOCK_HZ)
                    packet.pts = packet.dts = newest
                    packet.time_base = Fraction(1, _CLOCK_HZ)
                    packet.stream = stream
                    if waiting is not None:
                        steps.append(newest - waiting.pts)
                        waiting.duration = steps[-1]
                        output.mux(waiting)
                    waiting = packet
        if waiting is not None:
            waiting.duration = round(median(steps)) if steps else _STEP
            output.mux(waiting)


def _clock(duration_ns: int) -> int:
    return round(duration_ns * _CLOCK_HZ / NANOSECONDS)


def _even_size(picture: BgrImage) -> tuple[int, int]:
    """(width, height) of the video: even, as the encoding of colour wants it."""
    height, width = picture.shape[:2]
    return max(2, width - width % 2), max(2, height - height % 2)


def _size_of(path: Path) -> tuple[int, int]:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def _fitted(picture: BgrImage, size: tuple[int, int]) -> BgrImage:
    """The picture as large as fits, in the middle of one of (width, height)."""
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(scale * width)), max(1, round(scale * height))
    shrunk = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    fitted = np.zeros((size[1], size[0], 3), np.uint8)
    fitted[top : top + inner[1], left : left + inner[0]] = shrunk
    return fitted
