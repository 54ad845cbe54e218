"""Matches and points as the markers that rviz, rqt and Foxglove draw, with ROS and without.

Messages come from a `Make`: whoever asks says whether they are those of rclpy or of rosbags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superglue_ros.drawing.colours import (
    Colours,
    Flags,
    confidence_colours,
    keypoint_colours,
    match_colours,
)
from superglue_ros.features import Features, FloatArray, Matches

Make = Callable[..., Any]
"""A message by the name of its type and some of its fields; the others have their defaults."""

IMAGE_MARKER = "visualization_msgs/msg/ImageMarker"
MARKER = "visualization_msgs/msg/Marker"
MARKER_ARRAY = "visualization_msgs/msg/MarkerArray"
TRANSFORMS = "tf2_msgs/msg/TFMessage"

# Constants of the messages, which rosbags' classes have under other names in some versions
_LINE_LIST, _POINTS = 2, 4  # of ImageMarker
_LINES, _SPHERES = 5, 7  # of Marker

_NAMESPACE = "matches"
_KEYPOINT_PX = 3.0
_LINE_PX = 1.0
_POINT_SIZE = 0.02  # of the points' median distance
_CAMERA_SIZE = 0.1
# The corners of an image, seen from a camera that looks along z; a symbol, not the field of view.
_CORNERS = np.array([[-0.8, -0.6, 1], [0.8, -0.6, 1], [0.8, 0.6, 1], [-0.8, 0.6, 1]])
_CAMERA_COLOUR: tuple[int, int, int] = (0, 159, 230)
_BITS = (0, 8, 16)  # blue, green and red in one number
_PACKED = np.array([1 << bits for bits in _BITS], np.uint32)
# x forward, y left, z up, seen from x right, y down, z forward
_UPRIGHT = {"x": 0.5, "y": -0.5, "z": 0.5, "w": 0.5}


def image_markers(
    make: Make,
    features: tuple[Features, Features],
    matches: Matches,
    inliers: Flags | None,
    header: Any,
) -> tuple[Any, Any]:
    """Marks for image 1: points where its keypoints are, lines from where the matched ones were.

    A viewer keeps one message of a topic: each of the two needs its own.

    Args:
        make: Makes the messages.
        features: Of both images.
        matches: Of the two.
        inliers: (K,) bool for colours by inlier, None for colours by confidence.
        header: Of image 1.

    Returns:
        The points and the lines, each an ImageMarker.
    """
    shown = match_colours(matches.confidences, inliers)
    index0, index1 = matches.pairs.T
    points0 = features[0].keypoints[index0]
    points1 = matches.refined(features[1]).keypoints
    colours = keypoint_colours(len(points1), index1, shown.colours)
    lines = np.stack([points0, points1[index1]], axis=1).reshape(-1, 2)
    line_colours = np.repeat(shown.colours, 2, axis=0)
    return (
        _image_marker(make, header, _POINTS, _KEYPOINT_PX, points1, colours),
        _image_marker(make, header, _LINE_LIST, _LINE_PX, lines, line_colours),
    )


def _image_marker(
    make: Make, header: Any, kind: int, size_px: float, points: FloatArray, colours: Colours
) -> Any:
    shades = _colours(make, colours)
    fill = shades[0] if shades else make("std_msgs/msg/ColorRGBA", a=1.0)
    flat = np.column_stack([points, np.zeros(len(points))])
    return make(
        IMAGE_MARKER,
        header=header,
        ns=_NAMESPACE,
        type=kind,
        scale=size_px,
        outline_color=fill,
        points=_points(make, flat),
        outline_colors=shades,
    )


def point_markers(
    make: Make, positions: NDArray[np.float32], confidences: FloatArray, header: Any
) -> Any:
    """(N, 3) points, coloured by their (N,) confidences, and the camera that sees them."""
    distance = float(np.median(np.linalg.norm(positions, axis=1))) if len(positions) else 1.0
    size = _POINT_SIZE * distance
    points = make(
        MARKER,
        header=header,
        ns=_NAMESPACE,
        type=_SPHERES,
        pose=_identity(make),
        scale=make("geometry_msgs/msg/Vector3", x=size, y=size, z=size),
        points=_points(make, positions),
        colors=_colours(make, confidence_colours(confidences)),
    )
    return make(MARKER_ARRAY, markers=[points, _camera(make, header, _CAMERA_SIZE * distance)])


def _camera(make: Make, header: Any, size: float) -> Any:
    corners = _CORNERS * size
    edges = [
        end for a, b in zip(corners, np.roll(corners, 1, axis=0), strict=True) for end in (a, b)
    ]
    rays = [end for corner in corners for end in (np.zeros(3), corner)]
    return make(
        MARKER,
        header=header,
        ns=_NAMESPACE,
        id=1,
        type=_LINES,
        pose=_identity(make),
        scale=make("geometry_msgs/msg/Vector3", x=size / 20),
        color=_colours(make, np.array([_CAMERA_COLOUR], np.uint8))[0],
        points=_points(make, [*edges, *rays]),
    )


def upright_transform(make: Make, header: Any, frame: str) -> Any:
    """A frame at the camera, turned to x forward and z up, as a child of its optical frame.

    Viewers look along the ground of a frame: in an optical one a scene lies on its side. A child
    leaves the tree of the robot as it is.

    Args:
        make: Makes the messages.
        header: Of what the camera has seen: the optical frame.
        frame: Name of the new frame.
    """
    rotation = make("geometry_msgs/msg/Quaternion", **_UPRIGHT)
    transform = make("geometry_msgs/msg/Transform", rotation=rotation)
    return make(
        "geometry_msgs/msg/TransformStamped",
        header=header,
        child_frame_id=frame,
        transform=transform,
    )


def _identity(make: Make) -> Any:
    orientation = make("geometry_msgs/msg/Quaternion", w=1.0)
    return make("geometry_msgs/msg/Pose", orientation=orientation)


def _points(make: Make, positions: Iterable[Any]) -> list[Any]:
    rows = np.asarray(positions, float).reshape(-1, 3).tolist()
    return [make("geometry_msgs/msg/Point", x=x, y=y, z=z) for x, y, z in rows]


def _colours(make: Make, colours: Colours) -> list[Any]:
    """A message for each of (K, 3) colours, one and the same where the colour is."""
    shades, which = np.unique(colours @ _PACKED, return_inverse=True)
    levels = [(shades >> bits & 255) / 255 for bits in _BITS[::-1]]
    messages = [
        make("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=1.0)
        for red, green, blue in np.stack(levels, axis=1).tolist()
    ]
    return list(np.array(messages, object)[which])
