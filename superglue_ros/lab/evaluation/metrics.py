"""The figures of the papers, from matches and the truth, in NumPy.

Points are (N, 2) in pixels; pixel (0, 0) is the centre of the top-left pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MATCH_PX = 3.0
_TINY = 1e-12


def transform(homography: Array, points: NDArray[np.floating]) -> Array:
    """Points (N, 2) through a homography (3, 3); infinite where they end up behind the image."""
    mapped = np.asarray(points, np.float64) @ homography[:, :2].T + homography[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        result = mapped[:, :2] / mapped[:, 2:]
    result[mapped[:, 2] <= _TINY] = np.inf
    return result


def is_inside(points: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether points lie in an image of (width, height)."""
    low, high = -0.5, np.asarray(size) - 0.5
    return np.asarray(((points >= low) & (points < high)).all(axis=1))


def area_under_curve(errors: Sequence[float], thresholds: Sequence[float]) -> list[float]:
    """Area under the curve "share of pairs with at most this error", up to each threshold.

    Args:
        errors: One error a pair, infinite where there is no estimate.
        thresholds: Largest errors.

    Returns:
        For each threshold a share in [0, 1]; 0 where there is no pair.
    """
    if not len(errors):
        return [0.0] * len(thresholds)
    ordered = np.sort(np.asarray(errors, np.float64))
    shares = np.arange(1, len(ordered) + 1) / len(ordered)
    areas = []
    for threshold in thresholds:
        below = int(np.searchsorted(ordered, threshold, side="right"))
        x = np.concatenate([[0.0], ordered[:below], [threshold]])
        y = np.concatenate([[0.0], shares[:below], [shares[below - 1] if below else 0.0]])
        areas.append(float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / threshold))
    return areas


def possible_matches(
    homography: Array, keypoints0: Array, keypoints1: Array, size1: tuple[int, int]
) -> NDArray[np.bool_]:
    """(N,) whether a keypoint of image 0 has a partner: mutual nearest within `MATCH_PX`."""
    if not len(keypoints0) or not len(keypoints1):
        return np.zeros(len(keypoints0), bool)
    projected = transform(homography, keypoints0)
    usable = is_inside(projected, size1)
    distance = np.linalg.norm(
        np.where(usable[:, None], projected, 1e9)[:, None] - keypoints1[None], axis=2
    )
    nearest0, nearest1 = distance.argmin(axis=1), distance.argmin(axis=0)
    mutual = nearest1[nearest0] == np.arange(len(keypoints0))
    return np.asarray(usable & mutual & (distance.min(axis=1) <= MATCH_PX))


def transfer_errors(homography: Array, points0: Array, points1: Array) -> Array:
    """(N,) distance in pixels of matched points of image 1 from where they should be."""
    with np.errstate(invalid="ignore"):  # both infinitely far
        away = transform(homography, points0) - points1
    return np.asarray(np.hypot(away[:, 0], away[:, 1]))


def corner_error(estimate: Array | None, truth: Array, size0: tuple[int, int]) -> float:
    """Mean distance in pixels of image 0's corners under both homographies; infinite for none."""
    if estimate is None:
        return float("inf")
    right, bottom = size0[0] - 1.0, size0[1] - 1.0
    corners = np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])
    error = transfer_errors(estimate, corners, transform(truth, corners))
    return float(np.nan_to_num(error, nan=np.inf, posinf=np.inf).mean())


def rotation_error_deg(estimate: Array, truth: Array) -> float:
    """Angle in degrees between two rotations (3, 3)."""
    cosine = (np.trace(estimate.T @ truth) - 1) / 2
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))


def translation_error_deg(estimate: Array, truth: Array) -> float:
    """Angle in degrees between two directions (3,), whose sign is not observable."""
    length = np.linalg.norm(estimate) * np.linalg.norm(truth)
    if length < _TINY:
        return 0.0 if np.linalg.norm(truth) < _TINY else 180.0
    angle = float(np.rad2deg(np.arccos(np.clip(estimate @ truth / length, -1, 1))))
    return min(angle, 180 - angle)


def epipolar_errors(
    points0: Array, points1: Array, K0: Array, K1: Array, rotation: Array, translation: Array
) -> Array:
    """(N,) symmetric squared epipolar distances in normalised coordinates (SuperGlue, appendix).

    Args:
        points0: (N, 2) in pixels of image 0.
        points1: (N, 2) their matches.
        K0: (3, 3) intrinsics of camera 0.
        K1: (3, 3) intrinsics of camera 1.
        rotation: (3, 3) from camera 0 to camera 1.
        translation: (3,) from camera 0 to camera 1, of any length.
    """
    x, y, z = translation / max(float(np.linalg.norm(translation)), _TINY)
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ rotation
    rays0, rays1 = _rays(points0, K0), _rays(points1, K1)
    lines1, lines0 = rays0 @ essential.T, rays1 @ essential
    product = (rays1 * lines1).sum(axis=1)
    squared0 = (lines0[:, :2] ** 2).sum(axis=1)
    squared1 = (lines1[:, :2] ** 2).sum(axis=1)
    inverse = 1 / np.maximum(squared0, _TINY) + 1 / np.maximum(squared1, _TINY)
    return np.asarray(product**2 * inverse)


def _rays(points: Array, K: Array) -> Array:
    ones = np.ones((len(points), 1))
    return np.asarray(np.hstack([points, ones]) @ np.linalg.inv(K).T)
