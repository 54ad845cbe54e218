"""Features of one camera and the matches of each frame to the one before it."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "image": ("image", "Image topic of the camera."),
    "camera_info": ("camera_info", "Topic of its calibration, for geometry_node."),
    "namespace": ("", "Namespace of the nodes and their topics."),
    "autostart": ("true", "false: the nodes await a life cycle manager or `ros2 lifecycle set`."),
    "geometry": ("false", "true: start also geometry_node."),
    "rviz": ("false", "true: start also match_visualizer_node, and rviz2 to see its pictures."),
}


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node for one camera and the superglue_node in mode sequential."""
    package = FindPackageShare("superglue_ros")
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    params_file = DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([package, "config", "sequential.yaml"]),
        description="YAML file with the parameters of the nodes.",
    )
    common = {
        "package": "superglue_ros",
        "namespace": LaunchConfiguration("namespace"),
        "remappings": [(one, LaunchConfiguration(one)) for one in ("image", "camera_info")],
        "parameters": [
            LaunchConfiguration("params_file"),
            {"autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool)},
        ],
        "output": "screen",
    }
    matchers = [Node(executable=f"{name}_node", **common) for name in ("superpoint", "superglue")]
    wanted = IfCondition(LaunchConfiguration("geometry"))
    geometry = Node(executable="geometry_node", condition=wanted, **common)
    visualizer = IncludeLaunchDescription(
        PathJoinSubstitution([package, "launch", "visualizer.launch.py"]),
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*arguments, params_file, *matchers, geometry, visualizer])
