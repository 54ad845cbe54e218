"""The pictures, markers and numbers of a run as messages, as match_visualizer_node makes them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from superglue_ros.bag.definitions import make
from superglue_ros.bag.messages import STATISTICS, header_of, write_message
from superglue_ros.bag.results import FrameResult, MatchedPair
from superglue_ros.bag.writer import BagWriter
from superglue_ros.config import DrawingConfig, MatchVisualizerNodeConfig
from superglue_ros.drawing import Image, draw_matches
from superglue_ros.drawing.colours import Flags
from superglue_ros.features import Features, Matches
from superglue_ros.markers import TRANSFORMS, image_markers, point_markers, upright_transform
from superglue_ros.match_statistics import match_statistics

_JPEG_QUALITY = 90


def picture_messages(
    images: tuple[Image | None, Image],
    features: tuple[Features, Features],
    matches: Matches,
    header: Any,
    config: DrawingConfig,
    inliers: Flags | None = None,
) -> dict[str, Any]:
    """What there is to see of a pair, by the name of its topic.

    Args:
        images: Image 0, None where there is none to show, and image 1.
        features: The keypoints of both.
        matches: Of the two.
        header: Of image 1.
        config: How matches are drawn.
        inliers: (K,) bool, which matches agree with the geometry, where that is known.
    """
    picture = draw_matches(*images, *features, matches, config, inliers=inliers)
    shown = inliers if config.colour == "inlier" else None
    keypoints, lines = image_markers(make, features, matches, shown, header)
    numbers = match_statistics(features, matches, inliers)
    return {
        "match_image/compressed": _jpeg(picture, header),
        "marker_image/compressed": _jpeg(images[1], header),
        "keypoint_markers": keypoints,
        "image_markers": lines,
        "match_statistics": make(STATISTICS, header=header, **numbers),
    }


def write_pictures(bag: BagWriter, result: FrameResult, config: DrawingConfig) -> None:
    """Write what there is to see of one frame, each message at the time of its (newer) image."""
    for pair in result.pairs:
        view0, view1 = pair.view0, pair.view1
        if pair.number == 0:
            write_message(bag, "/tf_static", _upright(pair), view1.origin)
        messages = picture_messages(
            (view0.origin.image, view1.origin.image),
            (view0.features, view1.features),
            pair.matches,
            header_of(view1.origin),
            config,
            pair.inliers,
        )
        if pair.points is not None:
            messages["markers"] = _points(pair)
        for topic, message in messages.items():
            write_message(bag, f"/{topic}", message, view1.origin)


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
