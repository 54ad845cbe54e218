"""The executor that the nodes run under."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_helpers import BEST_EFFORT, Ros, ros_context, wait_until
from sensor_msgs.msg import Image

from superglue_ros.config import TransportConfig
from superglue_ros.nodes import distributions
from superglue_ros.nodes.distributions import node_executor, rclpy_version
from superglue_ros.nodes.inputs import Stream, TopicInput

ros = pytest.fixture(ros_context)


@pytest.mark.parametrize(
    ("middleware", "version"),
    [
        ("rmw_fastrtps_cpp", (3, 3, 13)),  # Humble
        ("rmw_fastrtps_cpp", (7, 1, 4)),  # Jazzy
        ("rmw_fastrtps_cpp", (9, 1, 1)),  # the first of Kilted
        ("rmw_cyclonedds_cpp", (9, 1, 2)),
    ],
)
def test_where_the_faster_one_was_not_tried_it_is_the_usual_one(
    ros: Ros, monkeypatch: pytest.MonkeyPatch, middleware: str, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(distributions, "get_rmw_implementation_identifier", lambda: middleware)
    monkeypatch.setattr(distributions, "rclpy_version", lambda: version)
    chosen = node_executor(ros.context)
    assert isinstance(chosen, SingleThreadedExecutor)
    chosen.shutdown()


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        distributions, "get_package_share_directory", lambda name: str(tmp_path / name)
    )
    (tmp_path / "rclpy").mkdir()
    package = "<package format='2'><name>rclpy</name><version>7.1.11</version></package>"
    (tmp_path / "rclpy" / "package.xml").write_text(package)
    assert rclpy_version() == (7, 1, 11)


def test_to_unsubscribe_beside_an_incompatible_publisher_ends_nothing(ros: Ros) -> None:
    """What the middleware tells of a subscription may be handled after it is gone."""
    node = Node("listener", namespace=ros.namespace, context=ros.context)
    spinning = node_executor(ros.context)
    spinning.add_node(node)
    config = TransportConfig(qos="reliable")
    heard: list[Image] = []
    for _ in range(20):
        one = TopicInput(node, config, 10, Stream("image", Image), heard.append)
        spinning.spin_once(timeout_sec=0.05)
        publisher = ros.publisher(Image, "image", BEST_EFFORT)
        time.sleep(0.05)  # its event waits to be handled
        one.close()
        ros.node.destroy_publisher(publisher)
        for _ in range(5):
            spinning.spin_once(timeout_sec=0.01)
    one = TopicInput(node, config, 10, Stream("image", Image), heard.append)
    publisher = ros.publisher(Image, "image", QoSProfile(depth=1))
    assert QoSProfile(depth=1).reliability == ReliabilityPolicy.RELIABLE

    def has_heard() -> bool:
        publisher.publish(Image())
        spinning.spin_once(timeout_sec=0.05)
        return bool(heard)

    wait_until(has_heard, "a message after all the changes")
    spinning.shutdown()
    node.destroy_node()
