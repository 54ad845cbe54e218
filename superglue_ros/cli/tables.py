"""Tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_WIDTH_OF_FILES = 120


def print_table(table: Table) -> None:
    """Print a table, as wide as the terminal, or of a fixed width into a file or pipe."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_OF_FILES)
    console.print(table)
