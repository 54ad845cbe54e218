"""`superglue-ros bench`: how fast it is here, beside the hardware's floor and beside others."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from superglue_ros.bag.config import BagConfig
from superglue_ros.cli.flags import Flags, add_flags, flag_of
from superglue_ros.errors import InputError
from superglue_ros.lab.benchmark.plan import Plan
from superglue_ros.lab.cli.bench_plan import add_plan_flags, read_plan

if TYPE_CHECKING:  # what imports PyTorch takes seconds: help and mistyped flags come before it
    from superglue_ros.lab.benchmark.results import Results
    from superglue_ros.lab.benchmark.run import OnProgress

_OF_BAG = Flags(BagConfig, names=("mode", "topic", "right_topic", "start", "end"))

_ENOUGH_TO_TELL = 0.02
"""Share of the work that tells how long the rest takes."""

_WORTH_SAYING_SEC = 60.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "bench",
        description="Measure extracting, matching and both, on a real stereo pair and with every "
        "layer of SuperGlue in use, in turns with plain PyTorch, transformers and OpenCV's SIFT; "
        "every combination of the values below. Ctrl-C gives what was measured so far.",
    )
    kind = parser.add_argument_group(
        "what is measured, instead of that"
    ).add_mutually_exclusive_group()
    kind.add_argument(
        "--plot",
        type=Path,
        metavar="FILE.png",
        help="how time and memory grow with keypoints, size, batch and cameras, each point in a "
        "process of its own, and draw it",
    )
    kind.add_argument(
        "--ros",
        action="store_true",
        help="what the nodes take beside the networks, in processes of their own",
    )
    kind.add_argument(
        "--bag",
        type=Path,
        metavar="BAG",
        help="matching over this recorded bag beside its networks alone",
    )
    add_plan_flags(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="file to write the figures to")
    add_flags(parser.add_argument_group("which images of --bag"), {"bag": _OF_BAG})
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the benchmark of a command line.

    Raises:
        InputError: A value cannot be used, or a file not be written.
        KeyboardInterrupt: After Ctrl-C, when what was measured is printed and written.
    """
    kind = next((name for name in ("plot", "ros", "bag") if getattr(arguments, name)), "networks")
    plan = read_plan(arguments, kind)
    _check_effect(arguments, kind)
    _check(arguments, plan)
    from superglue_ros.lab.benchmark.results import Results

    results = Results()
    try:
        _measure(kind, arguments, plan, results)
    except KeyboardInterrupt:
        print("interrupted: these are the figures so far", file=sys.stderr)
        raise
    finally:
        if results.count:
            _hand_over(results, arguments)


def _check_effect(arguments: argparse.Namespace, kind: str) -> None:
    """Raise InputError where a flag of --bag was given without it."""
    for name in _OF_BAG.settings():
        if name in arguments and kind != "bag":
            raise InputError(f"{flag_of(name)} has no effect without --bag")


def _check(arguments: argparse.Namespace, plan: Plan) -> None:
    """Raise InputError for what would be found out after all was measured."""
    from superglue_ros.images import check_image_name
    from superglue_ros.inference.device import select_device

    for device in plan.devices:
        select_device(device)
    if arguments.plot is not None:
        check_image_name(arguments.plot)
    for path in (arguments.plot, arguments.json):
        if path is not None:
            _check_writable(path)


def _measure(kind: str, arguments: argparse.Namespace, plan: Plan, results: Results) -> None:
    """Fill the results, with a bar of what is done and the time left."""
    from superglue_ros.cli.progress import share_progress

    measure = _benchmark(kind, arguments)
    with share_progress() as progress:
        task = progress.add_task("loading", total=1.0)
        rows, told = 0, False

        def on_progress(text: str, share: float) -> None:
            nonlocal rows, told
            progress.update(task, description=text, completed=share)
            if rows == results.count:
                return
            rows = results.count
            if arguments.json is not None:  # whatever comes, this much is safe
                _write_json(results, arguments.json)
            left_sec = progress.tasks[task].time_remaining
            if not told and share > _ENOUGH_TO_TELL and left_sec and left_sec > _WORTH_SAYING_SEC:
                progress.console.print(
                    f"about {left_sec / 60:.0f} min to go; Ctrl-C gives the figures so far"
                )
                told = True

        measure(plan, results, on_progress)
    results.complete = True


def _benchmark(
    kind: str, arguments: argparse.Namespace
) -> Callable[[Plan, Results, OnProgress], None]:
    """What measures a kind."""
    if kind == "bag":
        from superglue_ros.lab.benchmark.throughput import BagBenchmark

        return BagBenchmark(arguments.bag, _OF_BAG.read(arguments)).run
    if kind == "plot":
        from superglue_ros.lab.benchmark import growth

        return growth.run
    if kind == "networks":
        from superglue_ros.lab.benchmark import run as networks

        return networks.run
    try:
        from superglue_ros.lab.nodes import benchmark
    except ImportError as error:
        raise InputError(
            f"--ros needs ROS 2 and the built package ({error}); take ./run bench --ros"
        ) from error
    return benchmark.run


def _hand_over(results: Results, arguments: argparse.Namespace) -> None:
    from superglue_ros.lab.cli.bench_tables import print_results

    print_results(results)
    if arguments.json is not None:
        _write_json(results, arguments.json)
        print(f"wrote {arguments.json}")
    if arguments.plot is not None:
        from superglue_ros.lab.benchmark.plot import plot_growth

        plot_growth(results.rows, arguments.plot)
        print(f"wrote {arguments.plot}")


def _write_json(results: Results, path: Path) -> None:
    try:
        path.write_text(json.dumps(results.to_json(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _check_writable(path: Path) -> None:
    """Make the folder of a file, and raise InputError where the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
