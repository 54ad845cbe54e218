"""The figures as a table, as JSON and as pictures of the best and the worst pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from superglue_ros.drawing import draw_matches
from superglue_ros.errors import InputError
from superglue_ros.images import write_image
from superglue_ros.lab.evaluation.runner import SetResult

Report = dict[str, dict[str, SetResult]]
"""Results by set, then by method."""

_FIRST_COLUMNS = ("keypoints", "matches", "precision", "precision 1px", "recall", "matching score")


def tables(report: Report) -> list[Table]:
    """A table for each set: a row a method."""
    return [_table(name, results) for name, results in report.items()]


def _table(name: str, results: Mapping[str, SetResult]) -> Table:
    known = {column for result in results.values() for column in result.figures} - {"pairs"}
    columns = [column for column in _FIRST_COLUMNS if column in known]
    columns += sorted(known - set(columns), key=_by_threshold)
    pairs = max(int(result.figures["pairs"]) for result in results.values())
    table = Table("method", *columns, title=f"{name} ({pairs} pairs)")
    for method, result in results.items():
        cells = [f"{result.figures[c]:.1f}" if c in result.figures else "" for c in columns]
        table.add_row(method, *cells)
    return table


def _by_threshold(column: str) -> tuple[str, float]:
    kind, _, threshold = column.partition("@")
    return kind, float(threshold or 0)


def write_json(report: Report, settings: Mapping[str, object], path: Path) -> None:
    """Write the figures and the settings they were measured with.

    Raises:
        InputError: The file cannot be written.
    """
    figures = {
        name: {method: result.figures for method, result in results.items()}
        for name, results in report.items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"settings": dict(settings), "sets": figures}, indent=1))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def write_pictures(report: Report, folder: Path) -> list[Path]:
    """Write each method's best and worst pair of each set; returns the files."""
    written = []
    for name, results in report.items():
        for method, result in results.items():
            for rank, pair in (("best", result.best), ("worst", result.worst)):
                path = folder / f"{name}-{method}-{rank}.png"
                images = (pair.pair.image0, pair.pair.image1)
                write_image(path, draw_matches(*images, *pair.features, pair.matches))
                written.append(path)
    return written
