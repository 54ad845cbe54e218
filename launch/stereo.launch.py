"""Features of a stereo camera and the matches from left to right."""

from launch import LaunchDescription

from superglue_ros.nodes.launch_files import (
    arguments,
    description,
    geometry_on_request,
    node,
    pictures_on_request,
)

TOPICS = {
    "left/image": "Image topic of the left camera.",
    "right/image": "Image topic of the right camera.",
    "left/camera_info": "Topic of the left camera's calibration, for geometry_node.",
    "right/camera_info": "Topic of the right camera's calibration, for geometry_node.",
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
    """Start the superpoint_node and the superglue_node in mode stereo."""
    return description(
        [
            *arguments("stereo.yaml", TOPICS, EVERYDAY),
            node("superpoint_node", TOPICS, "stereo"),
            node("superglue_node", TOPICS, "stereo"),
            *geometry_on_request(TOPICS, "stereo"),
            *pictures_on_request(TOPICS, "stereo"),
        ]
    )
