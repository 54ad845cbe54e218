"""`superglue-ros bag`: a recorded bag in, a bag of features and matches out."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from superglue_ros.bag.collection import is_one_bag
from superglue_ros.bag.config import BagConfig
from superglue_ros.cli.bag_folder import run_folder, threads_a_job
from superglue_ros.cli.flags import Flags, add_flags
from superglue_ros.cli.networks import add_network_flags, read_networks
from superglue_ros.cli.progress import frames_progress
from superglue_ros.cli.tables import print_table
from superglue_ros.errors import DeviceError, InputError

if TYPE_CHECKING:  # what imports PyTorch takes seconds: help and mistyped flags come before it
    from superglue_ros.bag.outputs import Outputs, Summary
    from superglue_ros.bag.work import Task

BAG = Flags(BagConfig)
INCOMPLETE = 1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "bag",
        description="Match the images of a recorded bag, every frame, without ROS. Reads ROS 2 "
        "(mcap, sqlite3, compressed, split) and ROS 1 bags, writes an mcap bag with /features (or "
        "/left/features and /right/features) and /matches under the stamps of the images. Of a "
        "folder of bags each gives a bag of its own; what is done is skipped, and what was "
        "interrupted gone on with. Ends with 0; with 1 where parts of the input could not be read "
        "or used; with 2 and one line where nothing could be done; with 3 where some bags of a "
        "folder failed; with 130 after Ctrl-C.",
    )
    parser.add_argument(
        "input", type=Path, metavar="INPUT", help="bag file or folder, or a folder of bags"
    )
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUTPUT",
        help="folder of the bag to write, a new one; for a folder of bags the one they go into",
    )
    parser.add_argument(
        "--descriptors", action="store_true", help="put the descriptors into the features too"
    )
    parser.add_argument(
        "--geometry", action="store_true", help="write the geometry of each pair to /geometry"
    )
    parser.add_argument("--tracks", action="store_true", help="write tracks to /tracks")
    parser.add_argument(
        "--npz", action="store_true", help="write OUTPUT/pairs/NUMBER.npz too, as match --npz does"
    )
    parser.add_argument(
        "--csv",
        action="store_true",
        help="write OUTPUT/matches.csv too, and with --tracks OUTPUT/tracks.csv",
    )
    parser.add_argument(
        "--video",
        action="store_true",
        help="write the match pictures as OUTPUT/matches.mp4 (H.264) too; needs: pip install av",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="write OUTPUT/report.html too: time line, worst and best pairs, distributions; needs: "
        "pip install matplotlib",
    )
    parser.add_argument(
        "--rerun",
        action="store_true",
        help="write OUTPUT/matches.rrd for the Rerun viewer too: images, keypoints and matches, "
        "what --geometry and --tracks add, and the points of a calibrated stereo pair; after "
        "--resume it holds the same in other bytes; needs: pip install rerun-sdk",
    )
    parser.add_argument(
        "--pictures",
        action="store_true",
        help="put the match pictures, markers, points of a calibrated stereo pair and numbers into "
        "the bag too, as match_visualizer_node publishes them, and write "
        "OUTPUT/foxglove_layout.json to see them with",
    )
    parser.add_argument(
        "--pass-through",
        nargs="*",
        metavar="TOPIC",
        help="copy these topics of the input too; without a name all of them",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="bags to work on at the same time, sharing the cores; INPUT is then always taken for "
        "a folder of bags (default 1)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="work on the bags of a folder on a Ray cluster whose machines share the files, one "
        "bag a task; local: on this machine; needs: pip install ray",
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    images = parser.add_argument_group("which images, and what is made of their matches")
    add_flags(images, {"bag": BAG})
    add_network_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Match over the bag, or the bags, of a command line.

    Raises:
        InputError: The bag, a topic, a value or the output cannot be used.
        SystemExit: With 1 where parts of the input could not be read or used, with 3 where a bag of
            a folder failed.
    """
    config = BAG.read(arguments)
    networks = read_networks(arguments)
    jobs: int = arguments.jobs or 1
    if jobs < 1:
        raise InputError(f"--jobs must be at least 1, got {jobs}")
    several = arguments.jobs is not None or arguments.ray is not None
    several |= not is_one_bag(arguments.input)

    from superglue_ros.bag.work import Task

    outputs = _outputs(arguments)
    threads = threads_a_job(jobs)
    paths = str(arguments.input), str(arguments.output)
    task = Task(*paths, config, outputs, *networks, threads)
    if several:
        run_folder(arguments, task)
    else:
        _run_one(arguments, task)


def _run_one(arguments: argparse.Namespace, task: Task) -> None:
    summary = (_earlier(task) if arguments.resume else None) or _matched(arguments, task)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(summary)))
    elif not arguments.quiet:
        _print_summary(summary, arguments.output)
    if not summary.is_complete:
        sys.exit(INCOMPLETE)


def _earlier(task: Task) -> Summary | None:
    """What an earlier run did that was not interrupted, or only after its end."""
    from superglue_ros.bag.outputs import Summary
    from superglue_ros.bag.work import earlier

    outcome = earlier(task)
    if outcome is None:
        return None
    if outcome.summary is None:
        raise InputError(outcome.reason)
    return Summary(**outcome.summary)


def _matched(arguments: argparse.Namespace, task: Task) -> Summary:
    from superglue_ros.bag.run import BagRun
    from superglue_ros.bag.work import networks

    bag_run = BagRun(arguments.input, arguments.output, task.config, task.outputs)
    bag_run.check()

    with frames_progress(disable=arguments.quiet or arguments.json) as progress:
        bar = progress.add_task("matching", total=None, visible=False)
        try:
            return bag_run.run(
                *networks(task.extractor, task.matcher),
                resume=arguments.resume,
                on_frame=lambda done, total: progress.update(
                    bar, completed=done, total=total, visible=True
                ),
            )
        except DeviceError as error:
            raise InputError(f"{error}; try a smaller --batch-size or --max-keypoints") from error
        except KeyboardInterrupt:
            print("interrupted; --resume goes on from here", file=sys.stderr)
            raise


def _outputs(arguments: argparse.Namespace) -> Outputs:
    from superglue_ros.bag.outputs import Outputs

    passed: list[str] | None = arguments.pass_through
    return Outputs(
        descriptors=arguments.descriptors,
        geometry=arguments.geometry,
        tracks=arguments.tracks,
        npz=arguments.npz,
        csv=arguments.csv,
        video=arguments.video,
        report=arguments.report,
        rerun=arguments.rerun,
        pictures=arguments.pictures,
        pass_through=() if passed is None else tuple(passed) or None,
    )


def _print_summary(summary: Summary, output: Path) -> None:
    table = Table("what", "value")
    speed = summary.frames / summary.elapsed_sec if summary.elapsed_sec else 0.0
    rows = {
        "topics": ", ".join(summary.topics),
        "recorded": f"{summary.recorded_sec:.1f} s",
        "frames": str(summary.frames),
        "worked on": f"{speed:.1f} frames a second",
        "keypoints per image": f"{summary.mean_keypoints:.0f}",
        "pairs": str(summary.pairs),
        "matches per pair": f"{summary.mean_matches:.0f}",
        "calibration": summary.calibration,
        **{f"dropped: {reason}": str(count) for reason, count in summary.dropped.items()},
    }
    for what, value in rows.items():
        table.add_row(escape(what), escape(value))
    print_table(table)
    for reason, count in summary.unusable.items():
        print(f"unusable, {count} of the images: {reason}", file=sys.stderr)
    for problem in summary.problems:
        print(f"not readable: {problem}", file=sys.stderr)
    for note in summary.notes:
        print(f"note: {note}", file=sys.stderr)
    print(output)
