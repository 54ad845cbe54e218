"""What nodes take from topics: QoS, broken and odd messages, joining of two cameras, pace."""

from __future__ import annotations

import array
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_helpers import (
    BEST_EFFORT,
    RELIABLE,
    Ros,
    header,
    image_message,
    ros_context,
    small_image,
    stamp,
    wait_until,
)
from sensor_msgs.msg import Image
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage

from superglue_ros.features import Features
from superglue_ros.inference import SuperPointExtractor
from superglue_ros.nodes.conversions import features_from_message, features_to_message
from superglue_ros.nodes.superglue_node import SuperGlueNode
from superglue_ros.nodes.superpoint_node import SuperPointNode

EXTRACTION = {"max_keypoints": 16, "device": "cpu"}
MILLISECOND = 1_000_000

ros = pytest.fixture(ros_context)


def dropped(node: Any) -> dict[str, int]:
    """The counts of messages that a node has dropped, by reason."""
    counts = {name: count for name, count in node.counts.items() if name.startswith("dropped: ")}
    return {name.removeprefix("dropped: "): count for name, count in counts.items()}


def wait_until_counted(node: Any, *, received: int, processed: int) -> None:
    """Return once that many messages have come, and all that are not processed are dropped."""

    def settled() -> bool:
        counts = node.counts
        ended = counts["processed"] + sum(dropped(node).values())
        return counts["received"] == ended == received and counts["processed"] == processed

    wait_until(settled, f"{received} messages received and {processed} processed: {node.counts}")


class Camera:
    """A superpoint_node with one camera."""

    def __init__(self, ros: Ros, **parameters: Any) -> None:
        self.images = ros.publisher(Image, "image")
        self.features = ros.collector(FeaturesMessage, "features")
        self.node = ros.start(SuperPointNode, **{**EXTRACTION, **parameters})
        ros.wait_for_subscribers(self.images)


class StereoCamera:
    """A superpoint_node with two cameras."""

    def __init__(self, ros: Ros, **parameters: Any) -> None:
        sides = ("left", "right")
        self._ros = ros
        self._images = [ros.publisher(Image, f"{side}/image") for side in sides]
        self.features = [ros.collector(FeaturesMessage, f"{side}/features") for side in sides]
        settings = {"mode": "stereo", "process_every_frame": True} | EXTRACTION | parameters
        self.node = ros.start(SuperPointNode, **settings)
        ros.wait_for_subscribers(*self._images)
        self._sent = 0

    def send(self, side: int, sec: int, nanosec: int = 0, **size: int) -> None:
        """An image of the left (0) or the right (1) camera; it has come before the next one."""
        image = small_image(seed=side, **size)
        self._images[side].publish(image_message(image, header(sec, nanosec)))
        self._sent += 1
        wait_until(lambda: self.node.counts["received"] == self._sent, "the image in the node")

    def wait_until_counted(self, *, processed: int) -> None:
        """As the function of this name; what still waits for a partner is given up for it."""
        assert self._ros.change_state("superpoint_node", Transition.TRANSITION_DEACTIVATE)
        wait_until_counted(self.node, received=self._sent, processed=processed)

    def send_pair(self, sec: int) -> None:
        self.send(0, sec)
        self.send(1, sec)

    def pairs_up_to(self, sec: int) -> list[tuple[Any, Any]]:
        """Stamps of the left and right features, once those of that second are there."""
        for output in self.features:
            output.at(sec)
        left, right = ([stamp(message) for message in one.messages] for one in self.features)
        return list(zip(left, right, strict=True))


# Quality of service


def reliability_of_subscriptions(ros: Ros, topic: str) -> list[ReliabilityPolicy]:
    infos = ros.node.get_subscriptions_info_by_topic(f"{ros.namespace}/{topic}")
    return [info.qos_profile.reliability for info in infos]


def wait_for_features(
    publisher: Any, features: Any, seconds: itertools.count[int], message_of: Callable[[int], Any]
) -> None:
    """Return once an image is answered; it is sent again until both ends know each other."""

    def answered() -> bool:
        second = next(seconds)
        publisher.publish(message_of(second))
        return features.find(second, timeout_sec=0.3) is not None

    wait_until(answered, "features of an image")


def image_of(second: int) -> Image:
    return image_message(small_image(), header(second))


@pytest.mark.parametrize("qos", [RELIABLE, BEST_EFFORT], ids=["reliable", "best_effort"])
def test_auto_fits_a_publisher_that_is_there_first(ros: Ros, qos: QoSProfile) -> None:
    images = ros.publisher(Image, "image", qos)
    features = ros.collector(FeaturesMessage, "features")
    ros.start(SuperPointNode, **EXTRACTION)
    assert reliability_of_subscriptions(ros, "image") == [qos.reliability]
    wait_for_features(images, features, itertools.count(1), image_of)


def test_auto_follows_publishers_that_come_and_change(ros: Ros) -> None:
    features = ros.collector(FeaturesMessage, "features")
    ros.start(SuperPointNode, **EXTRACTION)
    seconds = itertools.count(1)
    for qos in (RELIABLE, BEST_EFFORT, RELIABLE):
        images = ros.publisher(Image, "image", qos)
        wait_for_features(images, features, seconds, image_of)
        wait_until(
            lambda qos=qos: reliability_of_subscriptions(ros, "image") == [qos.reliability],
            f"a subscription that is {qos.reliability.name}",
        )
        wait_for_features(images, features, seconds, image_of)
        ros.node.destroy_publisher(images)


def test_auto_hears_publishers_of_both_kinds_at_once(ros: Ros) -> None:
    both = [ros.publisher(Image, "image", qos) for qos in (RELIABLE, BEST_EFFORT)]
    features = ros.collector(FeaturesMessage, "features")
    ros.start(SuperPointNode, **EXTRACTION)
    seconds = itertools.count(1)
    for images in both:
        wait_for_features(images, features, seconds, image_of)


@pytest.mark.parametrize("qos", ["reliable", "best_effort"])
def test_qos_that_is_set_does_not_follow_the_publisher(ros: Ros, qos: str) -> None:
    other = BEST_EFFORT if qos == "reliable" else RELIABLE
    ros.publisher(Image, "image", other)
    ros.start(SuperPointNode, qos=qos, **EXTRACTION)
    assert reliability_of_subscriptions(ros, "image") == [ReliabilityPolicy[qos.upper()]]


# Broken and odd messages


def truncated(message: Image) -> None:
    message.data = message.data[:-1]


def without_data(message: Image) -> None:
    message.data = array.array("B")


def of_unknown_encoding(message: Image) -> None:
    message.encoding = "smell8"


def of_depths(message: Image) -> None:
    message.encoding = "32FC1"


def without_pixels(message: Image) -> None:
    message.width = message.height = 0


def giant(message: Image) -> None:
    message.width = message.height = message.step = 2**32 - 1


def with_a_short_step(message: Image) -> None:
    message.step = 1


def before_time(message: Image) -> None:
    message.header.stamp.sec = -1


def with_too_many_nanoseconds(message: Image) -> None:
    message.header.stamp.nanosec = 1_000_000_000


@pytest.mark.parametrize(
    "harm",
    [
        *(truncated, without_data, of_unknown_encoding, of_depths, without_pixels, giant),
        *(with_a_short_step, before_time, with_too_many_nanoseconds),
    ],
)
def test_an_unusable_image_is_dropped_and_the_next_one_processed(
    ros: Ros, harm: Callable[[Image], None]
) -> None:
    camera = Camera(ros, process_every_frame=True)
    bad = image_of(1)
    harm(bad)
    camera.images.publish(bad)
    camera.images.publish(image_of(2))
    camera.features.at(2)
    wait_until_counted(camera.node, received=2, processed=1)
    assert len(camera.features.messages) == 1


def test_unusable_images_are_warned_of_once_in_a_while_with_their_numbers(ros: Ros) -> None:
    history = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    log = ros.collector(Log, "/rosout", history)
    camera = Camera(ros, process_every_frame=True)
    for second in range(1, 21):
        bad = image_of(second)
        truncated(bad)
        camera.images.publish(bad)
    wait_until_counted(camera.node, received=20, processed=0)
    assert dropped(camera.node) == {"bad input": 20}

    def warnings() -> list[str]:
        return [line.msg for line in log.messages if "truncated" in line.msg]

    wait_until(warnings, "a warning in the log")
    camera.images.publish(image_of(21))
    camera.features.at(21)
    assert len(warnings()) == 1
    assert "64x48" in warnings()[0]
    assert str(64 * 48 - 1) in warnings()[0]


def test_images_may_change_their_size_in_mid_stream(ros: Ros) -> None:
    camera = Camera(ros, process_every_frame=True)
    sizes = [(64, 48), (80, 64), (1, 1), (7, 100), (64, 48)]
    for second, (width, height) in enumerate(sizes, 1):
        image = small_image(width=width, height=height)
        camera.images.publish(image_message(image, header(second)))
    answers = camera.features.wait_for(len(sizes))
    assert [(answer.width, answer.height) for answer in answers] == sizes


def test_an_image_far_larger_than_the_network_takes_has_keypoints_all_over(ros: Ros) -> None:
    camera = Camera(ros, process_every_frame=True, resize=64, max_keypoints=200)
    large = np.kron(small_image(), np.ones((40, 40), np.uint8))
    camera.images.publish(image_message(large, header(1)))
    message = camera.features.at(1)
    assert (message.width, message.height) == (2560, 1920)
    keypoints = features_from_message(message).keypoints
    assert keypoints.max(axis=0)[0] > 2000
    assert (keypoints >= 0).all()
    assert (keypoints < (2560, 1920)).all()


@pytest.fixture
def features_messages(
    make_features: Callable[..., Features],
) -> Callable[[int], FeaturesMessage]:
    """`features_messages(second)`: the same twenty features under that stamp."""
    features = make_features(20)
    return lambda second: features_to_message(features, header(second))


def without_last_value(message: FeaturesMessage) -> None:
    message.keypoints = message.keypoints[:-1]


def with_half_of_the_descriptors(message: FeaturesMessage) -> None:
    message.descriptors = message.descriptors[: len(message.descriptors) // 2]


def of_other_descriptors(message: FeaturesMessage) -> None:
    message.descriptor_size //= 2
    message.descriptors = message.descriptors[: len(message.descriptors) // 2]


def not_finite(message: FeaturesMessage) -> None:
    message.keypoints[4] = float("nan")


def of_no_image(message: FeaturesMessage) -> None:
    message.width = message.height = 0


@pytest.mark.parametrize(
    "harm",
    [
        *(without_last_value, with_half_of_the_descriptors, of_other_descriptors, not_finite),
        *(of_no_image, before_time),
    ],
)
def test_unusable_features_are_dropped_and_the_next_ones_matched(
    ros: Ros,
    harm: Callable[[FeaturesMessage], None],
    features_messages: Callable[[int], FeaturesMessage],
) -> None:
    features = ros.publisher(FeaturesMessage, "features")
    matches = ros.collector(MatchesMessage, "matches")
    node = ros.start(SuperGlueNode, process_every_frame=True, device="cpu")
    ros.wait_for_subscribers(features)
    bad = features_messages(1)
    harm(bad)
    for message in (bad, features_messages(2), features_messages(3)):
        features.publish(message)
    assert stamp(matches.at(3).header0) == (2, 0)
    wait_until_counted(node, received=3, processed=2)


# Joining of two cameras


def test_left_and_right_may_differ_in_size(ros: Ros) -> None:
    camera = StereoCamera(ros)
    sizes = ({"width": 64, "height": 48}, {"width": 90, "height": 70})
    for side, size in enumerate(sizes):
        camera.send(side, 1, **size)
    images = [small_image(seed=side, **size) for side, size in enumerate(sizes)]
    expected = SuperPointExtractor(**EXTRACTION).extract_batch(images)
    for output, features in zip(camera.features, expected, strict=True):
        got = features_from_message(output.at(1))
        assert got.image_size == features.image_size
        np.testing.assert_array_equal(got.keypoints, features.keypoints)
        np.testing.assert_array_equal(got.descriptors, features.descriptors)


def test_stamps_may_differ_by_the_slop_and_not_a_nanosecond_more(ros: Ros) -> None:
    camera = StereoCamera(ros, sync_slop_sec=0.02)
    slop = 20 * MILLISECOND
    camera.send(0, 1)
    camera.send(1, 1, slop)
    camera.send(1, 2)
    camera.send(0, 2, slop)
    camera.send(0, 3)
    camera.send(1, 3, slop + 1)
    camera.send_pair(4)
    assert camera.pairs_up_to(4) == [
        ((1, 0), (1, slop)),
        ((2, slop), (2, 0)),
        ((4, 0), (4, 0)),
    ]


@pytest.mark.parametrize("exact", [{"exact_sync": True}, {"sync_slop_sec": 0.0}])
def test_exact_means_equal_stamps(ros: Ros, exact: dict[str, Any]) -> None:
    camera = StereoCamera(ros, **exact)
    camera.send(0, 1)
    camera.send(1, 1, 1)
    camera.send_pair(2)
    assert camera.pairs_up_to(2) == [((2, 0), (2, 0))]


def test_each_image_of_a_camera_that_loses_some_is_counted(ros: Ros) -> None:
    camera = StereoCamera(ros)
    for second in range(1, 8):
        camera.send(0, second)
        if second % 2:
            camera.send(1, second)
    assert [left for left, _ in camera.pairs_up_to(7)] == [(1, 0), (3, 0), (5, 0), (7, 0)]
    camera.wait_until_counted(processed=8)


def test_images_that_overflow_the_queue_are_counted(ros: Ros) -> None:
    camera = StereoCamera(ros, sync_queue_size=2, process_every_frame=False)
    for second in range(1, 6):
        camera.send(0, second)
    for second in range(1, 5):
        camera.send(1, second)
    camera.pairs_up_to(4)
    camera.send(1, 5)
    assert [left for left, _ in camera.pairs_up_to(5)] == [(4, 0), (5, 0)]
    camera.wait_until_counted(processed=4)


def test_images_go_on_being_paired_when_time_is_set_back(ros: Ros) -> None:
    camera = StereoCamera(ros)
    camera.send_pair(100)
    camera.send(0, 101)  # its partner will not come any more
    for second in (1, 2):
        camera.send_pair(second)
    pairs = camera.pairs_up_to(2)
    assert (
        [left for left, _ in pairs] == [right for _, right in pairs] == [(100, 0), (1, 0), (2, 0)]
    )
    camera.wait_until_counted(processed=6)


def test_an_image_that_comes_twice_is_paired_once(ros: Ros) -> None:
    camera = StereoCamera(ros)
    camera.send(0, 1)
    camera.send(0, 1)
    camera.send(1, 1)
    camera.send(1, 1)
    camera.send_pair(2)
    assert [left for left, _ in camera.pairs_up_to(2)] == [(1, 0), (2, 0)]
    camera.wait_until_counted(processed=4)


# Pace


def test_where_every_frame_counts_none_is_dropped_and_the_order_kept(ros: Ros) -> None:
    camera = Camera(ros, process_every_frame=True)
    for second in range(1, 41):
        camera.images.publish(image_of(second))
    answers = camera.features.wait_for(40)
    assert [stamp(answer)[0] for answer in answers] == list(range(1, 41))
    wait_until_counted(camera.node, received=40, processed=40)


def test_where_every_frame_counts_a_sequence_has_no_gap(
    ros: Ros, features_messages: Callable[[int], FeaturesMessage]
) -> None:
    features = ros.publisher(FeaturesMessage, "features")
    matches = ros.collector(MatchesMessage, "matches")
    ros.start(SuperGlueNode, process_every_frame=True, device="cpu", sinkhorn_iterations=5)
    ros.wait_for_subscribers(features)
    for second in range(1, 16):
        features.publish(features_messages(second))
    answers = matches.wait_for(14)
    steps = [(stamp(answer.header0)[0], stamp(answer.header1)[0]) for answer in answers]
    assert steps == [(second, second + 1) for second in range(1, 15)]


def test_live_the_newest_frame_wins(ros: Ros) -> None:
    camera = Camera(ros)
    large = small_image(width=320, height=240)
    for second in range(1, 61):
        camera.images.publish(image_message(large, header(second)))
    camera.features.at(60)
    answered = [stamp(answer)[0] for answer in camera.features.messages]
    assert answered == sorted(answered)
    assert answered[-1] == 60
    assert len(answered) < 60
    received = camera.node.counts["received"]
    wait_until_counted(camera.node, received=received, processed=len(answered))
    assert set(dropped(camera.node)) == {"a newer frame came first"}


def test_where_every_frame_counts_a_camera_may_lose_more_frames_than_the_queue_holds(
    ros: Ros,
) -> None:
    left, right = (ros.publisher(Image, f"{side}/image") for side in ("left", "right"))
    settings = {"mode": "stereo", "process_every_frame": True, "sync_queue_size": 3}
    node = ros.start(SuperPointNode, max_keypoints=8, device="cpu", **settings)
    ros.wait_for_subscribers(left, right)
    count, lost = 60, 20
    for number in range(count):
        if number % 3:
            left.publish(
                image_message(small_image(), header(1 + number // 10, number % 10 * 10**8))
            )
        right.publish(image_message(small_image(), header(1 + number // 10, number % 10 * 10**8)))
    wait_until(lambda: node.counts["processed"] == 2 * (count - lost), "every pair")
    counts = node.counts
    assert counts["received"] == 2 * count - lost
    assert counts["dropped: no partner"] + counts["waiting"] == lost
    assert counts["waiting"] < lost / 2


@pytest.mark.parametrize(
    ("every_frame", "policy"),
    [(True, ReliabilityPolicy.RELIABLE), (False, ReliabilityPolicy.BEST_EFFORT)],
)
def test_auto_before_there_is_a_publisher_expects_a_reliable_one_where_every_frame_counts(
    ros: Ros, every_frame: bool, policy: ReliabilityPolicy
) -> None:
    ros.start(SuperPointNode, max_keypoints=8, device="cpu", process_every_frame=every_frame)
    wait_until(lambda: reliability_of_subscriptions(ros, "image") == [policy], f"{policy}")
