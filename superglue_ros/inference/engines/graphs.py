"""CUDA graphs: many launches recorded once and replayed as one."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor

Outputs = TypeVar("Outputs", bound=tuple[Any, ...])

CAPACITY = 16
"""Graphs kept at a time; the one unused for longest gives way. Bounds the memory."""

_logger = logging.getLogger(__name__)


class GraphCache:
    """Calls functions of tensors on one device, as CUDA graphs where that is possible.

    The first call of a function with inputs of certain shapes runs it as it is, which also makes it
    load whatever it loads late. The second records it, later ones replay it. All graphs share one
    pool of memory, since no two of them run at a time. On other devices than CUDA, and after a
    recording has failed, functions run as they are.

    Args:
        device: The device.
    """

    def __init__(self, device: torch.device) -> None:
        """Start without graphs."""
        self._device = device
        self._active = device.type == "cuda"
        self._graphs: OrderedDict[Hashable, _Graph | None] = OrderedDict()
        self._pool = torch.cuda.graph_pool_handle() if self._active else None

    def __call__(
        self, key: Hashable, function: Callable[..., Outputs], *inputs: Tensor | None
    ) -> Outputs:
        """Call a function that neither waits for the device nor takes anything from the host.

        Args:
            key: What the function does, beside the shapes of its inputs.
            function: The function; what it returns is in new memory.
            *inputs: Its arguments on the device.

        Returns:
            What the function returns; from a graph, the same memory each time, so take from it what
            is needed before the next call.
        """
        if not self._active:
            return function(*inputs)
        key = (key, *(None if one is None else (one.shape, one.dtype) for one in inputs))
        try:
            with torch.cuda.device(self._device):  # which Triton launches on
                return self._run(key, function, inputs)
        except torch.cuda.OutOfMemoryError:
            self._graphs.clear()
            raise

    def _run(
        self, key: Hashable, function: Callable[..., Outputs], inputs: tuple[Tensor | None, ...]
    ) -> Outputs:
        if key not in self._graphs:
            outputs = function(*inputs)
            self._graphs[key] = None
            if len(self._graphs) > CAPACITY:
                self._graphs.popitem(last=False)
            return outputs
        self._graphs.move_to_end(key)
        graph = self._graphs[key] or self._record(function, inputs)
        if graph is None:
            return function(*inputs)
        self._graphs[key] = graph
        outputs = graph.replay(inputs)
        return outputs

    def _record(
        self, function: Callable[..., Any], inputs: tuple[Tensor | None, ...]
    ) -> _Graph | None:
        """Record a function, or warn and give it up for all."""
        try:
            return _Graph(function, inputs, self._pool)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            _logger.warning("no CUDA graphs on %s, which is slower: %s", self._device, reason)
            self._active = False
            self._graphs.clear()
            return None


class _Graph:
    """One recording with the memory of its inputs and outputs."""

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: tuple[Tensor | None, ...],
        pool: Any,
    ) -> None:
        """Record a function."""
        self._inputs = [None if one is None else one.clone() for one in inputs]
        self._graph = torch.cuda.CUDAGraph()
        # Other threads of the process may go on with CUDA meanwhile
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._outputs = function(*self._inputs)

    def replay(self, inputs: tuple[Tensor | None, ...]) -> Any:
        """Run it on inputs of the same shapes."""
        for mine, given in zip(self._inputs, inputs, strict=True):
            if mine is not None and given is not None:
                mine.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._outputs
