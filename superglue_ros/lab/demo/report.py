"""The pictures and the table of the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

import numpy as np
from rich.table import Table

from superglue_ros.drawing import draw_matches
from superglue_ros.images import write_image
from superglue_ros.lab.demo.results import Pair, disparity_errors
from superglue_ros.lab.demo.scenes import Scene

CORRECT_PX = 3.0


def write_pictures(folder: Path, scene: Scene, pairs: Sequence[Pair]) -> list[Path]:
    """Draw each pair into a file of its own.

    Raises:
        InputError: A file cannot be written.
    """
    paths = []
    for number, pair in enumerate(pairs, start=1):
        name = f"{scene.name}_{number:02}.png" if len(pairs) > 1 else f"{scene.name}.png"
        write_image(folder / name, draw_matches(*pair.images, *pair.features, pair.matches))
        paths.append(folder / name)
    return paths


def result_table(results: Sequence[tuple[Scene, Sequence[Pair]]]) -> Table:
    """A row for each scene, whose pairs are at least one."""
    table = Table(title="Received over ROS 2", caption=_CAPTION)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if table.columns else "left")
    for scene, pairs in results:
        table.add_row(*_row(scene, pairs))
    return table


_HEADINGS = (
    "scene",
    "frames",
    "keypoints\nper image",
    "pairs",
    "matches\nper pair",
    "mean\nconfidence",
    "extraction\nms",
    "matching\nms",
    f"within {CORRECT_PX:g} px\nof the truth",
)
_CAPTION = (
    "Counts are means, milliseconds medians. Extraction: image published (both of a stereo pair) "
    "to features received; matching: features received to matches received. The nodes had "
    "answered once before."
)


def _row(scene: Scene, pairs: Sequence[Pair]) -> list[str]:
    confidences = np.concatenate([pair.matches.confidences for pair in pairs])
    return [
        scene.name,
        str(len(scene.frames)),
        f"{mean(len(features) for pair in pairs for features in pair.features):.0f}",
        str(len(pairs)),
        f"{mean(len(pair.matches) for pair in pairs):.0f}",
        f"{confidences.mean():.2f}" if len(confidences) else "-",
        f"{median(pair.extraction_ms for pair in pairs):.0f}",
        f"{median(pair.matching_ms for pair in pairs):.0f}",
        _share_correct(scene, pairs),
    ]


def _share_correct(scene: Scene, pairs: Sequence[Pair]) -> str:
    if scene.disparity is None:
        return "no truth"
    errors = np.concatenate([disparity_errors(pair, scene.disparity) for pair in pairs])
    if not len(errors):
        return "-"
    return f"{np.mean(errors <= CORRECT_PX):.1%} of {len(errors)}"
