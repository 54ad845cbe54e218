"""Choice of the device that the networks run on."""

from __future__ import annotations

import re

import torch

from superglue_ros.errors import InputError


def select_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        InputError: The name is none of these, or there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    named = re.fullmatch(r"cpu|cuda(?::([0-9]+))?", name)
    if named is None:
        raise InputError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    if name != "cpu":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(named[1] or 0) >= count:
            raise InputError(f"device {name!r} asked for, but PyTorch sees {count} GPUs; use cpu")
    return torch.device(name)
