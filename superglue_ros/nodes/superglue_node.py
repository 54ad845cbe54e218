"""superglue_node: features in, matches out."""

from __future__ import annotations

from typing import Any

from superglue_ros.config import Settings, SuperGlueNodeConfig
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.messages import patches_problem
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.nodes.conversions import features_from_message
from superglue_ros.nodes.frame_node import Messages
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.matching_node import MatchingNode
from superglue_ros.nodes.networks import extractor_config, matcher_config
from superglue_ros.nodes.runner import run_node


class SuperGlueNode(MatchingNode[SuperGlueNodeConfig]):
    """Matches features: left to right, or each frame to an earlier or a stored one."""

    node_name = "superglue_node"
    config_type = SuperGlueNodeConfig

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__(**node_options)
        self._keypoint_limit: int | None = None
        self._largest_count = 0

    def extractor_config(self) -> Settings:
        """The extractor as it is by default, for reference images and the service."""
        return extractor_config(self.config, self.config.superpoint_weights)

    def matcher_config(self) -> Settings:
        """The node's own settings."""
        return matcher_config(self.config, self.config.weights)

    def streams(self) -> list[Stream]:
        """`features`, or `left/features` and `right/features`."""
        cameras = ("left/", "right/") if self.config.mode == "stereo" else ("",)
        return [Stream(f"{camera}features", FeaturesMessage) for camera in cameras]

    def process(self, messages: Messages) -> None:
        """Match the features that came."""
        for problem in filter(None, map(patches_problem, messages)):
            self.warn(problem)
        with self.stopwatch.stage("decode"):
            tensors = [
                FeatureTensors.from_features(
                    features_from_message(message), self.matcher.device
                ).best(self._keypoint_limit)
                for message in messages
            ]
        self._largest_count = max(len(one) for one in tensors)
        self.match_and_publish([message.header for message in messages], tensors)

    def halve_keypoints(self) -> int:
        """Match half as many of the most confident keypoints as the last frame had."""
        self._keypoint_limit = max(1, self._largest_count // 2)
        return self._keypoint_limit


def main() -> None:
    """Run the node until it is told to end."""
    run_node(SuperGlueNode)
