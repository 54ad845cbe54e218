"""From the poses of a camera to the odometry of the body that it is on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from superglue_ros.geometry.body import BODY_FROM_OPTICAL, UNKNOWN, Body
from superglue_ros.geometry.odometry import Motion, State

Array = NDArray[np.float64]
OFFSET = np.array([0.5, 0.0, 0.2])
"""Of a camera that looks ahead, half a metre before and 20 cm above the middle of its robot."""


def motion(place: Array, turn_rad: Array, covariance: Array) -> Motion:
    """A camera at a place in its first frame, turned by a rotation vector there."""
    rotation = cv2.Rodrigues(np.asarray(turn_rad, float))[0].T
    return Motion(State.TRACKING, (rotation, -rotation @ place), 50, covariance)


STILL = np.zeros(3)
STEP = np.diag([1.0, 2, 3, 4, 5, 6]) * 1e-4


def test_a_camera_that_goes_ahead_takes_its_body_along() -> None:
    body = Body((BODY_FROM_OPTICAL, OFFSET), has_scale=True)
    body.moved(motion(STILL, STILL, STEP), 10.0)
    found = body.moved(motion(np.array([0, 0, 0.3]), STILL, 2 * STEP), 10.1)
    np.testing.assert_allclose(found.pose[0], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.pose[1], [0.3, 0, 0], atol=1e-12)
    np.testing.assert_allclose(found.twist, [3, 0, 0, 0, 0, 0], atol=1e-6)
    # x is the camera's z, y its -x, z its -y; the step's variance over 0.1 s squared.
    turns = [6e-4, 4e-4, 5e-4]
    np.testing.assert_allclose(np.diag(found.twist_covariance)[3:] * 0.01, turns, atol=1e-9)
    np.testing.assert_allclose(np.diag(found.covariance)[3:], np.multiply(turns, 2), atol=1e-9)


def test_a_robot_that_turns_on_the_spot_stays_there() -> None:
    """To the left by 0.2 rad: the camera swings to the left on its arm of half a metre."""
    body = Body((BODY_FROM_OPTICAL, OFFSET), has_scale=True)
    body.moved(motion(STILL, STILL, STEP), 0.0)
    angle = 0.2
    swung = np.array([0.5 * (np.cos(angle) - 1), 0.5 * np.sin(angle), 0])  # ahead, left, up
    place = BODY_FROM_OPTICAL.T @ swung
    found = body.moved(motion(place, np.array([0, -angle, 0]), 2 * STEP), 0.5)
    np.testing.assert_allclose(found.pose[1], [0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(found.twist, [0, 0, 0, 0, 0, 0.4], atol=1e-9)


def test_the_arm_of_the_camera_makes_its_turning_the_bodys_going() -> None:
    """Sideways error of the body: that of the camera and half a metre times that of its yaw."""
    body = Body((BODY_FROM_OPTICAL, np.array([0.5, 0, 0])), has_scale=True)
    found = body.moved(motion(STILL, STILL, STEP), 0.0)
    assert found.covariance[1, 1] == pytest.approx(1e-4 + 0.25 * 5e-4)


def test_without_a_body_it_is_the_camera_in_a_frame_of_x_ahead() -> None:
    body = Body(None, has_scale=True)
    body.moved(motion(STILL, STILL, STEP), 0.0)
    found = body.moved(motion(np.array([0.1, 0, 0]), STILL, 2 * STEP), 1.0)
    np.testing.assert_allclose(found.pose[1], [0, -0.1, 0], atol=1e-12)
    np.testing.assert_allclose(found.twist[:3], [0.1, 0, 0], atol=1e-9)  # in the optical frame
    np.testing.assert_allclose(np.diag(found.twist_covariance), np.diag(STEP), atol=1e-12)


def test_what_is_not_known_has_a_large_variance() -> None:
    """Lengths of one camera, and the velocity before there were two poses."""
    body = Body(None, has_scale=False)
    first = body.moved(motion(STILL, STILL, STEP), 0.0)
    second = body.moved(motion(np.array([0.1, 0, 0]), STILL, 2 * STEP), 1.0)
    assert np.diag(first.twist_covariance).tolist() == [UNKNOWN] * 6
    assert not first.twist.any()
    for covariance in (second.covariance, second.twist_covariance):
        assert np.diag(covariance)[:3].tolist() == [UNKNOWN] * 3
        assert (np.diag(covariance)[3:] < 0.01).all()
        assert not covariance[:3, 3:].any()
