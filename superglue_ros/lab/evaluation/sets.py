"""The sets of pairs: made-up homographies of held-out photographs, and folders of real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Generator

from superglue_ros.errors import InputError
from superglue_ros.images import read_image, read_values
from superglue_ros.lab.evaluation.metrics import Array
from superglue_ros.lab.evaluation.pairs import DisparityTruth, HomographyTruth, ImagePair, PoseTruth
from superglue_ros.lab.training.config import PhotometricConfig, ViewConfig
from superglue_ros.lab.training.photographs.archives import load_photographs
from superglue_ros.lab.training.synthesis.homographies import random_views, warp_images
from superglue_ros.lab.training.synthesis.photometrics import change_photometry

SEED = 7
VIEWS = ViewConfig(scale=1.5, rotation_deg=30.0, perspective=0.2, upside_share=0.0)
LIGHT = PhotometricConfig(strength=0.6)
MAX_SHIFT = 0.15
"""Of the second view's centre, as a share of the photograph's size."""

_NUMBERS_IN_LINE = 38


def synthetic_homographies(archive: Path, count: int) -> Iterator[ImagePair]:
    """Photographs and random views of them, as in SuperGlue's Table 1.

    Args:
        archive: Held-out photographs, as `superglue-ros photographs` makes them.
        count: Pairs; photographs are taken again, with other views, where there are fewer.
    """
    photographs = load_photographs([archive])
    _, height, width = photographs.shape
    size = (width, height)
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    for index in range(count):
        generator = Generator().manual_seed(SEED * 1_000_003 + index)
        photograph = photographs[index % len(photographs)]
        shift = (torch.rand(1, 2, generator=generator) * 2 - 1) * MAX_SHIFT * torch.tensor(size)
        view = random_views(1, size, size, VIEWS, generator, centres=middle + shift)
        warped = warp_images(photograph[None, None].float() / 255, view, size, padding="zeros")
        changed = change_photometry(warped, LIGHT, generator)[0, 0]
        yield ImagePair(
            name=f"{archive.stem}/{index:04d}",
            image0=photograph.numpy(),
            image1=(changed * 255).round().to(torch.uint8).numpy(),
            truth=HomographyTruth(np.linalg.inv(view[0].double().numpy())),
        )


def oxford(folder: Path) -> Iterator[ImagePair]:
    """Image 1 of each sequence with images 2 to 6 and the homographies `H1toNp`."""
    for sequence in sorted(path for path in folder.iterdir() if path.is_dir()):
        first = read_image(sequence / "img1.png")
        for index in range(2, 7):
            homography = np.loadtxt(sequence / f"H1to{index}p")
            yield ImagePair(
                name=f"oxford/{sequence.name}/1-{index}",
                image0=first,
                image1=read_image(sequence / f"img{index}.png"),
                truth=HomographyTruth(homography),
            )


def pose_pairs(list_file: Path) -> Iterator[ImagePair]:
    """The pairs of a file: name0 name1 rot0 rot1 K0 (9) K1 (9) T_0to1 (16) in each line.

    Raises:
        InputError: A line is not of this form.
    """
    for number, line in enumerate(list_file.read_text().splitlines(), start=1):
        words = line.split()
        if len(words) != _NUMBERS_IN_LINE:
            raise InputError(
                f"{list_file}:{number} must hold {_NUMBERS_IN_LINE} words, got {len(words)}"
            )
        values = np.array(words[4:], np.float64)
        motion = values[18:].reshape(4, 4)
        yield ImagePair(
            name=f"{words[0]} {Path(words[1]).name}",
            image0=read_image(list_file.parent / words[0]),
            image1=read_image(list_file.parent / words[1]),
            truth=PoseTruth(
                K0=values[:9].reshape(3, 3),
                K1=values[9:18].reshape(3, 3),
                rotation=motion[:3, :3],
                translation=motion[:3, 3],
            ),
        )


def stereo(folder: Path) -> Iterator[ImagePair]:
    """The rectified pairs motorcycle, aloe and cones of Middlebury."""
    for name, read in _STEREO.items():
        if (folder / name).is_dir():
            left, right, disparity = read(folder / name)
            yield ImagePair(f"stereo/{name}", left, right, DisparityTruth(disparity))


StereoFiles = tuple["np.ndarray", "np.ndarray", Array]


def _motorcycle(folder: Path) -> StereoFiles:
    with np.load(folder / "motorcycle_disp.npz") as content:
        disparity = np.asarray(content[content.files[0]], np.float64)
    left, right = (read_image(folder / f"motorcycle_{side}.png") for side in ("left", "right"))
    return left, right, disparity


def _aloe(folder: Path) -> StereoFiles:
    disparity = read_image(folder / "aloeGT.png").astype(np.float64)
    left, right = (read_image(folder / f"aloe{side}.jpg") for side in "LR")
    return left, right, np.where(disparity > 0, disparity, np.inf)


def _cones(folder: Path) -> StereoFiles:
    disparity = np.asarray(read_values(folder / "Cones_LEFT_GT.tif"), np.float64)
    occluded = read_image(folder / "Occlusion_LEFT.png") == 0
    left, right = (read_image(folder / f"Cones_{side}.tif") for side in ("LEFT", "RIGHT"))
    return left, right, np.where((disparity > 0) & ~occluded, disparity, np.inf)


_STEREO: dict[str, Callable[[Path], StereoFiles]] = {
    "motorcycle": _motorcycle,
    "aloe": _aloe,
    "cones": _cones,
}


def development_sets(folder: Path) -> dict[str, list[ImagePair]]:
    """The sets that a folder holds, by name.

    Raises:
        InputError: It holds none.
    """
    sets: dict[str, list[ImagePair]] = {}
    if (folder / "oxford").is_dir():
        sets["oxford"] = list(oxford(folder / "oxford"))
    for list_file in sorted(folder.glob("*_pairs.txt")):
        sets[list_file.stem.removesuffix("_pairs")] = list(pose_pairs(list_file))
    if (folder / "stereo").is_dir():
        sets["stereo"] = list(stereo(folder / "stereo"))
    if not sets:
        raise InputError(f"{folder} holds no development set: oxford/, stereo/ or *_pairs.txt")
    return sets
