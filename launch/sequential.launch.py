"""Features of one camera and the matches of each frame to the one before it."""

from launch import LaunchDescription

from superglue_ros.nodes.launch_files import (
    arguments,
    description,
    geometry_on_request,
    node,
    pictures_on_request,
)

TOPICS = {
    "image": "Image topic of the camera.",
    "camera_info": "Topic of its calibration, for geometry_node.",
}
EVERYDAY = (
    "image_transport",
    "device",
    "extractor",
    "matcher",
    "superpoint_weights",
    "superglue_weights",
)


def generate_launch_description() -> LaunchDescription:
    """Start the superpoint_node for one camera and the superglue_node in mode sequential."""
    return description(
        [
            *arguments("sequential.yaml", TOPICS, EVERYDAY),
            node("superpoint_node", TOPICS, "mono"),
            node("superglue_node", TOPICS, "sequential"),
            *geometry_on_request(TOPICS, "sequential"),
            *pictures_on_request(TOPICS, "mono"),
        ]
    )
