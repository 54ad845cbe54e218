"""Pictures and markers of matches, and rviz to see them in; the other launch files include it."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "image": ("image", "Image topic of the camera, in mode mono."),
    "left_image": ("left/image", "Image topic of the left camera, in mode stereo."),
    "right_image": ("right/image", "Image topic of the right camera, in mode stereo."),
    "camera_info": ("camera_info", "Topic of the camera's calibration, in mode mono."),
    "left_camera_info": ("left/camera_info", "Topic of the left one's, in mode stereo."),
    "namespace": ("", "Namespace of the node, its topics and rviz."),
    "autostart": ("true", "false: the node awaits a life cycle manager or `ros2 lifecycle set`."),
    "rviz": ("false", "true: start rviz2 with the pictures of the matches."),
    "fixed_frame": ("map", "What rviz shows the points of the scene in; any frame of the tree."),
}


def generate_launch_description() -> LaunchDescription:
    """Start the match_visualizer_node and, where wanted, rviz."""
    package = FindPackageShare("superglue_ros")
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    params_file = DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([package, "config", "visualizer.yaml"]),
        description="YAML file with the parameters of the node.",
    )
    topics = ("image", "left/image", "right/image", "camera_info", "left/camera_info")
    visualizer = Node(
        package="superglue_ros",
        executable="match_visualizer_node",
        namespace=LaunchConfiguration("namespace"),
        remappings=[(topic, LaunchConfiguration(topic.replace("/", "_"))) for topic in topics],
        parameters=[
            LaunchConfiguration("params_file"),
            {"autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool)},
        ],
        output="screen",
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=[
            *("-d", PathJoinSubstitution([package, "config", "matches.rviz"])),
            *("-f", LaunchConfiguration("fixed_frame")),
        ],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*arguments, params_file, visualizer, rviz])
