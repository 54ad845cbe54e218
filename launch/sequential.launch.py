"""Features of one camera and the matches of each frame to the one before it."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node for one camera and the superglue_node in mode sequential."""
    default_parameters = PathJoinSubstitution(
        [FindPackageShare("superglue_ros"), "config", "sequential.yaml"]
    )
    arguments = [
        DeclareLaunchArgument(
            "image", default_value="image", description="Image topic of the camera."
        ),
        DeclareLaunchArgument(
            "namespace", default_value="", description="Namespace of the nodes and their topics."
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=default_parameters,
            description="YAML file with the parameters of both nodes.",
        ),
        DeclareLaunchArgument(
            "autostart",
            default_value="true",
            description="false: the nodes await a life cycle manager or `ros2 lifecycle set`.",
        ),
    ]
    common = {
        "package": "superglue_ros",
        "namespace": LaunchConfiguration("namespace"),
        "parameters": [
            LaunchConfiguration("params_file"),
            {"autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool)},
        ],
        "output": "screen",
    }
    superpoint = Node(
        executable="superpoint_node",
        remappings=[("image", LaunchConfiguration("image"))],
        **common,
    )
    return LaunchDescription([*arguments, superpoint, Node(executable="superglue_node", **common)])
