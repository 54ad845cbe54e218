"""Static transforms, from their messages to the place of one frame in another."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from std_msgs.msg import Header

from superglue_ros.nodes.transforms import StaticTransforms, transform_message

AHEAD_LEFT_UP = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Of an optical frame that looks ahead: its x is to the right, y down, z ahead."""


def message(child: str, parent: str, place: list[float], rotation: np.ndarray) -> SimpleNamespace:
    """As tf2_msgs/TFMessage, which ROS from pip has not."""
    one = transform_message((rotation, np.array(place)), Header(frame_id=parent), child)
    return SimpleNamespace(transforms=[one])


@pytest.fixture
def robot() -> StaticTransforms:
    """base_link - mast - camera - camera_optical, and a wheel beside."""
    transforms = StaticTransforms()
    half_turn = np.diag([-1.0, -1, 1])
    transforms.take(message("mast", "base_link", [0.1, 0, 1], half_turn))
    transforms.take(message("camera", "mast", [-0.2, 0, 0.3], half_turn))
    transforms.take(message("/camera_optical", "camera", [0, 0, 0], AHEAD_LEFT_UP))
    transforms.take(message("wheel", "base_link", [0, 0.5, 0], np.eye(3)))
    return transforms


def test_a_chain_of_transforms_is_followed(robot: StaticTransforms) -> None:
    found = robot.of("camera_optical", "base_link")
    assert found is not None
    np.testing.assert_allclose(found[0], AHEAD_LEFT_UP, atol=1e-9)
    np.testing.assert_allclose(found[1], [0.3, 0, 1.3], atol=1e-9)


def test_frames_on_two_branches_meet_at_their_root(robot: StaticTransforms) -> None:
    found = robot.of("camera", "wheel")
    assert found is not None
    np.testing.assert_allclose(found[1], [0.3, -0.5, 1.3], atol=1e-9)


def test_what_no_transform_leads_to_has_no_place(robot: StaticTransforms) -> None:
    assert robot.of("other_camera", "base_link") is None
    robot.take(message("a", "b", [0, 0, 0], np.eye(3)))
    robot.take(message("b", "a", [0, 0, 0], np.eye(3)))
    assert robot.of("a", "base_link") is None


def test_a_transform_message_holds_place_and_quaternion() -> None:
    pose = AHEAD_LEFT_UP, np.array([1.0, 2, 3])
    found = transform_message(pose, Header(frame_id="odom"), "base_link")
    assert (found.header.frame_id, found.child_frame_id) == ("odom", "base_link")
    place, turn = found.transform.translation, found.transform.rotation
    assert [place.x, place.y, place.z] == [1, 2, 3]
    np.testing.assert_allclose([turn.x, turn.y, turn.z, turn.w], [-0.5, 0.5, -0.5, 0.5], atol=1e-9)
