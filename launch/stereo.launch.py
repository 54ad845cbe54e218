"""Features of a stereo camera and the matches from left to right."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "left_image": ("left/image", "Image topic of the left camera."),
    "right_image": ("right/image", "Image topic of the right camera."),
    "left_camera_info": ("left/camera_info", "Topic of its calibration, for geometry_node."),
    "right_camera_info": ("right/camera_info", "Topic of its calibration, for geometry_node."),
    "namespace": ("", "Namespace of the nodes and their topics."),
    "autostart": ("true", "false: the nodes await a life cycle manager or `ros2 lifecycle set`."),
    "geometry": ("false", "true: start also geometry_node."),
    "rviz": ("false", "true: start also match_visualizer_node, and rviz2 to see its pictures."),
}


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node and the superglue_node in mode stereo."""
    package = FindPackageShare("superglue_ros")
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    params_file = DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([package, "config", "stereo.yaml"]),
        description="YAML file with the parameters of the nodes.",
    )
    topics = [f"{side}/{what}" for side in ("left", "right") for what in ("image", "camera_info")]
    common = {
        "package": "superglue_ros",
        "namespace": LaunchConfiguration("namespace"),
        "remappings": [(one, LaunchConfiguration(one.replace("/", "_"))) for one in topics],
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
