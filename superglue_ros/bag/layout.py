"""The layout that shows the bag of a run in Foxglove or Lichtblick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from superglue_ros.bag.outputs import Summary, WriteResult
from superglue_ros.viewers.foxglove import foxglove_layout

LAYOUT_FILE = "foxglove_layout.json"


class Layout:
    """foxglove_layout.json.

    Args:
        mode: Of the run.
    """

    def __init__(self, mode: str) -> None:
        """Take what the layout depends on."""
        self._mode = "stereo" if mode == "stereo" else "mono"

    @contextmanager
    def part(self, folder: Path) -> Iterator[WriteResult]:
        """See `Output`; it needs no results."""
        yield lambda result: None

    def join(self, parts: Sequence[Path], folder: Path, summary: Summary) -> None:
        """See `Output`."""
        (folder / LAYOUT_FILE).write_text(foxglove_layout(mode=self._mode, live=False))
