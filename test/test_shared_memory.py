"""The room in shared memory that the nodes ask Fast DDS for."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy")

from superglue_ros.nodes import shared_memory
from superglue_ros.nodes.shared_memory import make_room

NAMES = ["FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"]


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that passes for a large shared memory."""
    monkeypatch.setattr(shared_memory, "_LEAST_FREE_BYTES", 1)
    return tmp_path


@pytest.mark.parametrize(
    ("distribution", "name"),
    [
        ({"ROS_DISTRO": "jazzy"}, NAMES[1]),
        ({"ROS_DISTRO": "kilted"}, NAMES[0]),
        ({"ROS_DISTRO": "humble"}, NAMES[1]),
    ],
)
def test_a_segment_holds_features_with_descriptors_and_the_images_of_a_pair(
    memory: Path, distribution: dict[str, str], name: str
) -> None:
    environment = dict(distribution)
    make_room(environment, memory)
    (added,) = environment.keys() - distribution.keys()
    assert added == name
    profile = ElementTree.parse(environment[name])
    (segment,) = profile.findall(".//{*}segment_size")
    descriptors_bytes, full_hd_pair_bytes = 1024 * 256 * 4, 2 * 1920 * 1080 * 3
    assert int(segment.text or 0) > max(descriptors_bytes, full_hd_pair_bytes)


@pytest.mark.parametrize("name", [*NAMES, "FASTDDS_BUILTIN_TRANSPORTS"])
def test_what_the_user_has_set_stays(memory: Path, name: str) -> None:
    environment = {name: "chosen"}
    make_room(environment, memory)
    assert environment == {name: "chosen"}


def test_little_shared_memory_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment: dict[str, str] = {}
    make_room(environment, tmp_path / "missing")
    monkeypatch.setattr(shared_memory, "_LEAST_FREE_BYTES", 1 << 62)
    make_room(environment, tmp_path)
    assert environment == {}
