"""The camera's frame turned upright, for viewers."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from std_msgs.msg import Header

from superglue_ros.markers import TRANSFORMS, upright_transform
from superglue_ros.nodes.distributions import TFMessage
from superglue_ros.nodes.qos import LATCHED
from superglue_ros.nodes.visual_outputs import make


class UprightFrame:
    """Tells once of each optical frame where its upright one is.

    Args:
        node: Publishes it.
        frame: Its name; empty for none.
    """

    def __init__(self, node: Node, frame: str) -> None:
        """Create the publisher, where the ROS installation has tf2_msgs."""
        self._node = node
        self._frame = frame
        self._told = ""
        self._output: Any = None
        if not frame:
            return
        if TFMessage is None:
            node.get_logger().info(f"no frame {frame}: this ROS installation has no tf2_msgs")
            return
        self._output = node.create_publisher(TFMessage, "/tf_static", LATCHED)

    def tell(self, header: Header) -> None:
        """Tell where the frame is, if that is new: at the camera of an image's header."""
        if self._output is None or header.frame_id in ("", self._told):
            return
        self._told = header.frame_id
        transform = upright_transform(make, header, self._frame)
        self._output.publish(make(TRANSFORMS, transforms=[transform]))

    def close(self) -> None:
        """Take it back."""
        if self._output is not None:
            self._node.destroy_publisher(self._output)
            self._output = None
