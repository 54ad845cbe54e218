"""`superglue-ros weights`: the weights that come with the package."""

from __future__ import annotations

import argparse

from rich.table import Table

from superglue_ros.cli.tables import print_table
from superglue_ros.weights import SHIPPED


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "weights", description="The weights that come with the package; MODEL_CARD.md tells more."
    )
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    listing = actions.add_parser("list", help="show what there is")
    listing.set_defaults(run=run_list)
    verify = actions.add_parser("verify", help="compare the files with their SHA-256 digests")
    verify.set_defaults(run=run_verify)


def run_list(arguments: argparse.Namespace) -> None:
    """Print the table of the shipped weights."""
    table = Table("name", "network", "licence", "MB", "sha256", "note", "figures")
    for entry in SHIPPED.values():
        size = f"{entry.path.stat().st_size / 1e6:.1f}" if entry.path.is_file() else "missing"
        known = (entry.name, entry.network, entry.licence, size, entry.sha256[:12])
        table.add_row(*known, entry.note, entry.figures)
    print_table(table)


def run_verify(arguments: argparse.Namespace) -> None:
    """Compare every file with its digest.

    Raises:
        InputError: A file is missing or was changed.
    """
    for entry in SHIPPED.values():
        entry.verify()
        print(f"{entry.name}: {entry.path} has its digest")
