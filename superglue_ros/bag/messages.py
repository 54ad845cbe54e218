"""What came of a frame as serialized messages, without ROS."""

from __future__ import annotations

from typing import Any

from superglue_ros.bag.definitions import message_types
from superglue_ros.bag.results import FrameResult, ImageOrigin, MatchedPair
from superglue_ros.bag.writer import BagWriter
from superglue_ros.messages import (
    features_fields,
    matches_fields,
    tracks_fields,
    two_view_geometry_fields,
)

FEATURES = "superglue_ros/msg/Features"
MATCHES = "superglue_ros/msg/Matches"
GEOMETRY = "superglue_ros/msg/TwoViewGeometry"
TRACKS = "superglue_ros/msg/Tracks"
TOPICS = ("/features", "/left/features", "/right/features", "/matches", "/geometry", "/tracks")
"""All topics that a run may write."""


def write_result(
    bag: BagWriter, result: FrameResult, *, with_descriptors: bool, with_geometry: bool
) -> None:
    """Write what came of one frame, each message at the time of its (newer) image."""
    cameras = ("/left", "/right") if len(result.views) > 1 else ("",)
    for camera, view in zip(cameras, result.views, strict=False):
        features = view.tensors.to_features() if with_descriptors else view.features
        message = _message(FEATURES, header=_header(view.origin), **features_fields(features))
        _write(bag, f"{camera}/features", message, view.origin)
    for pair in result.pairs:
        origin = pair.view1.origin
        _write(bag, "/matches", _matches_message(pair), origin)
        if with_geometry and pair.geometry is not None:
            fields = two_view_geometry_fields(pair.geometry, pair.matches.pairs)
            _write(bag, "/geometry", _message(GEOMETRY, **_headers(pair), **fields), origin)
        if pair.tracks is not None:
            fields = tracks_fields(pair.tracks, pair.view1.features.image_size)
            _write(bag, "/tracks", _message(TRACKS, header=_header(origin), **fields), origin)


def _write(bag: BagWriter, topic: str, message: Any, origin: ImageOrigin) -> None:
    data = bytes(message_types().serialize_cdr(message, message.__msgtype__))
    bag.write(topic, message.__msgtype__, data, origin.time_ns)


def _matches_message(pair: MatchedPair) -> Any:
    fields = matches_fields(pair.matches, pair.view0.features, pair.view1.features)
    return _message(MATCHES, **_headers(pair), **fields)


def _headers(pair: MatchedPair) -> dict[str, Any]:
    header0, header1 = _header(pair.view0.origin), _header(pair.view1.origin)
    return {"header": header1, "header0": header0, "header1": header1}


def _header(origin: ImageOrigin) -> Any:
    stamp = _message("builtin_interfaces/msg/Time", sec=origin.sec, nanosec=origin.nanosec)
    return _message("std_msgs/msg/Header", stamp=stamp, frame_id=origin.frame_id)


def _message(message_type: str, **fields: Any) -> Any:
    return message_types().types[message_type](**fields)
