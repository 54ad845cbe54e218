"""What rviz and Foxglove are told to show is what the nodes publish."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray
from ros_helpers import ros_context, wait_until
from superglue_ros.msg import MatchStatistics

from superglue_ros.cli.main import main
from superglue_ros.errors import InputError
from superglue_ros.nodes.match_visualizer_node import MatchVisualizerNode
from superglue_ros.nodes.visual_odometry_node import VisualOdometryNode
from superglue_ros.viewers.foxglove import MODES, foxglove_layout

CONFIG = Path(__file__).resolve().parents[1] / "config"
IMAGES = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
MARKERS = {"visualization_msgs/msg/MarkerArray", "nav_msgs/msg/Path"}
ros = pytest.fixture(ros_context)


def published(ros: Any, *nodes: Any) -> dict[str, str]:
    """Topics of these nodes and their types."""
    found: dict[str, str] = {}
    for node in nodes:
        name, namespace = node.get_name(), node.get_namespace()

        def topics(name: str = name, namespace: str = namespace) -> dict[str, str]:
            pairs = ros.node.get_publisher_names_and_types_by_node(name, namespace)
            return {topic: types[0] for topic, types in pairs}

        wait_until(lambda topics=topics: "/diagnostics" in topics(), f"the topics of {name}")
        found |= topics()
    return found


def viewed(ros: Any) -> dict[str, str]:
    """What the visualiser and the odometry publish."""
    return published(ros, ros.start(MatchVisualizerNode), ros.start(VisualOdometryNode))


def panels_in(layout: Any) -> list[str]:
    if isinstance(layout, str):
        return [layout]
    return panels_in(layout["first"]) + panels_in(layout["second"])


def panels_of(settings: dict[str, Any], kind: str) -> list[Any]:
    return [one for name, one in settings["configById"].items() if name.startswith(f"{kind}!")]


@pytest.mark.parametrize("mode", MODES)
def test_every_panel_of_a_layout_has_its_place_its_title_and_topics_of_its_type(
    ros: Any, mode: str
) -> None:
    types = viewed(ros)
    settings = json.loads(foxglove_layout(ros.namespace, mode))
    panels = settings["configById"]
    assert sorted(panels_in(settings["layout"])) == sorted(panels)
    for panel in panels.values():
        assert panel["foxglovePanelTitle"] == panel["lichtblickPanelTitle"]
    for panel in panels_of(settings, "Image"):
        mode_of = panel["imageMode"]
        assert types[mode_of["imageTopic"]] in IMAGES
        for topic in mode_of["annotations"]:
            assert types[topic] == "visualization_msgs/msg/ImageMarker"
    (space,) = panels_of(settings, "3D")
    assert {types[topic] for topic in space["topics"]} == MARKERS
    assert space["followTf"] == ("odom" if "odometry" in mode else "camera_upright")


def test_the_keypoints_and_their_lines_are_annotations_of_one_panel_on_their_own_image() -> None:
    (keypoints,) = [
        one["imageMode"]
        for one in panels_of(json.loads(foxglove_layout("front")), "Image")
        if one["imageMode"]["annotations"]
    ]
    assert keypoints["imageTopic"] == "/front/marker_image/compressed"
    assert list(keypoints["annotations"]) == ["/front/image_markers", "/front/keypoint_markers"]
    assert keypoints["synchronize"]


def test_the_plots_show_fields_that_the_statistics_have(ros: Any) -> None:
    types = viewed(ros)
    fields = MatchStatistics.get_fields_and_field_types()
    settings = json.loads(foxglove_layout(ros.namespace))
    paths = [path["value"] for panel in panels_of(settings, "Plot") for path in panel["paths"]]
    shown = {path.partition(".")[::2] for path in paths if not path.startswith("/diagnostics")}
    topic = f"{ros.namespace}/match_statistics"
    assert types[topic] == "superglue_ros/msg/MatchStatistics"
    assert {one for one, _ in shown} == {topic}
    assert {"matches", "inliers", "median_confidence"} <= {name for _, name in shown} <= set(fields)


def test_the_plots_of_latency_and_rate_name_the_nodes_as_diagnostics_do(ros: Any) -> None:
    told = ros.collector(DiagnosticArray, "/diagnostics")
    ros.start(VisualOdometryNode)
    settings = json.loads(foxglove_layout(ros.namespace, "odometry"))
    paths = [path["value"] for panel in panels_of(settings, "Plot") for path in panel["paths"]]
    named = {found for path in paths for found in re.findall(r'name=="([^"]+)"', path)}
    keys = {found for path in paths for found in re.findall(r'key=="([^"]+)"', path)}
    (status,) = told.wait_for(1)[0].status
    assert status.name in named
    assert keys == {"total p50 [ms]", "frames rate [Hz]"}


def test_a_recording_made_offline_has_no_panels_of_nodes() -> None:
    settings = json.loads(foxglove_layout(live=False))
    assert "/diagnostics" not in json.dumps(settings)
    assert sorted(panels_in(settings["layout"])) == sorted(settings["configById"])


def test_the_command_prints_the_layout_of_a_namespace(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["foxglove-layout", "--namespace", "/front", "--mode", "stereo", "--frame", "base"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed == foxglove_layout("front/", "stereo", "base")
    assert json.loads(printed)["configById"]["3D!points"]["followTf"] == "base"


def test_a_name_that_is_no_namespace_is_refused() -> None:
    with pytest.raises(InputError, match="no namespace"):
        foxglove_layout("front camera")


def rviz_settings() -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((CONFIG / "matches.rviz").read_text())


def test_the_picture_has_the_width_of_the_rviz_window() -> None:
    window = rviz_settings()["Window Geometry"]
    state = bytes.fromhex(window["QMainWindow State"])
    of_matches = state.index("Matches".encode("utf-16-be")) + len("Matches".encode("utf-16-be"))
    is_visible, _, width = state[of_matches], *struct.unpack(">ii", state[of_matches + 1 :][:8])
    assert (is_visible, width) == (1, window["Width"])


def test_rviz_shows_topics_of_its_namespace_that_are_published_reliable(ros: Any) -> None:
    types = viewed(ros)
    displays = rviz_settings()["Visualization Manager"]["Displays"]
    shown = [one for one in displays if "Topic" in one]
    topics = {one["Topic"]["Value"]: one["Class"].partition("/")[2] for one in shown}
    for topic, display in topics.items():
        assert types[f"{ros.namespace}/{topic}"].endswith(f"/{display}")
    assert {"match_image", "markers", "path"} <= set(topics)
    assert all(one["Enabled"] == one["Value"] for one in displays)
    assert {one["Topic"]["Reliability Policy"] for one in shown} == {"Reliable"}
