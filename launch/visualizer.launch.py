"""Pictures and markers of matches, and rviz to see them in; the other launch files include it."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from superglue_ros.nodes.launch_files import UPRIGHT_FRAME, arguments, node, shared

TOPICS = {
    "image": "Image topic of the camera, in mode mono.",
    "left/image": "Image topic of the left camera, in mode stereo.",
    "right/image": "Image topic of the right camera, in mode stereo.",
    "camera_info": "Topic of the camera's calibration, in mode mono.",
    "left/camera_info": "Topic of the left one's, in mode stereo.",
}
OWN_ARGUMENTS = {
    "rviz": ("false", "true: start rviz2 with the pictures of the matches."),
    "fixed_frame": (UPRIGHT_FRAME, "Frame that rviz shows the points in; any of the tree."),
}


def generate_launch_description() -> LaunchDescription:
    """Start the match_visualizer_node and, where wanted, rviz."""
    own_arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in OWN_ARGUMENTS.items()
    ]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=[
            *("-d", shared("config", "matches.rviz")),
            *("-f", LaunchConfiguration("fixed_frame")),
        ],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    visualizer = node("match_visualizer_node", TOPICS)
    return LaunchDescription(
        [*arguments("visualizer.yaml", TOPICS), *own_arguments, visualizer, rviz]
    )
