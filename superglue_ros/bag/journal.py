"""The finished parts of a run, from which an interrupted one goes on.

A part is a folder with a piece of each output, beside what the next part needs to know. It counts
once it has its final name; whatever interrupts a run, the parts before it are whole.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from superglue_ros.bag.analysis import Analysis
from superglue_ros.bag.outputs import Output
from superglue_ros.bag.results import FrameResult, ImageOrigin, ImageView
from superglue_ros.errors import InputError
from superglue_ros.features import Features

if TYPE_CHECKING:  # takes seconds to import
    import torch

_RUN, _STATE, _ARRAYS, _LOCK = "run.json", "state.json", "state.npz", "lock"
_NUMBERS = re.compile(r"\d+(\.\d+)?")
_OF_FEATURES = ("keypoints", "scores", "descriptors")


class Journal:
    """The work folder of a run, of one process at a time; a context manager.

    Args:
        folder: The folder.
        run: All that decides the results: input, settings, weights.
        resume: Whether to go on with a run that is there.

    Raises:
        InputError: There is a run that is not to be gone on with, or one that was another, or one
            that another process is at.

    Attributes:
        folder: The folder.
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
        is_new = not (folder / _RUN).exists()
        if not is_new:
            self._check(text, resume=resume)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / _LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise InputError(f"another process is at work in {folder}") from None
        if is_new:
            unfinished = folder / f"{_RUN}.unfinished"
            unfinished.write_text(text)
            unfinished.rename(folder / _RUN)
        for path in self.parts:
            state = json.loads((path / _STATE).read_text())
            self.next_index, self._views = state["next_index"], state["views"]
            self.counts = Counter(state["counts"])

    def __enter__(self) -> Journal:
        """The journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the folder to other processes."""
        self._lock.close()

    @property
    def parts(self) -> list[Path]:
        """The folders of the parts, in order."""
        return sorted(self.folder.glob("part_*"))

    def views(self, device: torch.device) -> list[ImageView]:
        """What the next part has to remember of the earlier ones, its features on a device."""
        if not self._views:
            return []
        with np.load(self.parts[-1] / _ARRAYS) as arrays:
            return [
                _view(known, number, arrays, device) for number, known in enumerate(self._views)
            ]

    def restore(self, analysis: Analysis) -> None:
        """Let the analysis go on from the last part, if there is one."""
        if self.parts:
            with np.load(self.parts[-1] / _ARRAYS) as arrays:
                analysis.restore(arrays)

    def write_part(
        self, results: Iterable[FrameResult], analysis: Analysis, outputs: Sequence[Output]
    ) -> None:
        """Analyse the results of some frames and write them as the next part."""
        unfinished = self.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        views: tuple[ImageView, ...] = ()
        with ExitStack() as stack:
            writers = [stack.enter_context(output.part(unfinished)) for output in outputs]
            for result in map(analysis.of, results):
                for write in writers:
                    write(result)
                count_result(self.counts, result)
                self.next_index, views = result.index + 1, result.remembered
        self._views = [_known(view) for view in views]
        state = {"next_index": self.next_index, "counts": self.counts, "views": self._views}
        (unfinished / _STATE).write_text(json.dumps(state))
        arrays = {**_arrays(views), **analysis.state()}
        np.savez(unfinished / _ARRAYS, allow_pickle=False, **arrays)
        unfinished.rename(self.folder / f"part_{len(self.parts):06}")

    def _check(self, run: str, *, resume: bool) -> None:
        if not resume:
            raise InputError(
                f"{self.folder} holds an interrupted run: go on with --resume, or remove it"
            )
        if (self.folder / _RUN).read_text() != run:
            raise InputError(
                f"{self.folder} is of a run with other settings or another input: give the same "
                "ones, or remove it"
            )


def count_result(counts: Counter[str], result: FrameResult) -> None:
    """Add what came of one frame to the counts of a run."""
    counts["frames"] += 1
    counts["pairs"] += len(result.pairs)
    counts["keypoints"] += sum(len(view.features) for view in result.views)
    counts["images"] += len(result.views)
    counts["matches"] += sum(len(pair.matches) for pair in result.pairs)
    for kind, reason in (("unusable", result.problem), ("unpaired", result.unpaired)):
        if reason:
            counts[f"{kind}: {reason}"] += 1


def reasons(counts: Counter[str], kind: str) -> dict[str, int]:
    """The counts of a kind of reason, "unusable" or "unpaired", the most frequent first.

    Reasons that differ in their numbers alone are one, told with those of the first.
    """
    begin = f"{kind}: "
    first: dict[str, str] = {}
    found: Counter[str] = Counter()
    for key, number in counts.items():
        if key.startswith(begin):
            reason = key.removeprefix(begin)
            found[first.setdefault(_NUMBERS.sub("#", reason), reason)] += number
    return dict(found.most_common())


def _arrays(views: Sequence[ImageView]) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for number, view in enumerate(views):
        features = view.tensors.to_features()
        arrays |= {f"{name}{number}": getattr(features, name) for name in _OF_FEATURES}
        if features.patches is not None:
            arrays[f"patches{number}"] = features.patches
        arrays[f"image{number}"] = view.origin.image
    return arrays


def _known(view: ImageView) -> dict[str, Any]:
    """All of a view but its arrays."""
    origin = view.origin
    return {
        "origin": [origin.sec, origin.nanosec, origin.frame_id, origin.time_ns],
        "image_size": list(view.tensors.image_size),
        "patch_scale": view.tensors.patch_scale,
        "extractor": view.tensors.extractor,
    }


def _view(known: dict[str, Any], number: int, arrays: Any, device: torch.device) -> ImageView:
    from superglue_ros.inference.tensors import FeatureTensors

    width, height = known["image_size"]
    features = Features(
        image_size=(width, height),
        extractor=known["extractor"],
        patches=arrays.get(f"patches{number}"),
        patch_scale=known["patch_scale"],
        **{name: arrays[f"{name}{number}"] for name in _OF_FEATURES},
    )
    sec, nanosec, frame_id, time_ns = known["origin"]
    origin = ImageOrigin(sec, nanosec, frame_id, time_ns, arrays[f"image{number}"])
    return ImageView(FeatureTensors.from_features(features, device), origin.stamp_sec, origin)
