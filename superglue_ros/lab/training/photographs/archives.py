"""Archives of crops: zip files of WebP images, small enough to travel."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage

MAX_ARCHIVE_BYTES = 24 * 2**20
"""Two of them and the weights stay below 64 MiB, what some machines take at once."""
MANIFEST = "manifest.json"
_IMAGE_SUFFIX = ".webp"
_ENTRY_OVERHEAD = 256
"""What a zip archive adds for each entry, at most."""


def write_archives(folder: Path, part: str, files: Sequence[Path]) -> list[Path]:
    """Pack image files into `part-00.zip`, `part-01.zip`, ... of at most `MAX_ARCHIVE_BYTES` each.

    Each archive appears whole or not at all.
    """
    for old in folder.glob(f"{part}-*.zip"):
        old.unlink()
    archives = []
    for index, group in enumerate(_by_size(files)):
        path = folder / f"{part}-{index:02d}.zip"
        unfinished = path.with_suffix(".part")
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
            for file in group:
                archive.write(file, file.name)
            archive.writestr(MANIFEST, json.dumps({"part": part, "images": len(group)}))
        unfinished.replace(path)
        archives.append(path)
    return archives


def _by_size(files: Sequence[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    total = _ENTRY_OVERHEAD
    for file in files:
        size = file.stat().st_size + _ENTRY_OVERHEAD
        if group and total + size > MAX_ARCHIVE_BYTES:
            yield group
            group, total = [], _ENTRY_OVERHEAD
        group.append(file)
        total += size
    if group:
        yield group


def load_photographs(paths: Sequence[Path], limit: int = 0) -> Tensor:
    """Read the crops of several archives into memory; what cannot be decoded is left out.

    Args:
        paths: Archives, all of crops of one size.
        limit: Most crops to read; 0 reads all.

    Returns:
        (N, H, W) uint8.

    Raises:
        InputError: An archive cannot be read, or there is no photograph in any.
    """
    images: list[GreyImage] = []
    for path in paths:
        images += [image for image in _read_archive(path) if image is not None]
    if not images:
        names = ", ".join(str(path) for path in paths) or "no archive given"
        raise InputError(f"no photographs found ({names}); make some: superglue-ros photographs")
    return torch.from_numpy(np.stack(images[: limit or None]))


def _read_archive(path: Path) -> Iterator[GreyImage | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(_IMAGE_SUFFIX):
                    yield decode_grey(archive.read(name))
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read the archive {path}: {error}") from error


def decode_grey(data: bytes) -> GreyImage | None:
    """Decode an image file as grey (H, W) uint8; None where it is not a whole image."""
    try:
        from superglue_ros.images import decode
    except ImportError:  # accelerated machines often carry PyTorch with Pillow and nothing else
        return _decode_with_pillow(data)
    image = decode(data)
    return None if image is None else np.asarray(image, np.uint8)


def _decode_with_pillow(data: bytes) -> GreyImage | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("L"), np.uint8)
    except (UnidentifiedImageError, OSError):
        return None
