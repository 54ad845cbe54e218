"""Features and Matches as serialized messages, without ROS."""

from __future__ import annotations

from typing import Any

from superglue_ros.bag.definitions import message_types
from superglue_ros.bag.matching import FrameResult, ImageOrigin, MatchedPair
from superglue_ros.bag.writer import BagWriter
from superglue_ros.features import Features
from superglue_ros.messages import features_fields, matches_fields

FEATURES = "superglue_ros/msg/Features"
MATCHES = "superglue_ros/msg/Matches"
MATCHES_TOPIC = "/matches"


def write_result(bag: BagWriter, result: FrameResult, *, with_descriptors: bool) -> None:
    """Write what came of one frame, each message at the time of its (newer) image."""
    cameras = ("/left", "/right") if len(result.views) > 1 else ("",)
    for camera, view in zip(cameras, result.views, strict=False):
        features = view.features if with_descriptors else _without_descriptors(view.features)
        message = _message(FEATURES, header=_header(view.origin), **features_fields(features))
        bag.write(f"{camera}/features", FEATURES, _serialized(message), view.origin.time_ns)
    for pair in result.pairs:
        time_ns = pair.view1.origin.time_ns
        bag.write(MATCHES_TOPIC, MATCHES, _serialized(_matches_message(pair)), time_ns)


def _matches_message(pair: MatchedPair) -> Any:
    header0, header1 = _header(pair.view0.origin), _header(pair.view1.origin)
    fields = matches_fields(pair.matches, pair.view0.features, pair.view1.features)
    return _message(MATCHES, header=header1, header0=header0, header1=header1, **fields)


def _header(origin: ImageOrigin) -> Any:
    stamp = _message("builtin_interfaces/msg/Time", sec=origin.sec, nanosec=origin.nanosec)
    return _message("std_msgs/msg/Header", stamp=stamp, frame_id=origin.frame_id)


def _message(message_type: str, **fields: Any) -> Any:
    return message_types().types[message_type](**fields)


def _serialized(message: Any) -> bytes:
    return bytes(message_types().serialize_cdr(message, message.__msgtype__))


def _without_descriptors(features: Features) -> Features:
    return Features(
        features.keypoints,
        features.scores,
        features.descriptors[:, :0],
        features.image_size,
        features.extractor,
    )
