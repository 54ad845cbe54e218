"""`superglue-ros demo`: the nodes at work on real images, recorded and drawn."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from superglue_ros.bag.writer import BagWriter
from superglue_ros.cli.tables import print_table
from superglue_ros.config import Value
from superglue_ros.errors import InputError
from superglue_ros.lab.demo.processes import NodeCommand, NodeError, NodeProcesses
from superglue_ros.lab.demo.report import result_table, write_pictures
from superglue_ros.lab.demo.scenes import Scene, sequence_scene, stereo_scene
from superglue_ros.viewers.foxglove import foxglove_layout

if TYPE_CHECKING:
    from superglue_ros.lab.demo.results import Pair

NAMESPACE = "/superglue_demo"
BAG = "superglue_demo"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "demo",
        description="Starts superpoint_node and superglue_node, plays a real stereo pair and a "
        "real image sequence on topics, records images, features, matches and their pictures into "
        "a bag with a layout for Foxglove, and draws what was received. Ends with 1 and the reason "
        "where no matches arrive.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("out/demo"),
        metavar="FOLDER",
        help="where to write the pictures, the bag and the nodes' logs (default out/demo)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the demonstration.

    Raises:
        InputError: ROS 2, the nodes or the images are not installed, or nothing can be written.
        SystemExit: The nodes did not answer.
    """
    # SIGTERM too has to end the nodes
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder = arguments.output
    scenes = (stereo_scene(), sequence_scene())
    _remove_bag(folder / BAG)
    try:
        results = _play(scenes, folder)
    except NodeError as failure:
        sys.exit(f"superglue-ros: error: {failure}\n(all output of the nodes: {folder}/*/*.log)")
    pictures = [path for result in results for path in write_pictures(folder, *result)]
    layouts = [_write_layout(folder, scene) for scene in scenes]
    print_table(result_table(results))
    for path in (*pictures, *layouts, folder / BAG):
        print(path)


def _play(scenes: tuple[Scene, ...], folder: Path) -> list[tuple[Scene, list[Pair]]]:
    try:
        from superglue_ros.lab.nodes.playback import Player, ros_session
    except ImportError as error:
        raise InputError(
            f"the demo needs ROS 2 and the built package ({error}); take ./run demo"
        ) from error

    results = []
    with ExitStack() as stack:
        progress = stack.enter_context(_progress())
        stack.enter_context(ros_session())
        bag = stack.enter_context(BagWriter(folder / BAG))
        for scene in scenes:
            task = progress.add_task(f"{scene.name}: starting nodes", total=len(scene.frames))
            namespace = f"{NAMESPACE}/{scene.name}"
            with (
                NodeProcesses(_commands(scene, namespace), folder / scene.name) as nodes,
                Player(scene, namespace, bag, nodes.check) as player,
            ):
                player.wait_for_nodes()
                progress.update(task, description=f"{scene.name}: playing")
                pairs = player.play(on_frame=lambda task=task: progress.advance(task))  # type: ignore[misc]
            if not any(len(pair.matches) for pair in pairs):
                raise NodeError(f"{scene.name}: the nodes answered, but without a single match")
            progress.update(task, description=f"{scene.name}: done")
            results.append((scene, pairs))
    return results


def _write_layout(folder: Path, scene: Scene) -> Path:
    """The layout that shows a scene of the bag in Foxglove or Lichtblick."""
    path = folder / f"{scene.name}_layout.json"
    path.write_text(foxglove_layout(f"{NAMESPACE}/{scene.name}", scene.mode, live=False))
    return path


def _commands(scene: Scene, namespace: str) -> list[NodeCommand]:
    every_frame: dict[str, Value] = {"qos": "reliable", "process_every_frame": True}
    matching = "stereo" if scene.mode == "stereo" else "sequential"
    return [
        NodeCommand("superpoint_node", namespace, {"mode": scene.mode, **every_frame}),
        NodeCommand("superglue_node", namespace, {"mode": matching, **every_frame}),
    ]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _remove_bag(path: Path) -> None:
    """Remove the bag of an earlier run; anything else is left, and is an error to the writer."""
    if (path / "metadata.yaml").is_file():
        shutil.rmtree(path)
