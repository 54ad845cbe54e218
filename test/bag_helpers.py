"""Small bags of every kind, of drawn images that move by four pixels a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags import rosbag1, rosbag2
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.typesys import Stores, get_typestore

from superglue_ros.bag.reader import BagReader
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.image_decoding import image_decoder

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 50_000_000
IMAGE = "sensor_msgs/msg/Image"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
DECODER = image_decoder()
ROS1, ROS2 = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.LATEST)


def frame(number: int, *, shift: int = 0) -> GreyImage:
    """(120, 160): a window that slides over one random picture."""
    random = np.random.default_rng(3)
    picture = random.integers(0, 256, (40, 120), np.uint8)
    picture = cv2.resize(picture, (480, 160), interpolation=cv2.INTER_CUBIC)
    left = 4 * number + shift
    return np.ascontiguousarray(picture[20:140, left : left + 160])


def stamp_ns(number: int) -> int:
    return START_NS + number * PERIOD_NS


def image_message(image: GreyImage, time_ns: int, types: Any = ROS2) -> Any:
    return types.types[IMAGE](
        header=_header(types, time_ns),
        height=image.shape[0],
        width=image.shape[1],
        encoding="mono8",
        is_bigendian=0,
        step=image.shape[1],
        data=image.reshape(-1),
    )


def compressed_message(image: GreyImage, time_ns: int) -> Any:
    data = cv2.imencode(".png", image)[1].reshape(-1)
    return ROS2.types[COMPRESSED](header=_header(ROS2, time_ns), format="png", data=data)


def camera_info(time_ns: int) -> Any:
    """A calibration of a camera of 160x120 pixels."""
    fields = dict.fromkeys(ROS2.types[CAMERA_INFO].__dataclass_fields__, 0)
    fields.pop("__msgtype__", None)
    fields |= {
        "header": _header(ROS2, time_ns),
        "height": 120,
        "width": 160,
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": np.array([150, 0, 80, 0, 150, 60, 0, 0, 1.0]),
        "r": np.eye(3).reshape(-1),
        "p": np.array([150, 0, 80, 0, 0, 150, 60, 0, 0, 0, 1, 0.0]),
        "roi": ROS2.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
    }
    return ROS2.types[CAMERA_INFO](**fields)


def camera(count: int, topic: str = "/camera", *, shift: int = 0) -> list[tuple[str, int, Any]]:
    """Topic, time and message of some frames."""
    return [
        (topic, stamp_ns(n), image_message(frame(n, shift=shift), stamp_ns(n)))
        for n in range(count)
    ]


def write_bag(
    path: Path,
    messages: list[tuple[str, int, Any]],
    *,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
) -> Path:
    writer = rosbag2.Writer(path, version=8, storage_plugin=storage)
    if compression != CompressionMode.NONE:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, time_ns, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=ROS2)
            writer.write(connections[topic], time_ns, ROS2.serialize_cdr(message, kind))
    return path


def write_ros1_bag(
    path: Path,
    count: int,
    *,
    compression: rosbag1.Writer.CompressionFormat | None = None,
    chunk_bytes: int = 1 << 20,
) -> Path:
    writer = rosbag1.Writer(path)
    writer.chunk_threshold = chunk_bytes
    if compression is not None:
        writer.set_compression(compression)
    with writer:
        connection = writer.add_connection("/camera", IMAGE, typestore=ROS1)
        for n in range(count):
            message = image_message(frame(n), stamp_ns(n), ROS1)
            writer.write(connection, stamp_ns(n), ROS1.serialize_ros1(message, IMAGE))
    return path


def read(path: Path, *topics: str) -> tuple[list[int], list[str]]:
    """Which frames a bag gives, each checked pixel by pixel, and what it says is not readable."""
    with BagReader(path) as reader:
        numbers = []
        for one in reader.messages(topics or ("/camera",), reader.start_ns, reader.end_ns):
            number = (one.time_ns - START_NS) // 50_000_000
            stamp = one.header.stamp
            assert stamp.sec * 1_000_000_000 + stamp.nanosec == one.time_ns
            np.testing.assert_array_equal(DECODER.decode(one.message), frame(number))
            numbers.append(number)
        return numbers, reader.problems


def read_or_refused(path: Path) -> tuple[list[int], list[str]]:
    """As `read`; a topic of which nothing is readable is one that the bag has not."""
    try:
        return read(path)
    except InputError as error:
        return [], [str(error)]


def _header(types: Any, time_ns: int) -> Any:
    sec, nanosec = divmod(time_ns, 1_000_000_000)
    stamp = types.types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
    more = {"seq": 0} if types is ROS1 else {}
    return types.types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera", **more)
