"""A bag matched offline, and the same bag played through the live node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from bag_helpers import PERIOD_NS, START_NS, camera, camera_info, image_message, write_bag
from conftest import StereoPair
from rclpy.serialization import deserialize_message
from ros_helpers import Ros, ros_context
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CameraInfo, Image
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Tracks, TwoViewGeometry
from test_geometry_node import Setup

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs
from superglue_ros.bag.run import BagRun
from superglue_ros.geometry import Case, Scale
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.nodes.conversions import two_view_geometry_from_message
from superglue_ros.nodes.geometry_node import GeometryNode
from superglue_ros.nodes.pipeline_node import PipelineNode

SUPERPOINT = {"max_keypoints": 64}
SUPERGLUE = {"sinkhorn_iterations": 20}
COUNT = 6
MOTORCYCLE_BASELINE = 0.193001  # metres

ros = pytest.fixture(ros_context)


def test_geometry_and_tracks_of_a_bag_are_those_of_the_live_node(ros: Ros, tmp_path: Path) -> None:
    bag = recording(tmp_path / "bag", "sequential")
    networks = SuperPointExtractor(max_keypoints=128), SuperGlueMatcher(**SUPERGLUE)
    outputs = Outputs(geometry=True, tracks=True)
    BagRun(bag, tmp_path / "out", BagConfig(), outputs).run(*networks)
    topics = {"geometry": TwoViewGeometry, "tracks": Tracks}
    live = {topic: ros.collector(kind, topic) for topic, kind in topics.items()}
    publisher = ros.publisher(MatchesMessage, "matches")
    ros.start(GeometryNode, mode="sequential", qos="reliable", process_every_frame=True)
    ros.wait_for_subscribers(publisher)
    for message in written(tmp_path / "out", "matches", MatchesMessage):
        publisher.publish(message)
    for topic, kind in topics.items():
        offline = written(tmp_path / "out", topic, kind)
        assert len(offline) == COUNT - 1
        assert live[topic].wait_for(len(offline)) == offline


def test_the_metric_geometry_of_a_stereo_bag_is_that_of_the_live_node(
    ros: Ros, stereo_pair: StereoPair, tmp_path: Path
) -> None:
    bag = motorcycle_recording(tmp_path / "bag", stereo_pair)
    networks = SuperPointExtractor(max_keypoints=256), SuperGlueMatcher(**SUPERGLUE)
    config, outputs = BagConfig(mode="stereo"), Outputs(geometry=True)
    BagRun(bag, tmp_path / "out", config, outputs).run(*networks)
    live = Setup(ros, mode="stereo", qos="reliable")
    sides = ("left", "right")
    live.calibrate(**{side: written(bag, f"{side}/camera_info", CameraInfo)[0] for side in sides})
    for message in written(tmp_path / "out", "matches", MatchesMessage):
        live.matches.publish(message)
    offline = written(tmp_path / "out", "geometry", TwoViewGeometry)
    assert len(offline) == 2
    assert live.geometry.wait_for(2) == offline
    geometry, pairs = two_view_geometry_from_message(offline[0])
    assert (geometry.case, geometry.scale) == (Case.GENERAL, Scale.METRIC)
    np.testing.assert_allclose(geometry.translation, [-MOTORCYCLE_BASELINE, 0, 0], atol=1e-6)
    np.testing.assert_allclose(geometry.rotation, np.eye(3), atol=1e-9)
    assert len(pairs) > geometry.inliers.sum() > 100


def motorcycle_recording(path: Path, pair: StereoPair) -> Path:
    """Two moments of Middlebury's motorcycle, with its calibration at a quarter of its size."""
    focal, cx, cy, cx_offset = 994.978, 311.193, 254.877, 31.086
    height, width = pair.left.shape
    messages: list[tuple[str, int, Any]] = []
    sides = {"left": (cx, 0.0), "right": (cx + cx_offset, -focal * MOTORCYCLE_BASELINE)}
    for side, (side_cx, shift) in sides.items():
        info = camera_info(START_NS)
        info.width, info.height = width, height
        info.k = np.array([focal, 0, side_cx, 0, focal, cy, 0, 0, 1])
        info.p = np.array([focal, 0, side_cx, shift, 0, focal, cy, 0, 0, 0, 1, 0])
        messages.append((f"/{side}/camera_info", START_NS, info))
        for stamp in (START_NS, START_NS + PERIOD_NS):
            message = image_message(getattr(pair, side), stamp)
            messages.append((f"/{side}/image_raw", stamp, message))
    return write_bag(path, sorted(messages, key=lambda one: one[1]))


def written(bag: Path, topic: str, kind: Any) -> list[Any]:
    with AnyReader([bag]) as reader:
        wanted = [one for one in reader.connections if one.topic == f"/{topic}"]
        return [deserialize_message(bytes(data), kind) for _, _, data in reader.messages(wanted)]


def topics_of(mode: str) -> list[str]:
    return ["left/image", "right/image"] if mode == "stereo" else ["image"]


def recording(path: Path, mode: str) -> Path:
    messages = []
    for number, topic in enumerate(topics_of(mode)):
        messages += camera(COUNT, f"/{topic}", shift=8 * number)
    return write_bag(path, sorted(messages, key=lambda one: one[1]))


def played(ros: Ros, bag: Path, mode: str, count: int) -> list[MatchesMessage]:
    """What the node publishes while a bag is played to it."""
    matches = ros.collector(MatchesMessage, "matches")
    publishers = {f"/{topic}": ros.publisher(Image, topic) for topic in topics_of(mode)}
    settings = {**SUPERPOINT, **SUPERGLUE, "keyframe_max_motion_px": 7.0}
    ros.start(PipelineNode, mode=mode, qos="reliable", process_every_frame=True, **settings)
    ros.wait_for_subscribers(*publishers.values())
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            publishers[connection.topic].publish(deserialize_message(bytes(data), Image))
    return matches.wait_for(count)


@pytest.mark.parametrize("mode", ["sequential", "keyframe", "stereo"])
def test_the_matches_of_a_bag_are_those_of_the_live_node(
    mode: str, ros: Ros, tmp_path: Path
) -> None:
    bag = recording(tmp_path / "bag", mode)
    config = BagConfig(mode=mode, keyframe_max_motion_px=7.0)
    networks = SuperPointExtractor(**SUPERPOINT), SuperGlueMatcher(**SUPERGLUE)
    BagRun(bag, tmp_path / "out", config, Outputs()).run(*networks)
    offline = written(tmp_path / "out", "matches", MatchesMessage)
    assert len(offline) == (COUNT if mode == "stereo" else COUNT - 1)
    live = played(ros, bag, mode, len(offline))
    assert live == offline
