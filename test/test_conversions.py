"""Typed results to messages and back: layout, round trips over the wire, malformed messages."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage

from superglue_ros.errors import InputError
from superglue_ros.features import Features, Matches
from superglue_ros.nodes.conversions import (
    assignment_to_message,
    features_from_message,
    features_to_message,
    matches_from_message,
    matches_to_message,
)


def header(sec: int, frame_id: str) -> Header:
    result = Header(frame_id=frame_id)
    result.stamp.sec, result.stamp.nanosec = sec, 999_999_999
    return result


def over_the_wire(message: Any) -> Any:
    return deserialize_message(serialize_message(message), type(message))


def assert_same_features(got: Features, expected: Features) -> None:
    np.testing.assert_array_equal(got.keypoints, expected.keypoints)
    np.testing.assert_array_equal(got.scores, expected.scores)
    np.testing.assert_array_equal(got.descriptors, expected.descriptors)
    assert got.keypoints.dtype == got.scores.dtype == got.descriptors.dtype == np.float32
    assert (got.image_size, got.extractor) == (expected.image_size, expected.extractor)


def made_matches(matches0: list[int], matches1: list[int]) -> Matches:
    return Matches(
        matches0=np.array(matches0, np.int32),
        matches1=np.array(matches1, np.int32),
        matching_scores0=np.linspace(0.5, 1, len(matches0), dtype=np.float32),
        matching_scores1=np.linspace(0, 0.4, len(matches1), dtype=np.float32),
        matcher="superglue 0123abcd",
    )


def test_features_are_laid_out_as_the_message_says() -> None:
    features = Features(
        keypoints=np.array([[1, 2], [3, 4]], np.float32),
        scores=np.array([0.5, 0.25], np.float32),
        descriptors=np.array([[1, 0, 0], [0, 0, 1]], np.float32),
        image_size=(640, 480),
        extractor="superpoint 89ab",
    )
    message = features_to_message(features, header(7, "left"))
    assert message.header == header(7, "left")
    assert (message.width, message.height) == (640, 480)
    assert message.extractor == "superpoint 89ab"
    assert message.keypoints == array.array("f", [1, 2, 0.5, 3, 4, 0.25])
    assert message.descriptor_size == 3
    assert message.descriptors == array.array("f", [1, 0, 0, 0, 0, 1])


def test_features_come_back_from_the_wire_as_they_were(
    make_features: Callable[..., Features],
) -> None:
    features = make_features(300)
    message = over_the_wire(features_to_message(features, header(1, "c")))
    assert_same_features(features_from_message(message), features)


def test_features_without_descriptors_come_back_without(
    make_features: Callable[..., Features],
) -> None:
    features = make_features(5, dim=0)
    message = over_the_wire(features_to_message(features, header(1, "c")))
    assert len(message.descriptors) == 0
    assert_same_features(features_from_message(message), features)


def test_no_features_come_back_as_none(make_features: Callable[..., Features]) -> None:
    features = make_features(0)
    message = over_the_wire(features_to_message(features, header(1, "c")))
    assert len(message.keypoints) == len(message.descriptors) == 0
    assert_same_features(features_from_message(message), features)


def test_arrays_of_any_memory_layout_are_sent_row_after_row(
    make_features: Callable[..., Features],
) -> None:
    features = make_features(6)
    fortran = Features(
        keypoints=np.asfortranarray(features.keypoints),
        scores=features.scores[::-1][::-1],
        descriptors=np.asfortranarray(features.descriptors),
        image_size=features.image_size,
        extractor=features.extractor,
    )
    message = features_to_message(fortran, header(1, "c"))
    assert_same_features(features_from_message(message), features)


def test_features_do_not_change_with_the_message_they_came_from(
    make_features: Callable[..., Features],
) -> None:
    features = make_features(4)
    message = features_to_message(features, header(1, "c"))
    got = features_from_message(message)
    for values in (message.keypoints, message.descriptors):
        values[0] = 99.0
    assert_same_features(got, features)


def test_matches_are_laid_out_as_the_message_says(make_features: Callable[..., Features]) -> None:
    features = (make_features(3, seed=0), make_features(2, seed=1))
    headers = (header(1, "left"), header(2, "right"))
    message = matches_to_message(made_matches([1, -1, 0], [2, 0]), features, headers)
    assert message.header == message.header1 == headers[1]
    assert message.header0 == headers[0]
    assert (message.width0, message.height0) == (message.width1, message.height1) == (320, 240)
    assert message.matcher == "superglue 0123abcd"
    assert message.matches0 == array.array("i", [1, -1, 0])
    assert message.matches1 == array.array("i", [2, 0])
    assert message.matching_scores0 == array.array("f", [0.5, 0.75, 1])
    assert message.matching_scores1 == array.array("f", [0, np.float32(0.4)])
    for values, own in zip((message.keypoints0, message.keypoints1), features, strict=True):
        rows = np.array(values, np.float32).reshape(-1, 3)
        np.testing.assert_array_equal(rows[:, :2], own.keypoints)
        np.testing.assert_array_equal(rows[:, 2], own.scores)


@pytest.mark.parametrize(
    ("matches0", "matches1"), [([1, -1, 0], [2, 0]), ([], [-1, -1]), ([-1], []), ([], [])]
)
def test_matches_come_back_from_the_wire_as_they_were(
    make_features: Callable[..., Features], matches0: list[int], matches1: list[int]
) -> None:
    features = (make_features(len(matches0), seed=0), make_features(len(matches1), seed=1))
    matches = made_matches(matches0, matches1)
    message = matches_to_message(matches, features, (header(1, "a"), header(2, "b")))
    *got_features, got = matches_from_message(over_the_wire(message))
    for name in ("matches0", "matches1", "matching_scores0", "matching_scores1"):
        np.testing.assert_array_equal(getattr(got, name), getattr(matches, name))
        assert getattr(got, name).dtype == getattr(matches, name).dtype
    assert got.matcher == matches.matcher
    for own, original in zip(got_features, features, strict=True):
        np.testing.assert_array_equal(own.keypoints, original.keypoints)
        np.testing.assert_array_equal(own.scores, original.scores)
        assert own.image_size == original.image_size
        assert own.descriptors.shape == (len(original), 0)


def test_an_assignment_is_sent_row_after_row_with_its_dustbins() -> None:
    assignment = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], np.float32)
    headers = (header(1, "a"), header(2, "b"))
    message = over_the_wire(assignment_to_message(np.asfortranarray(assignment), headers))
    assert isinstance(message, AssignmentMatrixMessage)
    assert (message.header, message.header0, message.header1) == (headers[1], *headers)
    assert (message.rows, message.columns) == (2, 3)
    np.testing.assert_array_equal(message.data, assignment.ravel())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"keypoints": [1.0, 2.0]}, "keypoints must hold 3N values (x, y, confidence), got 2"),
        ({"keypoints": [1.0, float("nan"), 0.5, 1.0, 2.0, 0.5]}, "keypoints"),
        ({"keypoints": [float("inf"), 2.0, 0.5, 1.0, 2.0, 0.5]}, "keypoints"),
        ({"keypoints": []}, "descriptors must hold N*D = 0*2 values, got 4"),
        ({"descriptors": [1.0, 0.0, 0.0]}, "descriptors must hold N*D = 2*2 values, got 3"),
        ({"descriptors": [1.0, 0.0, 0.0, float("nan")]}, "descriptors"),
        ({"descriptor_size": 4_294_967_295}, "descriptors"),
        ({"descriptor_size": 0}, "descriptors"),
        ({"width": 0}, "0x480"),
        ({"height": 0}, "640x0"),
    ],
)
def test_malformed_features_are_refused_with_their_numbers(
    changes: dict[str, Any], named: str
) -> None:
    message = FeaturesMessage(
        width=640,
        height=480,
        keypoints=[1.0, 2.0, 0.5, 3.0, 4.0, 0.25],
        descriptor_size=2,
        descriptors=[1.0, 0.0, 0.0, 1.0],
    )
    features_from_message(message)
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(InputError) as caught:
        features_from_message(message)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"keypoints0": [1.0]}, "keypoints0"),
        ({"keypoints1": []}, "matches0"),
        ({"matches0": [0], "matching_scores0": [1.0]}, "matches0 must hold 2 indices, got 1"),
        ({"matches0": [0, 1]}, "matches0 must hold indices from -1 to 0"),
        ({"matches1": [-2]}, "matches1 must hold indices from -1 to 1"),
        ({"matches1": [2]}, "matches1"),
        ({"matching_scores0": [0.5]}, "matching_scores0"),
        ({"matching_scores1": [0.5, 0.5]}, "matching_scores1"),
        ({"matching_scores0": [0.5, float("nan")]}, "matching_scores0"),
    ],
)
def test_malformed_matches_are_refused_with_their_numbers(
    changes: dict[str, Any], named: str
) -> None:
    message = MatchesMessage(
        width0=640,
        height0=480,
        width1=640,
        height1=480,
        keypoints0=[1.0, 2.0, 0.5, 3.0, 4.0, 0.25],
        keypoints1=[1.0, 2.0, 0.5],
        matches0=[0, -1],
        matches1=[0],
        matching_scores0=[0.9, 0.0],
        matching_scores1=[0.9],
    )
    matches_from_message(message)
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(InputError) as caught:
        matches_from_message(message)
    assert named in str(caught.value)


def lists_of(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(elements, max_size=9)


floats = st.floats(width=32)
uint32 = st.integers(0, 4) | st.integers(0, 2**32 - 1)
int32 = st.integers(-2, 4) | st.integers(-(2**31), 2**31 - 1)


@settings(max_examples=150, deadline=None)
@given(
    width=uint32,
    height=uint32,
    keypoints=lists_of(floats),
    descriptor_size=uint32,
    descriptors=lists_of(floats),
)
def test_any_features_message_gives_features_or_the_documented_error(**fields: Any) -> None:
    message = over_the_wire(FeaturesMessage(**fields))
    try:
        features = features_from_message(message)
    except InputError:
        return
    assert 3 * len(features) == len(message.keypoints)
    assert features.descriptors.size == len(message.descriptors)
    for values in (features.keypoints, features.scores, features.descriptors):
        assert np.isfinite(values).all()


@settings(max_examples=150, deadline=None)
@given(
    keypoints0=lists_of(floats),
    keypoints1=lists_of(floats),
    matches0=lists_of(int32),
    matches1=lists_of(int32),
    matching_scores0=lists_of(floats),
    matching_scores1=lists_of(floats),
)
def test_any_matches_message_gives_matches_or_the_documented_error(**fields: Any) -> None:
    sizes = {"width0": 640, "height0": 480, "width1": 640, "height1": 480}
    message = over_the_wire(MatchesMessage(**sizes, **fields))
    try:
        features0, features1, matches = matches_from_message(message)
    except InputError:
        return
    assert matches.matches0.shape == matches.matching_scores0.shape == (len(features0),)
    assert matches.matches1.shape == matches.matching_scores1.shape == (len(features1),)
    assert (features0.keypoints[matches.pairs[:, 0]].shape) == (len(matches), 2)
    assert (features1.keypoints[matches.pairs[:, 1]].shape) == (len(matches), 2)
