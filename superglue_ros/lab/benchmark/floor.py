"""The least time that the hardware would need: operations and bytes over measured ceilings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import torch

from superglue_ros.lab.benchmark.measure import synchronise
from superglue_ros.networks.superglue import ENCODER_CHANNELS, LAYERS
from superglue_ros.networks.superpoint import DESCRIPTOR_DIM, STRIDE
from superglue_ros.refinement.alignment import AFFINE_ITERATIONS, SHIFT_ITERATIONS, WINDOW

VALUE_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
"""By precision of the networks what a weight or a layer's result takes."""

_FLOAT32_BYTES = 4
_GEMM_SIDE = 2048
_COPY_MEBIBYTES = 256
_REPEATS = 5


@dataclass(frozen=True)
class Work:
    """What a task costs at least.

    Attributes:
        gflop: Floating-point operations of the networks in 10^9, a multiplication and its addition
            counted as two.
        gigavalues: 10^9 numbers that are moved in the networks' precision: every weight once, every
            layer's result written and read.
        gigabytes: 10^9 bytes that are moved whatever the precision: the matrix of scores, which is
            float32.
        cached_gigabytes: The same, read over and over, so that it may stay in a cache.
    """

    gflop: float
    gigavalues: float
    gigabytes: float = 0.0
    cached_gigabytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        """Both, one after the other."""
        return Work(
            self.gflop + other.gflop,
            self.gigavalues + other.gigavalues,
            self.gigabytes + other.gigabytes,
            self.cached_gigabytes + other.cached_gigabytes,
        )

    def __mul__(self, times: int) -> Work:
        """The same several times."""
        return Work(
            self.gflop * times,
            self.gigavalues * times,
            self.gigabytes * times,
            self.cached_gigabytes * times,
        )


@dataclass(frozen=True)
class Ceilings:
    """What a device was measured to do at most, in float32; on a GPU in float16 if that is faster.

    Attributes:
        gflops: 10^9 operations a second in a product of large matrices.
        memory_gb_s: 10^9 bytes a second, read and written, in a copy of what no cache holds.
        cache_gb_s: The same of a few mebibytes.
    """

    gflops: float
    memory_gb_s: float
    cache_gb_s: float

    def floor_ms(self, work: Work, precision: str) -> float:
        """The time that work takes at least with networks of a precision, in milliseconds.

        Args:
            work: The work.
            precision: fp32, fp16 or bf16; of several joined by " + " the least counts.
        """
        value_bytes = min(VALUE_BYTES[name] for name in precision.split(" + "))
        gigabytes = work.gigavalues * value_bytes + work.gigabytes
        network = max(work.gflop / self.gflops, gigabytes / self.memory_gb_s)
        return 1e3 * (network + work.cached_gigabytes / self.cache_gb_s)


def refinement_work(count: int) -> Work:
    """Aligning the patches of so many matches: each sample of each iteration read and weighed."""
    samples = count * WINDOW**2 * (SHIFT_ITERATIONS + AFFINE_ITERATIONS)
    return Work(samples * 2 * 10 / 1e9, samples * 8 / 1e9)


def superpoint_work(width: int, height: int) -> Work:
    """SuperPoint on one image of this size in pixels."""
    # (channels in, channels out, kernel's side, reduction of the sides)
    encoder = [(1, 64, 3, 1), (64, 64, 3, 1), (64, 64, 3, 2), (64, 64, 3, 2)]
    encoder += [(64, 128, 3, 4), (128, 128, 3, 4), (128, 128, 3, 8), (128, 128, 3, 8)]
    heads = [(128, 256, 3, 8), (256, STRIDE**2 + 1, 1, 8)]
    heads += [(128, 256, 3, 8), (256, DESCRIPTOR_DIM, 1, 8)]
    operations = weights = results = 0
    for channels_in, channels_out, side, reduction in encoder + heads:
        places = width * height // reduction**2
        kernel = channels_in * channels_out * side**2
        operations += 2 * kernel * places
        weights += kernel
        results += channels_out * places
    return Work(operations / 1e9, (weights + 2 * results) / 1e9)


def superglue_work(count0: int, count1: int, iterations: int, dim: int = DESCRIPTOR_DIM) -> Work:
    """SuperGlue with its matching layer on so many keypoints in each image."""
    both = count0 + count1
    channels = (*ENCODER_CHANNELS, dim)
    encoder = sum(a * b for a, b in pairwise(channels))
    layer = 3 * dim**2 + dim**2 + (2 * dim) ** 2 + 2 * dim * dim  # projections, merge, two of MLP
    per_keypoint = encoder + LAYERS * layer + dim**2
    self_attention = 2 * dim * (count0**2 + count1**2)
    cross_attention = 2 * dim * 2 * count0 * count1
    attention = LAYERS // 2 * (self_attention + cross_attention)
    products = per_keypoint * both + attention + dim * count0 * count1
    results = both * (sum(channels) + LAYERS * 8 * dim)
    matrix = (count0 + 1) * (count1 + 1)
    return Work(
        gflop=2 * products / 1e9,
        gigavalues=(per_keypoint + 2 * results) / 1e9,
        gigabytes=_FLOAT32_BYTES * matrix / 1e9,
        cached_gigabytes=_FLOAT32_BYTES * 2 * iterations * matrix / 1e9,
    )


def measure_ceilings(device: torch.device) -> Ceilings:
    """Measure a device; takes about a second."""
    return Ceilings(
        gflops=max(2 * _GEMM_SIDE**3 / 1e9 / _best(f, device) for f in _products(device)),
        memory_gb_s=_copy_rate(device, _COPY_MEBIBYTES),
        cache_gb_s=_copy_rate(device, 4),
    )


def _products(device: torch.device) -> list[Callable[[], object]]:
    """Products of square matrices, by each library that is there."""
    matrix = torch.rand(_GEMM_SIDE, _GEMM_SIDE, device=device)
    products: list[Callable[[], object]] = [lambda: matrix @ matrix]
    if device.type == "cuda":
        half = matrix.half()
        products.append(lambda: half @ half)
    if device.type == "cpu" and find_spec("onnxruntime") and find_spec("onnx"):
        from superglue_ros.inference.engines.onnxruntime_engine import make_session
        from superglue_ros.inference.onnx.export import to_onnx

        layer = torch.nn.Linear(_GEMM_SIDE, _GEMM_SIDE, bias=False)
        session = make_session(to_onnx(layer, [matrix], ("x",), ("y",), {}))
        products.append(lambda: session.run(None, {"x": matrix.numpy()}))
    return products


def _copy_rate(device: torch.device, mebibytes: int) -> float:
    source = torch.zeros(mebibytes * 2**18, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * _FLOAT32_BYTES / 1e9 / _best(lambda: target.copy_(source), device)


def _best(function: Callable[[], object], device: torch.device) -> float:
    """The shortest of some runs, in seconds."""
    durations = []
    for _ in range(_REPEATS + 1):
        synchronise(device)
        begin = time.perf_counter()
        function()
        synchronise(device)
        durations.append(time.perf_counter() - begin)
    return float(np.min(durations[1:]))
