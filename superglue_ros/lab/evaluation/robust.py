"""Homographies and poses out of matches; PoseLib does the robust work."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from superglue_ros.errors import InputError
from superglue_ros.lab.evaluation.metrics import Array

HOMOGRAPHY_LIMIT_PX = 3.0
POSE_LIMIT_PX = 1.0
FEWEST_FOR_HOMOGRAPHY = 4
FEWEST_FOR_POSE = 5
MAX_ITERATIONS = 10_000


def _poselib() -> Any:
    try:
        import poselib
    except ImportError as error:
        raise InputError("the evaluation needs PoseLib: pip install poselib") from error
    return poselib


def least_squares_homography(points0: Array, points1: Array) -> Array | None:
    """The homography of all matches, wrong ones too (direct linear transform)."""
    if len(points0) < FEWEST_FOR_HOMOGRAPHY:
        return None
    homography, _ = cv2.findHomography(points0, points1, 0)
    return None if homography is None else np.asarray(homography, np.float64)


def estimate_homography(points0: Array, points1: Array) -> Array | None:
    """The homography that most matches agree on."""
    if len(points0) < FEWEST_FOR_HOMOGRAPHY:
        return None
    options = {"max_reproj_error": HOMOGRAPHY_LIMIT_PX, "max_iterations": MAX_ITERATIONS}
    homography, result = _poselib().estimate_homography(points0, points1, options, {})
    if not result["num_inliers"]:
        return None
    # PoseLib leaves the sign open, which tells points before the camera from those behind it
    return np.asarray(homography / homography[2, 2], np.float64)


def estimate_pose(
    points0: Array, points1: Array, K0: Array, K1: Array
) -> tuple[Array, Array] | None:
    """Rotation (3, 3) and direction of the translation (3,) from camera 0 to camera 1."""
    if len(points0) < FEWEST_FOR_POSE:
        return None
    options = {"max_epipolar_error": POSE_LIMIT_PX, "max_iterations": MAX_ITERATIONS}
    pose, result = _poselib().estimate_relative_pose(
        points0, points1, _camera(K0), _camera(K1), options, {}
    )
    if not result["num_inliers"]:
        return None
    return np.asarray(pose.R, np.float64), np.asarray(pose.t, np.float64)


def _camera(K: Array) -> dict[str, Any]:
    # PoseLib's principal points do not depend on where a pixel's centre is, as long as all agree
    parameters = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    return {"model": "PINHOLE", "width": 0, "height": 0, "params": parameters}
