"""superglue_node: features in, matches out."""

from __future__ import annotations

from typing import Any, NamedTuple

from rclpy.publisher import Publisher
from std_msgs.msg import Header

from superglue_ros.config import SuperGlueNodeConfig
from superglue_ros.features import Features
from superglue_ros.inference import SuperGlueMatcher
from superglue_ros.msg import AssignmentMatrix as AssignmentMatrixMessage
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.msg import Matches as MatchesMessage
from superglue_ros.nodes.conversions import (
    assignment_to_message,
    features_from_message,
    matches_to_message,
)
from superglue_ros.nodes.frame_node import Frame, FrameNode
from superglue_ros.nodes.runner import run_node


class Stamped(NamedTuple):
    """Features under the header of their image."""

    header: Header
    features: Features


class SuperGlueNode(FrameNode[SuperGlueNodeConfig]):
    """Matches left to right, or each frame to the one before it."""

    config_type = SuperGlueNodeConfig
    input_type = FeaturesMessage

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__("superglue_node", **node_options)
        self._matcher: SuperGlueMatcher | None = None
        self._outputs: dict[str, Publisher] = {}
        self._previous: Stamped | None = None

    def input_topics(self) -> tuple[str, ...]:
        """`features`, or `left/features` and `right/features`."""
        if self.config.mode == "stereo":
            return ("left/features", "right/features")
        return ("features",)

    def load(self) -> None:
        """Load SuperGlue and create the publishers."""
        self._matcher = SuperGlueMatcher(self.config)
        self._previous = None
        outputs: dict[str, type] = {"matches": MatchesMessage}
        if self.config.publish_assignment_matrix:
            outputs["assignment_matrix"] = AssignmentMatrixMessage
        self._outputs = {
            topic: self.create_lifecycle_publisher(message_type, topic, self.output_qos())
            for topic, message_type in outputs.items()
        }
        self.get_logger().info(f"{self._matcher.name} on {self._matcher.device}")

    def release(self) -> None:
        """Undo `load`."""
        self._matcher = None
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = {}

    def apply(self, config: SuperGlueNodeConfig) -> None:
        """Take over changed live settings with the next frame."""
        if self._matcher is not None:
            self._matcher.config = config

    def process(self, frame: Frame) -> None:
        """Match the pair that a frame makes, by itself or with the one before it."""
        stamped = [Stamped(message.header, features_from_message(message)) for message in frame]
        if self.config.mode == "stereo":
            self._match_and_publish(stamped[0], stamped[1])
            return
        previous, self._previous = self._previous, stamped[0]
        if previous is not None:
            self._match_and_publish(previous, stamped[0])

    def _match_and_publish(self, stamped0: Stamped, stamped1: Stamped) -> None:
        assert self._matcher is not None
        matches = self._matcher.match(
            stamped0.features,
            stamped1.features,
            with_assignment=self.config.publish_assignment_matrix,
        )
        headers = (stamped0.header, stamped1.header)
        features = (stamped0.features, stamped1.features)
        self._outputs["matches"].publish(matches_to_message(matches, features, headers))
        if matches.assignment is not None:
            self._outputs["assignment_matrix"].publish(
                assignment_to_message(matches.assignment, headers)
            )


def main() -> None:
    """Run the node until it is told to end."""
    run_node(SuperGlueNode)
