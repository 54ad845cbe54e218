"""Photographs of the same places, with what a teacher matched between them.

A folder holds `teacher/SET.npz` and the photographs that these name; `read_set` says what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from superglue_ros.errors import InputError
from superglue_ros.features import FloatArray, GreyImage
from superglue_ros.images import read_image

TEACHER = "teacher"
PARTS = ("images", "size", "keypoints", "pairs", "matches0", "inliers0")
SETS_A_HELD_OUT_ONE = 5
HELD_OUT_INDEX = 3
LEAST_MATCHES = 16


@dataclass(frozen=True)
class RealPair:
    """Two photographs of a place.

    Attributes:
        images: Each (H, W) uint8, not necessarily of one size.
        matched: (2, M, 2) in pixels; point i of photograph 0 is point i of photograph 1.
        alone: For each photograph (A, 2) the teacher's keypoints that have no partner.
    """

    images: tuple[Tensor, Tensor]
    matched: Tensor
    alone: tuple[Tensor, Tensor]


def read_real_pairs(folder: Path, *, held_out: bool) -> Sequence[RealPair]:
    """Read the pairs of all sets for training, or of those held out: every fifth, whole.

    Raises:
        InputError: There are none, or a file cannot be read.
    """
    files = sorted((folder / TEACHER).glob("*.npz"))
    chosen = [
        file
        for index, file in enumerate(files)
        if (index % SETS_A_HELD_OUT_ONE == HELD_OUT_INDEX) == held_out
    ]
    pairs = [pair for file in chosen for pair in read_set(folder, file)]
    if not pairs:
        wanted = "at least 4 sets, of which one is held out" if held_out else "the sets"
        raise InputError(f"no pairs of real photographs: {folder / TEACHER} must hold {wanted}")
    return pairs


def read_set(folder: Path, file: Path) -> Sequence[RealPair]:
    """Read the pairs of one set.

    The file holds `images` (n,) paths in the folder, `size` (n, 2) width and height at which the
    teacher saw them, `keypoints` (n, k, 2) in pixels of these, NaN where there are fewer, `pairs`
    (p, 2), `matches0` (p, k), -1 for none, and `inliers0` (p, k), whether a match agrees with the
    pair's geometry.

    Raises:
        InputError: The file lacks one of these, or a photograph cannot be read.
    """
    content = _read_teacher(file)
    photographs = [
        _photograph(folder / str(name), (int(width), int(height)))
        for name, (width, height) in zip(content["images"], content["size"], strict=True)
    ]
    keypoints = content["keypoints"].astype(np.float32)
    pairs = []
    for (first, second), matches, agrees in zip(
        content["pairs"], content["matches0"], content["inliers0"], strict=True
    ):
        both = (keypoints[first], keypoints[second])
        rows = np.flatnonzero((matches >= 0) & agrees)
        matched = np.stack([both[0][rows], both[1][matches[rows]]])
        if len(rows) < LEAST_MATCHES:
            continue
        partners = np.isin(np.arange(len(both[1])), matches[matches >= 0])
        alone = (both[0][matches < 0], both[1][~partners])
        pairs.append(
            RealPair(
                (photographs[first], photographs[second]),
                torch.from_numpy(matched),
                (_known(alone[0]), _known(alone[1])),
            )
        )
    return pairs


def _read_teacher(file: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in PARTS}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(
            f"{file} is not a teacher's file ({error}); make it again or remove it"
        ) from error


def _known(points: FloatArray) -> Tensor:
    return torch.from_numpy(points[np.isfinite(points).all(axis=1)])


def _photograph(path: Path, size: tuple[int, int]) -> Tensor:
    image: GreyImage = read_image(path)
    if (image.shape[1], image.shape[0]) != size:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return torch.from_numpy(image)
