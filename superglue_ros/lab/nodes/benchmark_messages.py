"""What happens to messages: decoding, filling, reading and what the middleware does to them."""

from __future__ import annotations

import array
import time
from collections.abc import Callable

import cv2
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from superglue_ros.features import Features, GreyImage, Matches
from superglue_ros.image_decoding import image_decoder
from superglue_ros.lab.benchmark.results import StageRow
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.nodes.conversions import (
    features_from_message,
    features_to_message,
    image_to_message,
    matches_from_message,
    matches_to_message,
)

_Stages = dict[str, tuple[Callable[[], object], int]]
"""By name what is done, and the size of the message or image in bytes, 0 where it is none yet."""


def measure_images(image: GreyImage, repeats: int) -> list[StageRow]:
    """Time the decoding of an image (H, W) of some encodings."""
    colour = image_to_message(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), Header())
    jpeg = CompressedImage(format="jpeg", data=cv2.imencode(".jpg", image)[1].tobytes())
    grey = grey_message(image)
    decoder = image_decoder()
    stages: _Stages = {
        "decode mono8": (lambda: decoder.decode(grey), len(grey.data)),
        "decode bgr8": (lambda: decoder.decode(colour), len(colour.data)),
        "decode jpeg": (lambda: decoder.decode(jpeg), len(jpeg.data)),
    }
    return _rows(stages, (image.shape[1], image.shape[0]), 0, repeats)


def measure_messages(keypoints: int, repeats: int) -> list[StageRow]:
    """Time what happens to Features and Matches of so many keypoints in an image."""
    features, matches = _results(keypoints)
    header = Header()
    described = features_to_message(features, header)
    found = matches_to_message(matches, (features, features), (header, header))
    of_features, of_matches = serialize_message(described), serialize_message(found)
    stages: _Stages = {
        "fill features": (lambda: features_to_message(features, header), 0),
        "read features": (lambda: features_from_message(described), 0),
        "fill matches": (
            lambda: matches_to_message(matches, (features, features), (header, header)),
            0,
        ),
        "read matches": (lambda: matches_from_message(found), 0),
        "serialise features": (lambda: serialize_message(described), len(of_features)),
        "deserialise features": (
            lambda: deserialize_message(of_features, FeaturesMessage),
            len(of_features),
        ),
        "serialise matches": (lambda: serialize_message(found), len(of_matches)),
        "deserialise matches": (
            lambda: deserialize_message(of_matches, MatchesMessage),
            len(of_matches),
        ),
    }
    return _rows(stages, (0, 0), keypoints, repeats)


def grey_message(image: GreyImage) -> Image:
    """A grey image (H, W) under an empty header."""
    height, width = image.shape
    return Image(
        height=height,
        width=width,
        encoding="mono8",
        step=width,
        data=array.array("B", image.tobytes()),
    )


def _rows(stages: _Stages, size: tuple[int, int], keypoints: int, repeats: int) -> list[StageRow]:
    return [
        StageRow(name, *size, keypoints, size_bytes, *_timed(function, repeats))
        for name, (function, size_bytes) in stages.items()
    ]


def _results(count: int) -> tuple[Features, Matches]:
    random = np.random.default_rng(0)
    features = Features(
        keypoints=random.random((count, 2), np.float32),
        scores=random.random(count, np.float32),
        descriptors=random.random((count, 256), np.float32),
        image_size=(640, 480),
        extractor="",
    )
    indices = np.arange(count, dtype=np.int32)
    return features, Matches(indices, indices, features.scores, features.scores, matcher="")


def _timed(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and 95th percentile, in milliseconds."""
    function()
    durations = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        durations.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(durations)), float(np.percentile(durations, 95))
