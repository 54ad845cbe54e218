"""What the launch files have in common: their arguments and how a node takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from superglue_ros.config import MatchVisualizerNodeConfig, OdometryNodeConfig

PACKAGE = "superglue_ros"
UPRIGHT_FRAME = MatchVisualizerNodeConfig().upright_frame
ODOM_FRAME = OdometryNodeConfig().odom_frame

_ALWAYS = {
    "namespace": ("", "Namespace of the nodes and their topics."),
    "autostart": ("true", "false: the nodes await a life cycle manager or `ros2 lifecycle set`."),
}


def shared(*names: str) -> PathJoinSubstitution:
    """A file of the package's share folder."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), *names])


def arguments(params_file: str, topics: Mapping[str, str]) -> list[DeclareLaunchArgument]:
    """What every launch file can be told: topics, parameters, namespace, autostart.

    Args:
        params_file: Name in config/ of the parameters' file that is taken where none is given.
        topics: The description of each topic, by its name in the nodes. The argument left_image is
            the topic left/image.
    """
    known: dict[str, tuple[Any, str]] = {
        _argument(topic): (topic, description) for topic, description in topics.items()
    }
    known["params_file"] = (
        shared("config", params_file),
        "YAML file with the parameters of the nodes.",
    )
    return [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in (known | _ALWAYS).items()
    ]


def node(
    executable: str,
    topics: Iterable[str],
    *,
    remappings: Iterable[tuple[str, Any]] = (),
    **options: Any,
) -> Node:
    """A node of the package that does as the arguments say.

    Args:
        executable: Its name in the package.
        topics: Those that have an argument.
        remappings: What it has besides; these go first.
        options: Of launch_ros' Node.
    """
    asked = [(topic, LaunchConfiguration(_argument(topic))) for topic in topics]
    autostart = ParameterValue(LaunchConfiguration("autostart"), value_type=bool)
    return Node(
        package=PACKAGE,
        executable=executable,
        namespace=LaunchConfiguration("namespace"),
        remappings=[*remappings, *asked],
        parameters=[LaunchConfiguration("params_file"), {"autostart": autostart}],
        output="screen",
        **options,
    )


def geometry_on_request(topics: Iterable[str]) -> list[Any]:
    """The argument geometry, and the geometry_node that it starts."""
    wanted = IfCondition(LaunchConfiguration("geometry"))
    return [
        _switch("geometry", "true: start also geometry_node."),
        node("geometry_node", topics, condition=wanted),
    ]


def rviz_on_request(
    topics: Mapping[str, str] | None = None, frame: str = UPRIGHT_FRAME
) -> list[Any]:
    """The arguments rviz and fixed_frame, and the match_visualizer_node and rviz that it starts.

    Args:
        topics: What the visualiser's topics are here, where they have other names: its argument,
            and ours.
        frame: What is there to show points and path in.
    """
    renamed = {name: LaunchConfiguration(ours) for name, ours in (topics or {}).items()}
    return [
        _switch("rviz", "true: start also match_visualizer_node, and rviz2 to see its pictures."),
        DeclareLaunchArgument(
            "fixed_frame", default_value=frame, description="Frame that rviz shows the points in."
        ),
        IncludeLaunchDescription(
            shared("launch", "visualizer.launch.py"),
            condition=IfCondition(LaunchConfiguration("rviz")),
            launch_arguments=renamed.items(),
        ),
    ]


def _switch(name: str, description: str) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value="false", description=description)


def _argument(topic: str) -> str:
    return topic.replace("/", "_")
