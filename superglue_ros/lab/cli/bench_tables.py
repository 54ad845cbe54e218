"""What `superglue-ros bench` prints: a table for each condition, 80 columns wide."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from superglue_ros.cli.tables import print_table
from superglue_ros.lab.benchmark.results import BagRow, NodeRow, Results, Row, StageRow

OURS = "superglue_ros"

_LEGEND = (
    "CPU: processor time of all threads; per s: images or pairs; times ours, times\n"
    "floor: beside the first line, the hardware; same matches: as plain PyTorch"
)


def print_results(results: Results) -> None:
    """Print all that was measured, and on what."""
    print(", ".join(f"{name} {value}" for name, value in results.machine.items()))
    for device, ceilings in results.ceilings.items():
        print(f"{device}: at most " + ", ".join(_ceiling(*one) for one in ceilings.items()))
    print()
    for condition, rows in groupby(results.rows, _condition):
        _print_rows(condition, list(rows))
    if any(not row.stage.startswith("growth") for row in results.rows):
        print(_LEGEND)
    _print_stages(results.stages)
    for condition, nodes in groupby(results.nodes, _node_condition):
        _print_nodes(condition, list(nodes))
    _print_bags(results.bags)
    for line in results.left_out:
        print(f"not measured: {line}")


def _ceiling(name: str, value: float) -> str:
    """A ceiling with its unit, which its name holds."""
    for ending, unit in (("gflops", "GFLOP/s"), ("_gb_s", "GB/s")):
        if name.endswith(ending):
            return f"{_figure(value)} {unit} {name.removesuffix(ending).replace('_', ' ')}".strip()
    return f"{name} {_figure(value)}"


def _condition(row: Row) -> str:
    """What the rows of one table have in common, in words."""
    if row.stage.startswith("growth"):
        return f"{row.stage} ({row.device}, a process each, {row.runs} runs)"
    parts = [row.stage, f"{row.keypoints} keypoints"]
    if row.width:
        parts.insert(1, f"{row.width}x{row.height}")
    if row.batch > 1:
        parts.append(f"{row.batch} at once")
    return ", ".join(parts)


def _print_rows(condition: str, rows: Sequence[Row]) -> None:
    first = rows[0]
    growth = first.stage.startswith("growth")
    floors = " or ".join(dict.fromkeys(_figure(row.floor_ms) for row in rows if row.floor_ms))
    floor = f"; floor {floors} ms" if floors else ""
    title = condition if growth else f"{condition} ({first.device}, {first.runs} runs{floor})"
    columns = ["p50\nms", "p95\nms", "p99\nms", "CPU\nms", "per\ns"]
    columns += ["peak\nMiB"] if growth else ["times\nours", "times\nfloor", "same\nmatches"]
    table = _table(title, "", *columns)
    for row in rows:
        times = (row.p50_ms, row.p95_ms, row.p99_ms, row.cpu_ms, row.per_second)
        others = (row.peak_mib,) if growth else _ratios(row, first)
        table.add_row(_name(row), *(_figure(value) for value in (*times, *others)))
    print_table(table)
    print()


def _name(row: Row) -> str:
    """What tells a row from the others of its table."""
    if row.stage.startswith("growth"):
        return {
            "keypoints": f"{row.keypoints} keypoints",
            "size": f"{row.width}x{row.height}",
            "batch": f"{row.batch} at once",
            "cameras": f"cameras: {row.batch}",
        }[row.stage.removeprefix("growth with ")]
    if row.contender != OURS:
        return row.contender
    return f"ours, {row.engine} {row.computes_in}"


def _ratios(row: Row, first: Row) -> Iterator[float | str]:
    yield row.p50_ms / first.p50_ms
    yield row.p50_ms / row.floor_ms if row.floor_ms else ""
    yield "" if row.same_matches is None else f"{row.same_matches:.1%}"


def _print_stages(rows: Sequence[StageRow]) -> None:
    if not rows:
        return
    table = _table("images and messages, in one process", "", "of", "bytes", "p50 ms", "p95 ms")
    for row in rows:
        of = f"{row.keypoints} keypoints" if row.keypoints else f"{row.width}x{row.height}"
        size = str(row.size_bytes) if row.size_bytes else ""
        table.add_row(row.stage, of, size, _figure(row.p50_ms), _figure(row.p95_ms))
    print_table(table)
    print()


def _node_condition(row: NodeRow) -> str:
    asked_for = [one for one in (row.device, row.engine, row.precision) if one != "auto"]
    pairs = f"stereo pairs of {row.width}x{row.height}, {row.keypoints} keypoints"
    return ", ".join((f"nodes, {pairs}", *asked_for))


def _print_nodes(condition: str, rows: Sequence[NodeRow]) -> None:
    """A line for each field, a column for each of the rows."""
    table = _table(condition, "", *(row.name.replace(" + ", " +\n") for row in rows))
    columns = [dataclasses.asdict(row) for row in rows]
    shared = [field.name for field in dataclasses.fields(NodeRow)]
    for name in shared[shared.index("frames") :]:
        table.add_row(name.replace("_", " "), *(_figure(column[name]) for column in columns))
    print_table(table)
    print()


def _print_bags(rows: Sequence[BagRow]) -> None:
    if not rows:
        return
    title = f"frames a second, {rows[0].frames} frames, the networks alone and from bag to bag"
    table = _table(title, "", "rounds", "networks", "bag to bag", "share")
    for row in rows:
        precision = "" if row.precision == "auto" else f" {row.precision}"
        name = f"{row.engine}{precision} ({row.device}), {row.keypoints} keypoints"
        name += f", {row.batch} at once" if row.batch > 1 else ""
        rates = (_figure(row.networks_hz), _figure(row.run_hz))
        table.add_row(name, str(row.rounds), *rates, f"{row.share:.1%}")
    print_table(table)
    print()


def _table(title: str, first: str, *columns: str) -> Table:
    print(title)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figure(value: Any) -> str:
    """A number in three digits or, where it has more before the point, in those."""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 if abs(value) >= 1 else 3}f}" if abs(value) < 10 else f"{value:.1f}"
