"""Where a camera goes: matches, geometry with tracks, odometry. An example; it drifts."""

from launch import LaunchDescription

from superglue_ros.nodes.launch_files import ODOM_FRAME, arguments, node, rviz_on_request

TOPICS = {
    "image": "Image topic of the camera.",
    "camera_info": "Topic of its calibration.",
}


def generate_launch_description() -> LaunchDescription:
    """Start the pipeline_node, the geometry_node and the visual_odometry_node."""
    return LaunchDescription(
        [
            *arguments("odometry.yaml", TOPICS),
            node("pipeline_node", TOPICS),
            node("geometry_node", TOPICS),
            node("visual_odometry_node", TOPICS),
            *rviz_on_request(frame=ODOM_FRAME),
        ]
    )
