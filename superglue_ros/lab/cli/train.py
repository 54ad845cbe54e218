"""`superglue-ros train STAGE`: weights of one's own, stage by stage."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from superglue_ros.cli.flags import Flags, add_flags
from superglue_ros.errors import InputError
from superglue_ros.lab.training.config import (
    AcceleratedConfig,
    CacheConfig,
    FeaturesConfig,
    LabelConfig,
    MatcherConfig,
    PairConfig,
    SyntheticConfig,
)

STAGES: dict[str, tuple[str, Flags[Any]]] = {
    "synthetic": ("teach a first detector on drawn shapes", Flags(SyntheticConfig)),
    "label": ("find keypoints in the photographs for the detector to learn", Flags(LabelConfig)),
    "features": ("train SuperPoint on views of the photographs", Flags(FeaturesConfig)),
    "cache": (
        "make pairs once that the matcher can learn from again and again",
        Flags(CacheConfig),
    ),
    "matcher": ("train SuperGlue on a trained extractor", Flags(MatcherConfig)),
    "all": ("label, features and matcher within given minutes, on a GPU", Flags(AcceleratedConfig)),
}

PAIRS = Flags(PairConfig)

_INITIAL = {
    "synthetic": "SuperPoint",
    "features": "SuperPoint",
    "matcher": "SuperGlue",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "train",
        description="Train weights from photographs. Every stage can be stopped and goes on where "
        "it was with the same command; it leaves its weights and a log in the output folder.",
    )
    stages = parser.add_subparsers(metavar="STAGE", dest="stage", required=True)
    for name, (purpose, flags) in STAGES.items():
        _add_stage(stages, name, purpose, flags)
    pairs = stages.add_parser(
        "pairs",
        help="draw what the matcher learns from",
        description="Draw training pairs with their true matches as lines, occluded and unseen "
        "points in red, and points whose truth is not known in blue.",
    )
    _add_output(pairs)
    _add_photographs(pairs)
    add_flags(pairs.add_argument_group("settings"), {"pairs": PAIRS})
    pairs.set_defaults(run=run_pairs)
    plot = stages.add_parser("plot", help="draw the logs of the stages as PNG")
    _add_output(plot)
    plot.set_defaults(run=run_plot)


def _add_stage(
    stages: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    purpose: str,
    flags: Flags[Any],
) -> None:
    parser = stages.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
    _add_output(parser)
    if name != "synthetic":
        _add_photographs(parser)
    if name in _INITIAL:
        parser.add_argument(
            "--initial",
            default="",
            metavar="WEIGHTS",
            help=f"{_INITIAL[name]} to begin with: a shipped set or a file; without it from "
            "scratch, or for the matcher from one that matches by descriptors alone",
        )
    if name == "label":
        parser.add_argument(
            "--teacher",
            default="",
            metavar="WEIGHTS",
            help="SuperPoint whose detector labels, such as the output of the stage synthetic; "
            "without it a classical detector",
        )
    if name in ("cache", "matcher"):
        parser.add_argument(
            "--superpoint",
            default="",
            metavar="WEIGHTS",
            help="extractor to match for; without it that of the output folder, else the shipped",
        )
    if name in ("features", "cache"):
        parser.add_argument(
            "--real",
            type=Path,
            metavar="FOLDER",
            help="also pairs of real photographs of the same places, with what a teacher matched: "
            "FOLDER/teacher/SET.npz and the photographs that they name; of five sets one is held "
            "out",
        )
    if name == "all":
        parser.add_argument(
            "--pieces",
            type=Path,
            metavar="FOLDER",
            help="also leave the weights there, cut into files of at most 15 MiB, and the logs",
        )
    add_flags(parser.add_argument_group("settings"), {name: flags})
    parser.set_defaults(run=run)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("out/train"),
        metavar="FOLDER",
        help="where weights, labels, checkpoints and logs are left (default out/train)",
    )


def _add_photographs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--photographs",
        type=Path,
        default=Path("out/photographs"),
        metavar="FOLDER",
        help="archives made by superglue-ros photographs (default out/photographs)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run a stage.

    Raises:
        InputError: Photographs, labels or weights are missing, or a value is out of range.
    """
    config = STAGES[arguments.stage][1].read(arguments)

    from superglue_ros.lab.training import accelerated
    from superglue_ros.lab.training import run as stages

    photographs = getattr(arguments, "photographs", Path())
    folders = stages.Folders(photographs, arguments.output)
    if arguments.stage == "synthetic":
        finished = stages.run_synthetic(config, folders, arguments.initial)
    elif arguments.stage == "label":
        finished = stages.run_label(config, folders, arguments.teacher)
    elif arguments.stage == "features":
        finished = stages.run_features(config, folders, arguments.initial, arguments.real)
    elif arguments.stage == "cache":
        finished = stages.run_cache(config, folders, arguments.superpoint, arguments.real)
    elif arguments.stage == "matcher":
        finished = stages.run_matcher(config, folders, arguments.initial, arguments.superpoint)
    else:
        finished = accelerated.run_all(config, folders, arguments.pieces)
    _plot(arguments.output)
    print("finished" if finished else "stopped in time: the same command goes on from here")


def run_pairs(arguments: argparse.Namespace) -> None:
    """Draw training pairs.

    Raises:
        InputError: There are no photographs, or the picture cannot be written.
    """
    config = PAIRS.read(arguments)

    from superglue_ros.lab.training.run import Folders, draw_pairs

    picture = draw_pairs(config, Folders(arguments.photographs, arguments.output))
    print(f"wrote {picture}")


def run_plot(arguments: argparse.Namespace) -> None:
    """Draw the logs.

    Raises:
        InputError: There is none.
    """
    from superglue_ros.lab.training.run import plot_logs

    for picture in plot_logs(arguments.output):
        print(f"wrote {picture}")


def _plot(output: Path) -> None:
    from superglue_ros.lab.training.run import plot_logs

    try:
        plot_logs(output)
    except InputError:  # the label stage has no log
        return
    except ImportError:
        print("no OpenCV here: superglue-ros train plot draws the logs elsewhere")
