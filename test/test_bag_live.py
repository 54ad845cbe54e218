"""A bag matched offline, and the same bag played through the live node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from bag_helpers import camera, write_bag
from rclpy.serialization import deserialize_message
from ros_helpers import Ros, ros_context
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Tracks, TwoViewGeometry

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.outputs import Outputs
from superglue_ros.bag.run import BagRun
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.nodes.geometry_node import GeometryNode
from superglue_ros.nodes.pipeline_node import PipelineNode

SUPERPOINT = {"max_keypoints": 64}
SUPERGLUE = {"sinkhorn_iterations": 20}
COUNT = 6

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
