"""Threads that leave the cores to whoever has work: to be called before PyTorch is imported."""

from __future__ import annotations

import os

_WAITING = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}
"""For GNU's and for Intel's OpenMP: threads that wait sleep rather than spin."""


def share_cores() -> None:
    """Let PyTorch's threads sleep while they wait; what the user has set stays.

    They wait for each other after every operation. Where another process keeps a core busy, one of
    them comes late, and spinning for it takes the core it needs: a pass of a network then takes
    many times as long.
    """
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)
