"""What the fused engines for both networks have in common: precisions and fixed shapes.

They are the engines for GPUs: fixed shapes, half precision, CUDA graphs. They run on the CPU too,
in float32 and without graphs.
"""

from __future__ import annotations

import torch

from superglue_ros.inference.engines.interface import EngineOptions, EngineUnavailableError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

_AUTOMATIC = {"cuda": "fp16", "cpu": "fp32"}

_BUCKET = 128
"""On a GPU, places for keypoints come in multiples of this, so that few graphs serve all counts."""


def in_buckets(count: int) -> int:
    """Room for so many keypoints such that few graphs serve all counts."""
    return -(-count // _BUCKET) * _BUCKET


def precision_of(options: EngineOptions) -> str:
    """The precision that is asked for or, for auto, the best one; raises if it is not for here."""
    precision = options.precision
    if precision == "auto":
        precision = _AUTOMATIC[options.device.type]
    if options.device.type == "cpu" and precision != "fp32":
        raise EngineUnavailableError(
            f"engine fused computes in fp32 on the CPU, not in {precision}: take engine auto"
        )
    return precision
