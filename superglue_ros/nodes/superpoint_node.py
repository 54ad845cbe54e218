"""superpoint_node: images in, features of SuperPoint or another extractor out."""

from __future__ import annotations

from typing import Any

from rclpy.publisher import Publisher

from superglue_ros.config import Settings, SuperPointNodeConfig
from superglue_ros.inference import Extractor, registry
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.nodes.conversions import features_to_message
from superglue_ros.nodes.frame_node import Messages
from superglue_ros.nodes.image_source import ImageSource
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.network_node import NetworkNode
from superglue_ros.nodes.networks import extractor_config
from superglue_ros.nodes.runner import run_node


class SuperPointNode(NetworkNode[SuperPointNodeConfig]):
    """Extracts features from one camera, or from both of a stereo pair as one batch."""

    node_name = "superpoint_node"
    config_type = SuperPointNodeConfig

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__(**node_options)
        self._extractor: Extractor | None = None
        self._source: ImageSource | None = None
        self._features_outputs: list[Publisher] = []

    @property
    def extractor(self) -> Extractor:
        """The extractor of a configured node."""
        assert self._extractor is not None
        return self._extractor

    @property
    def source(self) -> ImageSource:
        """The image topics of a configured node."""
        assert self._source is not None
        return self._source

    def extractor_config(self) -> Settings:
        """The node's settings for the extractor."""
        return extractor_config(self.config, self.config.weights)

    def load_networks(self) -> None:
        """Load the extractor."""
        self._source = ImageSource(self.config, self.concerns, stereo=self.config.mode == "stereo")
        self._extractor = registry.make_extractor(self.extractor_config())
        self._extractor.warm_up()
        self.get_logger().info(
            f"{self._extractor.name} on {self._extractor.device} by {self._extractor.engine}, "
            f"images decoded by {self._source.library}"
        )

    def release_networks(self) -> None:
        """Let go of the extractor."""
        self._extractor = None

    def networks(self) -> dict[str, tuple[str, str]]:
        """For each network that is loaded its weights and their licence."""
        loaded = self._extractor
        title = registry.EXTRACTORS[self.config.extractor].title
        return {} if loaded is None else {title: (loaded.name, loaded.licence)}

    def create_outputs(self) -> None:
        """Create a publisher for each camera."""
        self._features_outputs = [
            self.add_output(FeaturesMessage, f"{camera}features") for camera in self.source.cameras
        ]

    def streams(self) -> list[Stream]:
        """The image and mask topics."""
        return self.source.streams

    def apply_settings(self) -> None:
        """Take over live settings that have changed, with the next frame."""
        if self._extractor is not None:
            self._extractor.config = self.extractor_config()
        if self._source is not None:
            self._source.use(self.config)

    def process(self, messages: Messages) -> None:
        """Extract from the images of one frame and publish their features."""
        with self.stopwatch.stage("decode"):
            images, masks = self.source.decode(messages)
        with self.stopwatch.stage("extract"):
            tensors = self.extractor.extract_tensors(images, masks)
            features = [
                one.to_features(
                    descriptors=self.config.publish_descriptors,
                    patches=self.config.publish_patches,
                )
                for one in tensors
            ]
        with self.stopwatch.stage("publish"):
            for output, message, one in zip(
                self._features_outputs, messages, features, strict=False
            ):
                output.publish(features_to_message(one, message.header))

    def halve_keypoints(self) -> int:
        """Keep half as many keypoints from now on."""
        self.config = self.config.updated(max_keypoints=max(1, self.config.max_keypoints // 2))
        self.apply_settings()
        return self.config.max_keypoints


def main() -> None:
    """Run the node until it is told to end."""
    run_node(SuperPointNode)
