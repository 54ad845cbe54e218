"""Features of one camera and the matches of each frame to the one before it."""

from launch import LaunchDescription

from superglue_ros.nodes.launch_files import arguments, geometry_on_request, node, rviz_on_request

TOPICS = {
    "image": "Image topic of the camera.",
    "camera_info": "Topic of its calibration, for geometry_node.",
}


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node for one camera and the superglue_node in mode sequential."""
    return LaunchDescription(
        [
            *arguments("sequential.yaml", TOPICS),
            node("superpoint_node", TOPICS),
            node("superglue_node", TOPICS),
            *geometry_on_request(TOPICS),
            *rviz_on_request(),
        ]
    )
