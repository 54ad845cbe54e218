"""Standard output whose reader has gone, as in `| head`."""

from __future__ import annotations

import os
import sys


def drop_output() -> None:
    """Drop what is left after a BrokenPipeError: Python flushes once more at exit, which fails."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
