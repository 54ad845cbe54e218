"""The camera_info topics: optional, the latest one kept, unusable ones told once."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from superglue_ros.errors import InputError
from superglue_ros.geometry import Camera
from superglue_ros.nodes.frame_inputs import SideStream
from superglue_ros.nodes.inputs import Stream


class Calibration:
    """Keeps the calibration of one camera, or of the left and the right one.

    Args:
        node: The node that needs it.
        prefixes: Of the topics, one for each camera: "", or "left/" and "right/".
        rectified: Whether the images come rectified.

    Attributes:
        streams: The topics, and what is to be called with their messages.
        state: Where the calibration is from, or why there is none.
    """

    def __init__(self, node: Node, prefixes: Sequence[str], *, rectified: bool) -> None:
        """Start without one."""
        self._node = node
        self._rectified = rectified
        self._latest: list[Any] = [None] * len(prefixes)
        names = [f"{prefix}camera_info" for prefix in prefixes]
        self.streams: list[SideStream] = [
            (Stream(name, CameraInfo), functools.partial(self._keep, index))
            for index, name in enumerate(names)
        ]
        self._topics = [node.resolve_topic_name(name) for name in names]
        self.state = self._awaiting()

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
        if self._latest[index] is None:
            self._latest[index] = message
            self.state = self._awaiting()
        self._latest[index] = message

    def _awaiting(self) -> str:
        """The state before the first use."""
        missing = [t for t, one in zip(self._topics, self._latest, strict=True) if one is None]
        if missing:
            return f"none on {', '.join(missing)}"
        return f"received on {', '.join(self._topics)}, not needed yet"
