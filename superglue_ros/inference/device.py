"""The device that the networks run on: choice, memory, failures."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from superglue_ros.errors import DeviceError, InputError


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


@contextmanager
def device_errors(device: torch.device) -> Iterator[None]:
    """Turn a failure of the device within the `with` block into a DeviceError.

    What the failed work had allocated is given back to the device first.
    """
    try:
        yield
    except RuntimeError as error:
        out_of_memory = isinstance(error, torch.cuda.OutOfMemoryError)
        if not out_of_memory and "CUDA error" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        error.__traceback__ = None  # it holds the frames that hold the tensors
    else:
        return
    release_memory(device)
    raise DeviceError(f"{device}: {reason}")


def strict_float32() -> AbstractContextManager[None]:
    """Within the `with` block, convolutions in float32 are computed in float32.

    By default PyTorch lets them take TensorFloat-32, which has the ten digits of half precision.
    """
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def release_memory(device: torch.device) -> None:
    """Give memory that is not in use back to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def allocated_mebibytes(device: torch.device) -> float:
    """Memory of the device that this process has allocated; 0 for the CPU."""
    return torch.cuda.memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0
