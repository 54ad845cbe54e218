"""`superglue-ros bench`: how fast it is here, beside the hardware's floor and beside others."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superglue_ros.bag.config import BagConfig
from superglue_ros.cli.flags import Flags, add_flags, flag_of
from superglue_ros.config import SuperPointConfig
from superglue_ros.errors import InputError

if TYPE_CHECKING:  # what imports PyTorch takes seconds: help and mistyped flags come before it
    from superglue_ros.benchmark.results import NodeRow, Results, Row, StageRow
    from superglue_ros.benchmark.run import Plan

_STAGE_REPEATS = 200

_OF_BAG = Flags(BagConfig, names=("mode", "topic", "right_topic"))

_WORDS = {known.name: known.choices for known in SuperPointConfig.describe()}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "bench",
        description="Measure extracting, matching and both, on a real stereo pair and with every "
        "layer of SuperGlue in use, in turns with plain PyTorch, transformers and OpenCV's SIFT. "
        "Ctrl-C gives what was measured so far.",
    )
    parser.add_argument("--short", action="store_true", help="a few conditions, in a few minutes")
    parser.add_argument(
        "--keypoints", type=_positive, nargs="+", metavar="N", help="keypoints of an image"
    )
    parser.add_argument(
        "--sizes", type=_size, nargs="+", metavar="WxH", help="sizes of the images in pixels"
    )
    parser.add_argument(
        "--batches", type=_positive, nargs="+", metavar="N", help="images extracted from at once"
    )
    parser.add_argument("--devices", nargs="+", metavar="DEVICE", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--engines", nargs="+", choices=_WORDS["engine"], help="default auto torch")
    parser.add_argument("--precisions", nargs="+", choices=_WORDS["precision"], help="default auto")
    parser.add_argument("--repeats", type=_positive, metavar="N", help="runs of each")
    parser.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure the other implementations too (default yes)",
    )
    parser.add_argument(
        "--bag",
        type=Path,
        metavar="BAG",
        help="measure matching over this recorded bag beside its networks alone, nothing else",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file to write the figures to")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="measure how time and memory grow with keypoints, size, batch and cameras too, and "
        "draw it",
    )
    parser.add_argument(
        "--ros",
        action="store_true",
        help="measure the nodes alone: what they take beside the networks, in processes of their "
        "own (with the last of --keypoints and --sizes)",
    )
    add_flags(parser.add_argument_group("which images of --bag"), {"bag": _OF_BAG})
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the benchmark of a command line.

    Raises:
        InputError: A value cannot be used, or a file not be written.
    """
    if arguments.bag is not None:
        _measure_bag(arguments)
        return
    for name in _OF_BAG.settings():
        if name in arguments:
            raise InputError(f"{flag_of(name)} has no effect without --bag")
    from superglue_ros.benchmark.results import Results

    plan = _plan(arguments)
    results = Results()
    try:
        if arguments.ros:
            _measure_ros(plan, results)
        else:
            _measure(plan, results, grow=arguments.plot is not None)
    except KeyboardInterrupt:
        print("interrupted: these are the figures so far", file=sys.stderr)
    _print(results)
    if arguments.json is not None:
        _write_json(results.to_json(), arguments.json)
    if arguments.plot is not None:
        from superglue_ros.benchmark.plot import plot_growth

        plot_growth(results.rows, arguments.plot)
        print(f"wrote {arguments.plot}")


def _measure_bag(arguments: argparse.Namespace) -> None:
    config = _OF_BAG.read(arguments)
    from superglue_ros.bag.throughput import measure_throughput
    from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor

    networks = SuperPointExtractor(), SuperGlueMatcher()
    found = measure_throughput(arguments.bag, config, *networks)
    print(
        f"{found.frames} frames: {found.run_hz:.2f} a second from bag to bag, "
        f"{found.networks_hz:.2f} by the networks alone: {found.share:.1%}"
    )
    if arguments.json is not None:
        _write_json(dataclasses.asdict(found), arguments.json)


def _plan(arguments: argparse.Namespace) -> Plan:
    from superglue_ros.benchmark.run import SHORT, Plan

    plan = SHORT if arguments.short else Plan()
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name in (field.name for field in dataclasses.fields(Plan))
        if (value := getattr(arguments, name)) is not None
    }
    return dataclasses.replace(plan, **given)


def _measure(plan: Plan, results: Results, *, grow: bool) -> None:
    """Fill the results, with a progress bar."""
    import tempfile

    from rich.progress import Progress, TimeElapsedColumn

    from superglue_ros.benchmark import growth
    from superglue_ros.benchmark.run import run as run_plan
    from superglue_ros.benchmark.run import steps
    from superglue_ros.benchmark.weights import every_layer

    total = steps(plan) + (len(growth.POINTS) if grow else 0)
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as progress:
        task = progress.add_task("loading", total=total)

        def on_run(text: str) -> None:
            progress.update(task, advance=1, description=text)

        run_plan(plan, results, on_run)
        if grow:
            with tempfile.TemporaryDirectory() as folder:
                weights = every_layer(Path(folder) / "superglue.safetensors")
                for device in plan.devices:
                    for row in growth.measure_growth(device, weights, on_run):
                        results.rows.append(row)
        progress.update(task, completed=total)
    results.complete = True


def _measure_ros(plan: Plan, results: Results) -> None:
    """Fill the results with what the nodes take."""
    from rich.progress import track

    from superglue_ros.benchmark.results import describe_machine
    from superglue_ros.benchmark.run import stereo_images
    from superglue_ros.demo.processes import NodeError

    try:
        from superglue_ros.nodes import benchmark
    except ImportError as error:
        raise InputError(
            f"--ros needs ROS 2 and the built package ({error}); take ./run bench --ros"
        ) from error

    results.machine = describe_machine()
    images = stereo_images(plan.sizes[-1])
    results.stages = benchmark.measure_stages(images, plan.keypoints[-1], _STAGE_REPEATS)
    frames = 4 * plan.repeats
    ticks = iter(track(range(frames * len(benchmark.ARRANGEMENTS)), "nodes"))

    def on_frame(name: str) -> None:
        next(ticks)

    parameters = {"max_keypoints": plan.keypoints[-1], "device": plan.devices[0]}
    try:
        for row in benchmark.measure_nodes(images, parameters, frames, on_frame):
            results.nodes.append(row)
    except NodeError as failure:
        raise InputError(str(failure)) from failure
    results.complete = True


def _print(results: Results) -> None:
    print(", ".join(f"{name} {value}" for name, value in results.machine.items()))
    for device, ceilings in results.ceilings.items():
        print(f"{device}: " + ", ".join(f"{value:.0f} {name}" for name, value in ceilings.items()))
    for condition, rows in itertools.groupby(results.rows, _condition):
        _print_condition(condition, list(rows))
    for title, some in (("messages, in one process", results.stages), ("nodes", results.nodes)):
        if some:
            _print_fields(title, some)


def _print_fields(title: str, rows: Sequence[StageRow] | Sequence[NodeRow]) -> None:
    """A table with a row for each field, a column for each of the rows."""
    from rich.table import Table

    from superglue_ros.cli.tables import print_table

    table = Table(title=title, title_justify="left")
    columns = [dataclasses.asdict(row) for row in rows]
    if len(columns) > len(columns[0]):
        for name in columns[0]:
            table.add_column(name.replace("_", " "))
        lines = [list(column.values()) for column in columns]
    else:
        names = list(columns[0])
        for column in [{names[0]: names[0]}, *columns]:
            table.add_column(str(column[names[0]]))
        lines = [[name.replace("_", " "), *(one[name] for one in columns)] for name in names[1:]]
    for line in lines:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in line))
    print_table(table)


def _condition(row: Row) -> str:
    """What the rows of one table have in common, in words."""
    if row.stage.startswith("growth"):
        return f"{row.stage} ({row.device}, a process each)"
    size = f", {row.width}x{row.height}" if row.width else ""
    return f"{row.stage}{size}, {row.keypoints} keypoints, batch {row.batch} ({row.device})"


def _print_condition(condition: str, rows: Sequence[Row]) -> None:
    from rich.table import Table

    from superglue_ros.cli.tables import print_table

    floor_ms = rows[0].floor_ms
    title = condition + (f"; the hardware's floor is {floor_ms:.1f} ms" if floor_ms else "")
    table = Table(title=title, title_justify="left")
    table.add_column("by", no_wrap=True)
    columns = ("p50 ms", "p95 ms", "p99 ms", "per s", "x ours", "CPU ms", "x floor", "same", "MiB")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, rows[0]))
    print_table(table)


def _cells(row: Row, ours: Row) -> Iterator[str]:
    if row.stage.startswith("growth"):
        size = f"{row.width}x{row.height}"
        yield f"{row.keypoints} keypoints, {size}, batch {row.batch}"
    else:
        yield f"{row.contender} ({row.engine})"
    for value in (row.p50_ms, row.p95_ms, row.p99_ms, row.per_second):
        yield f"{value:.1f}"
    yield f"{row.p50_ms / ours.p50_ms:.2f}"
    yield f"{row.cpu_ms:.0f}"
    yield f"{row.p50_ms / row.floor_ms:.1f}" if row.floor_ms else ""
    yield "" if row.same_matches is None else f"{row.same_matches:.1%}"
    yield f"{row.peak_mib:.0f}" if row.peak_mib else ""


def _write_json(content: Any, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    print(f"wrote {path}")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, 640x480 say")
    size = (int(width), int(height))
    if any(side == 0 or side % 8 for side in size):
        raise argparse.ArgumentTypeError(f"{text}: the sides must be multiples of 8 pixels")
    return size
