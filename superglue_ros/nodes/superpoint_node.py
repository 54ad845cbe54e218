"""superpoint_node: images in, SuperPoint features out."""

from __future__ import annotations

from typing import Any

from rclpy.publisher import Publisher
from sensor_msgs.msg import Image

from superglue_ros.config import SuperPointNodeConfig
from superglue_ros.inference import SuperPointExtractor
from superglue_ros.msg import Features as FeaturesMessage
from superglue_ros.nodes.conversions import features_to_message
from superglue_ros.nodes.frame_node import Frame, FrameNode
from superglue_ros.nodes.image_decoding import ImageDecoder, image_decoder
from superglue_ros.nodes.runner import run_node


class SuperPointNode(FrameNode[SuperPointNodeConfig]):
    """Extracts features from one camera, or from both of a stereo pair as one batch."""

    config_type = SuperPointNodeConfig
    input_type = Image

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `FrameNode`."""
        super().__init__("superpoint_node", **node_options)
        self._extractor: SuperPointExtractor | None = None
        self._decoder: ImageDecoder | None = None
        self._outputs: list[Publisher] = []

    def input_topics(self) -> tuple[str, ...]:
        """`image`, or `left/image` and `right/image`."""
        return tuple(f"{camera}image" for camera in self._cameras())

    def load(self) -> None:
        """Load SuperPoint and create a publisher for each camera."""
        self._extractor = SuperPointExtractor(self.config)
        self._decoder = image_decoder()
        self._outputs = [
            self.create_lifecycle_publisher(FeaturesMessage, f"{camera}features", self.output_qos())
            for camera in self._cameras()
        ]
        self.get_logger().info(
            f"{self._extractor.name} on {self._extractor.device}, "
            f"images decoded by {self._decoder.library}"
        )

    def release(self) -> None:
        """Undo `load`."""
        self._extractor = None
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = []

    def apply(self, config: SuperPointNodeConfig) -> None:
        """Take over changed live settings with the next frame."""
        if self._extractor is not None:
            self._extractor.config = config

    def process(self, frame: Frame) -> None:
        """Extract from the images of one frame and publish their features."""
        assert self._extractor is not None and self._decoder is not None
        images = [self._decoder.decode(message) for message in frame]
        for publisher, image_message, features in zip(
            self._outputs, frame, self._extractor.extract_batch(images), strict=True
        ):
            publisher.publish(
                features_to_message(
                    features,
                    image_message.header,
                    with_descriptors=self.config.publish_descriptors,
                )
            )

    def _cameras(self) -> tuple[str, ...]:
        return ("left/", "right/") if self.config.mode == "stereo" else ("",)


def main() -> None:
    """Run the node until it is told to end."""
    run_node(SuperPointNode)
