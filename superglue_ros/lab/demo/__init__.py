"""The demonstration on real images; its ROS side is superglue_ros.lab.nodes.playback."""
