"""What came of a frame as serialized messages, without ROS."""

from __future__ import annotations

from typing import Any

from superglue_ros.bag.definitions import message_types
from superglue_ros.bag.outputs import Outputs
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
STATISTICS = "superglue_ros/msg/MatchStatistics"
PICTURE_TOPICS = (
    *("/match_image/compressed", "/marker_image/compressed", "/image_markers"),
    *("/keypoint_markers", "/match_statistics", "/markers"),
)
"""As match_visualizer_node has them, so that the same layouts fit."""


def own_topics(outputs: Outputs) -> tuple[str, ...]:
    """The topics of a run: a topic of the input that has such a name cannot be copied."""
    return (
        *("/features", "/left/features", "/right/features", "/matches"),
        *(("/geometry",) if outputs.geometry else ()),
        *(("/tracks",) if outputs.tracks else ()),
        *(PICTURE_TOPICS if outputs.pictures else ()),
    )


def write_result(
    bag: BagWriter, result: FrameResult, *, with_descriptors: bool, with_geometry: bool
) -> None:
    """Write what came of one frame, each message at the time of its (newer) image."""
    cameras = ("/left", "/right") if len(result.views) > 1 else ("",)
    for camera, view in zip(cameras, result.views, strict=False):
        features = view.tensors.to_features() if with_descriptors else view.features
        message = _message(FEATURES, header=header_of(view.origin), **features_fields(features))
        write_message(bag, f"{camera}/features", message, view.origin)
    for pair in result.pairs:
        origin = pair.view1.origin
        write_message(bag, "/matches", _matches_message(pair), origin)
        if with_geometry and pair.geometry is not None:
            fields = two_view_geometry_fields(pair.geometry, pair.matches.pairs)
            write_message(bag, "/geometry", _message(GEOMETRY, **_headers(pair), **fields), origin)
        if pair.tracks is not None:
            fields = tracks_fields(pair.tracks, pair.view1.features.image_size)
            message = _message(TRACKS, header=header_of(origin), **fields)
            write_message(bag, "/tracks", message, origin)


def write_message(bag: BagWriter, topic: str, message: Any, origin: ImageOrigin) -> None:
    """Write a message at the time of an image."""
    data = bytes(message_types().serialize_cdr(message, message.__msgtype__))
    bag.write(topic, message.__msgtype__, data, origin.time_ns)


def _matches_message(pair: MatchedPair) -> Any:
    fields = matches_fields(pair.matches, pair.view0.features, pair.view1.features)
    return _message(MATCHES, **_headers(pair), **fields)


def _headers(pair: MatchedPair) -> dict[str, Any]:
    header0, header1 = header_of(pair.view0.origin), header_of(pair.view1.origin)
    return {"header": header1, "header0": header0, "header1": header1}


def header_of(origin: ImageOrigin) -> Any:
    """The header of an image."""
    stamp = _message("builtin_interfaces/msg/Time", sec=origin.sec, nanosec=origin.nanosec)
    return _message("std_msgs/msg/Header", stamp=stamp, frame_id=origin.frame_id)


def _message(message_type: str, **fields: Any) -> Any:
    return message_types().types[message_type](**fields)
