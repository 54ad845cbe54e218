"""Where a camera goes: matches, geometry with tracks, odometry. An example; it drifts."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    "image": ("image", "Image topic of the camera."),
    "camera_info": ("camera_info", "Topic of its calibration."),
    "namespace": ("", "Namespace of the nodes and their topics."),
    "autostart": ("true", "false: the nodes await a life cycle manager or `ros2 lifecycle set`."),
    "rviz": ("false", "true: start also match_visualizer_node, and rviz2 to see its pictures."),
}


def generate_launch_description() -> LaunchDescription:
    """Start the pipeline_node, the geometry_node and the visual_odometry_node."""
    package = FindPackageShare("superglue_ros")
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    params_file = DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([package, "config", "odometry.yaml"]),
        description="YAML file with the parameters of the nodes.",
    )
    nodes = [
        Node(
            package="superglue_ros",
            executable=executable,
            namespace=LaunchConfiguration("namespace"),
            remappings=[(topic, LaunchConfiguration(topic)) for topic in ("image", "camera_info")],
            parameters=[
                LaunchConfiguration("params_file"),
                {"autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool)},
            ],
            output="screen",
        )
        for executable in ("pipeline_node", "geometry_node", "visual_odometry_node")
    ]
    visualizer = IncludeLaunchDescription(
        PathJoinSubstitution([package, "launch", "visualizer.launch.py"]),
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*arguments, params_file, *nodes, visualizer])
