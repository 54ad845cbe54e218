"""Copies between the host and a device that wait for nothing but the last result."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from superglue_ros.inference.device import device_errors


class Download:
    """Copies on their way to the host.

    Args:
        tensors: Where they arrive, in the host's memory.
        device: Where they come from.
        done: Recorded behind the copies; None where they have arrived.
    """

    def __init__(
        self, tensors: Sequence[Tensor], device: torch.device, done: torch.cuda.Event | None
    ) -> None:
        """Take note of them."""
        self._tensors = tensors
        self._device = device
        self._done = done

    def result(self) -> list[NDArray[Any]]:
        """The arrays, when all of them are there, the same ones each time.

        Raises:
            DeviceError: The device failed at what the arrays were to hold.
        """
        return self._arrays

    @cached_property
    def _arrays(self) -> list[NDArray[Any]]:
        if self._done is None:
            return [tensor.numpy() for tensor in self._tensors]
        with device_errors(self._device):
            self._done.synchronize()
        return [np.array(tensor) for tensor in self._tensors]


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

    def download(self, *tensors: Tensor) -> Download:
        """Begin to copy to the host what the current stream computes until here."""
        if self._stream is None:
            return Download(tensors, self._device, None)
        pinned = [
            torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(
                tensor, non_blocking=True
            )
            for tensor in tensors
        ]
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(torch.cuda.current_stream(self._device))
        return Download(pinned, self._device, done)
