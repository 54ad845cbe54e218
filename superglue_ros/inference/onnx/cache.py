"""Exported networks, kept between runs in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

import superglue_ros

Network = TypeVar("Network", bound=nn.Module)

_KEPT = 8
"""Files that are kept, of up to 48 MB each."""


def cached(network: Network, export: Callable[[Network], bytes]) -> bytes:
    """The exported network, from the cache folder where it is there.

    A file that cannot be written is done without: the export takes a second.
    """
    path = cache_folder() / f"{export.__name__}-{_digest(network)}.onnx"
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        path.touch()
        return content
    content = export(network)
    with contextlib.suppress(OSError):
        _write(path, content)
    return content


def _forget_unused(folder: Path) -> None:
    """Keep the files that were used last: weights and code change, and each leaves a file."""
    files = sorted(folder.glob("*.onnx"), key=lambda file: file.stat().st_mtime)
    for file in files[:-_KEPT]:
        file.unlink()


def cache_folder() -> Path:
    """Where this package keeps what it can make again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "superglue_ros"


def _digest(network: nn.Module) -> str:
    """Of everything that an export depends on: weights, code and PyTorch."""
    digest = hashlib.sha256(torch.__version__.encode())
    package = Path(superglue_ros.__file__).parent
    for folder in ("networks", "inference"):
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a file under its name at once: other processes read and write it too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        new = Path(folder) / path.name
        new.write_bytes(content)
        new.replace(path)
    _forget_unused(path.parent)
