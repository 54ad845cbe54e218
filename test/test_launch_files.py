"""The launch files, by ROS's own launch where it is installed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("ros2launch")
pytest.importorskip("launch_ros")

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.launch_description_sources import PythonLaunchDescriptionSource
from lifecycle_msgs.msg import Transition
from ros_helpers import TIMEOUT_SEC, Ros, environment, ros_context, wait_until

FOLDER = Path(__file__).resolve().parents[1] / "launch"
FILES = sorted(path.name for path in FOLDER.glob("*.launch.py"))

START_TIMEOUT_SEC = 240.0
"""For several processes that load networks, beside other work."""

ros = pytest.fixture(ros_context)


def arguments(name: str) -> dict[str, DeclareLaunchArgument]:
    source = PythonLaunchDescriptionSource(str(FOLDER / name))
    declared = source.get_launch_description(LaunchContext()).get_launch_arguments()
    return {argument.name: argument for argument in declared}


@pytest.mark.parametrize("name", FILES)
def test_every_argument_has_a_default_and_a_description(name: str) -> None:
    declared = arguments(name)
    assert {"params_file", "namespace", "autostart", "rviz"} <= set(declared)
    for argument in declared.values():
        assert argument.default_value is not None, argument.name
        assert argument.description.endswith("."), argument.name


@pytest.fixture
def launched(ros: Ros, request: pytest.FixtureRequest) -> Iterator[Ros]:
    """The graph in which a launch file runs with some arguments, in the test's namespace."""
    name, *given = request.param
    process = subprocess.Popen(
        ["ros2", "launch", "superglue_ros", name, f"namespace:={ros.namespace}", *given],
        env={**os.environ, **environment(), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield ros
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT_SEC)


def wait_for_subscription(ros: Ros, node: str, topic: str) -> None:
    def heard() -> bool:
        there = ros.node.get_subscriptions_info_by_topic(topic)
        return any((one.node_name, one.node_namespace) == (node, ros.namespace) for one in there)

    wait_until(heard, f"{node} at {topic}", timeout_sec=START_TIMEOUT_SEC)


@pytest.mark.parametrize(
    "launched",
    [("sequential.launch.py", "image:=camera/image_raw", "geometry:=true")],
    indirect=True,
)
def test_topics_and_namespace_reach_the_nodes_of_one_camera(launched: Ros) -> None:
    ros = launched
    wait_for_subscription(ros, "superpoint_node", f"{ros.namespace}/camera/image_raw")
    wait_for_subscription(ros, "superglue_node", f"{ros.namespace}/features")
    wait_for_subscription(ros, "geometry_node", f"{ros.namespace}/matches")
    wait_for_subscription(ros, "geometry_node", f"{ros.namespace}/camera_info")


@pytest.mark.parametrize(
    "launched",
    [("stereo_odometry.launch.py", "left_image:=/rig/left", "left_camera_info:=/rig/info")],
    indirect=True,
)
def test_topics_and_namespace_reach_the_nodes_of_a_stereo_camera(launched: Ros) -> None:
    ros = launched
    wait_for_subscription(ros, "superpoint_node", "/rig/left")
    wait_for_subscription(ros, "superpoint_node", f"{ros.namespace}/right/image")
    wait_for_subscription(ros, "stereo_geometry", f"{ros.namespace}/stereo/matches")
    wait_for_subscription(ros, "geometry_node", f"{ros.namespace}/matches")
    wait_for_subscription(ros, "visual_odometry_node", "/rig/info")


@pytest.mark.parametrize("launched", [("pipeline.launch.py", "autostart:=false")], indirect=True)
def test_without_autostart_a_node_awaits_its_life_cycle(launched: Ros) -> None:
    ros = launched
    nodes = ros.node.get_node_names_and_namespaces
    wait_until(lambda: ("pipeline_node", ros.namespace) in nodes(), "the pipeline_node")
    # Refused to a node that has done it by itself
    assert ros.change_state("pipeline_node", Transition.TRANSITION_CONFIGURE)
