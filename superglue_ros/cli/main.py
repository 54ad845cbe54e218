"""The `superglue-ros` command."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from superglue_ros.errors import InputError
from superglue_ros.installation import missing_package, version
from superglue_ros.pipes import drop_output
from superglue_ros.threads import share_cores

PROGRAM = "superglue-ros"
LAB = "superglue_ros.lab"

COMMANDS = {
    "match": "match two images",
    "bag": "match the images of a recorded bag",
    "export": "write the networks as ONNX files for other engines",
    "foxglove-layout": "print a layout for Foxglove or Lichtblick",
    "weights": "list or verify the weights that come with the package",
    "doctor": "check this installation and say what it lacks",
}
"""Name and purpose of each subcommand, which is the module of its name in this folder (_ for -)."""

LAB_COMMANDS = {
    "demo": "match real images over ROS 2 with the nodes, and look at the result",
    "bench": "measure how fast it is here, beside other implementations",
    "eval": "measure matchers on pairs of images whose truth is known",
    "photographs": "gather free photographs to train on",
    "train": "train weights of one's own",
}
"""The same for those of the laboratory, `superglue_ros.lab.cli`, which no robot installs."""

USER_ERROR = 2
INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 128 + signal.SIGPIPE


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"{message}; see {self.prog} --help")


class _Version(argparse.Action):
    """Look the version up only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"{PROGRAM} {version()}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: The arguments, without the program; None takes those of this process.

    Returns:
        The exit status: 0, or 2 after one line on stderr where the user has to mend something.
    """
    share_cores()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        parsed = _parser(arguments).parse_args(arguments)
        parsed.run(parsed)
        sys.stdout.flush()
    except InputError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return USER_ERROR
    except ModuleNotFoundError as error:
        print(f"{PROGRAM}: error: {missing_package(error)}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return READER_GONE
    return 0


def _parser(arguments: Sequence[str]) -> Parser:
    """The parser, in full for the command asked for: its module alone is imported."""
    parser = Parser(prog=PROGRAM, description="SuperPoint features and SuperGlue matches.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for folder, commands in _command_folders(arguments).items():
        for name, purpose in commands.items():
            if arguments[:1] == [name]:
                importlib.import_module(f"{folder}.{_module(name)}").add_parser(subparsers)
            else:
                subparsers.add_parser(name, help=purpose)
    return parser


def _command_folders(arguments: Sequence[str]) -> dict[str, dict[str, str]]:
    """The commands that are installed, by the package that has them."""
    folders = {"superglue_ros.cli": COMMANDS}
    if importlib.util.find_spec(LAB):
        folders[f"{LAB}.cli"] = LAB_COMMANDS
    elif arguments and arguments[0] in LAB_COMMANDS:
        raise InputError(
            f"{arguments[0]} is part of the laboratory, which is not installed: pip install "
            "'superglue_ros[lab]', or colcon build --cmake-args -DSUPERGLUE_ROS_LAB=ON"
        )
    return folders


def _module(name: str) -> str:
    return name.replace("-", "_")


if __name__ == "__main__":
    sys.exit(main())
