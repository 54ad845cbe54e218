"""Trained networks as weight files of the published layout."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from superglue_ros.errors import InputError

MAX_PIECE_BYTES = 15 * 2**20


def export_weights(network: nn.Module, path: Path) -> None:
    """Write a network's state as float16 safetensors, whole or not at all.

    Raises:
        InputError: It cannot be written, or a weight is not finite in float16.
    """
    save_tensors({name: _half(name, tensor) for name, tensor in network.state_dict().items()}, path)


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file, whole or not at all, making its folder.

    Raises:
        InputError: It cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, unfinished, metadata={"format": "pt"})
        unfinished.replace(path)
    except (OSError, SafetensorError) as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error}") from error


def _half(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.cpu().contiguous()
    half = tensor.detach().half().cpu().contiguous()
    if not torch.isfinite(half).all():
        raise InputError(f"{name} is not finite in float16: the training has diverged")
    return half


def split_file(path: Path, folder: Path) -> list[Path]:
    """Cut a file into pieces that fit through narrow transfers; `cat` joins them in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    data = path.read_bytes()
    pieces = []
    for index in range(0, max(1, -(-len(data) // MAX_PIECE_BYTES))):
        piece = folder / f"{path.name}.{index:02d}"
        piece.write_bytes(data[index * MAX_PIECE_BYTES : (index + 1) * MAX_PIECE_BYTES])
        pieces.append(piece)
    return pieces
