"""Features of a stereo camera and the matches from left to right."""

from launch import LaunchDescription

from superglue_ros.nodes.launch_files import arguments, geometry_on_request, node, rviz_on_request

TOPICS = {
    "left/image": "Image topic of the left camera.",
    "right/image": "Image topic of the right camera.",
    "left/camera_info": "Topic of the left camera's calibration, for geometry_node.",
    "right/camera_info": "Topic of the right camera's calibration, for geometry_node.",
}


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node and the superglue_node in mode stereo."""
    return LaunchDescription(
        [
            *arguments("stereo.yaml", TOPICS),
            node("superpoint_node", TOPICS),
            node("superglue_node", TOPICS),
            *geometry_on_request(TOPICS),
            *rviz_on_request(),
        ]
    )
