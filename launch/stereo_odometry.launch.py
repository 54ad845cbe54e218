"""Where a stereo camera goes, in metres, and points in space. An example; it drifts."""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from superglue_ros.nodes.launch_files import (
    ODOM_FRAME,
    arguments,
    description,
    node,
    pictures_on_request,
)

TOPICS = {
    "left/image": "Image topic of the left camera.",
    "right/image": "Image topic of the right camera.",
    "left/camera_info": "Topic of the left camera's calibration.",
    "right/camera_info": "Topic of the right camera's calibration.",
}
# The left image is matched to the right one, under stereo/, and to the left one before.
ACROSS = [(topic, f"stereo/{topic}") for topic in ("matches", "geometry")]
LEFT = [
    ("image", LaunchConfiguration("left_image")),
    ("camera_info", LaunchConfiguration("left_camera_info")),
]
ALONG = [("features", "left/features"), *LEFT]
EVERYDAY = (
    "image_transport",
    "device",
    "extractor",
    "matcher",
    "superpoint_weights",
    "superglue_weights",
)


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node, a matcher and a geometry_node each way, and the odometry."""
    return description(
        [
            *arguments("stereo_odometry.yaml", TOPICS, EVERYDAY),
            node("superpoint_node", TOPICS, "stereo"),
            node("superglue_node", TOPICS, "stereo", name="stereo_superglue", remappings=ACROSS),
            node("geometry_node", TOPICS, "stereo", name="stereo_geometry", remappings=ACROSS),
            node("superglue_node", TOPICS, "sequential", remappings=ALONG),
            node("geometry_node", TOPICS, "sequential", remappings=ALONG),
            node("visual_odometry_node", TOPICS, "stereo", remappings=ALONG),
            *pictures_on_request(TOPICS, "mono", frame=ODOM_FRAME, remappings=LEFT),
        ]
    )
