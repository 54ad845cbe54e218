"""pipeline_node: the modes, the services, and that its matches are those of the two nodes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from conftest import StereoPair
from rclpy.publisher import Publisher
from ros_helpers import (
    Collector,
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
from std_srvs.srv import Trigger
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.srv import MatchImages, SetTemplate

from superglue_ros.features import GreyImage
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.nodes.conversions import matches_from_message
from superglue_ros.nodes.pipeline_node import PipelineNode
from superglue_ros.nodes.superglue_node import SuperGlueNode
from superglue_ros.nodes.superpoint_node import SuperPointNode

SUPERPOINT = {"max_keypoints": 96}
SUPERGLUE = {"sinkhorn_iterations": 20}
EVERY_FRAME = {"process_every_frame": True, "qos": "reliable"}
BLACK = np.zeros((120, 160), np.uint8)

ros = pytest.fixture(ros_context)


@pytest.fixture
def frames(stereo_pair: StereoPair) -> list[GreyImage]:
    """A camera that pans, 8 pixels a frame."""
    return moving_view(stereo_pair.left, 5)


class Camera:
    """A pipeline_node in a mode for one camera, with the topics at both ends."""

    def __init__(self, ros: Ros, mode: str, **parameters: Any) -> None:
        self._seconds = itertools.count(1)
        self.matches: Collector = ros.collector(MatchesMessage, "matches")
        self._publisher: Publisher = ros.publisher(Image, "image")
        self.node = ros.start(
            PipelineNode, mode=mode, **SUPERPOINT, **SUPERGLUE, **EVERY_FRAME, **parameters
        )
        ros.wait_for_subscribers(self._publisher)

    def send(self, image: GreyImage) -> int:
        second = next(self._seconds)
        self._publisher.publish(image_message(image, header(second)))
        return second


def count_of(message: MatchesMessage) -> int:
    return int(np.sum(np.asarray(message.matches0) >= 0))


def on_its_side(image: GreyImage) -> GreyImage:
    return np.ascontiguousarray(np.rot90(image))


TURNED = 50
"""Right matches of an image on its side: more where it is turned (83), else fewer (24)."""


def right_on_its_side(message: MatchesMessage) -> int:
    """Matches of frame 0 to frame 1 on its side that are right, in pixels of both as sent."""
    features0, features1, matches = matches_from_message(message)
    index0, index1 = matches.pairs.T
    x, y = features1.keypoints[index1].T
    upright = np.stack([159 - y, x], axis=1)
    error = np.abs(upright + np.array([8, 0]) - features0.keypoints[index0]).max(axis=1)
    return int(np.sum(error < 2))


@pytest.mark.parametrize("engine", ["torch", "fused"])
def test_the_matches_of_a_stereo_pair_are_those_of_the_two_nodes(
    engine: str, ros: Ros, stereo_pair: StereoPair
) -> None:
    collectors, settings = {}, {"engine": engine, **EVERY_FRAME}
    for under in ("two", "one"):
        collectors[under] = ros.collector(MatchesMessage, f"{under}/matches")
    nodes = [
        ros.start(SuperPointNode, under="two", mode="stereo", **SUPERPOINT, **settings),
        ros.start(SuperGlueNode, under="two", mode="stereo", **SUPERGLUE, **settings),
        ros.start(PipelineNode, under="one", mode="stereo", **SUPERPOINT, **SUPERGLUE, **settings),
    ]
    for under, side in itertools.product(collectors, ("left", "right")):
        publisher = ros.publisher(Image, f"{under}/{side}/image")
        ros.wait_for_subscribers(publisher)
        publisher.publish(image_message(reduced(getattr(stereo_pair, side)), header(1)))
    two, one = (collectors[under].at(1) for under in ("two", "one"))
    assert count_of(one) > 30
    assert one == two
    assert len(nodes) == 3


def test_keyframe_mode_keeps_the_keyframe_until_it_is_renewed(
    ros: Ros, frames: list[GreyImage]
) -> None:
    camera = Camera(ros, "keyframe", keyframe_min_match_share=0.0)
    for frame in frames[:3]:
        camera.send(frame)
    assert [stamp(m.header0)[0] for m in camera.matches.wait_for(2)] == [1, 1]
    assert ros.call(Trigger, "pipeline_node/renew_keyframe", Trigger.Request()).success
    for frame in frames[3:]:
        camera.send(frame)
    last = camera.matches.at(5)
    assert (stamp(last.header0)[0], len(camera.matches.messages)) == (4, 3)


def test_keyframe_mode_renews_the_keyframe_as_its_live_settings_say(
    ros: Ros, frames: list[GreyImage]
) -> None:
    camera = Camera(ros, "keyframe", keyframe_min_match_share=0.0)
    camera.send(frames[0])
    result = ros.set_parameters("pipeline_node", keyframe_max_motion_px=12.0)
    assert result.successful
    for frame in frames[1:]:  # 8 pixels, 16 pixels: renewed, 8 pixels, 16 pixels
        camera.send(frame)
    assert [stamp(m.header0)[0] for m in camera.matches.wait_for(4)] == [1, 1, 3, 3]


def test_renewing_a_keyframe_is_refused_where_there_is_none(ros: Ros) -> None:
    Camera(ros, "sequential")
    answer = ros.call(Trigger, "pipeline_node/renew_keyframe", Trigger.Request())
    assert not answer.success
    assert "sequential" in answer.message


def test_template_mode_matches_each_frame_to_the_images_of_a_folder(
    ros: Ros, frames: list[GreyImage], tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), frames[0])
    cv2.imwrite(str(tmp_path / "b.png"), small_image(width=160, height=120))
    camera = Camera(ros, "template", template_folder=str(tmp_path))
    second = camera.send(frames[1])
    messages = camera.matches.wait_for(2)
    assert [m.header0.frame_id for m in messages] == ["a.png", "b.png"]
    assert [stamp(m.header)[0] for m in messages] == [second, second]
    assert count_of(messages[0]) > 30 > count_of(messages[1])


def test_a_template_can_be_set_by_service(ros: Ros, frames: list[GreyImage]) -> None:
    camera = Camera(ros, "template")
    request = SetTemplate.Request(image=image_message(frames[0], header(7, frame_id="door")))
    answer = ros.call(SetTemplate, "pipeline_node/set_template", request)
    assert (answer.success, answer.count) == (True, 1)
    message = camera.matches.at(camera.send(frames[1]))
    assert message.header0.frame_id == "door"
    request.replace = True
    assert ros.call(SetTemplate, "pipeline_node/set_template", request).count == 1


def test_a_template_without_keypoints_is_refused(ros: Ros) -> None:
    Camera(ros, "template")
    request = SetTemplate.Request(image=image_message(BLACK, header(7, frame_id="night")))
    answer = ros.call(SetTemplate, "pipeline_node/set_template", request)
    assert (answer.success, answer.count) == (False, 0)
    assert "night" in answer.message


def test_superglue_node_matches_features_to_templates_too(
    ros: Ros, frames: list[GreyImage], tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), frames[0])
    matches = ros.collector(MatchesMessage, "matches")
    publisher = ros.publisher(Image, "image")
    ros.start(SuperPointNode, **SUPERPOINT, **EVERY_FRAME)
    folder = str(tmp_path)
    ros.start(SuperGlueNode, mode="template", template_folder=folder, **SUPERGLUE, **EVERY_FRAME)
    ros.wait_for_subscribers(publisher)
    publisher.publish(image_message(frames[1], header(1)))
    message = matches.at(1)
    assert message.header0.frame_id == "a.png"
    assert count_of(message) > 30


def test_two_images_can_be_matched_by_service(ros: Ros, frames: list[GreyImage]) -> None:
    Camera(ros, "sequential")
    request = MatchImages.Request(
        image0=image_message(frames[0], header(3)), image1=image_message(frames[2], header(4))
    )
    answer = ros.call(MatchImages, "pipeline_node/match_images", request)
    assert (answer.success, answer.message) == (True, "")
    *_, got = matches_from_message(answer.matches)
    extractor, matcher = SuperPointExtractor(**SUPERPOINT), SuperGlueMatcher(**SUPERGLUE)
    expected = matcher.match(*extractor.extract_batch([frames[0], frames[2]]))
    np.testing.assert_array_equal(got.matches0, expected.matches0)
    assert (stamp(answer.matches.header0), stamp(answer.matches.header)) == ((3, 0), (4, 0))


@pytest.mark.parametrize("any_rotation", [False, True])
def test_by_service_turned_images_match_where_any_rotation_is_asked_for(
    any_rotation: bool, ros: Ros, frames: list[GreyImage]
) -> None:
    Camera(ros, "sequential", any_rotation=any_rotation)
    answer = ros.call(
        MatchImages,
        "pipeline_node/match_images",
        MatchImages.Request(
            image0=image_message(frames[0], header(3)),
            image1=image_message(on_its_side(frames[1]), header(4)),
        ),
    )
    assert answer.success
    assert (right_on_its_side(answer.matches) > TURNED) == any_rotation


@pytest.mark.parametrize("any_rotation", [False, True])
def test_turned_frames_match_a_template_where_any_rotation_is_asked_for(
    any_rotation: bool, ros: Ros, frames: list[GreyImage], tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), frames[0])
    camera = Camera(ros, "template", template_folder=str(tmp_path), any_rotation=any_rotation)
    message = camera.matches.at(camera.send(on_its_side(frames[1])))
    assert (right_on_its_side(message) > TURNED) == any_rotation
    upright = camera.matches.at(camera.send(frames[1]))
    assert count_of(upright) > 30
    assert (upright.width0, upright.height0) == (160, 120)


def test_frames_of_a_video_are_not_turned(ros: Ros, frames: list[GreyImage]) -> None:
    camera = Camera(ros, "sequential", any_rotation=True)
    camera.send(frames[0])
    assert right_on_its_side(camera.matches.at(camera.send(on_its_side(frames[1])))) < TURNED


def test_matching_unusable_images_by_service_says_why(ros: Ros, frames: list[GreyImage]) -> None:
    Camera(ros, "sequential")
    broken = image_message(frames[0], header(3))
    broken.encoding = "32FC1"
    request = MatchImages.Request(image0=broken, image1=image_message(frames[0], header(3)))
    answer = ros.call(MatchImages, "pipeline_node/match_images", request)
    assert not answer.success
    assert "32FC1" in answer.message


def test_services_answer_while_the_node_is_not_active(ros: Ros, frames: list[GreyImage]) -> None:
    ros.start(PipelineNode, active=False, **SUPERPOINT, **SUPERGLUE)
    image = image_message(frames[0], header(3))
    answer = ros.call(
        MatchImages, "pipeline_node/match_images", MatchImages.Request(image0=image, image1=image)
    )
    assert (answer.success, answer.message) == (False, "the node is not active")


@pytest.mark.parametrize("content", ["nothing", "no image"])
def test_an_unusable_template_folder_keeps_the_node_from_starting(
    ros: Ros, tmp_path: Path, content: str
) -> None:
    folder = tmp_path if content == "no image" else tmp_path / "absent"
    node = ros.start(
        PipelineNode, active=False, mode="template", template_folder=str(folder), **SUPERPOINT
    )
    assert node.trigger_configure().name == "FAILURE"
