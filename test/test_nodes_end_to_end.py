"""superpoint_node and superglue_node, each a process: images in over DDS, matches out.

What arrives is compared with what the core gives on the same images in this process.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from conftest import StereoPair
from ros_helpers import (
    TIMEOUT_SEC,
    NodeProcess,
    Ros,
    header,
    image_message,
    moving_view,
    reduced,
    ros_context,
    small_image,
    stamp,
)
from sensor_msgs.msg import Image
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage

from superglue_ros.features import Features, GreyImage, Matches
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.nodes.conversions import features_from_message, matches_from_message

SUPERPOINT = {"max_keypoints": 96, "device": "cpu"}
SUPERGLUE = {"sinkhorn_iterations": 20, "device": "cpu"}
TRANSPORT = {"qos": "reliable", "process_every_frame": True}
Core = Callable[..., tuple[list[Features], Matches]]

ros = pytest.fixture(ros_context, scope="module")

BLACK = np.zeros((120, 160), np.uint8)


class Chain:
    """The two nodes in a namespace of their own, and the topics at both ends."""

    def __init__(self, ros: Ros, mode: str) -> None:
        self._seconds = itertools.count(1)
        cameras = ["left/", "right/"] if mode == "stereo" else [""]
        self._publishers = [ros.publisher(Image, f"{mode}/{camera}image") for camera in cameras]
        self.features = [
            ros.collector(FeaturesMessage, f"{mode}/{camera}features") for camera in cameras
        ]
        self.matches = ros.collector(MatchesMessage, f"{mode}/matches")
        self.assignments = ros.collector(AssignmentMatrixMessage, f"{mode}/assignment_matrix")
        self._start: dict[str, Callable[[], NodeProcess]] = {
            "superpoint_node": lambda: ros.run(
                "superpoint_node",
                under=mode,
                mode="stereo" if mode == "stereo" else "mono",
                **SUPERPOINT,
                **TRANSPORT,
            ),
            "superglue_node": lambda: ros.run(
                "superglue_node",
                under=mode,
                mode=mode,
                publish_assignment_matrix=True,
                **SUPERGLUE,
                **TRANSPORT,
            ),
        }
        self._processes = {name: start() for name, start in self._start.items()}

    def kill_and_restart(self, node_name: str) -> None:
        """Take a node away without a farewell and start another one like it."""
        self._processes[node_name].end(signal.SIGKILL)
        self._processes[node_name] = self._start[node_name]()

    def send(self, *images: GreyImage) -> int:
        """Publish an image for each camera; returns the second of their stamp."""
        second = next(self._seconds)
        for publisher, image in zip(self._publishers, images, strict=True):
            publisher.publish(image_message(image, header(second, frame_id=publisher.topic_name)))
        return second

    def connect(self) -> None:
        """Send black images until one of them comes out of every topic."""
        outputs = [*self.features, self.matches, self.assignments]
        deadline = time.monotonic() + TIMEOUT_SEC
        patience_sec = 0.3  # more each time, as a frame may wait for the ones before it
        while time.monotonic() < deadline:
            second = self.send(*[BLACK] * len(self._publishers))
            if all(output.find(second, timeout_sec=patience_sec) for output in outputs):
                return
            patience_sec *= 1.5
        pytest.fail(f"the nodes do not answer within {TIMEOUT_SEC:g} s")


@pytest.fixture(scope="module")
def chains(ros: Ros) -> dict[str, Chain]:
    """By mode; all of their processes start at once."""
    made = {mode: Chain(ros, mode) for mode in ("stereo", "sequential")}
    for chain in made.values():
        chain.connect()
    return made


@pytest.fixture
def stereo(chains: dict[str, Chain]) -> Chain:
    return chains["stereo"]


@pytest.fixture
def sequential(chains: dict[str, Chain]) -> Chain:
    return chains["sequential"]


@pytest.fixture(scope="module")
def pair(stereo_pair: StereoPair) -> tuple[GreyImage, GreyImage]:
    return reduced(stereo_pair.left), reduced(stereo_pair.right)


@pytest.fixture(scope="module")
def core(ros: Ros) -> Core:
    """`core(image0, image1)`: features of both and their matches, without any ROS."""
    extractor, matcher = SuperPointExtractor(**SUPERPOINT), SuperGlueMatcher(**SUPERGLUE)

    def run(*batches: Sequence[GreyImage]) -> tuple[list[Features], Matches]:
        """Batches as the node has them: a stereo pair is one, each frame of a sequence is one."""
        features = [one for batch in batches for one in extractor.extract_batch(batch)]
        return features, matcher.match(*features, with_assignment=True)

    return run


def assert_same(got: Any, expected: Any, *names: str) -> None:
    for name in names:
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)


def assert_same_matches(
    message: MatchesMessage, features: Sequence[Features], matches: Matches
) -> None:
    *got_features, got = matches_from_message(message)
    assert_same(got, matches, "matches0", "matches1", "matching_scores0", "matching_scores1")
    assert got.matcher == matches.matcher
    refined = (features[0], matches.refined(features[1]))
    for one, expected in zip(got_features, refined, strict=True):
        assert_same(one, expected, "keypoints", "scores", "image_size")


def test_stereo_features_are_those_of_the_core(
    stereo: Chain, pair: tuple[GreyImage, GreyImage], core: Core
) -> None:
    features, _ = core(pair)
    second = stereo.send(*pair)
    for topic, expected in zip(stereo.features, features, strict=True):
        got = features_from_message(topic.at(second))
        assert_same(got, expected, "keypoints", "scores", "descriptors", "image_size", "extractor")
        assert len(got) == SUPERPOINT["max_keypoints"]


def test_stereo_matches_are_those_of_the_core(
    stereo: Chain, pair: tuple[GreyImage, GreyImage], core: Core
) -> None:
    features, matches = core(pair)
    assert len(matches) > 30
    second = stereo.send(*pair)
    assert_same_matches(stereo.matches.at(second), features, matches)


def test_stereo_matches_carry_the_headers_and_sizes_of_both_images(stereo: Chain) -> None:
    second = stereo.send(small_image(width=64), small_image(width=80))
    left, right = (topic.at(second) for topic in stereo.features)
    message = stereo.matches.at(second)
    assert message.header == message.header1 == right.header
    assert message.header0 == left.header
    assert left.header.frame_id.endswith("left/image")
    assert right.header.frame_id.endswith("right/image")
    assert (left.width, left.height) == (message.width0, message.height0) == (64, 48)
    assert (right.width, right.height) == (message.width1, message.height1) == (80, 48)


def test_the_assignment_matrix_is_that_of_the_core(
    stereo: Chain, pair: tuple[GreyImage, GreyImage], core: Core
) -> None:
    features, matches = core(pair)
    second = stereo.send(*pair)
    message = stereo.assignments.at(second)
    assert (message.rows, message.columns) == (len(features[0]) + 1, len(features[1]) + 1)
    got = np.array(message.data, np.float32).reshape(message.rows, message.columns)
    np.testing.assert_array_equal(got, matches.assignment)
    of_matches = stereo.matches.at(second)
    assert (message.header, message.header0, message.header1) == (
        of_matches.header,
        of_matches.header0,
        of_matches.header1,
    )


def test_black_images_give_empty_features_and_matches(stereo: Chain) -> None:
    second = stereo.send(BLACK, BLACK)
    for topic in stereo.features:
        features = topic.at(second)
        assert (len(features.keypoints), len(features.descriptors)) == (0, 0)
        assert (features.width, features.height) == (160, 120)
    matches = stereo.matches.at(second)
    for name in ("keypoints", "matches", "matching_scores"):
        assert len(getattr(matches, f"{name}0")) == len(getattr(matches, f"{name}1")) == 0
    assignment = stereo.assignments.at(second)
    assert (assignment.rows, assignment.columns, len(assignment.data)) == (1, 1, 1)


def test_one_black_image_leaves_the_keypoints_of_the_other_unmatched(
    stereo: Chain, pair: tuple[GreyImage, GreyImage]
) -> None:
    matches = stereo.matches.at(stereo.send(pair[0], BLACK))
    count = SUPERPOINT["max_keypoints"]
    assert len(matches.keypoints0) == 3 * count
    assert list(matches.matches0) == [-1] * count
    assert len(matches.keypoints1) == len(matches.matches1) == 0


def test_each_frame_of_a_sequence_is_matched_to_the_one_before(
    sequential: Chain, stereo_pair: StereoPair, core: Core
) -> None:
    frames = moving_view(stereo_pair.left, 4)
    seconds = [sequential.send(frame) for frame in frames]
    for (before, frame), (second0, second1) in zip(
        itertools.pairwise(frames), itertools.pairwise(seconds), strict=True
    ):
        message = sequential.matches.at(second1)
        assert (stamp(message.header0), stamp(message.header1)) == ((second0, 0), (second1, 0))
        features, matches = core([before], [frame])
        assert_same_matches(message, features, matches)
        shift = np.median(
            [features[0].keypoints[i] - features[1].keypoints[j] for i, j in matches.pairs], axis=0
        )
        np.testing.assert_allclose(shift, [8, 0], atol=0.5)


def test_a_black_frame_interrupts_a_sequence_without_ending_it(
    sequential: Chain, stereo_pair: StereoPair
) -> None:
    view = moving_view(stereo_pair.left, 1)[0]
    seconds = [sequential.send(frame) for frame in (view, BLACK, view, view)]
    counts = [
        int(np.sum(np.array(sequential.matches.at(second).matches0) >= 0)) for second in seconds[1:]
    ]
    assert counts[:2] == [0, 0]
    assert counts[2] > 30


@pytest.mark.parametrize("node_name", ["superpoint_node", "superglue_node"])
def test_matches_come_again_after_a_node_was_killed_and_restarted(
    stereo: Chain, pair: tuple[GreyImage, GreyImage], core: Core, node_name: str
) -> None:
    stereo.kill_and_restart(node_name)
    stereo.connect()
    assert_same_matches(stereo.matches.at(stereo.send(*pair)), *core(pair))
