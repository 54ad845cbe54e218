"""Copies between the host and a device that wait for nothing but the last result."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Transfers:
    """Copies to a CUDA device on a stream of their own, beside what is being computed.

    On the CPU arrays and tensors share their memory, and nothing is copied.

    Args:
        device: The device.
    """

    def __init__(self, device: torch.device) -> None:
        """Create the stream."""
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def upload(self, array: NDArray[Any]) -> Tensor:
        """The same on the device; what is put in the current stream from now on awaits it."""
        given = torch.from_numpy(array)
        if self._stream is None:
            return given
        # PyTorch hands pinned memory out again only when the copies from it are done
        pinned = torch.empty(given.shape, dtype=given.dtype, pin_memory=True).copy_(given)
        current = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._stream):
            uploaded = pinned.to(self._device, non_blocking=True)
        current.wait_stream(self._stream)
        uploaded.record_stream(current)
        return uploaded

    def download(self, *tensors: Tensor) -> list[NDArray[Any]]:
        """The same in the memory of the host, when all of it is there."""
        if self._stream is None:
            return [tensor.numpy() for tensor in tensors]
        pinned = [
            torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(
                tensor, non_blocking=True
            )
            for tensor in tensors
        ]
        torch.cuda.current_stream(self._device).synchronize()
        return [np.array(tensor) for tensor in pinned]
