"""`superglue-ros foxglove-layout`: a layout for Foxglove or Lichtblick."""

from __future__ import annotations

import argparse

from superglue_ros.viewers.foxglove import MODES, foxglove_layout


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "foxglove-layout",
        description="Print a layout for Foxglove or Lichtblick that shows what "
        "match_visualizer_node and the nodes beside it publish: matches, keypoints, points and "
        "path, plots, state. Import it there as a layout.",
    )
    parser.add_argument(
        "--namespace", default="", metavar="NAME", help="namespace of the nodes (default none)"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="mono",
        help="one camera or a stereo pair, without and with odometry (default mono)",
    )
    parser.add_argument(
        "--frame",
        default="",
        metavar="FRAME",
        help="fixed frame of the 3D view (default: with odometry odom, else camera_upright, which "
        "match_visualizer_node adds to the camera's optical frame)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the layout.

    Raises:
        InputError: The namespace is not one of ROS.
    """
    print(foxglove_layout(arguments.namespace, arguments.mode, arguments.frame), end="")
