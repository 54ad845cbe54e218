"""Pictures of training pairs: true matches as lines, what the other image does not show as dots."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from superglue_ros.images import write_image
from superglue_ros.lab.training.pairs import HIDDEN, VISIBLE, PairBatch

STEP_PX = 14
LINES_SHARE = 0.15
"""Of the visible points on the grid; more would hide the images."""

_RED, _BLUE = (0, 0, 255), (255, 80, 0)

Picture = NDArray[np.uint8]


def write_overlays(pairs: PairBatch, path: Path) -> None:
    """Draw the pairs of a batch below each other.

    Points of a grid on image 0 are joined by lines to where they are in image 1, are red dots where
    image 1 does not show them, and blue ones where that is not known.

    Args:
        pairs: The batch.
        path: The image file to write.
    """
    rows = [_overlay(pairs, index) for index in range(pairs.images.shape[1])]
    write_image(path, np.vstack(rows))


def _overlay(pairs: PairBatch, index: int) -> Picture:
    width, height = pairs.size
    images = (pairs.images[:, index, 0].cpu().numpy() * 255).round().astype(np.uint8)
    picture = cv2.cvtColor(np.hstack(list(images)), cv2.COLOR_GRAY2BGR)
    targets = pairs.targets[0, index].cpu().numpy()
    visibility = pairs.visibility[0, index].cpu().numpy()
    random = np.random.default_rng(index)
    for y in range(STEP_PX // 2, height, STEP_PX):
        for x in range(STEP_PX // 2, width, STEP_PX):
            if visibility[y, x] != VISIBLE:
                colour = _RED if visibility[y, x] == HIDDEN else _BLUE
                cv2.circle(picture, (x, y), 1, colour, -1)
            elif random.random() < LINES_SHARE:
                blue, green, red = random.integers(80, 255, 3).tolist()
                at = (width + round(float(targets[y, x, 0])), round(float(targets[y, x, 1])))
                cv2.line(picture, (x, y), at, (blue, green, red), 1, cv2.LINE_AA)
                for end in ((x, y), at):
                    cv2.circle(picture, end, 2, (blue, green, red), -1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)
