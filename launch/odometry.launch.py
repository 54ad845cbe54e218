"""Where a camera goes: matches, geometry with tracks, odometry. An example; it drifts."""

from launch import LaunchDescription

from superglue_ros.nodes.launch_files import (
    ODOM_FRAME,
    arguments,
    description,
    node,
    pictures_on_request,
)

TOPICS = {
    "image": "Image topic of the camera.",
    "camera_info": "Topic of its calibration.",
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
    """Start the pipeline_node, the geometry_node and the visual_odometry_node."""
    return description(
        [
            *arguments("odometry.yaml", TOPICS, EVERYDAY),
            node("pipeline_node", TOPICS, "sequential"),
            node("geometry_node", TOPICS, "sequential"),
            node("visual_odometry_node", TOPICS, "mono"),
            *pictures_on_request(TOPICS, "mono", frame=ODOM_FRAME),
        ]
    )
