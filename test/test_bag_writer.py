"""Bags written without ROS, read back with the definitions that they carry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from superglue_ros.bag.definitions import message_types
from superglue_ros.bag.writer import BagWriter
from superglue_ros.errors import InputError
from superglue_ros.installation import shared_file

FEATURES = "superglue_ros/msg/Features"
TIME_NS = 1_700_000_000_123_456_789


def features_message(extractor: str = "superpoint") -> Any:
    types = message_types().types
    fields: dict[str, Any] = dict.fromkeys(types[FEATURES].__dataclass_fields__, 0)
    stamp = types["builtin_interfaces/msg/Time"](sec=5, nanosec=7)
    fields |= {
        "header": types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera"),
        "width": 640,
        "height": 480,
        "extractor": extractor,
        "keypoints": np.array([1.5, 2.5, 0.75], np.float32),
        "descriptor_size": 2,
        "descriptors": np.array([0.6, 0.8], np.float32),
        "patch_size": 0,
        "patch_scale": 0.0,
        "patches": np.zeros(0, np.uint8),
    }
    fields.pop("__msgtype__", None)
    return types[FEATURES](**fields)


def serialized(message: Any) -> bytes:
    return bytes(message_types().serialize_cdr(message, FEATURES))


def test_every_message_of_the_package_is_known() -> None:
    names = {f"superglue_ros/msg/{path.stem}" for path in shared_file("msg").glob("*.msg")}
    assert {FEATURES, "superglue_ros/msg/Matches"} <= names
    assert names <= set(message_types().fielddefs)


def test_messages_are_read_back_by_the_definitions_in_the_bag(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.write("/left/features", FEATURES, serialized(features_message("a")), TIME_NS)
        bag.write("/right/features", FEATURES, serialized(features_message("b")), TIME_NS + 1)
        bag.write("/left/features", FEATURES, serialized(features_message("c")), TIME_NS + 2)

    with AnyReader([tmp_path / "bag"]) as reader:
        read = [
            (connection.topic, time, reader.deserialize(data, connection.msgtype))
            for connection, time, data in reader.messages()
        ]
    assert [(topic, time) for topic, time, _ in read] == [
        ("/left/features", TIME_NS),
        ("/right/features", TIME_NS + 1),
        ("/left/features", TIME_NS + 2),
    ]
    first: Any = read[0][2]
    assert (first.header.stamp.sec, first.header.stamp.nanosec) == (5, 7)
    assert (first.header.frame_id, first.extractor) == ("camera", "a")
    np.testing.assert_array_equal(first.keypoints, np.float32([1.5, 2.5, 0.75]))
    assert [message.extractor for _, _, message in read] == ["a", "b", "c"]


def test_the_bag_is_an_mcap_that_ros_2_humble_can_read(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.write("/features", FEATURES, serialized(features_message()), TIME_NS)
    assert (tmp_path / "bag" / "bag.mcap").read_bytes().startswith(b"\x89MCAP0\r\n")
    metadata = (tmp_path / "bag" / "metadata.yaml").read_text()
    assert "storage_identifier: mcap" in metadata
    assert "version: 8" in metadata
    assert "offered_qos_profiles: ''" in metadata


def test_what_was_written_before_an_error_can_be_read(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with BagWriter(tmp_path / "bag") as bag:
            bag.write("/features", FEATURES, serialized(features_message()), TIME_NS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    with AnyReader([tmp_path / "bag"]) as reader:
        assert reader.message_count == 1


def test_an_existing_bag_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(InputError, match="exists already"), BagWriter(tmp_path / "bag"):
        pass


def test_a_bag_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write bag .*file/bag"):
        BagWriter(tmp_path / "file" / "bag").__enter__()
