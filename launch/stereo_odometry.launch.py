"""Where a stereo camera goes, in metres, and points in space. An example; it drifts."""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from superglue_ros.nodes.launch_files import ODOM_FRAME, arguments, node, rviz_on_request

TOPICS = {
    "left/image": "Image topic of the left camera.",
    "right/image": "Image topic of the right camera.",
    "left/camera_info": "Topic of the left camera's calibration.",
    "right/camera_info": "Topic of the right camera's calibration.",
}
# The left image is matched to the right one, under stereo/, and to the left one before.
ACROSS = [(topic, f"stereo/{topic}") for topic in ("matches", "geometry")]
ALONG = [("features", "left/features"), ("camera_info", LaunchConfiguration("left_camera_info"))]


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node, a matcher and a geometry_node each way, and the odometry."""
    return LaunchDescription(
        [
            *arguments("stereo_odometry.yaml", TOPICS),
            node("superpoint_node", TOPICS),
            node("superglue_node", TOPICS, name="stereo_superglue", remappings=ACROSS),
            node("geometry_node", TOPICS, name="stereo_geometry", remappings=ACROSS),
            node("superglue_node", TOPICS, remappings=ALONG),
            node("geometry_node", TOPICS, remappings=ALONG),
            node("visual_odometry_node", TOPICS, remappings=ALONG),
            *rviz_on_request(
                {"image": "left_image", "camera_info": "left_camera_info"}, frame=ODOM_FRAME
            ),
        ]
    )
