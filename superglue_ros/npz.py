"""Matches as NumPy files, under the names that the field uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches


def write_npz(path: Path, features0: Features, features1: Features, matches: Matches) -> None:
    """Write `keypoints0`, `keypoints1`, `scores0`, `scores1`, `matches` and `match_confidence`.

    Keypoints of image 1 that have a refined match are written where it has them.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:  # by its name alone, NumPy would add an ending
            np.savez(
                file,
                keypoints0=features0.keypoints,
                keypoints1=matches.refined(features1).keypoints,
                scores0=features0.scores,
                scores1=features1.scores,
                matches=matches.matches0,
                match_confidence=matches.matching_scores0,
            )
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
