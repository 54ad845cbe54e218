"""Matches of one camera or of a stereo camera, by one process."""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from superglue_ros.nodes.launch_files import (
    arguments,
    description,
    geometry_on_request,
    node,
    pictures_on_request,
)

TOPICS = {
    "image": "Image topic of the camera, in every mode but stereo.",
    "left/image": "Image topic of the left camera, in mode stereo.",
    "right/image": "Image topic of the right camera, in mode stereo.",
    "camera_info": "Topic of the camera's calibration, for geometry_node.",
    "left/camera_info": "The same of the left camera, in mode stereo.",
    "right/camera_info": "The same of the right camera, in mode stereo.",
}
EVERYDAY = (
    "mode",
    "image_transport",
    "device",
    "extractor",
    "matcher",
    "superpoint_weights",
    "superglue_weights",
)
MODE = LaunchConfiguration("mode")


def generate_launch_description() -> LaunchDescription:
    """Start the pipeline_node."""
    return description(
        [
            *arguments("pipeline.yaml", TOPICS, EVERYDAY),
            node("pipeline_node", TOPICS, MODE),
            *geometry_on_request(TOPICS, MODE),
            *pictures_on_request(TOPICS, MODE),
        ]
    )
