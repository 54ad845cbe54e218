"""The pictures, markers and numbers of a run as messages, as match_visualizer_node makes them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from superglue_ros.bag.definitions import make
from superglue_ros.bag.messages import STATISTICS, header_of, write_message
from superglue_ros.bag.pictures import picture_of
from superglue_ros.bag.results import FrameResult, MatchedPair
from superglue_ros.bag.writer import BagWriter
from superglue_ros.config import DrawingConfig, MatchVisualizerNodeConfig
from superglue_ros.drawing import Image
from superglue_ros.markers import TRANSFORMS, image_markers, point_markers, upright_transform
from superglue_ros.match_statistics import match_statistics

_JPEG_QUALITY = 90


def write_pictures(bag: BagWriter, result: FrameResult, config: DrawingConfig) -> None:
    """Write what there is to see of one frame, each message at the time of its (newer) image."""
    for pair in result.pairs:
        origin = pair.view1.origin
        if pair.number == 0:
            write_message(bag, "/tf_static", _upright(pair), origin)
        header = header_of(origin)
        features = (pair.view0.features, pair.view1.features)
        shown = pair.inliers if config.colour == "inlier" else None
        keypoints, lines = image_markers(make, features, pair.matches, shown, header)
        numbers = match_statistics(features, pair.matches, pair.inliers)
        messages = {
            "/match_image/compressed": _jpeg(picture_of(pair, config), header),
            "/marker_image/compressed": _jpeg(origin.image, header),
            "/keypoint_markers": keypoints,
            "/image_markers": lines,
            "/match_statistics": make(STATISTICS, header=header, **numbers),
        }
        if pair.points is not None:
            messages["/markers"] = _points(pair)
        for topic, message in messages.items():
            write_message(bag, topic, message, origin)


def _points(pair: MatchedPair) -> Any:
    assert pair.points is not None
    seen = pair.points.inliers
    positions = pair.points.positions[seen].astype(np.float32)
    confidences = pair.matches.confidences[seen]
    return point_markers(make, positions, confidences, header_of(pair.view0.origin))


def _upright(pair: MatchedPair) -> Any:
    """The frame that layouts show points in; of a stereo pair the left camera's."""
    view = pair.view0 if pair.points is not None else pair.view1
    frame = MatchVisualizerNodeConfig().upright_frame
    return make(TRANSFORMS, transforms=[upright_transform(make, header_of(view.origin), frame)])


def _jpeg(image: Image, header: Any) -> Any:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    kind = "bgr8" if image.ndim == 3 else "mono8"
    return make(
        "sensor_msgs/msg/CompressedImage",
        header=header,
        format=f"{kind}; jpeg compressed {kind}",
        data=np.asarray(data, np.uint8).reshape(-1),
    )
