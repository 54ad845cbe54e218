"""Checkpoints that are whole or not there."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from superglue_ros.errors import InputError

State = dict[str, Any]


def write_checkpoint(path: Path, state: State) -> None:
    """Write a checkpoint under another name and let it take the place of the previous one.

    A kill or a full disk on the way leaves the previous one as it was.

    Raises:
        InputError: It cannot be written, because the disk is full for example.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except (OSError, RuntimeError) as error:  # PyTorch's writer turns a full disk into the latter
        unfinished.unlink(missing_ok=True)
        raise InputError(
            f"cannot write the checkpoint {path} ({error}); the previous one is whole: "
            "make room and run the same command again"
        ) from error


def read_checkpoint(path: Path, device: torch.device) -> State | None:
    """Read a checkpoint; None where there is none yet.

    Raises:
        InputError: The file is not a checkpoint.
    """
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path} is not a checkpoint ({error}); remove it to begin anew"
        ) from error
    return state
