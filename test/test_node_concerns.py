"""What nodes tell of input that comes, and is wrong: twice, mixed, latched, black."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_helpers import Ros, header, image_message, ros_context, small_image, wait_until
from sensor_msgs.msg import CameraInfo, Image
from superglue_ros.msg import Features as FeaturesMessage
from test_geometry_node import camera_info

from superglue_ros.nodes.geometry_node import GeometryNode
from superglue_ros.nodes.superpoint_node import SuperPointNode

SETTINGS: dict[str, Any] = {"max_keypoints": 16, "device": "cpu", "process_every_frame": True}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

ros = pytest.fixture(ros_context)


def concerns(node: Any) -> str:
    return " ".join(node.concerns.current())


def test_a_message_that_comes_twice_is_used_once_and_told(ros: Ros) -> None:
    images = ros.publisher(Image, "image")
    features = ros.collector(FeaturesMessage, "features")
    log = ros.collector(Log, "/rosout")
    node = ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(images)
    twice = image_message(small_image(1), header(5))
    for message in (twice, twice, image_message(small_image(2), header(6))):
        images.publish(message)
    features.at(6)
    assert len(features.messages) == 2
    assert node.counts["dropped: came twice"] == 1
    assert "brings the same message again, stamp 5 s" in concerns(node)
    wait_until(lambda: any("same message again" in one.msg for one in log.messages), "the log")


def test_different_images_of_one_stamp_are_used_and_told(ros: Ros) -> None:
    """A driver that leaves header.stamp at 0."""
    images = ros.publisher(Image, "image")
    node = ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(images)
    for seed in range(5):
        images.publish(image_message(small_image(seed), header(0)))
    wait_until(lambda: node.counts["processed"] == 5, "all of them")
    assert node.counts["noticed: repeated stamp"] == 4
    assert "stamps tell nothing here" in concerns(node)


def test_two_cameras_on_one_topic_are_told_by_publishers_and_frames(ros: Ros) -> None:
    first, second = (ros.publisher(Image, "image") for _ in range(2))
    node = ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(first, second)
    for sec in range(1, 5):
        publisher, frame_id = ((first, "cam_a"), (second, "cam_b"))[sec % 2]
        publisher.publish(image_message(small_image(sec), header(sec, frame_id=frame_id)))
        wait_until(lambda sec=sec: node.counts["received"] == sec, "the image")
    assert node.counts["noticed: changed frame_id"] == 3
    wait_until(lambda: "has 2 publishers" in concerns(node), "the publishers")


@pytest.mark.parametrize("publisher_first", [True, False])
def test_a_latched_image_arrives_once(ros: Ros, publisher_first: bool) -> None:
    features = ros.collector(FeaturesMessage, "features")
    if not publisher_first:
        node = ros.start(SuperPointNode, **SETTINGS)
    images = ros.publisher(Image, "image", LATCHED)
    images.publish(image_message(small_image(), header(3)))
    if publisher_first:
        node = ros.start(SuperPointNode, **SETTINGS)
    features.at(3)
    images.publish(image_message(small_image(1), header(4)))
    features.at(4)
    assert [one.header.stamp.sec for one in features.messages] == [3, 4]
    assert node.counts["received"] == 2


def test_a_latched_calibration_arrives_and_is_counted(ros: Ros) -> None:
    calibration = ros.publisher(CameraInfo, "camera_info", LATCHED)
    calibration.publish(camera_info())
    node = ros.start(GeometryNode)
    wait_until(lambda: node.facts()["calibration"].startswith("received"), "the calibration")
    topic = f"{ros.namespace}/camera_info"
    assert node._inputs.counts_by_topic()[topic] == {"received": 1}


def test_black_images_are_counted_and_told(ros: Ros) -> None:
    images = ros.publisher(Image, "image")
    node = ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(images)
    for sec in (1, 2):
        images.publish(image_message(np.zeros((48, 64), np.uint8), header(sec)))
    wait_until(lambda: node.counts["processed"] == 2, "both images")
    assert node.counts["noticed: black image"] == 2
    assert "is the lens covered?" in concerns(node)


def test_ten_bits_in_sixteen_give_the_keypoints_of_eight(ros: Ros) -> None:
    images = ros.publisher(Image, "image")
    features = ros.collector(FeaturesMessage, "features")
    ros.start(SuperPointNode, **SETTINGS | {"max_keypoints": 64})
    ros.wait_for_subscribers(images)
    scene = np.kron(small_image(), np.ones((3, 3), np.uint8))
    images.publish(image_message(scene, header(1)))
    deep = image_message(scene, header(2))
    values = scene.astype("<u2") * 3 + 7400  # a thermal camera's counts
    deep.encoding, deep.step = "mono16", 2 * scene.shape[1]
    deep.data = array.array("B", values.tobytes())
    images.publish(deep)
    counts = [len(features.at(sec).keypoints) // 3 for sec in (1, 2)]
    assert counts[1] > 0.8 * counts[0] > 0
