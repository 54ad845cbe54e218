"""Where the package's files that are not Python code are."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from xml.etree import ElementTree

from superglue_ros.errors import InputError


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
