"""The Debian packages whose photographs we may learn from, and fetching them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from superglue_ros.errors import InputError

DONE_MARKER = ".unpacked"


@dataclass(frozen=True)
class Package:
    """A package with freely licensed photographs.

    Attributes:
        name: The Debian package.
        pattern: Regular expression that the wanted files' paths in the package match.
        licences: The licences of its photographs, in words; its copyright file tells them apart.
    """

    name: str
    pattern: str
    licences: str

    def wants(self, path: str) -> bool:
        """Whether the file at `path`, relative to the package's root, holds photographs."""
        return re.search(self.pattern, path) is not None


_RCC = "explore_monuments|erase|details|explore_world_animals|explore_farm_animals"

PACKAGES: dict[str, Package] = {
    package.name: package
    for package in (
        Package(
            "endless-sky-high-dpi",
            r"images/(land|scene)/.*\.jpg$",
            "mostly public domain, some CC BY-SA 3.0 and 4.0",
        ),
        Package("krank", r"unera-backgrounds/.*\.jpg$", "public domain"),
        Package(
            "gcompris-qt-data",
            rf"rcc/({_RCC}|explore_world_music|clickgame)\.rcc$",
            "CC BY, CC BY-SA, public domain, GFDL, CC0, GPL-3+",
        ),
        Package("scratch", r"Media/Backgrounds/.*\.jpg$", "CC BY-SA 3.0"),
        Package("lomiri-wallpapers-16.04", r"backgrounds/.*\.jpg$", "CC BY 4.0, CC BY-SA 4.0"),
        Package("lomiri-wallpapers-20.04", r"backgrounds/.*\.jpg$", "CC BY-SA 4.0"),
        Package("tuxpaint-data", r"/(starters|templates)/.*\.jpe?g$", "GPL-2+, public domain"),
        Package("palapeli-data", r"\.(puzzle|jpg)$", "GPL-2+, public domain"),
        Package("plasma-workspace-wallpapers", r"/contents/images/.*\.jpg$", "LGPL-3, CC BY-SA"),
        Package("forensics-samples-files", r"\.jpe?g$", "public domain, CC BY-SA"),
        Package("mate-backgrounds", r"backgrounds/.*\.jpg$", "GPL-2+, CC BY-SA"),
        Package("lxqt-themes", r"wallpapers/.*\.jpg$", "LGPL-2.1+, CC BY-SA"),
        Package(  # without its normal, specular and glow maps, which are no photographs
            "ufoai-textures",
            r"0textures\.pk3(/.*(?<!_nm)(?<!_sm)(?<!_gm)\.(png|jpg))?$",
            "GPL-2+, CC BY, CC BY-SA, public domain",
        ),
    )
}


def select_packages(names: Sequence[str]) -> list[Package]:
    """The packages of these names, all where none is given.

    Raises:
        InputError: A name is not one of `PACKAGES`.
    """
    unknown = [name for name in names if name not in PACKAGES]
    if unknown:
        raise InputError(f"no package {unknown[0]!r} is known; known are {', '.join(PACKAGES)}")
    return [PACKAGES[name] for name in names or PACKAGES]


def unpack_package(package: Package, folder: Path) -> Path:
    """Download a package and unpack it, without installing it; once only.

    Args:
        package: What to fetch.
        folder: Where unpacked packages are kept.

    Returns:
        The folder that holds the package's files.

    Raises:
        InputError: This machine has no Debian package tools, or the package cannot be had.
    """
    target = folder / package.name
    if (target / DONE_MARKER).exists():
        return target
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise InputError(
            f"apt-get and dpkg are needed to fetch {package.name}: use Debian or Ubuntu"
        )
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    _run("apt-get", "download", package.name, folder=target)
    for archive in target.glob("*.deb"):
        _run("dpkg", "-x", archive.name, ".", folder=target)
        archive.unlink()
    (target / DONE_MARKER).touch()
    return target


def _run(*command: str, folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"{' '.join(command)} failed: {reason}")


def copyright_file(package: Package, unpacked: Path) -> Path | None:
    """The package's statement of authors and licences, None where it has none."""
    path = unpacked / "usr/share/doc" / package.name / "copyright"
    return path if path.is_file() else None
