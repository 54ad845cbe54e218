"""The arguments that a launch file is given: which it has, and what they say."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection
from pathlib import Path

from launch import LaunchContext

from superglue_ros.errors import InputError

FLAGS = ("autostart", "use_sim_time", "geometry", "rviz")
FILES = {"params_file": (), "fastdds_profile": ("shipped",)}
"""Arguments that name files, and the words that do instead."""


def argument_name(topic: str) -> str:
    """The argument for a topic: left_image for left/image."""
    return topic.replace("/", "_")


def flag(context: LaunchContext, name: str) -> bool:
    """What an argument says that is true or false.

    Raises:
        InputError: It is neither.
    """
    text = context.launch_configurations[name]
    if text.lower() not in ("true", "false", "1", "0"):
        raise InputError(f"{name} must be true or false, got {text!r}")
    return text.lower() in ("true", "1")


def given_file(name: str, text: str) -> str:
    """The path of a file that an argument names.

    Raises:
        InputError: There is none.
    """
    path = Path(text).expanduser()
    if not path.is_file():
        raise InputError(f"{name}: no file {path} (looked for from {Path.cwd()})")
    return str(path)


def check_arguments(context: LaunchContext, known: Collection[str]) -> None:
    """Refuse what cannot be meant before anything starts: a launch that fails later leaves orphans.

    Arguments that the launch file does not have, `ros2 launch` takes without a word. Where the file
    is included by another one, the command line is that one's, and these are not looked for.

    Raises:
        InputError: An argument is not known, not true or false, or names a file that is not there.
    """
    given = context.launch_configurations
    for name in FLAGS:
        if given.get(name):
            flag(context, name)
    for name, words in FILES.items():
        if given.get(name, "") not in ("", *words):
            given_file(name, given[name])
    if not ("superglue_ros" in sys.argv or _is_ours(sys.argv)):
        return
    for argument in context.argv:
        name, separator, _ = argument.partition(":=")
        if separator and name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=2, cutoff=0.5)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise InputError(f"there is no launch argument {name}{hint} (--show-args lists them)")


def _is_ours(arguments: list[str]) -> bool:
    """Whether the launch file of the command line lies in our folder."""
    folder = Path(__file__).resolve().parents[2] / "launch"
    return any(Path(one).resolve().parent == folder for one in arguments if one.endswith(".py"))
