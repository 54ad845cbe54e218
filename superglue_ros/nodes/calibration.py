"""The camera_info topics: optional, the latest one kept, unusable ones told once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from superglue_ros.errors import InputError
from superglue_ros.geometry import Camera

# Best effort hears either kind of publisher; only the latest matters.
_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Calibration:
    """Keeps the calibration of one camera, or of the left and the right one.

    Args:
        node: The node that subscribes.
        prefixes: Of the topics, one for each camera: "", or "left/" and "right/".
        rectified: Whether the images come rectified.
    """

    def __init__(self, node: Node, prefixes: Sequence[str], *, rectified: bool) -> None:
        """Subscribe."""
        self._node = node
        self._rectified = rectified
        self._latest: list[Any] = [None] * len(prefixes)
        self._topics = [node.resolve_topic_name(f"{prefix}camera_info") for prefix in prefixes]
        self._subscriptions = [
            node.create_subscription(CameraInfo, topic, functools.partial(self._keep, index), _QOS)
            for index, topic in enumerate(self._topics)
        ]
        self.state = f"none on {', '.join(self._topics)}"

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def cameras(self, image_sizes: Sequence[tuple[int, int]]) -> list[Camera] | None:
        """The cameras, if they are known and their images are of these sizes (width, height).

        What cannot be used is warned of once, until it changes.
        """
        if any(message is None for message in self._latest):
            return None
        found = []
        for topic, message, image_size in zip(
            self._topics, list(self._latest), image_sizes, strict=True
        ):
            try:
                found.append(
                    Camera.from_info(message, rectified=self._rectified, image_size=image_size)
                )
            except InputError as error:
                self.refuse(f"{topic}: {error}")
                return None
        self._tell(f"from {', '.join(self._topics)}")
        return found

    def refuse(self, reason: str) -> None:
        """Say that the calibration cannot be used."""
        self._tell(f"no calibration: {reason}")

    def _tell(self, state: str) -> None:
        if state == self.state:
            return
        self.state = state
        log = self._node.get_logger()
        if state.startswith("from "):
            log.info(f"calibration {state}")
        else:
            log.warning(f"{state}; going on without")

    def _keep(self, index: int, message: CameraInfo) -> None:
        self._latest[index] = message
