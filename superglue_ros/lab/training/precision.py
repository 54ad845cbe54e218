"""The arithmetic that a stage's network runs in."""

from __future__ import annotations

import torch


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context for `auto`, `float32` or `bfloat16`; auto is bfloat16 on CUDA only."""
    wanted = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)
