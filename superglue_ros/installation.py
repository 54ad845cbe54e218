"""Where the package's files that are not Python code are."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from xml.etree import ElementTree

from superglue_ros.errors import InputError

_OTHERWISE_NAMED = {"cv2": "opencv-python-headless", "rosbags.image": "rosbags-image"}
"""Packages whose modules have names of their own."""


def shared_file(name: str) -> Path:
    """A file or folder of the package's share folder, or of the source tree where it runs there.

    Args:
        name: Path below share/superglue_ros, for instance "msg".

    Raises:
        InputError: The installation lacks it.
    """
    package = Path(__file__).parent
    shares = [parent / "share" / "superglue_ros" for parent in package.parents]
    for folder in (package.parent, *shares):
        if (folder / name).exists() and (folder / "package.xml").exists():
            return folder / name
    raise InputError(f"{name} of superglue_ros is not installed; install again")


def version() -> str:
    """The version of the package, whichever way it was installed."""
    try:
        return importlib.metadata.version("superglue_ros")
    except importlib.metadata.PackageNotFoundError:  # not by pip
        return str(ElementTree.parse(shared_file("package.xml")).getroot().findtext("version"))


def missing_package(error: ModuleNotFoundError) -> InputError:
    """What to install where a module of another package is not there.

    Raises:
        ModuleNotFoundError: The module is our own: a defect, and not one of the installation.
    """
    module = error.name or ""
    package = module.partition(".")[0]
    if not package or package == "superglue_ros":
        raise error
    remedy = f"pip install {_OTHERWISE_NAMED.get(module, _OTHERWISE_NAMED.get(package, package))}"
    if package in ("rclpy", "ament_index_python") or package.endswith(("_msgs", "_srvs")):
        remedy = "source a ROS 2 installation"
    return InputError(
        f"no Python module {module} here: {remedy}; `superglue-ros doctor` tells what else"
    )
