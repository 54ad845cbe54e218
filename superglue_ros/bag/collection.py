"""Which bags a folder holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from superglue_ros.bag.storage import SUFFIXES, storage_files, storage_name
from superglue_ros.errors import InputError

_METADATA = "metadata.yaml"
_PART = re.compile(r"(_?\d{4}(-\d\d){5})?_\d+$")  # of a split bag; ROS 1 dates each


def is_one_bag(path: Path) -> bool:
    """Whether a path is a bag, rather than a folder of bags.

    A folder is one where it has a metadata.yaml, or holds the numbered files of one recording and
    no folder that is a bag.
    """
    if not path.is_dir() or (path / _METADATA).exists():
        return True
    names = {_PART.sub("", storage_name(file)) for file in storage_files(path)}
    return len(names) == 1 and not any(True for _ in _bags_in_folders(path, None))


def find_bags(folder: Path, output: Path) -> dict[Path, Path]:
    """The bags of a folder and of those within it, and a place for the output of each.

    Args:
        folder: The folder.
        output: Where the outputs are to lie, as the bags lie in the folder; it may itself be in
            the folder, and is not looked into.

    Returns:
        The output of each bag, in the order of their names.

    Raises:
        InputError: There is no bag.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    bags = sorted([*storage_files(folder), *_bags_in_folders(folder, output.resolve())])
    if not bags:
        raise InputError(f"{folder} holds no bags ({', '.join(SUFFIXES)}, or folders of them)")
    plain = [_without_suffix(bag) for bag in bags]
    return {
        bag: output / (bag if plain.count(name) > 1 else name).relative_to(folder)
        for bag, name in zip(bags, plain, strict=True)
    }


def _bags_in_folders(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    for path in folder.iterdir():
        if not path.is_dir() or path.suffix == ".partial" or path.resolve() == leave_out:
            continue
        if (path / _METADATA).exists() or (storage_files(path) and is_one_bag(path)):
            yield path
        else:
            yield from storage_files(path)
            yield from _bags_in_folders(path, leave_out)


def _without_suffix(bag: Path) -> Path:
    return bag if bag.is_dir() else bag.with_name(storage_name(bag))
