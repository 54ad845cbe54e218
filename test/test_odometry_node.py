"""visual_odometry_node over DDS, and with geometry_node before it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("rclpy")

from nav_msgs.msg import Odometry as OdometryMessage
from nav_msgs.msg import Path
from rcl_interfaces.msg import Log
from ros_helpers import Ros, header, ros_context, wait_until
from sensor_msgs.msg import CameraInfo, PointCloud2
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Tracks as TracksMessage
from test_geometry import SIZE, K
from test_geometry_node import camera_info, matches_of
from test_odometry import noisy_depths, true_pose, walk

from superglue_ros.geometry.body import UNKNOWN
from superglue_ros.nodes.clouds import points_to_message
from superglue_ros.nodes.conversions import tracks_to_message
from superglue_ros.nodes.distributions import TFMessage
from superglue_ros.nodes.geometry_node import GeometryNode
from superglue_ros.nodes.visual_odometry_node import VisualOdometryNode

FRAMES = 12

ros = pytest.fixture(ros_context)


def test_stereo_tracks_and_points_give_odometry_and_a_path(ros: Ros) -> None:
    node = ros.start(VisualOdometryNode, mode="stereo", process_every_frame=True)
    outputs = ros.collector(OdometryMessage, "odometry"), ros.collector(Path, "path")
    calibration = ros.publisher(CameraInfo, "camera_info")
    inputs = ros.publisher(TracksMessage, "tracks"), ros.publisher(PointCloud2, "points")
    ros.wait_for_subscribers(calibration, *inputs)
    wait_until(lambda: node._path_output.get_subscription_count(), "the path's reader")
    calibration.publish(camera_info())
    wait_until(lambda: node._calibration._latest[0] is not None, "the calibration")
    for sec, (tracks, positions) in zip(range(1, FRAMES + 1), walk(), strict=False):
        of = header(sec, frame_id="left_optical")
        inputs[0].publish(tracks_to_message(tracks, SIZE, of))
        ones = np.ones(len(positions), np.float32)
        cloud = points_to_message(noisy_depths(positions), ones, tracks.keypoints, of)
        inputs[1].publish(cloud)
    last = outputs[0].at(FRAMES)
    assert (last.header.frame_id, last.child_frame_id) == ("odom", "left_optical")
    rotation, translation = true_pose(FRAMES - 1)
    right, down, ahead = -rotation.T @ translation
    place = last.pose.pose.position
    np.testing.assert_allclose([place.x, place.y, place.z], [ahead, -right, -down], atol=0.05)
    assert 0 < last.pose.covariance[0] < 0.01
    before = outputs[0].at(FRAMES - 1).pose.pose.position
    speed = np.linalg.norm([place.x - before.x, place.y - before.y, place.z - before.z])
    linear = last.twist.twist.linear
    assert np.linalg.norm([linear.x, linear.y, linear.z]) == pytest.approx(speed)  # 1 s a frame
    assert 0 < last.twist.covariance[0] < 0.01
    path = outputs[1].at(FRAMES)
    assert [pose.header.stamp.sec for pose in path.poses] == list(range(2, FRAMES + 1))
    first = path.poses[0].pose.orientation  # the optical frame of a level camera
    np.testing.assert_allclose(
        [first.x, first.y, first.z, first.w], [-0.5, 0.5, -0.5, 0.5], atol=0.02
    )


def test_matches_become_odometry_by_way_of_geometry_and_tracks(ros: Ros) -> None:
    """A camera that goes 12 cm a frame to the right before points 3 to 7 m ahead."""
    nodes = [
        ros.start(kind, process_every_frame=True) for kind in (GeometryNode, VisualOdometryNode)
    ]
    odometry = ros.collector(OdometryMessage, "odometry")
    calibration, matches = (
        ros.publisher(CameraInfo, "camera_info"),
        ros.publisher(MatchesMessage, "matches"),
    )
    ros.wait_for_subscribers(calibration, count=2)
    ros.wait_for_subscribers(matches)
    tracks = f"{ros.namespace}/tracks"
    wait_until(lambda: nodes[0].count_subscribers(tracks) == 1, "the tracks' reader")
    calibration.publish(camera_info())
    wait_until(lambda: all(one._calibration._latest[0] for one in nodes), "the calibration")
    space = np.random.default_rng(1).uniform((-3, -2, 3), (3, 2, 7), (300, 3))
    seen = [(space - [0.12 * i, 0, 0]) @ K.T for i in range(FRAMES)]
    pixels = [one[:, :2] / one[:, 2:] for one in seen]
    for i in range(1, FRAMES):
        matches.publish(matches_of(pixels[i - 1], pixels[i], (i - 1, i), step=1))
    last = odometry.at(FRAMES - 1)  # of one camera nothing is known in metres
    assert last.pose.covariance[0] == last.twist.covariance[0] == UNKNOWN
    assert 0 < last.pose.covariance[35] < 0.1
    places = [odometry.at(sec).pose.pose.position for sec in (FRAMES - 3, FRAMES - 2, FRAMES - 1)]
    steps = [(b.x - a.x, b.y - a.y, b.z - a.z) for a, b in itertools.pairwise(places)]
    for ahead, left, up in steps:
        assert left < 0  # to the right
        assert abs(ahead) < 0.05 * abs(left)
        assert abs(up) < 0.05 * abs(left)
    assert steps[0][1] == pytest.approx(steps[1][1], rel=0.05)


def test_transforms_where_ros_has_no_messages_for_them_are_told_once(ros: Ros) -> None:
    if TFMessage is not None:
        pytest.skip("this ROS has tf2_msgs")
    log = ros.collector(Log, "/rosout")
    node = ros.start(VisualOdometryNode, publish_tf=True, base_frame="base_link")
    wait_until(lambda: any("tf2_msgs" in one.msg for one in log.messages), "a warning")
    assert node._transform_output is None


def test_without_calibration_it_says_so(ros: Ros) -> None:
    node = ros.start(VisualOdometryNode, process_every_frame=True)
    publisher = ros.publisher(TracksMessage, "tracks")
    ros.wait_for_subscribers(publisher)
    tracks, _ = next(walk())
    publisher.publish(tracks_to_message(tracks, SIZE, header(1)))
    wait_until(lambda: node.counts["dropped: bad input"] == 1, "the count")
    assert "none on" in node.facts()["calibration"]
