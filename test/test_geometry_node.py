"""geometry_node over DDS: geometry, points, tracks; with, without and with unusable calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from ros_helpers import Ros, header, ros_context, wait_until
from sensor_msgs.msg import CameraInfo, PointCloud, PointCloud2
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.msg import TwoViewGeometry as TwoViewGeometryMessage
from test_geometry import ROTATION, SIZE, TRANSLATION, K, View, matched_views

from superglue_ros.features import Features, Matches
from superglue_ros.geometry import Case, Scale
from superglue_ros.nodes.clouds import points_from_message
from superglue_ros.nodes.conversions import (
    matches_to_message,
    tracks_from_message,
    two_view_geometry_from_message,
)
from superglue_ros.nodes.geometry_node import GeometryNode

BASELINE = 0.12

ros = pytest.fixture(ros_context)


def features_at(points: np.ndarray) -> Features:
    count = len(points)
    return Features(
        np.asarray(points, np.float32),
        np.ones(count, np.float32),
        np.zeros((count, 0), np.float32),
        SIZE,
        extractor="",
    )


def matches_of(
    points0: np.ndarray,
    points1: np.ndarray,
    sec: tuple[int, int],
    confidences: Any = None,
    *,
    step: int = -1,
) -> MatchesMessage:
    """A message in which the points are matched one to one, image 1 having them in reverse order.

    With step 1 it has them in the same order.
    """
    count = len(points0)
    order = np.arange(count, dtype=np.int32)[::step].copy()
    scores = np.ones(count, np.float32) if confidences is None else confidences
    matches = Matches(order, order, scores, scores[::step].copy(), matcher="made")
    both = features_at(points0), features_at(points1[::step])
    headers = header(sec[0], frame_id="cam0"), header(sec[1], frame_id="cam1")
    return matches_to_message(matches, both, headers)


def camera_info(baseline: float = 0.0, **changes: Any) -> CameraInfo:
    message = CameraInfo(width=SIZE[0], height=SIZE[1], distortion_model="plumb_bob")
    message.k = K.ravel().tolist()
    message.d = [0.0] * 5
    message.r = np.eye(3).ravel().tolist()
    message.p = np.column_stack([K, [-K[0, 0] * baseline, 0, 0]]).ravel().tolist()
    for name, value in changes.items():
        setattr(message, name, value)
    return message


class Setup:
    """The node with what it hears and says."""

    def __init__(self, ros: Ros, **parameters: Any) -> None:
        self.ros = ros
        self.node = ros.start(GeometryNode, process_every_frame=True, **parameters)
        self.matches = ros.publisher(MatchesMessage, "matches")
        self.geometry = ros.collector(TwoViewGeometryMessage, "geometry")
        ros.wait_for_subscribers(self.matches)
        wait_until(
            lambda: ros.node.get_publishers_info_by_topic(f"{ros.namespace}/geometry"), "geometry"
        )

    def calibrate(self, **messages: CameraInfo) -> None:
        """Publish calibrations, and wait until they have come."""
        for prefix, message in messages.items():
            side = {"left": "left/", "right": "right/", "mono": ""}[prefix]
            publisher = self.ros.publisher(CameraInfo, f"{side}camera_info")
            self.ros.wait_for_subscribers(publisher)
            publisher.publish(message)
        wait_until(
            lambda: sum(one is not None for one in self.node._calibration._latest) == len(messages),
            "the calibrations",
        )

    def answer(self, message: MatchesMessage) -> TwoViewGeometryMessage:
        """The geometry of the matches."""
        self.matches.publish(message)
        return self.geometry.at(message.header.stamp.sec)


def test_the_pose_of_a_calibrated_camera_with_wrong_matches(ros: Ros) -> None:
    setup = Setup(ros)
    setup.calibrate(mono=camera_info())
    view = matched_views(wrong_share=0.5)
    message = setup.answer(matches_of(view.points0, view.points1, (4, 5)))
    geometry, pairs = two_view_geometry_from_message(message)
    assert (message.header0.stamp.sec, message.header1.stamp.sec) == (4, 5)
    assert (geometry.case, geometry.scale) == (Case.GENERAL, Scale.UP_TO)
    np.testing.assert_array_equal(pairs, [(i, 499 - i) for i in range(500)])
    assert geometry.inliers[view.right].mean() > 0.95
    assert message.inlier_count == geometry.inliers.sum()
    np.testing.assert_allclose(geometry.rotation, ROTATION, atol=0.005)
    direction = TRANSLATION / np.linalg.norm(TRANSLATION)
    np.testing.assert_allclose(geometry.translation, direction, atol=0.03)
    assert np.sqrt(np.diag(geometry.pose_covariance)).max() < np.radians(1)


def test_without_calibration_there_is_a_fundamental_matrix_alone(ros: Ros) -> None:
    setup = Setup(ros)
    view = matched_views()
    geometry, _ = two_view_geometry_from_message(
        setup.answer(matches_of(view.points0, view.points1, (0, 1)))
    )
    assert (geometry.case, geometry.scale) == (Case.GENERAL, Scale.NONE)
    assert geometry.fundamental is not None
    assert geometry.rotation is geometry.essential is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 1280}, "1280x480"),
        ({"k": [0.0] * 9}, "not calibrated"),
        ({"k": [float("nan")] * 9}, "matrix K"),
        ({"distortion_model": "thin_prism"}, "thin_prism"),
        ({"d": [0.1] * 7}, "coefficients, got 7"),
        ({"r": [1.0] * 9}, "no rotation"),
    ],
)
def test_an_unusable_calibration_is_told_once_and_gone_without(
    ros: Ros, changes: dict[str, Any], named: str
) -> None:
    setup = Setup(ros)
    setup.calibrate(mono=camera_info(**changes))
    view = matched_views()
    for sec in (1, 2, 3):
        message = setup.answer(matches_of(view.points0, view.points1, (sec - 1, sec)))
        geometry, _ = two_view_geometry_from_message(message)
        assert geometry.fundamental is not None
        assert geometry.rotation is None
    assert named in setup.node.facts()["calibration"]
    assert "\n" not in setup.node.facts()["calibration"]


@pytest.mark.parametrize(
    ("view", "case"),
    [
        (matched_views(count=10), Case.TOO_FEW_MATCHES),
        (matched_views(count=0), Case.TOO_FEW_MATCHES),
        (matched_views(wrong_share=1.0), Case.NO_CONSENSUS),
        (matched_views(np.eye(3), np.zeros(3), noise_px=0.2), Case.NO_MOTION),
        (matched_views(translation=np.zeros(3)), Case.PURE_ROTATION),
        (matched_views(plane=True), Case.PLANAR),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_degenerate_cases_are_named_in_the_message(ros: Ros, view: View, case: Case) -> None:
    setup = Setup(ros)
    setup.calibrate(mono=camera_info())
    message = setup.answer(matches_of(view.points0, view.points1, (0, 1)))
    assert message.geometry_case == case
    if case in (Case.TOO_FEW_MATCHES, Case.NO_CONSENSUS):
        assert not message.rotation.any()
        assert not message.fundamental.any()
        assert message.scale == Scale.NONE


def stereo_view(count: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points in space and where a rectified pair sees them."""
    random = np.random.default_rng(0)
    left = random.uniform((100, 40), (600, 440), (count, 2))
    depths = random.uniform(1, 8, count)
    space = np.column_stack([left, np.ones(count)]) @ np.linalg.inv(K).T * depths[:, None]
    return space, left, left - np.column_stack([K[0, 0] * BASELINE / depths, np.zeros(count)])


def test_a_stereo_pair_gives_points_in_metres_and_a_metric_pose(ros: Ros) -> None:
    setup = Setup(ros, mode="stereo")
    clouds = ros.collector(PointCloud2, "points")
    setup.calibrate(left=camera_info(), right=camera_info(BASELINE))
    space, left, right = stereo_view()
    right[:20] += [0, 30]  # not on one row
    confidences = np.linspace(0.3, 1, len(left)).astype(np.float32)
    message = setup.answer(matches_of(left, right, (7, 7), confidences))
    geometry, _ = two_view_geometry_from_message(message)
    assert (geometry.case, geometry.scale) == (Case.GENERAL, Scale.METRIC)
    np.testing.assert_allclose(geometry.translation, [-BASELINE, 0, 0], atol=1e-9)
    np.testing.assert_allclose(geometry.rotation, np.eye(3), atol=1e-9)
    assert not geometry.inliers[:20].any()
    cloud = clouds.at(7)
    assert cloud.header.frame_id == "cam0"
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "confidence", "keypoint"]
    positions, keypoints = points_from_message(cloud)
    np.testing.assert_array_equal(keypoints, np.arange(20, 200))
    np.testing.assert_allclose(positions, space[20:], rtol=1e-3)
    stored = np.frombuffer(cloud.data, np.float32).reshape(-1, 5)
    np.testing.assert_allclose(stored[:, 3], confidences[20:])


def test_stereo_matches_off_the_calibration_give_no_points(ros: Ros) -> None:
    setup = Setup(ros, mode="stereo")
    clouds = ros.collector(PointCloud2, "points")
    setup.calibrate(left=camera_info(), right=camera_info(BASELINE))
    _, left, right = stereo_view()
    message = setup.answer(matches_of(left, right + np.array([0, 9]), (7, 7)))
    assert message.geometry_case == Case.NO_CONSENSUS
    assert clouds.at(7).width == 0


def test_a_right_camera_without_baseline_leaves_the_pair_uncalibrated(ros: Ros) -> None:
    setup = Setup(ros, mode="stereo")
    setup.calibrate(left=camera_info(), right=camera_info(0.0))
    _, left, right = stereo_view()
    geometry, _ = two_view_geometry_from_message(setup.answer(matches_of(left, right, (7, 7))))
    assert geometry.scale != Scale.METRIC
    assert "baseline of 0 m" in setup.node.facts()["calibration"]


def publish_walk(setup: Setup, count: int) -> None:
    """A camera that moves sideways 5 cm a frame before points 2 to 6 m ahead, 0.1 s a frame."""
    space = np.random.default_rng(1).uniform((-2, -1.5, 2), (3, 1.5, 6), (150, 3))
    seen = []
    for i in range(count):
        projected = (space - [0.05 * i, 0, 0]) @ K.T
        seen.append(projected[:, :2] / projected[:, 2:])
    for i in range(1, count):
        setup.matches.publish(matches_of(seen[i - 1], seen[i], (i - 1, i), step=1))


def test_a_sequence_gives_tracks_and_a_cloud_for_inertial_back_ends(ros: Ros) -> None:
    setup = Setup(ros)
    tracks = ros.collector(TracksMessage, "tracks")
    clouds = ros.collector(PointCloud, "track_points")
    setup.calibrate(mono=camera_info())
    publish_walk(setup, 4)
    ids = []
    for sec in (1, 2, 3):
        found, image_size = tracks_from_message(tracks.at(sec))
        assert image_size == SIZE
        assert found.lengths.max() == sec + 1
        ids.append(found.ids.tolist())
        cloud = clouds.at(sec)
        channels = {channel.name: np.array(channel.values) for channel in cloud.channels}
        assert list(channels) == [
            "id_of_point",
            "u_of_point",
            "v_of_point",
            "velocity_x_of_point",
            "velocity_y_of_point",
        ]
        np.testing.assert_array_equal(channels["id_of_point"], found.ids)
        np.testing.assert_array_equal(channels["u_of_point"], found.points[:, 0])
        rays = np.array([(point.x, point.y, point.z) for point in cloud.points])
        expected = np.column_stack([found.points, np.ones(len(rays))]) @ np.linalg.inv(K).T
        np.testing.assert_allclose(rays, expected, atol=1e-5)
    assert len(set(ids[0]) & set(ids[1]) & set(ids[2])) > 100
    # 5 cm a second before points 2 to 6 m away
    assert channels["velocity_x_of_point"].min() >= -0.05 / 2 - 1e-3
    assert channels["velocity_x_of_point"].max() <= -0.05 / 6 + 1e-3


def test_malformed_matches_are_counted_and_the_next_ones_answered(ros: Ros) -> None:
    setup = Setup(ros)
    broken = MatchesMessage(header=header(1), keypoints0=[1.0])
    setup.matches.publish(broken)
    view = matched_views()
    assert setup.answer(matches_of(view.points0, view.points1, (1, 2))).geometry_case == 0
    wait_until(lambda: setup.node.counts["processed"] == 1, "the count")
    assert setup.node.counts["dropped: bad input"] == 1


def test_diagnostics_tell_the_calibration_and_the_last_geometry(ros: Ros) -> None:
    setup = Setup(ros)
    diagnostics = ros.collector(DiagnosticArray, "/diagnostics")
    view = matched_views(plane=True)
    setup.answer(matches_of(view.points0, view.points1, (0, 1)))
    name = f"{ros.namespace}/geometry_node: frames"

    def told() -> bool:
        for message in diagnostics.messages:
            for status in message.status:
                values = {one.key: one.value for one in status.values}
                if status.name == name and values.get("last geometry") == "PLANAR":
                    return "camera_info" in values["calibration"] and "device" not in values
        return False

    wait_until(told, "diagnostics")


def test_the_node_lives_without_networks() -> None:
    """It can run on a machine without PyTorch."""
    from test_imports import in_a_new_interpreter

    code = "import superglue_ros.nodes.geometry_node; print('torch' in sys.modules)"
    assert in_a_new_interpreter(code) == "False"
