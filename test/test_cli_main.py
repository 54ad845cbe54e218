"""The command itself: help, version, errors, endings."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

import superglue_ros
from superglue_ros.cli import main as command
from superglue_ros.cli.main import COMMANDS, LAB_COMMANDS, main
from superglue_ros.installation import shared_file

ROOT = str(Path(superglue_ros.__file__).parent.parent)


def in_a_new_process(code: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {ROOT!r})\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


def register(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """Make `run` a subcommand named `test`."""

    def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        subparsers.add_parser("test").set_defaults(run=run)

    monkeypatch.setitem(COMMANDS, "test", "for this test")
    monkeypatch.setattr(
        command.importlib, "import_module", lambda name: SimpleNamespace(add_parser=add_parser)
    )


def test_help_names_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert {*COMMANDS, *LAB_COMMANDS} <= {words[0] for words in lines if words}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["match", "--help"], ["bag", "--help"], ["--version"], ["weights", "list"]],
)
def test_what_needs_no_network_comes_without_importing_torch(arguments: list[str]) -> None:
    done = in_a_new_process(
        "from superglue_ros.cli.main import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as end: assert not end.code\n"
        "print([name for name in ('torch', 'cv2', 'rclpy') if name in sys.modules])"
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


@pytest.mark.parametrize("name", [*COMMANDS, *LAB_COMMANDS])
def test_every_subcommand_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"usage: superglue-ros {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", LAB_COMMANDS)
def test_a_command_of_a_laboratory_that_is_not_installed_says_how_to_get_it(name: str) -> None:
    done = in_a_new_process(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'superglue_ros.lab' else find(name)\n"
        "from superglue_ros.cli.main import main\n"
        f"sys.exit(main(['{name}', '--help']))"
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"superglue-ros: error: {name} is part of the laboratory")
    assert "superglue_ros[lab]" in done.stderr
    assert "-DSUPERGLUE_ROS_LAB=ON" in done.stderr


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    wanted = ElementTree.parse(shared_file("package.xml")).getroot().findtext("version")
    assert capsys.readouterr().out == f"superglue-ros {wanted}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "COMMAND"),
        (["matsch"], "matsch"),
        (["match", "one.png"], "IMAGE1"),
        (["match", "a", "b", "--max-keypoint-count", "3"], "--max-keypoint-count"),
        (["match", "a", "b", "--extractor", "orb"], "orb"),
    ],
)
def test_wrong_arguments_end_with_one_line_and_status_2(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("superglue-ros: error: ")
    assert named in line
    assert "--help" in line


def test_an_interruption_ends_quietly_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(arguments: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    register(monkeypatch, interrupt)
    assert main(["test"]) == 130
    assert capsys.readouterr().err == ""


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: argparse.Namespace) -> None:
        raise ZeroDivisionError

    register(monkeypatch, fail)
    with pytest.raises(ZeroDivisionError):
        main(["test"])


def test_a_reader_that_has_gone_is_no_error() -> None:
    program = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from superglue_ros.cli.main import main\n"
        "sys.stdin.read()\n"
        "sys.exit(main(['weights', 'verify']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert errors == b""
