"""Matches of one camera or of a stereo camera, by one process."""

from launch import LaunchDescription

from superglue_ros.nodes.launch_files import arguments, geometry_on_request, node, rviz_on_request

TOPICS = {
    "image": "Image topic of the camera, in every mode but stereo.",
    "left/image": "Image topic of the left camera, in mode stereo.",
    "right/image": "Image topic of the right camera, in mode stereo.",
    "camera_info": "Topic of the camera's calibration, for geometry_node.",
    "left/camera_info": "The same of the left camera, in mode stereo.",
    "right/camera_info": "The same of the right camera, in mode stereo.",
}


def generate_launch_description() -> LaunchDescription:
    """Start the pipeline_node."""
    return LaunchDescription(
        [
            *arguments("pipeline.yaml", TOPICS),
            node("pipeline_node", TOPICS),
            *geometry_on_request(TOPICS),
            *rviz_on_request(),
        ]
    )
