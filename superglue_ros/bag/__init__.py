"""Bags of ROS 2 messages, read and written without ROS."""
