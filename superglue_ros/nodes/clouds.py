"""Points as the point clouds of sensor_msgs."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from geometry_msgs.msg import Point32
from numpy.typing import NDArray
from sensor_msgs.msg import ChannelFloat32, PointCloud, PointCloud2, PointField
from std_msgs.msg import Header

from superglue_ros.errors import InputError
from superglue_ros.features import FloatArray, IndexArray
from superglue_ros.geometry import Points
from superglue_ros.tracks import Tracks

_FIELDS = {
    **dict.fromkeys(("x", "y", "z", "confidence"), ("<f4", PointField.FLOAT32)),
    "keypoint": ("<i4", PointField.INT32),
}
_POINT = np.dtype([(name, kind) for name, (kind, _) in _FIELDS.items()])

_LARGEST_ID = 2**24
"""Ids are floats in a PointCloud: beyond this, neighbours would become one."""


def points_to_message(
    positions: Points, confidences: FloatArray, keypoints: IndexArray, header: Header
) -> PointCloud2:
    """Points in space, with what they come from.

    Args:
        positions: (P, 3) in metres.
        confidences: (P,) of their matches.
        keypoints: (P,) the index of each one's keypoint in the left image.
        header: Of the left image.
    """
    rows = np.zeros(len(positions), _POINT)
    for axis, name in enumerate("xyz"):
        rows[name] = positions[:, axis]
    rows["confidence"], rows["keypoint"] = confidences, keypoints
    message = PointCloud2(header=header, height=1, width=len(rows), is_dense=True)
    message.fields = [
        PointField(name=name, offset=4 * index, datatype=datatype, count=1)
        for index, (name, (_, datatype)) in enumerate(_FIELDS.items())
    ]
    message.point_step = _POINT.itemsize
    message.row_step = _POINT.itemsize * len(rows)
    message.data = array.array("B", rows.tobytes())
    return message


def points_from_message(message: PointCloud2) -> tuple[Points, IndexArray]:
    """The (P, 3) positions and the (P,) keypoints of what `points_to_message` made."""
    rows = np.frombuffer(message.data, _POINT)
    positions = np.column_stack([rows[name] for name in "xyz"]).astype(np.float64)
    return positions, rows["keypoint"].astype(np.int32)


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


def tracks_to_cloud(tracks: Tracks, rays: Points, velocities: Points, header: Header) -> PointCloud:
    """Tracks in the layout of the feature topic of VINS-Mono and its many relatives.

    The points are the rays (x, y, 1); the channels, found by their order, are id, u and v in pixels
    as received, and the velocity of x and y per second.

    Args:
        tracks: T tracks.
        rays: (T, 2) where the camera sees them.
        velocities: (T, 2) how fast these change.
        header: Of their image.
    """
    columns = {
        "id_of_point": tracks.ids % _LARGEST_ID,
        "u_of_point": tracks.points[:, 0],
        "v_of_point": tracks.points[:, 1],
        "velocity_x_of_point": velocities[:, 0],
        "velocity_y_of_point": velocities[:, 1],
    }
    message = PointCloud(header=header)
    message.points = [Point32(x=x, y=y, z=1.0) for x, y in rays.tolist()]
    message.channels = [
        ChannelFloat32(name=name, values=array.array("f", np.asarray(column, np.float32).tobytes()))
        for name, column in columns.items()
    ]
    return message
