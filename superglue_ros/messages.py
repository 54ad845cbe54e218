"""What the fields of the messages hold, for the generated classes of rclpy and those of rosbags.

Arrays are NumPy arrays here; a class that wants them otherwise is given them otherwise by whoever
makes the message.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superglue_ros.errors import InputError
from superglue_ros.features import Features, IndexArray, Matches
from superglue_ros.geometry import Case, Matrix, Scale, TwoViewGeometry
from superglue_ros.tracks import Tracks

FieldValues = dict[str, str | int | float | NDArray[Any]]

_MATRICES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("fundamental", "essential", "homography", "rotation"), (3, 3)),
    "translation": (3,),
    "pose_covariance": (6, 6),
}


def features_fields(features: Features) -> FieldValues:
    """The fields of a Features message but for its header."""
    width, height = features.image_size
    return {
        "width": width,
        "height": height,
        "extractor": features.extractor,
        "keypoints": _keypoint_rows(features),
        "descriptor_size": features.descriptors.shape[1],
        "descriptors": _flat(features.descriptors),
        **_patch_fields(features),
    }


def features_from_message(message: Any) -> Features:
    """The features that a Features message carries.

    Returns:
        Features; where the message has no descriptors they are (N, 0). Patches that do not fit, see
        `patches_problem`, are left out.

    Raises:
        InputError: The lengths of the arrays do not fit together, a value is not finite, or there
            are keypoints of an image without pixels.
    """
    keypoints, scores = _keypoints_and_scores("keypoints", message.keypoints)
    if len(keypoints) and not (message.width and message.height):
        raise InputError(
            f"{len(keypoints)} keypoints come from an image of {message.width}x{message.height} "
            "pixels; does the publisher fill in width and height?"
        )
    return Features(
        keypoints=keypoints,
        scores=scores,
        descriptors=_descriptors(message, count=len(keypoints)),
        image_size=(message.width, message.height),
        extractor=message.extractor,
        **_patches(message, count=len(keypoints)),
    )


def patches_problem(message: Any) -> str:
    """What is wrong with the patches of a Features message, in one line; empty where nothing is."""
    size, count = message.patch_size, len(message.keypoints) // 3
    if len(message.patches) == count * size**2:
        return ""
    return (
        f"patches must hold N*S*S = {count}*{size}*{size} bytes, got {len(message.patches)}: the "
        "matches of these features are not refined"
    )


def matches_fields(matches: Matches, features0: Features, features1: Features) -> FieldValues:
    """The fields of a Matches message but for its headers.

    Args:
        matches: The matches.
        features0: Features of image 0.
        features1: Features of image 1, as extracted or as `Matches.refined` has them.
    """
    features1 = matches.refined(features1)
    (width0, height0), (width1, height1) = features0.image_size, features1.image_size
    return {
        "width0": width0,
        "height0": height0,
        "width1": width1,
        "height1": height1,
        "matcher": matches.matcher,
        "keypoints0": _keypoint_rows(features0),
        "keypoints1": _keypoint_rows(features1),
        "matches0": matches.matches0,
        "matches1": matches.matches1,
        "matching_scores0": matches.matching_scores0,
        "matching_scores1": matches.matching_scores1,
        "refined0": np.zeros(0, np.uint8)
        if matches.refined0 is None
        else matches.refined0.astype(np.uint8),
    }


def matches_from_message(message: Any) -> tuple[Features, Features, Matches]:
    """The features, without descriptors, and the matches that a Matches message carries.

    Raises:
        InputError: The lengths of the arrays do not fit together, or a value is not finite.
    """
    features = []
    for index, size in enumerate(
        ((message.width0, message.height0), (message.width1, message.height1))
    ):
        name = f"keypoints{index}"
        keypoints, scores = _keypoints_and_scores(name, getattr(message, name))
        none = np.zeros((len(keypoints), 0), np.float32)
        features.append(Features(keypoints, scores, none, size, extractor=""))
    matches = Matches(
        matches0=np.array(message.matches0, np.int32),
        matches1=np.array(message.matches1, np.int32),
        matching_scores0=_finite("matching_scores0", message.matching_scores0),
        matching_scores1=_finite("matching_scores1", message.matching_scores1),
        matcher=message.matcher,
        refined0=_refined0(message),
    )
    _check_indices(matches, features)
    return features[0], features[1], matches


def two_view_geometry_fields(geometry: TwoViewGeometry, pairs: IndexArray) -> FieldValues:
    """The fields of a TwoViewGeometry message but for its headers.

    Args:
        geometry: The geometry.
        pairs: (K, 2) int32, the keypoints of each match in image 0 and image 1.
    """
    error = geometry.median_error_px
    fields: FieldValues = {
        "geometry_case": int(geometry.case),
        "scale": int(geometry.scale),
        "indices0": np.ascontiguousarray(pairs[:, 0]),
        "indices1": np.ascontiguousarray(pairs[:, 1]),
        "inliers": geometry.inliers.astype(np.uint8),
        "inlier_count": int(np.count_nonzero(geometry.inliers)),
        "median_error_px": error if math.isfinite(error) else 0.0,
    }
    for name, shape in _MATRICES.items():
        matrix = getattr(geometry, name)
        fields[name] = np.zeros(math.prod(shape)) if matrix is None else np.ravel(matrix)
    return fields


def two_view_geometry_from_message(message: Any) -> tuple[TwoViewGeometry, IndexArray]:
    """The geometry that a TwoViewGeometry message carries, and its (K, 2) pairs of keypoints.

    Raises:
        InputError: A case or scale is unknown, the lengths of the arrays differ, or a value is not
            finite.
    """
    inliers = np.array(message.inliers, np.uint8).astype(bool)
    indices = [np.array(message.indices0, np.int32), np.array(message.indices1, np.int32)]
    if any(len(one) != len(inliers) for one in indices):
        raise InputError(
            f"indices0, indices1 and inliers must be of one length, got {len(indices[0])}, "
            f"{len(indices[1])} and {len(inliers)}"
        )
    try:
        case, scale = Case(message.geometry_case), Scale(message.scale)
    except ValueError as error:
        raise InputError(f"{error}; was the message made by a newer version?") from None
    matrices = {name: _matrix(name, message, shape) for name, shape in _MATRICES.items()}
    if matrices["translation"] is None and matrices["rotation"] is not None:
        matrices["translation"] = np.zeros(3)
    has_error = inliers.any() and math.isfinite(message.median_error_px)
    error_px = float(message.median_error_px) if has_error else math.nan
    geometry = TwoViewGeometry(case, inliers, error_px, scale=scale, **matrices)
    return geometry, np.stack(indices, axis=1)


def tracks_fields(tracks: Tracks, image_size: tuple[int, int]) -> FieldValues:
    """The fields of a Tracks message but for its header."""
    width, height = image_size
    return {
        "width": width,
        "height": height,
        "ids": tracks.ids,
        "keypoints": tracks.keypoints,
        "points": _flat(tracks.points),
        "lengths": tracks.lengths,
        "ended": tracks.ended,
    }


def tracks_from_message(message: Any) -> tuple[Tracks, tuple[int, int]]:
    """The tracks that a Tracks message carries, and the size of their image.

    Raises:
        InputError: The lengths of the arrays do not fit together, or a value is not finite.
    """
    ids = np.array(message.ids, np.int64)
    points = _finite("points", message.points)
    if not len(points) == 2 * len(ids) == 2 * len(message.keypoints) == 2 * len(message.lengths):
        raise InputError(
            f"there must be T ids, keypoints and lengths and 2T points, got {len(ids)}, "
            f"{len(message.keypoints)}, {len(message.lengths)} and {len(points)}"
        )
    tracks = Tracks(
        ids,
        np.array(message.keypoints, np.int32),
        points.reshape(-1, 2),
        np.array(message.lengths, np.int32),
        np.array(message.ended, np.int64),
    )
    return tracks, (message.width, message.height)


def _matrix(name: str, message: Any, shape: tuple[int, ...]) -> Matrix | None:
    values = np.array(getattr(message, name), np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite; is the publisher sound?")
    return values.reshape(shape) if values.any() else None


def _flat(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32).reshape(-1)


def _keypoint_rows(features: Features) -> NDArray[np.float32]:
    """3N values: x, y, confidence."""
    return _flat(np.column_stack([features.keypoints, features.scores]))


def _finite(name: str, values: Sequence[float]) -> NDArray[np.float32]:
    found = np.array(values, np.float32)  # a copy: the result outlives the message
    if not np.isfinite(found).all():
        raise InputError(f"{name} holds values that are not finite; is the publisher sound?")
    return found


def _keypoints_and_scores(
    name: str, values: Sequence[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows = _finite(name, values)
    if rows.size % 3:
        raise InputError(f"{name} must hold 3N values (x, y, confidence), got {rows.size}")
    rows = rows.reshape(-1, 3)
    return rows[:, :2].copy(), rows[:, 2].copy()


def _descriptors(message: Any, *, count: int) -> NDArray[np.float32]:
    values = _finite("descriptors", message.descriptors)
    size = message.descriptor_size if values.size or not count else 0
    if values.size != count * size:
        raise InputError(
            f"descriptors must hold N*D = {count}*{message.descriptor_size} values, "
            f"got {values.size}"
        )
    return values.reshape(count, size)


def _patch_fields(features: Features) -> FieldValues:
    if features.patches is None:
        return {"patch_size": 0, "patch_scale": 0.0, "patches": np.zeros(0, np.uint8)}
    return {
        "patch_size": features.patches.shape[1],
        "patch_scale": features.patch_scale,
        "patches": np.ascontiguousarray(features.patches).reshape(-1),
    }


def _patches(message: Any, *, count: int) -> dict[str, Any]:
    size = getattr(message, "patch_size", 0)  # not in recordings of earlier versions
    if not size or patches_problem(message):
        return {}
    patches = np.array(message.patches, np.uint8).reshape(count, size, size)
    return {"patches": patches, "patch_scale": message.patch_scale or 1.0}


def _refined0(message: Any) -> NDArray[np.bool_] | None:
    refined = np.array(getattr(message, "refined0", ()), bool)  # not in earlier recordings
    return refined if len(refined) else None


def _check_indices(matches: Matches, features: Sequence[Features]) -> None:
    for name, indices, own, other in (
        ("matches0", matches.matches0, features[0], features[1]),
        ("matches1", matches.matches1, features[1], features[0]),
    ):
        if len(indices) != len(own):
            raise InputError(f"{name} must hold {len(own)} indices, got {len(indices)}")
        if indices.size and not -1 <= indices.min() <= indices.max() < len(other):
            raise InputError(f"{name} must hold indices from -1 to {len(other) - 1}")
