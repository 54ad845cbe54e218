"""Matches of one camera or of a stereo camera, by one process."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

WHAT = ("image", "camera_info")
ARGUMENTS = {
    "image": ("image", "Image topic of the camera, in every mode but stereo."),
    "left_image": ("left/image", "Image topic of the left camera, in mode stereo."),
    "right_image": ("right/image", "Image topic of the right camera, in mode stereo."),
    "camera_info": ("camera_info", "Topic of the camera's calibration, for geometry_node."),
    "left_camera_info": ("left/camera_info", "The same of the left camera, in mode stereo."),
    "right_camera_info": ("right/camera_info", "The same of the right camera, in mode stereo."),
    "namespace": ("", "Namespace of the node and its topics."),
    "autostart": ("true", "false: the node awaits a life cycle manager or `ros2 lifecycle set`."),
    "geometry": ("false", "true: start also geometry_node."),
    "rviz": ("false", "true: start also match_visualizer_node, and rviz2 to see its pictures."),
}


def generate_launch_description() -> LaunchDescription:
    """Start the pipeline_node."""
    package = FindPackageShare("superglue_ros")
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    params_file = DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([package, "config", "pipeline.yaml"]),
        description="YAML file with the parameters of the nodes.",
    )
    topics = [f"{side}{what}" for side in ("", "left/", "right/") for what in WHAT]
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
    pipeline = Node(executable="pipeline_node", **common)
    wanted = IfCondition(LaunchConfiguration("geometry"))
    geometry = Node(executable="geometry_node", condition=wanted, **common)
    visualizer = IncludeLaunchDescription(
        PathJoinSubstitution([package, "launch", "visualizer.launch.py"]),
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*arguments, params_file, pipeline, geometry, visualizer])
