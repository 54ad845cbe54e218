"""The launch files, by ROS's own launch where it is installed."""

from __future__ import annotations

import contextlib
import os
import re
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
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from ros_helpers import TIMEOUT_SEC, Ros, environment, ros_context, wait_until

from superglue_ros.documentation import NODES
from superglue_ros.nodes.launch_files import PARAMETERS

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


def test_every_argument_sets_a_parameter_that_its_node_has() -> None:
    for executable, parameters in PARAMETERS.items():
        config = NODES[executable.removesuffix("_node")]
        assert set(parameters.values()) <= {setting.name for setting in config.describe()}


def test_a_launch_file_has_only_the_topics_of_its_nodes() -> None:
    assert "image" not in arguments("stereo.launch.py")
    assert "left_image" not in arguments("sequential.launch.py")
    assert "geometry" not in arguments("odometry.launch.py")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("lef_image:=x", "no launch argument lef_image; did you mean left_image or right_image?"),
        ("image:=x", "no launch argument image; did you mean"),
        ("params_file:=mine.yaml", "params_file: no file mine.yaml"),
        ("fastdds_profile:=mine.xml", "fastdds_profile: no file mine.xml"),
        ("rviz:=perhaps", "rviz must be true or false, got 'perhaps'"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_told_before_anything_starts(
    given: str, words: str
) -> None:
    done = subprocess.run(
        ["ros2", "launch", "superglue_ros", "stereo.launch.py", given],
        env={**os.environ, **environment()},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SEC,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert words in output
    assert "process started" not in output


PROFILE_SEEN = """
from launch import LaunchDescription
from launch.actions import ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from superglue_ros.nodes.launch_files import shared

def generate_launch_description():
    given = {"autostart": "false", "fastdds_profile": "shipped", "rviz": "false"}.items()
    source = PythonLaunchDescriptionSource(shared("launch", "visualizer.launch.py"))
    camera = ExecuteProcess(cmd=["printenv"], output="screen")
    return LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given), camera])
"""


def test_the_profile_reaches_what_an_including_file_starts_after_it(tmp_path: Path) -> None:
    file = tmp_path / "robot.launch.py"
    file.write_text(PROFILE_SEEN)
    output_file = tmp_path / "output"
    with output_file.open("w") as output:
        process = subprocess.Popen(
            ["ros2", "launch", str(file)],
            env={**os.environ, **environment(), "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until(
                lambda: re.search(r"_PROFILES_FILE=.*/fastdds.xml", output_file.read_text()),
                "the variable in the environment of the camera",
            )
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(TIMEOUT_SEC)


@contextlib.contextmanager
def launch(ros: Ros, name: str, *given: str) -> Iterator[Ros]:
    """A launch file that runs with some arguments, in the test's namespace."""
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


@pytest.fixture
def launched(ros: Ros, request: pytest.FixtureRequest) -> Iterator[Ros]:
    """The graph in which a launch file runs; its name and arguments are the parameter."""
    with launch(ros, *request.param):
        yield ros


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


OWN_FILE = """
/**:
  ros__parameters:
    mode: sequential
    max_keypoints: 99
    autostart: false
/**/superglue_node:
  ros__parameters:
    mode: keyframe
    match_threshold: 1
"""


def test_the_users_file_is_over_the_shipped_one_and_the_mode_is_the_launch_files(
    ros: Ros, tmp_path: Path
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN_FILE)
    given = ("rviz:=true", "device:=cpu", f"params_file:={file}")
    with launch(ros, "stereo.launch.py", *given):
        wanted = {
            "superpoint_node": {"mode": "stereo", "max_keypoints": 99, "autostart": False},
            "superglue_node": {"mode": "stereo", "match_threshold": 1.0, "device": "cpu"},
            "match_visualizer_node": {"mode": "stereo", "image_transport": "raw"},
        }
        for node, parameters in wanted.items():
            request = GetParameters.Request(names=list(parameters))
            values = ros.call(GetParameters, f"{node}/get_parameters", request).values
            assert [parameter_value_to_python(value) for value in values] == [*parameters.values()]


@pytest.mark.parametrize("launched", [("pipeline.launch.py", "autostart:=false")], indirect=True)
def test_without_autostart_a_node_awaits_its_life_cycle(launched: Ros) -> None:
    ros = launched
    nodes = ros.node.get_node_names_and_namespaces
    wait_until(lambda: ("pipeline_node", ros.namespace) in nodes(), "the pipeline_node")
    # Refused to a node that has done it by itself
    assert ros.change_state("pipeline_node", Transition.TRANSITION_CONFIGURE)
