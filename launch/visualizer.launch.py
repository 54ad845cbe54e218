"""Pictures and markers of matches, and rviz to see them in, beside nodes that run already."""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from superglue_ros.nodes.launch_files import (
    UPRIGHT_FRAME,
    arguments,
    description,
    node,
    rviz_on_request,
)

TOPICS = {
    "image": "Image topic of the camera, in mode mono.",
    "left/image": "Image topic of the left camera, in mode stereo.",
    "right/image": "Image topic of the right camera, in mode stereo.",
    "camera_info": "Topic of the camera's calibration, in mode mono.",
    "left/camera_info": "Topic of the left one's, in mode stereo.",
}
OWN_ARGUMENTS = {
    "mode": ("", "mono or stereo. Else as the files say."),
    "rviz": ("false", "true: start rviz2 with the pictures of the matches."),
}


def generate_launch_description() -> LaunchDescription:
    """Start the match_visualizer_node and, where wanted, rviz."""
    return description(
        [
            *arguments("visualizer.yaml", TOPICS, ("image_transport",), OWN_ARGUMENTS),
            node("match_visualizer_node", TOPICS, LaunchConfiguration("mode")),
            *rviz_on_request(UPRIGHT_FRAME),
        ]
    )
