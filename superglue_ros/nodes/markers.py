"""Matches and points as the markers that rviz, rqt and Foxglove draw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import ImageMarker, Marker, MarkerArray

from superglue_ros.drawing.colours import (
    Colours,
    Flags,
    confidence_colours,
    keypoint_colours,
    match_colours,
)
from superglue_ros.errors import InputError
from superglue_ros.features import Features, FloatArray, Matches

_NAMESPACE = "matches"
_POINT_SIZE = 0.008  # of the points' median distance
_CAMERA_SIZE = 0.1
# The corners of an image, seen from a camera that looks along z; a symbol, not the field of view.
_CORNERS = np.array([[-0.8, -0.6, 1], [0.8, -0.6, 1], [0.8, 0.6, 1], [-0.8, 0.6, 1]])
_CAMERA_COLOUR: tuple[int, int, int] = (0, 159, 230)
_BITS = (0, 8, 16)  # blue, green and red in one number
_PACKED = np.array([1 << bits for bits in _BITS], np.uint32)


def image_markers(
    features: tuple[Features, Features], matches: Matches, inliers: Flags | None, header: Header
) -> list[ImageMarker]:
    """Marks for image 1: its keypoints, and lines from where the matched ones were in image 0.

    Args:
        features: Of both images.
        matches: Of the two.
        inliers: (K,) bool for colours by inlier, None for colours by confidence.
        header: Of image 1.
    """
    shown = match_colours(matches.confidences, inliers)
    index0, index1 = matches.pairs.T
    points0, points1 = features[0].keypoints[index0], features[1].keypoints
    colours = keypoint_colours(len(points1), index1, shown.colours)
    lines = np.stack([points0, points1[index1]], axis=1).reshape(-1, 2)
    return [
        _image_marker(header, ImageMarker.POINTS, points1, colours),
        _image_marker(header, ImageMarker.LINE_LIST, lines, np.repeat(shown.colours, 2, axis=0)),
    ]


def _image_marker(header: Header, kind: int, points: FloatArray, colours: Colours) -> ImageMarker:
    marker = ImageMarker(header=header, ns=_NAMESPACE, id=kind, type=kind, scale=1.0)
    marker.action = ImageMarker.ADD
    marker.points = [Point(x=x, y=y) for x, y in points.tolist()]
    marker.outline_colors = _colours(colours)
    return marker


def point_markers(
    positions: NDArray[np.float32], confidences: FloatArray, header: Header
) -> MarkerArray:
    """(N, 3) points, coloured by their (N,) confidences, and the camera that sees them."""
    distance = float(np.median(np.linalg.norm(positions, axis=1))) if len(positions) else 1.0
    points = Marker(header=header, ns=_NAMESPACE, id=0, type=Marker.SPHERE_LIST)
    size = _POINT_SIZE * distance
    points.scale = Vector3(x=size, y=size, z=size)
    points.points = _points(positions)
    points.colors = _colours(confidence_colours(confidences))
    return MarkerArray(markers=[points, _camera(header, _CAMERA_SIZE * distance)])


def _camera(header: Header, size: float) -> Marker:
    camera = Marker(header=header, ns=_NAMESPACE, id=1, type=Marker.LINE_LIST)
    camera.scale.x = size / 20
    camera.color = _colours(np.array([_CAMERA_COLOUR], np.uint8))[0]
    corners = _CORNERS * size
    edges = [
        end for a, b in zip(corners, np.roll(corners, 1, axis=0), strict=True) for end in (a, b)
    ]
    rays = [end for corner in corners for end in (np.zeros(3), corner)]
    camera.points = _points([*edges, *rays])
    return camera


def read_points(cloud: PointCloud2) -> tuple[NDArray[np.float32], FloatArray]:
    """The points of a cloud that are somewhere.

    Returns:
        (N, 3) positions, and (N,) float32 of its field `confidence`, 1 where it has none.

    Raises:
        InputError: The cloud has no float32 x, y, z, or is truncated.
    """
    offsets = {field.name: field.offset for field in cloud.fields if field.datatype == 7}  # FLOAT32
    count = cloud.width * cloud.height
    if not {"x", "y", "z"} <= set(offsets) or len(cloud.data) < count * cloud.point_step:
        raise InputError(
            f"points must have float32 x, y, z and {count} points of {cloud.point_step} bytes, got "
            f"{sorted(offsets)} and {len(cloud.data)} bytes"
        )
    names = [name for name in ("x", "y", "z", "confidence") if name in offsets]
    order = ">" if cloud.is_bigendian else "<"
    layout: Any = {
        "names": names,
        "formats": [f"{order}f4"] * len(names),
        "offsets": [offsets[name] for name in names],
        "itemsize": cloud.point_step,
    }
    rows: Any = np.frombuffer(cloud.data, np.dtype(layout), count)
    positions = np.stack([rows[axis] for axis in "xyz"], axis=1).astype(np.float32)
    has_confidence = "confidence" in offsets
    confidences = rows["confidence"] if has_confidence else np.ones(count, np.float32)
    seen = np.isfinite(positions).all(axis=1)
    return positions[seen], np.nan_to_num(confidences.astype(np.float32))[seen]


def _points(positions: Iterable[Any]) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in np.asarray(positions, float).tolist()]


def _colours(colours: Colours) -> list[ColorRGBA]:
    """A message for each of (K, 3) colours, one and the same where the colour is."""
    shades, which = np.unique(colours @ _PACKED, return_inverse=True)
    levels = [(shades >> bits & 255) / 255 for bits in _BITS[::-1]]
    messages = [
        ColorRGBA(r=red, g=green, b=blue, a=1.0)
        for red, green, blue in np.stack(levels, axis=1).tolist()
    ]
    return list(np.array(messages, object)[which])
