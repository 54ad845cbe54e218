"""`superglue-ros doctor`: what this installation has and lacks."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from rich.markup import escape
from rich.table import Table

from superglue_ros.cli.tables import print_table
from superglue_ros.errors import InputError

OK, WARNING, FAILURE = "ok", "warn", "fail"
_COLOURS = {OK: "green", WARNING: "yellow", FAILURE: "red"}
_OLDEST_PYTHON = (3, 10)
_INSTALL_AGAIN = "install superglue_ros again"
_GET_ROS = "only the nodes need it: source a ROS 2 installation, or work through ./run"


class Lack(Exception):  # noqa: N818
    """Something that most of the package can do without is missing."""


@dataclass(frozen=True)
class Check:
    """Something to look at.

    Attributes:
        what: Its name.
        probe: Returns what was found. It raises Lack where the rest works without it, and anything
            else where it does not.
        remedy: What to do where it raises.
    """

    what: str
    probe: Callable[[], str]
    remedy: str

    def run(self) -> tuple[str, str, str]:
        """Status, what was found, and the remedy where there is need of one."""
        try:
            return OK, self.probe(), ""
        except Lack as lack:
            return WARNING, str(lack), self.remedy
        except Exception as error:  # broken installations raise all sorts
            text = " ".join(str(error).split())
            return FAILURE, f"{type(error).__name__}: {text}", self.remedy


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        description="Checks this installation, each line ok, warn or fail with the remedy; ends "
        "with 1 where one fails.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print what the checks found.

    Raises:
        SystemExit: With status 1 where one failed.
    """
    table = Table("what", "", "found", "remedy")
    failed = False
    for check in CHECKS:
        status, found, remedy = check.run()
        failed |= status == FAILURE
        table.add_row(check.what, f"[{_COLOURS[status]}]{status}[/]", escape(found), remedy)
    print_table(table)
    if failed:
        sys.exit(1)


def _python() -> str:
    if sys.version_info[:2] < _OLDEST_PYTHON:
        raise RuntimeError(f"{platform.python_version()} is too old")
    return f"{platform.python_version()}, {sys.executable}"


def _torch() -> str:
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU only"
    return f"{torch.__version__}, built for {build}"


def _cuda() -> str:
    try:
        import torch
    except Exception:
        raise Lack("cannot be checked without PyTorch") from None
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if not names:
        raise Lack("no GPU that PyTorch can use: the networks run on the CPU")
    return ", ".join(names)


def _library(module: str, distribution: str) -> Callable[[], str]:
    def probe() -> str:
        loaded = importlib.import_module(module)
        return str(getattr(loaded, "__version__", None) or version(distribution))

    return probe


def _optional(distribution: str, use: str) -> Callable[[], str]:
    def probe() -> str:
        try:
            return version(distribution)
        except PackageNotFoundError:
            raise Lack(f"not installed: {use}") from None

    return probe


def _rerun() -> str:
    from superglue_ros.rerun_log import import_rerun

    try:
        return str(import_rerun().__version__)
    except InputError as error:
        why, _, _ = str(error).partition(": ")
        raise Lack(f"{why}; only `--rerun` needs it") from None


def _weights() -> str:
    from superglue_ros.weights import SHIPPED

    for entry in SHIPPED.values():
        entry.verify()
    return f"{', '.join(SHIPPED)}: digests as expected"


def _ros() -> str:
    _need_rclpy()
    return os.environ.get("ROS_DISTRO") or "from Python packages (ROS_DISTRO is not set)"


def _need_rclpy() -> None:
    if importlib.util.find_spec("rclpy") is None:
        raise Lack("no ROS 2 in this environment")


def _rclpy() -> str:
    _need_rclpy()
    middleware = importlib.import_module("rclpy.utilities").get_rmw_implementation_identifier()
    return f"loads, with {middleware}"


def _messages() -> str:
    _need_rclpy()
    messages = importlib.import_module("superglue_ros.msg")
    messages.Matches.__class__.__import_type_support__()
    return "superglue_ros/msg generated, type support loads"


def _synchroniser() -> str:
    from superglue_ros.synchroniser import synchronisers

    return synchronisers().library


def _decoder() -> str:
    from superglue_ros.image_decoding import image_decoder

    return image_decoder().library


CHECKS = (
    Check("Python", _python, "install Python 3.10 or newer"),
    Check("PyTorch", _torch, "pip install torch"),
    Check("CUDA", _cuda, "where there is a GPU: nvidia-smi, and a PyTorch built for CUDA"),
    Check("NumPy", _library("numpy", "numpy"), "pip install numpy"),
    Check("OpenCV", _library("cv2", ""), "pip install opencv-python-headless"),
    Check("PoseLib", _library("poselib", "poselib"), "pip install poselib"),
    Check("safetensors", _library("safetensors", "safetensors"), "pip install safetensors"),
    Check("rosbags", _library("rosbags.rosbag2", "rosbags"), "pip install rosbags"),
    Check("rosbags-image", _library("rosbags.image", "rosbags-image"), "pip install rosbags-image"),
    Check(
        "ONNX Runtime",
        _optional("onnxruntime", "with it the networks run twice as fast on the CPU"),
        "pip install onnx onnxruntime",
    ),
    Check("PyAV", _optional("av", "only `bag --video` needs it"), "pip install av"),
    Check("Ray", _optional("ray", "only `bag --ray` needs it"), "pip install ray"),
    Check("Rerun", _rerun, "pip install --upgrade rerun-sdk"),
    Check("weights", _weights, _INSTALL_AGAIN),
    Check("ROS 2", _ros, _GET_ROS),
    Check("rclpy", _rclpy, _GET_ROS),
    Check("messages", _messages, "colcon build, then source install/setup.bash"),
    Check("pairing of stereo topics", _synchroniser, _INSTALL_AGAIN),
    Check("decoding of images", _decoder, "pip install rosbags-image"),
)
