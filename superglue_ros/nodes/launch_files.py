"""What the launch files have in common: their arguments and how a node takes them.

A node's parameters are, the later ones over the earlier: the file that comes with the launch file,
the user's file, the everyday arguments that are given, and what the launch file is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from superglue_ros.config import MatchVisualizerNodeConfig, OdometryNodeConfig
from superglue_ros.installation import shared_file
from superglue_ros.nodes.distributions import profile_variable
from superglue_ros.nodes.launch_arguments import argument_name, check_arguments, flag, given_file

PACKAGE = "superglue_ros"

UPRIGHT_FRAME = MatchVisualizerNodeConfig().upright_frame
ODOM_FRAME = OdometryNodeConfig().odom_frame

_ALWAYS = {
    "params_file": ("", "YAML file of your own with parameters of the nodes, over the shipped {}."),
    "namespace": ("", "Namespace of the nodes and their topics."),
    "autostart": ("", "false: the nodes await a life cycle manager or `ros2 lifecycle set`."),
    "use_sim_time": ("", "true: time comes from /clock, as a bag is played with --clock."),
    "log_level": ("info", "Least severity that the nodes log: debug, info, warn, error, fatal."),
    "fastdds_profile": (
        "",
        "Fast DDS profile for all that is started here and, where this file is included, after it, "
        "cameras too; shipped: the package's, with room for pairs of images above 0.5 MB.",
    ),
}
_EVERYDAY = {
    "mode": "What is matched to what: sequential, keyframe, template or stereo.",
    "image_transport": "raw, or compressed: images come at IMAGE/compressed.",
    "device": "What the networks run on: auto, cpu, cuda or cuda:N.",
    "extractor": "What finds keypoints: superpoint, sift or aliked.",
    "matcher": "What matches them: superglue, nearest or lightglue.",
    "superpoint_weights": "Shipped name or path of the weights of SuperPoint.",
    "superglue_weights": "Shipped name or path of the weights of SuperGlue.",
}
PARAMETERS = {
    "superpoint_node": {
        "image_transport": "image_transport",
        "device": "device",
        "extractor": "extractor",
        "superpoint_weights": "weights",
    },
    "superglue_node": {
        "device": "device",
        "extractor": "extractor",
        "matcher": "matcher",
        "superpoint_weights": "superpoint_weights",
        "superglue_weights": "weights",
    },
    "pipeline_node": {
        name: name
        for name in (
            "image_transport",
            "device",
            "extractor",
            "matcher",
            "superpoint_weights",
            "superglue_weights",
        )
    },
    "match_visualizer_node": {"image_transport": "image_transport"},
}
"""By executable, which of its parameters each everyday argument sets."""


def shared(*names: str) -> str:
    """A file of the package's share folder."""
    return str(shared_file("/".join(names)))


def description(actions: Iterable[Any]) -> LaunchDescription:
    """What a launch file starts, which begins with a check of the arguments it is given."""
    actions = list(actions)
    known = {action.name for action in actions if isinstance(action, DeclareLaunchArgument)}

    def check(context: LaunchContext) -> None:
        check_arguments(context, known)

    return LaunchDescription([OpaqueFunction(function=check), *actions])


def arguments(
    params_file: str,
    topics: Mapping[str, str],
    everyday: Iterable[str] = (),
    more: Mapping[str, tuple[str, str]] | None = None,
) -> list[Any]:
    """What a launch file can be told.

    Args:
        params_file: Name in config/ of the parameters that the nodes have at first.
        topics: The description of each topic, by its name in the nodes. The argument left_image is
            the topic left/image.
        everyday: Of `_EVERYDAY`, those that apply.
        more: Default and description of further arguments.
    """
    known = {argument_name(topic): (topic, words) for topic, words in topics.items()}
    known |= {name: ("", f"{_EVERYDAY[name]} Else as the files say.") for name in everyday}
    known |= dict(more or {}) | _ALWAYS
    declared = [
        DeclareLaunchArgument(
            name, default_value=default, description=words.format(f"config/{params_file}")
        )
        for name, (default, words) in known.items()
    ]

    def prepare(context: LaunchContext) -> list[Any]:
        profile = context.launch_configurations["fastdds_profile"]
        context.launch_configurations["superglue_ros_params_file"] = shared("config", params_file)
        if not profile:
            return []
        file = shared("config", "fastdds.xml")
        if profile != "shipped":
            file = given_file("fastdds_profile", profile)
        return [SetEnvironmentVariable(profile_variable(context.environment), file)]

    return [*declared, OpaqueFunction(function=prepare)]


def node(
    executable: str,
    topics: Iterable[str],
    mode: str | LaunchConfiguration,
    *,
    name: str | None = None,
    remappings: Iterable[tuple[str, Any]] = (),
    only_if: str = "",
) -> OpaqueFunction:
    """A node of the package that does as the arguments say.

    Args:
        executable: Its name in the package.
        topics: Those that have an argument.
        mode: What it is for in this launch file, whatever the parameter files say; empty for
            what they say.
        name: Its name, where that is not the executable's.
        remappings: What it has besides; these go first.
        only_if: The argument that must be true for it.
    """
    asked = [(topic, LaunchConfiguration(argument_name(topic))) for topic in topics]

    def start(context: LaunchContext) -> list[Any]:
        if only_if and not flag(context, only_if):
            return []
        return [
            Node(
                package=PACKAGE,
                executable=executable,
                # With a name, what is set here counts over every section of the user's file
                name=name or executable,
                namespace=LaunchConfiguration("namespace"),
                remappings=[*remappings, *asked],
                parameters=_parameters(context, executable, mode),
                ros_arguments=["--log-level", LaunchConfiguration("log_level")],
                output="screen",
            )
        ]

    return OpaqueFunction(function=start)


def geometry_on_request(topics: Iterable[str], mode: str | LaunchConfiguration) -> list[Any]:
    """The argument geometry, and the geometry_node that it starts."""
    return [
        _switch("geometry", "true: start also geometry_node."),
        node("geometry_node", topics, mode=mode, only_if="geometry"),
    ]


def pictures_on_request(
    topics: Iterable[str],
    mode: str | LaunchConfiguration,
    *,
    frame: str = UPRIGHT_FRAME,
    remappings: Iterable[tuple[str, Any]] = (),
) -> list[Any]:
    """The argument rviz, and the match_visualizer_node and rviz that it starts.

    Args:
        topics: Those that have an argument.
        mode: Of the pictures, or of the matches that they are of.
        frame: What is there to show points and path in.
        remappings: What the visualiser has besides.
    """
    return [
        _switch("rviz", "true: start also match_visualizer_node, and rviz2 to see its pictures."),
        node("match_visualizer_node", topics, mode=mode, remappings=remappings, only_if="rviz"),
        *rviz_on_request(frame),
    ]


def rviz_on_request(frame: str) -> list[Any]:
    """The argument fixed_frame, and rviz where the argument rviz says so and it is installed."""
    return [
        DeclareLaunchArgument(
            "fixed_frame", default_value=frame, description="Frame that rviz shows the points in."
        ),
        OpaqueFunction(function=_rviz),
    ]


def _rviz(context: LaunchContext) -> list[Any]:
    if not flag(context, "rviz"):
        return []
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        get_logger(PACKAGE).warning(
            "rviz2 is not installed (apt install ros-$ROS_DISTRO-rviz2): the pictures are on the "
            "topics of match_visualizer_node, for any other viewer"
        )
        return []
    arguments = ["-d", shared("config", "matches.rviz"), "-f", LaunchConfiguration("fixed_frame")]
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=LaunchConfiguration("namespace"),
            arguments=arguments,
            parameters=_flags(context, "use_sim_time"),
        )
    ]


def _parameters(
    context: LaunchContext, executable: str, mode: str | LaunchConfiguration
) -> list[Any]:
    """Files and values, the later ones over the earlier."""
    given = context.launch_configurations
    parameters: list[Any] = [given["superglue_ros_params_file"]]
    if given["params_file"]:
        parameters.append(given_file("params_file", given["params_file"]))
    parameters += _flags(context, "autostart", "use_sim_time")
    parameters += [
        {parameter: given[argument]}
        for argument, parameter in PARAMETERS.get(executable, {}).items()
        if given.get(argument)
    ]
    wanted = mode.perform(context) if isinstance(mode, LaunchConfiguration) else mode
    if wanted and executable == "match_visualizer_node":
        wanted = "stereo" if wanted == "stereo" else "mono"
    return [*parameters, {"mode": wanted}] if wanted else parameters


def _flags(context: LaunchContext, *names: str) -> list[dict[str, bool]]:
    given = [name for name in names if context.launch_configurations[name]]
    return [{name: flag(context, name)} for name in given]


def _switch(name: str, description: str) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value="false", description=description)
