"""pipeline_node: images in, matches out, with both networks in one process."""

from __future__ import annotations

from typing import Any

from superglue_ros.config import PipelineNodeConfig, Settings
from superglue_ros.nodes.frame_node import Messages
from superglue_ros.nodes.image_source import ImageSource
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.matching_node import MatchingNode
from superglue_ros.nodes.networks import extractor_config, matcher_config
from superglue_ros.nodes.runner import run_node


class PipelineNode(MatchingNode[PipelineNodeConfig]):
    """Extracts and matches; descriptors stay on the device and off the wire."""

    node_name = "pipeline_node"
    config_type = PipelineNodeConfig

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__(**node_options)
        self._source: ImageSource | None = None

    @property
    def source(self) -> ImageSource:
        """The image topics of a configured node."""
        assert self._source is not None
        return self._source

    def extractor_config(self) -> Settings:
        """The node's settings for the extractor."""
        return extractor_config(self.config, self.config.superpoint_weights)

    def matcher_config(self) -> Settings:
        """The node's settings for the matcher."""
        return matcher_config(self.config, self.config.superglue_weights)

    def load_networks(self) -> None:
        """Load both networks."""
        self._source = ImageSource(self.config, self.concerns, stereo=self.config.mode == "stereo")
        super().load_networks()
        self.get_logger().info(
            f"{self.extractor.name} extracts, images decoded by {self._source.library}"
        )

    def streams(self) -> list[Stream]:
        """The image and mask topics."""
        return self.source.streams

    def apply_settings(self) -> None:
        """Take over live settings that have changed, with the next frame."""
        super().apply_settings()
        if self._source is not None:
            self._source.use(self.config)

    def process(self, messages: Messages) -> None:
        """Extract from the images of one frame, match and publish."""
        with self.stopwatch.stage("decode"):
            images, masks = self.source.decode(messages)
        headers = [message.header for message in messages[: len(images)]]
        with self.stopwatch.stage("extract"):  # a GPU only begins it here; "match" waits for both
            tensors = self.extractor.extract_tensors(images, masks)
        self.match_and_publish(headers, tensors)

    def halve_keypoints(self) -> int:
        """Keep half as many keypoints from now on."""
        self.config = self.config.updated(max_keypoints=max(1, self.config.max_keypoints // 2))
        self.apply_settings()
        return self.config.max_keypoints


def main() -> None:
    """Run the node until it is told to end."""
    run_node(PipelineNode)
