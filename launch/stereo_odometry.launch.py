"""Where a stereo camera goes, in metres, and points in space. An example; it drifts."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

PACKAGE = FindPackageShare("superglue_ros")
DEFAULTS = PathJoinSubstitution([PACKAGE, "config", "stereo_odometry.yaml"])
ARGUMENTS = {
    "left_image": ("left/image", "Image topic of the left camera."),
    "right_image": ("right/image", "Image topic of the right camera."),
    "left_camera_info": ("left/camera_info", "Topic of the left camera's calibration."),
    "right_camera_info": ("right/camera_info", "Topic of the right camera's calibration."),
    "namespace": ("", "Namespace of the nodes and their topics."),
    "params_file": (DEFAULTS, "YAML file with the nodes' parameters."),
    "rviz": ("false", "true: start also match_visualizer_node, and rviz2 to see its pictures."),
}
TOPICS = [f"{side}/{topic}" for side in ("left", "right") for topic in ("image", "camera_info")]
NAMES = {topic: topic.replace("/", "_") for topic in TOPICS} | {"camera_info": "left_camera_info"}
# The left image is matched to the right one, under stereo/, and to the left one before.
STEREO = [(topic, f"stereo/{topic}") for topic in ("matches", "geometry", "timing", "enable")]
NODES = {
    "superpoint_node": ("superpoint_node", []),
    "stereo_superglue": ("superglue_node", STEREO),
    "stereo_geometry": ("geometry_node", STEREO),
    "superglue_node": ("superglue_node", [("features", "left/features")]),
    "geometry_node": ("geometry_node", []),
    "visual_odometry_node": ("visual_odometry_node", []),
}


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node, a matcher and a geometry_node each way, and the odometry."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    nodes = [
        Node(
            package="superglue_ros",
            executable=executable,
            name=name,
            namespace=LaunchConfiguration("namespace"),
            remappings=[*own, *((topic, LaunchConfiguration(at)) for topic, at in NAMES.items())],
            parameters=[LaunchConfiguration("params_file")],
            output="screen",
        )
        for name, (executable, own) in NODES.items()
    ]
    left = {topic: LaunchConfiguration(f"left_{topic}") for topic in ("image", "camera_info")}
    visualizer = IncludeLaunchDescription(
        PathJoinSubstitution([PACKAGE, "launch", "visualizer.launch.py"]),
        condition=IfCondition(LaunchConfiguration("rviz")),
        launch_arguments=left.items(),
    )
    return LaunchDescription([*arguments, *nodes, visualizer])
