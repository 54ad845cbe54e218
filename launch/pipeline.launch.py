"""Matches of one camera or of a stereo camera, by one process."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

TOPICS = {
    "image": "Image topic of the camera, in every mode but stereo.",
    "left/image": "Image topic of the left camera, in mode stereo.",
    "right/image": "Image topic of the right camera, in mode stereo.",
}


def generate_launch_description() -> LaunchDescription:
    """Start the pipeline_node."""
    default_parameters = PathJoinSubstitution(
        [FindPackageShare("superglue_ros"), "config", "pipeline.yaml"]
    )
    topics = {topic: topic.replace("/", "_") for topic in TOPICS}
    arguments = [
        *(
            DeclareLaunchArgument(topics[topic], default_value=topic, description=description)
            for topic, description in TOPICS.items()
        ),
        DeclareLaunchArgument(
            "namespace", default_value="", description="Namespace of the node and its topics."
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=default_parameters,
            description="YAML file with the parameters of the node.",
        ),
        DeclareLaunchArgument(
            "autostart",
            default_value="true",
            description="false: the node awaits a life cycle manager or `ros2 lifecycle set`.",
        ),
    ]
    pipeline = Node(
        package="superglue_ros",
        executable="pipeline_node",
        namespace=LaunchConfiguration("namespace"),
        remappings=[(topic, LaunchConfiguration(name)) for topic, name in topics.items()],
        parameters=[
            LaunchConfiguration("params_file"),
            {"autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool)},
        ],
        output="screen",
    )
    return LaunchDescription([*arguments, pipeline])
