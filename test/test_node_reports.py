"""What a node tells: diagnostics, timing, why it has no input; and how it meets device errors."""

from __future__ import annotations

import itertools
import re
import socket
import weakref
from typing import Any

import pytest

pytest.importorskip("rclpy")

import torch
from conftest import StereoPair
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_helpers import (
    BEST_EFFORT,
    Collector,
    Ros,
    header,
    image_message,
    reduced,
    ros_context,
    wait_until,
)
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import SetBool
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Timing

from superglue_ros.features import GreyImage
from superglue_ros.nodes.geometry_node import GeometryNode
from superglue_ros.nodes.superglue_node import SuperGlueNode
from superglue_ros.nodes.superpoint_node import SuperPointNode

SETTINGS = {"max_keypoints": 40, "device": "cpu", "process_every_frame": True}
SIDES = ("left", "right")

ros = pytest.fixture(ros_context)
other = pytest.fixture(ros_context)
"""A second participant: one alone cannot have two types on one topic."""


@pytest.fixture
def image(stereo_pair: StereoPair) -> GreyImage:
    return reduced(stereo_pair.left)


def status_of(ros: Ros, collector: Collector, wanted: Any, what: str) -> DiagnosticStatus:
    """The first status of the test's node that is as wanted."""

    def find() -> DiagnosticStatus | None:
        statuses = [one for message in collector.messages for one in message.status]
        own = [one for one in statuses if one.name.startswith(ros.namespace)]
        return next(filter(wanted, own), None)

    wait_until(find, what)
    found = find()
    assert found is not None
    return found


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def test_diagnostics_tell_counts_latency_weights_and_licence(ros: Ros, image: GreyImage) -> None:
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    publisher = ros.publisher(Image, "image")
    ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(publisher)
    broken = image_message(image, header(2))
    broken.encoding = "none"
    for message in (image_message(image, header(1)), broken):
        publisher.publish(message)
    status = status_of(
        ros,
        diagnostics,
        lambda one: {"processed", "dropped: bad input"} <= set(values_of(one)),
        "a status with the two frames",
    )
    values = values_of(status)
    assert status.level == DiagnosticStatus.OK
    assert status.name == f"{ros.namespace}/superpoint_node: frames"
    assert status.hardware_id == socket.gethostname()
    assert re.fullmatch(r"running: \d+\.\d frames/s, \d+ ms from input .*", status.message)
    assert float(values["frames rate [Hz]"]) > 0
    assert (values["received"], values["processed"], values["dropped: bad input"]) == (*"211",)
    assert values["device"] == "cpu"
    assert values["SuperPoint weights"].startswith("superpoint sha256:")
    assert values["SuperPoint licence"] == "Apache-2.0"
    for stage in ("decode", "extract", "publish", "total"):
        assert 0 < float(values[f"{stage} p50 [ms]"]) <= float(values[f"{stage} p95 [ms]"])


def test_diagnostics_tell_what_became_of_the_messages_of_each_input(
    ros: Ros, image: GreyImage
) -> None:
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    left, right = (ros.publisher(Image, f"{side}/image") for side in ("left", "right"))
    ros.start(SuperPointNode, mode="stereo", **SETTINGS)
    ros.wait_for_subscribers(left, right)
    for second in (1, 2, 3):
        left.publish(image_message(image, header(second)))
    for second in (1, -1, 3):
        right.publish(image_message(image, header(second)))
    wanted = {
        "left/image received": "3",
        "left/image paired": "2",
        "left/image waiting": "1",
        "right/image received": "3",
        "right/image paired": "2",
        "right/image dropped: impossible stamp": "1",
        "received": "6",
        "processed": "4",
    }

    def names_in(status: DiagnosticStatus) -> dict[str, str]:
        return {
            key.removeprefix(f"{ros.namespace}/"): text for key, text in values_of(status).items()
        }

    status = status_of(
        ros, diagnostics, lambda one: names_in(one).get("processed") == "4", "two pairs"
    )
    found = {
        key: text for key, text in names_in(status).items() if "image" in key and "last" not in key
    }
    assert found == {key: text for key, text in wanted.items() if "image" in key}
    assert names_in(status).items() >= wanted.items()


def test_the_timing_of_each_frame_is_published_to_who_listens(ros: Ros, image: GreyImage) -> None:
    timing = ros.collector(Timing, "superpoint_node/timing")
    publisher = ros.publisher(Image, "image")
    node = ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(publisher)
    topic = f"{ros.namespace}/superpoint_node/timing"
    wait_until(lambda: node.count_publishers(topic), "the timing topic")
    wait_until(
        lambda: any(
            one.topic_name == topic and one.get_subscription_count() for one in node.publishers
        ),
        "the test to be heard as a listener",
    )
    publisher.publish(image_message(image, header(5)))
    message = timing.at(5)
    assert message.node == f"{ros.namespace}/superpoint_node"
    durations = dict(zip(message.stages, message.durations_ms, strict=True))
    assert list(durations) == ["wait", "decode", "extract", "publish", "total"]
    parts = sum(value for stage, value in durations.items() if stage != "total")
    assert 0 < parts <= durations["total"]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("no publisher", "no publisher on"),
        ("wrong type", "carries sensor_msgs/msg/CameraInfo, not sensor_msgs/msg/Image"),
        ("incompatible", "incompatible QoS"),
        ("never synchronised", "stamps differ by 500 ms or more, allowed are 20 ms"),
        ("unusable", "image encoding 'none' is not known"),
    ],
)
def test_a_node_without_usable_input_says_why(
    ros: Ros, other: Ros, image: GreyImage, case: str, reason: str
) -> None:
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    qos = "reliable" if case == "incompatible" else "auto"
    mode = "stereo" if case == "never synchronised" else "mono"
    settings = SETTINGS | {"qos": qos, "mode": mode, "process_every_frame": False}
    if case == "wrong type":
        other.publisher(CameraInfo, f"{ros.namespace}/image")
    if case == "incompatible":
        ros.publisher(Image, "image", BEST_EFFORT)
    ros.start(SuperPointNode, input_timeout_sec=0.5, **settings)
    if case == "never synchronised":
        publishers = [ros.publisher(Image, f"{side}/image") for side in ("left", "right")]
        ros.wait_for_subscribers(*publishers)
        for publisher, nanosec in zip(publishers, (0, 500_000_000), strict=True):
            publisher.publish(image_message(image, header(1, nanosec)))
    if case == "unusable":
        publisher = ros.publisher(Image, "image")
        ros.wait_for_subscribers(publisher)
        broken = image_message(image, header(1))
        broken.encoding = "none"
        publisher.publish(broken)
    status = status_of(ros, diagnostics, lambda one: reason in one.message, reason)
    assert status.level == DiagnosticStatus.WARN
    assert "no usable input for 0.5 s" in status.message


def test_a_camera_that_falls_silent_is_named(ros: Ros, image: GreyImage) -> None:
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    left, right = (ros.publisher(Image, f"{side}/image") for side in ("left", "right"))
    node = ros.start(SuperPointNode, mode="stereo", input_timeout_sec=1.0, **SETTINGS)
    ros.wait_for_subscribers(left, right)
    for publisher in (left, right):
        publisher.publish(image_message(image, header(1)))
    wait_until(lambda: node.counts["processed"] == 2, "a pair")

    seconds = itertools.count(2)

    def reported() -> bool:
        right.publish(image_message(image, header(next(seconds))))
        statuses = [one for message in diagnostics.messages for one in message.status]
        return any(silent in one.message for one in statuses)

    silent = f"{ros.namespace}/left/image, which has a publisher, has been silent for"
    wait_until(reported, "the silence in the diagnostics")
    status = status_of(ros, diagnostics, lambda one: silent in one.message, "it")
    assert "right/image, which" not in status.message
    assert status.level == DiagnosticStatus.WARN
    ages = {side: f"{ros.namespace}/{side}/image last arrival [s ago]" for side in SIDES}
    values = values_of(status)
    assert float(values[ages["left"]]) >= 1.0 > float(values[ages["right"]])


def test_a_node_that_is_not_active_says_so(ros: Ros) -> None:
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    node = ros.start(SuperPointNode, active=False, weights="missing.pth", **SETTINGS)
    steps = [
        (lambda: None, "not configured"),
        (node.trigger_configure, "not configured: no weights 'missing.pth'"),
        (lambda: ros.set_parameters("superpoint_node", weights="superpoint"), "not configured"),
        (node.trigger_configure, "configured, not active"),
        (node.trigger_activate, "running"),
        (node.trigger_deactivate, "configured, not active"),
        (node.trigger_cleanup, "not configured"),
    ]
    for step, words in steps:
        step()
        diagnostics.messages.clear()
        status = status_of(ros, diagnostics, lambda one, w=words: one.message.startswith(w), words)
        wanted = DiagnosticStatus.OK if words == "running" else DiagnosticStatus.WARN
        assert status.level == wanted


def test_a_node_that_drops_much_says_so_and_why(ros: Ros, image: GreyImage) -> None:
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    publisher = ros.publisher(Image, "image")
    ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(publisher)
    for second in range(1, 17):
        message = image_message(image, header(second))
        message.encoding = "mono8" if second <= 4 else "none"
        publisher.publish(message)
    text = "1[0-2] of the last 1[0-6] messages were dropped, most of them because: bad input"
    status = status_of(ros, diagnostics, lambda one: re.match(text, one.message), text)
    assert status.level == DiagnosticStatus.WARN


def test_what_belongs_to_one_node_stands_under_its_name(ros: Ros) -> None:
    for node_type in (SuperPointNode, SuperGlueNode, GeometryNode):
        node = ros.start(node_type, active=False)
        own = f"{ros.namespace}/{node.get_name()}/"
        names = [
            name
            for name, _ in [
                *ros.node.get_service_names_and_types_by_node(node.get_name(), ros.namespace),
                *ros.node.get_publisher_names_and_types_by_node(node.get_name(), ros.namespace),
            ]
            if name.startswith(ros.namespace)
        ]
        assert {f"{own}enable", f"{own}timing"} <= set(names)
        assert all(name.startswith(own) for name in names)


def test_a_disabled_node_drops_what_comes_until_it_is_enabled(ros: Ros, image: GreyImage) -> None:
    features = ros.collector(FeaturesMessage, "features")
    publisher = ros.publisher(Image, "image")
    node = ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(publisher)
    enable = "superpoint_node/enable"
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    assert ros.call(SetBool, enable, SetBool.Request(data=False)).message == "disabled"
    publisher.publish(image_message(image, header(1)))
    wait_until(lambda: node.counts["received"] == 1, "the first image")
    disabled = "disabled by ~/enable: what comes is dropped"
    status = status_of(ros, diagnostics, lambda one: one.message == disabled, disabled)
    assert status.level == DiagnosticStatus.WARN
    assert ros.call(SetBool, enable, SetBool.Request(data=True)).message == "enabled"
    publisher.publish(image_message(image, header(2)))
    features.at(2)
    wait_until(lambda: node.counts["processed"] == 1, "the second image")
    assert node.counts == {"received": 2, "processed": 1, "dropped: the node is disabled": 1}
    assert len(features.messages) == 1


def fail_once(node: SuperPointNode, error: Exception) -> None:
    """Let the network raise an error at its next pass, as a full device does."""
    engine = node.extractor._engine
    detect = engine.detect

    def fail(*_: Any) -> None:
        engine.detect = detect
        raise error

    engine.detect = fail


@pytest.mark.parametrize(("action", "count"), [("drop_frame", 40), ("fewer_keypoints", 20)])
def test_a_full_device_costs_one_frame(ros: Ros, image: GreyImage, action: str, count: int) -> None:
    features = ros.collector(FeaturesMessage, "features")
    publisher = ros.publisher(Image, "image")
    node = ros.start(SuperPointNode, on_device_error=action, **SETTINGS)
    ros.wait_for_subscribers(publisher)
    fail_once(node, torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    for second in (1, 2):
        publisher.publish(image_message(image, header(second)))
    assert len(features.at(2).keypoints) == 3 * count
    wait_until(lambda: node.counts["processed"] == 1, "the second image")
    assert node.counts == {"received": 2, "processed": 1, "dropped: device error": 1}


def test_the_cpu_takes_over_from_a_full_device_where_that_is_wanted(
    ros: Ros, image: GreyImage
) -> None:
    features = ros.collector(FeaturesMessage, "features")
    publisher = ros.publisher(Image, "image")
    settings = SETTINGS | {"device": "auto"}
    node = ros.start(SuperPointNode, on_device_error="cpu", **settings)
    ros.wait_for_subscribers(publisher)
    before = node.extractor
    fail_once(node, RuntimeError("CUDA error: an illegal memory access was encountered"))
    for second in (1, 2):
        publisher.publish(image_message(image, header(second)))
    features.at(2)
    assert node.extractor is not before
    assert node.extractor.device == torch.device("cpu")
    assert node.config.device == "cpu"


def test_a_defect_costs_one_frame_and_not_the_node(ros: Ros, image: GreyImage) -> None:
    features = ros.collector(FeaturesMessage, "features")
    publisher = ros.publisher(Image, "image")
    node = ros.start(SuperPointNode, **SETTINGS)
    ros.wait_for_subscribers(publisher)
    fail_once(node, ZeroDivisionError("a defect"))
    for second in (1, 2):
        publisher.publish(image_message(image, header(second)))
    features.at(2)
    wait_until(lambda: node.counts["processed"] == 1, "the second image")
    assert node.counts == {"received": 2, "processed": 1, "dropped: internal error": 1}


def test_cleaning_up_lets_go_of_the_networks(ros: Ros, image: GreyImage) -> None:
    node = ros.start(SuperPointNode, **SETTINGS)
    engine = weakref.ref(node.extractor._engine)
    assert node.trigger_deactivate().name == "SUCCESS"
    assert node.trigger_cleanup().name == "SUCCESS"
    assert node.networks() == {}
    assert engine() is None
    assert node.trigger_configure().name == "SUCCESS"
    assert set(node.networks()) == {"SuperPoint"}


def test_a_node_on_simulated_time_that_stands_still_works_and_reports(
    ros: Ros, image: GreyImage
) -> None:
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    features = ros.collector(FeaturesMessage, "features")
    node = ros.start(SuperPointNode, use_sim_time=True, **SETTINGS)
    publisher = ros.publisher(Image, "image")  # after the node, which has to follow its reliability
    ros.wait_for_subscribers(publisher)
    publisher.publish(image_message(image, header(5)))
    features.at(5)
    assert node.get_clock().now().nanoseconds == 0
    status_of(ros, diagnostics, lambda one: values_of(one).get("processed") == "1", "a status")
