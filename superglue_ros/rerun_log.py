"""Matches on a time line in Rerun (https://rerun.io), live in its viewer or in a file for it.

The pair of images is one plane, as in the pictures: `pair` with `pair/keypoints`, `pair/matches`
and `pair/tracks`, where each match can be picked and each layer be turned off. What is in space is
below `camera`, in its frame: x to the right, y down, z forward. `counts`, `shares` and `latency`
are curves: the numbers of MatchStatistics messages.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superglue_ros.config import DrawingConfig
from superglue_ros.drawing.colours import (
    Colours,
    Flags,
    confidence_colours,
    keypoint_colours,
    match_colours,
)
from superglue_ros.drawing.layouts import Canvas, Image, arrange
from superglue_ros.drawing.tails import Tails, split
from superglue_ros.errors import InputError
from superglue_ros.features import Features, FloatArray, Matches
from superglue_ros.match_statistics import match_statistics

APPLICATION = "superglue_ros"
VIEWER = "viewer"
TIME_LINE = "stamp"

OLDEST_VERSION = "0.34"
"""Of rerun-sdk; older ones lack what is called here."""

_JPEG_QUALITY = 85
_ADDRESS = "rerun+http"


class RerunLog:
    """Logs pairs of images and what is known of them; a context manager.

    Args:
        target: A file ending in .rrd to write, `viewer` to start a viewer on this machine, or the
            address of one that runs: rerun+http://HOST:9876/proxy.
        config: Layout, colours and size of the pair; the defaults where None.
        recording: Id of the recording; files of one id are parts of one, see `join_recordings`.
        has_layout: Whether the viewer is told how to lay it out; once a recording is enough.

    Raises:
        InputError: Rerun is not installed or too old, or the target is of another kind or cannot
            be used.
    """

    def __init__(
        self,
        target: str,
        config: DrawingConfig | None = None,
        *,
        recording: str | None = None,
        has_layout: bool = True,
    ) -> None:
        """Open the file or connect to the viewer."""
        self.config = config or DrawingConfig()
        self._rerun = import_rerun()
        self._stream: Any = self._rerun.RecordingStream(APPLICATION, recording_id=recording)
        self._stream.set_log_tick_enabled(False)
        self._open(target, self._blueprint() if has_layout else None)
        coordinates = self._rerun.ViewCoordinates.RDF
        self._stream.log("camera", coordinates, static=True)

    def __enter__(self) -> RerunLog:
        """The log."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it, whatever happened."""
        self.close()

    def close(self) -> None:
        """Write or send what is still under way."""
        self._stream.flush(timeout_sec=10.0)
        self._stream.disconnect()

    def log_pair(
        self,
        images: tuple[Image | None, Image],
        features: tuple[Features, Features],
        matches: Matches,
        *,
        stamp_ns: int | None = None,
        inliers: Flags | None = None,
        tails: Tails | None = None,
        milliseconds: float = 0.0,
    ) -> None:
        """Log the matches of two images; see `drawing.draw_matches` for the arguments.

        Args:
            images: Image 0, None where there is none to show, and image 1.
            features: The keypoints of both.
            matches: Of the two.
            stamp_ns: The stamp of image 1 in nanoseconds since the epoch; None for no time.
            inliers: (K,) bool, which matches agree with the geometry, where that is known.
            tails: The tracks of image 1, where there are any.
            milliseconds: From image 1 to its matches, 0 where that is not known.
        """
        self._set_time(stamp_ns)
        features = (features[0], matches.refined(features[1]))
        canvas = arrange(*images, self.config)
        by_inlier = self.config.colour == "inlier"
        shown = match_colours(matches.confidences, inliers if by_inlier else None)
        points = [
            place.carry(of_image.keypoints, of_image.image_size)
            for place, of_image in zip((canvas.place0, canvas.place1), features, strict=True)
        ]
        image = self._rerun.Image(canvas.picture, "BGR").compress(jpeg_quality=_JPEG_QUALITY)
        self._stream.log("pair", image)
        self._log_keypoints(canvas, points, matches, shown.colours)
        index0, index1 = matches.pairs.T
        has_lines = images[0] is not None
        lines = np.stack([points[0][index0], points[1][index1]], axis=1)
        self._log_strips("pair/matches", lines if has_lines else lines[:0], shown.colours)
        if tails is not None:
            places = canvas.place1.carry(tails.points, features[1].image_size)
            of_keypoint = keypoint_colours(len(features[1]), index1, shown.colours)
            strips = split(places, tails.lengths)
            self._log_strips("pair/tracks", strips, of_keypoint[tails.keypoints])
        self._log_numbers(features, matches, inliers, tails, milliseconds)

    def log_points(
        self, positions: FloatArray, confidences: FloatArray, *, stamp_ns: int | None = None
    ) -> None:
        """Log (N, 3) points in metres in the camera's frame, with their (N,) confidences."""
        self._set_time(stamp_ns)
        colours = _rgb(confidence_colours(confidences))
        self._stream.log("camera/points", self._rerun.Points3D(positions, colors=colours))

    def log_camera(
        self,
        matrix: NDArray[np.float64],
        image_size: tuple[int, int],
        *,
        stamp_ns: int | None = None,
    ) -> None:
        """Log the camera that sees the points: its (3, 3) K, and (width, height) of its image."""
        self._set_time(stamp_ns)
        pinhole = self._rerun.Pinhole(image_from_camera=matrix, resolution=image_size)
        self._stream.log("camera/view", pinhole)

    def _open(self, target: str, blueprint: Any) -> None:
        is_file, is_address = target.endswith(".rrd"), target.startswith(_ADDRESS)
        if not (is_file or is_address or target == VIEWER):
            raise InputError(
                f"cannot log to {target!r}: give a file ending in .rrd, {VIEWER}, or the "
                f"address of a viewer, {_ADDRESS}://HOST:9876/proxy"
            )
        try:
            if target == VIEWER:
                self._stream.spawn(default_blueprint=blueprint)
            elif is_address:
                self._stream.connect_grpc(target, default_blueprint=blueprint)
            else:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                self._stream.save(target, default_blueprint=blueprint)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"cannot log to {target}: {error}") from error

    def _blueprint(self) -> Any:
        from rerun import blueprint

        return blueprint.Blueprint(
            blueprint.Vertical(
                blueprint.Spatial2DView(origin="pair", name="Matches"),
                blueprint.Horizontal(
                    blueprint.Spatial3DView(origin="camera", name="Points"),
                    blueprint.TimeSeriesView(origin="counts", name="Counts"),
                    blueprint.TimeSeriesView(origin="shares", name="Confidence, refined share"),
                ),
                row_shares=[3, 2],
            ),
            collapse_panels=True,
        )

    def _set_time(self, stamp_ns: int | None) -> None:
        if stamp_ns is not None:
            self._stream.set_time(TIME_LINE, timestamp=np.datetime64(stamp_ns, "ns"))

    def _log_keypoints(
        self, canvas: Canvas, points: Sequence[FloatArray], matches: Matches, colours: Colours
    ) -> None:
        both = zip(points, (matches.matches0, matches.matches1), matches.pairs.T, strict=True)
        places, shades, radii = [], [], []
        for positions, partners, matched in list(both)[canvas.alone :]:
            places.append(positions)
            shades.append(keypoint_colours(len(positions), matched, colours))
            radii.append(np.where(partners >= 0, -2.5, -1.2))  # negative: in points of the screen
        keypoints = self._rerun.Points2D(
            np.concatenate(places), colors=_rgb(np.concatenate(shades)), radii=np.concatenate(radii)
        )
        self._stream.log("pair/keypoints", keypoints)

    def _log_strips(self, entity: str, strips: Any, colours: Colours) -> None:
        lines = self._rerun.LineStrips2D(strips, colors=_rgb(colours)[: len(strips)], radii=-0.6)
        self._stream.log(entity, lines)

    def _log_numbers(
        self,
        features: tuple[Features, Features],
        matches: Matches,
        inliers: Flags | None,
        tails: Tails | None,
        milliseconds: float,
    ) -> None:
        """Log what MatchStatistics messages have, and the number of tracks."""
        numbers = match_statistics(features, matches, inliers, milliseconds)
        scalars: dict[str, float] = {
            **{f"counts/{name}": numbers[name] for name in ("keypoints0", "keypoints1", "matches")},
            **{f"shares/{name}": numbers[name] for name in ("median_confidence", "refined_share")},
        }
        if inliers is not None:
            scalars["counts/inliers"] = numbers["inliers"]
        if tails is not None:
            scalars["counts/tracks"] = len(tails)
        if milliseconds:
            scalars["latency/milliseconds"] = milliseconds
        for entity, value in scalars.items():
            self._stream.log(entity, self._rerun.Scalars(value))


def join_recordings(parts: Sequence[Path], path: Path) -> None:
    """Make one file of those of one recording, which it needs the memory for.

    Raises:
        InputError: One of them cannot be read, or the file not be written.
    """
    # Files of several that were put one after the other are none: each ends with its index
    command = [sys.executable, "-m", "rerun_cli", "rrd", "merge", *map(str, parts), "-o", str(path)]
    merged = subprocess.run(command, capture_output=True, text=True, check=False)
    if merged.returncode:
        said = merged.stderr.strip().splitlines() or [f"status {merged.returncode}"]
        raise InputError(f"Rerun cannot join the parts of {path}: {said[-1]}")


def _rgb(colours: Colours) -> Colours:
    return np.ascontiguousarray(colours[:, ::-1])


def import_rerun() -> ModuleType:
    """The module.

    Raises:
        InputError: It is not installed, or is too old.
    """
    try:
        import rerun
    except ImportError:
        raise InputError("Rerun is not installed: pip install rerun-sdk") from None
    version = getattr(rerun, "__version__", "unknown")  # of a namesake
    if _numbers(version) < _numbers(OLDEST_VERSION):
        raise InputError(
            f"Rerun is too old, version {version} instead of {OLDEST_VERSION} or newer: "
            "pip install --upgrade rerun-sdk"
        )
    return rerun


def _numbers(version: str) -> list[int]:
    """The first two of a version, or none."""
    return [int(number) for number in re.findall(r"\d+", version)[:2]]
