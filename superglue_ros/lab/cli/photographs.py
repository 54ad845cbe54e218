"""`superglue-ros photographs`: the pool that the training learns from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from superglue_ros.errors import InputError

if TYPE_CHECKING:
    from superglue_ros.lab.training.photographs.pool import Pool

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".webp")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "photographs",
        description="Gather freely licensed photographs from Debian packages (downloaded and "
        "unpacked, not installed), take textured grey crops of 480x640 and pack them into archives "
        "of at most 24 MiB, a tenth of the photographs apart for validation. Goes on where it was "
        "stopped. photographs.json records what became of every image, licences/ who made it.",
    )
    parser.add_argument("output", type=Path, metavar="FOLDER", help="where the pool is made")
    parser.add_argument(
        "--packages",
        nargs="+",
        default=[],
        metavar="NAME",
        help="the Debian packages to take; without it all that are known to have photographs",
    )
    parser.add_argument(
        "--exclude",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="folders of images, such as those of evaluations, whose copies are left out",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Gather the pool of a command line.

    Raises:
        InputError: A package is unknown or cannot be had, or no photograph was found.
    """
    from rich.progress import Progress

    from superglue_ros.lab.training.photographs.packages import select_packages, unpack_package
    from superglue_ros.lab.training.photographs.pool import Pool

    packages = select_packages(arguments.packages)
    pool = Pool(arguments.output, _fingerprints(arguments.exclude))
    with Progress() as progress:
        task = progress.add_task("packages", total=len(packages))
        for package in packages:
            progress.update(task, description=package.name)
            unpacked = unpack_package(package, arguments.output / "packages")
            pool.gather(package, unpacked, lambda _: progress.refresh())
            progress.advance(task)
    archives = pool.pack()
    if not archives:
        raise InputError(f"no photographs found in {', '.join(p.name for p in packages)}")
    _print_counts(pool)
    for archive in archives:
        print(f"{archive}: {archive.stat().st_size / 2**20:.1f} MiB")


def _fingerprints(folders: list[Path]) -> list[int]:
    from superglue_ros.lab.training.photographs.archives import decode_grey
    from superglue_ros.lab.training.photographs.crops import difference_hash

    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    files = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    # Beside the images there may be depth maps, which are nothing to compare with
    images = [image for file in files if (image := decode_grey(file.read_bytes())) is not None]
    if folders and not images:
        raise InputError(f"no images to leave out under {', '.join(map(str, folders))}")
    return [difference_hash(image) for image in images]


def _print_counts(pool: Pool) -> None:
    from rich.table import Table

    from superglue_ros.cli.tables import print_table
    from superglue_ros.lab.training.photographs.packages import PACKAGES

    columns = ("kept", "duplicate", "excluded", "flat", "small", "corrupt")
    crops = ("train crops", "validation crops")
    table = Table("package", *columns, *crops, "licences")
    for name, counts in pool.counts().items():
        numbers = [str(counts[column]) for column in (*columns, *crops)]
        table.add_row(name, *numbers, PACKAGES[name].licences)
    print_table(table)
