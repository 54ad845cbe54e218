"""TwoViewGeometry and Tracks to messages and back: layout, rosbags, malformed messages."""

from __future__ import annotations

import array
import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from ros_helpers import header
from superglue_ros.msg import Tracks as TracksMessage
from superglue_ros.msg import TwoViewGeometry as TwoViewGeometryMessage

from superglue_ros.bag.definitions import message_types
from superglue_ros.errors import InputError
from superglue_ros.geometry import Case, Scale, TwoViewGeometry
from superglue_ros.nodes.conversions import (
    tracks_from_message,
    tracks_to_message,
    two_view_geometry_from_message,
    two_view_geometry_to_message,
)
from superglue_ros.tracks import Tracks

PAIRS = np.array([[4, 0], [7, 9], [8, 2]], np.int32)
TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


def made_geometry() -> TwoViewGeometry:
    return TwoViewGeometry(
        Case.GENERAL,
        np.array([True, False, True]),
        median_error_px=0.25,
        fundamental=np.arange(1.0, 10).reshape(3, 3),
        essential=np.arange(11.0, 20).reshape(3, 3),
        rotation=TURN,
        translation=np.array([0.0, 0.6, 0.8]),
        scale=Scale.UP_TO,
        pose_covariance=np.diag([1.0, 2, 3, 4, 5, 6]),
    )


def made_tracks() -> Tracks:
    return Tracks(
        ids=np.array([2**40, 3], np.int64),
        keypoints=np.array([5, 0], np.int32),
        points=np.array([[1.5, 2], [3, 4]], np.float32),
        lengths=np.array([2, 17], np.int32),
        ended=np.array([1, 2, 6], np.int64),
    )


def over_the_wire(message: Any) -> Any:
    return deserialize_message(serialize_message(message), type(message))


def read_by_rosbags(message: Any) -> Any:
    """What a bag's reader without ROS gets of a message."""
    name = f"superglue_ros/msg/{type(message).__name__}"
    return message_types().deserialize_cdr(serialize_message(message), name)


def test_a_geometry_is_laid_out_as_the_message_says() -> None:
    headers = (header(1), header(2))
    message = two_view_geometry_to_message(made_geometry(), PAIRS, headers)
    assert (message.header, message.header0, message.header1) == (headers[1], *headers)
    assert message.geometry_case == TwoViewGeometryMessage.CASE_GENERAL
    assert message.scale == TwoViewGeometryMessage.SCALE_UP_TO
    assert message.indices0 == array.array("i", [4, 7, 8])
    assert message.indices1 == array.array("i", [0, 9, 2])
    assert bytes(message.inliers) == bytes([1, 0, 1])
    assert (message.inlier_count, message.median_error_px) == (2, 0.25)
    assert message.fundamental.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert message.rotation.tolist() == [0, -1, 0, 1, 0, 0, 0, 0, 1]
    assert message.translation.tolist() == [0, 0.6, 0.8]
    assert message.pose_covariance[[0, 7, 35]].tolist() == [1, 2, 6]
    assert not message.homography.any()


@pytest.mark.parametrize("read", [over_the_wire, read_by_rosbags])
def test_a_geometry_comes_back_as_it_was(read: Any) -> None:
    sent = made_geometry()
    message = two_view_geometry_to_message(sent, PAIRS, (header(1), header(2)))
    got, pairs = two_view_geometry_from_message(read(message))
    np.testing.assert_array_equal(pairs, PAIRS)
    np.testing.assert_array_equal(got.inliers, sent.inliers)
    assert (got.case, got.scale, got.median_error_px) == (sent.case, sent.scale, 0.25)
    assert got.homography is None
    for name in ("fundamental", "essential", "rotation", "translation", "pose_covariance"):
        np.testing.assert_array_equal(getattr(got, name), getattr(sent, name))


def test_a_geometry_without_a_model_comes_back_without() -> None:
    nothing = TwoViewGeometry(Case.TOO_FEW_MATCHES, np.zeros(0, bool))
    message = two_view_geometry_to_message(nothing, PAIRS[:0], (header(1), header(2)))
    got, pairs = two_view_geometry_from_message(over_the_wire(message))
    assert (got.case, got.scale, pairs.shape) == (Case.TOO_FEW_MATCHES, Scale.NONE, (0, 2))
    assert math.isnan(got.median_error_px)
    assert got.fundamental is got.rotation is got.translation is got.pose_covariance is None


def test_a_translation_of_zero_is_one() -> None:
    turned = TwoViewGeometry(
        Case.PURE_ROTATION, np.ones(3, bool), 0.1, rotation=TURN, translation=np.zeros(3)
    )
    message = two_view_geometry_to_message(turned, PAIRS, (header(1), header(2)))
    got, _ = two_view_geometry_from_message(over_the_wire(message))
    assert got.translation is not None
    assert got.translation.tolist() == [0, 0, 0]


def test_the_constants_of_the_message_are_those_of_the_code() -> None:
    for prefix, names in (("CASE", Case), ("SCALE", Scale)):
        for one in names:
            assert getattr(TwoViewGeometryMessage, f"{prefix}_{one.name}") == one


@pytest.mark.parametrize("read", [over_the_wire, read_by_rosbags])
def test_tracks_come_back_as_they_were(read: Any) -> None:
    sent = made_tracks()
    message = tracks_to_message(sent, (640, 480), header(7))
    assert message.header == header(7)
    assert message.points == array.array("f", [1.5, 2, 3, 4])
    got, image_size = tracks_from_message(read(message))
    assert image_size == (640, 480)
    for name in ("ids", "keypoints", "points", "lengths", "ended"):
        np.testing.assert_array_equal(getattr(got, name), getattr(sent, name))
        assert getattr(got, name).dtype == getattr(sent, name).dtype


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"geometry_case": 77}, "77"),
        ({"scale": 9}, "9"),
        ({"indices0": [1]}, "got 1, 3 and 3"),
        ({"inliers": []}, "got 3, 3 and 0"),
        ({"rotation": [math.nan] * 9}, "rotation"),
        ({"pose_covariance": [math.inf] * 36}, "pose_covariance"),
    ],
)
def test_malformed_geometries_are_refused_with_their_numbers(
    changes: dict[str, Any], named: str
) -> None:
    message = two_view_geometry_to_message(made_geometry(), PAIRS, (header(1), header(2)))
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(InputError, match=named):
        two_view_geometry_from_message(message)


def lists_of(elements: st.SearchStrategy[Any], **size: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(elements, **(size or {"max_size": 6}))


floats = st.floats(width=32)
int32 = st.integers(-2, 4) | st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
byte = st.integers(0, 255)


@settings(max_examples=100, deadline=None)
@given(
    geometry_case=byte,
    scale=byte,
    indices0=lists_of(int32),
    indices1=lists_of(int32),
    inliers=lists_of(byte),
    median_error_px=st.floats(),
    rotation=lists_of(st.floats(), min_size=9, max_size=9),
    translation=lists_of(st.floats(), min_size=3, max_size=3),
)
def test_any_geometry_message_gives_a_geometry_or_the_documented_error(**fields: Any) -> None:
    message = over_the_wire(TwoViewGeometryMessage(**fields))
    try:
        geometry, pairs = two_view_geometry_from_message(message)
    except InputError:
        return
    assert pairs.shape == (len(geometry.inliers), 2)
    assert geometry.rotation is None or np.isfinite(geometry.rotation).all()


@settings(max_examples=100, deadline=None)
@given(
    ids=lists_of(int64),
    keypoints=lists_of(int32),
    points=lists_of(floats),
    lengths=lists_of(int32),
    ended=lists_of(int64),
)
def test_any_tracks_message_gives_tracks_or_the_documented_error(**fields: Any) -> None:
    message = over_the_wire(TracksMessage(**fields))
    try:
        tracks, _ = tracks_from_message(message)
    except InputError:
        return
    assert len(tracks.ids) == len(tracks.points) == len(tracks.keypoints) == len(tracks.lengths)
    assert np.isfinite(tracks.points).all()
