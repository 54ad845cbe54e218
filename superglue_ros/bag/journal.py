"""The finished parts of a run, from which an interrupted one goes on.

A part is a small bag of its own beside what the next part needs to know. It counts once it has its
final name; whatever interrupts a run, the parts before it are whole.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from superglue_ros.bag.matching import (
    FrameMatching,
    FrameResult,
    ImageOrigin,
    ImageView,
    count_result,
)
from superglue_ros.bag.messages import write_result
from superglue_ros.bag.writer import BagWriter
from superglue_ros.errors import InputError
from superglue_ros.features import Features
from superglue_ros.synchroniser import NANOSECONDS

_RUN, _STATE, _VIEWS, _BAG = "run.json", "state.json", "views.npz", "bag"


class Journal:
    """The work folder of a run.

    Args:
        folder: The folder.
        run: All that decides the results: input, settings, weights.
        resume: Whether to go on with a run that is there.

    Raises:
        InputError: There is a run that is not to be gone on with, or one that was another.

    Attributes:
        next_index: The frame that the next part begins with.
        counts: What the parts hold, see `count_result`.
    """

    def __init__(self, folder: Path, run: dict[str, Any], *, resume: bool) -> None:
        """Make the folder, or find what is done in it."""
        self.folder = folder
        self.next_index = 0
        self.counts: Counter[str] = Counter()
        self._views: list[dict[str, Any]] = []
        text = json.dumps(run, indent=1, sort_keys=True)
        if folder.exists():
            self._check(text, resume=resume)
        else:
            folder.mkdir(parents=True)
            (folder / _RUN).write_text(text)
        for path in self._part_folders():
            state = json.loads((path / _STATE).read_text())
            self.next_index, self._views = state["next_index"], state["views"]
            self.counts = Counter(state["counts"])

    @property
    def bags(self) -> list[Path]:
        """The bags of the parts, in order."""
        return [path / _BAG for path in self._part_folders()]

    def views(self) -> list[ImageView]:
        """What the next part has to remember of the earlier ones."""
        if not self._views:
            return []
        with np.load(self._part_folders()[-1] / _VIEWS) as arrays:
            return [
                _view(known, {name: arrays[f"{name}{number}"] for name in _ARRAYS})
                for number, known in enumerate(self._views)
            ]

    def write_part(
        self, results: Iterable[FrameResult], matching: FrameMatching, *, with_descriptors: bool
    ) -> None:
        """Write the results of some frames as the next part."""
        number = len(self._part_folders())
        unfinished = self.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        with BagWriter(unfinished / _BAG) as bag:
            for result in results:
                write_result(bag, result, with_descriptors=with_descriptors)
                count_result(self.counts, result)
                self.next_index = result.index + 1
        views = [] if matching.partners is None else matching.partners.remembered()
        self._views = [_known(view) for view in views]
        _write_state(unfinished, self.next_index, self.counts, views)
        unfinished.rename(self.folder / f"part_{number:06}")

    def _check(self, run: str, *, resume: bool) -> None:
        known = self.folder / _RUN
        if not resume:
            raise InputError(
                f"{self.folder} holds an interrupted run: go on with --resume, or remove it"
            )
        if not known.is_file() or known.read_text() != run:
            raise InputError(
                f"{self.folder} is of a run with other settings or another input: give the same "
                "ones, or remove it"
            )

    def _part_folders(self) -> list[Path]:
        return sorted(self.folder.glob("part_*"))


_ARRAYS = ("keypoints", "scores", "descriptors")


def _write_state(
    folder: Path, next_index: int, counts: Counter[str], views: list[ImageView]
) -> None:
    state = {
        "next_index": next_index,
        "counts": dict(counts),
        "views": [_known(view) for view in views],
    }
    (folder / _STATE).write_text(json.dumps(state))
    arrays = {
        f"{name}{number}": getattr(view.features, name)
        for number, view in enumerate(views)
        for name in _ARRAYS
    }
    np.savez(folder / _VIEWS, allow_pickle=False, **arrays)


def _known(view: ImageView) -> dict[str, Any]:
    """All of a view but its arrays."""
    return {
        "origin": dataclasses.asdict(view.origin),
        "image_size": list(view.features.image_size),
        "extractor": view.features.extractor,
    }


def _view(known: dict[str, Any], arrays: dict[str, Any]) -> ImageView:
    width, height = known["image_size"]
    features = Features(image_size=(width, height), extractor=known["extractor"], **arrays)
    origin = ImageOrigin(**known["origin"])
    return ImageView(features, origin.sec + origin.nanosec / NANOSECONDS, origin)
