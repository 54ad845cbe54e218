"""The image topics of a node, with their encodings and masks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from superglue_ros.config import CameraConfig, ImageTopicConfig, IntensityConfig
from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.image_checks import ImageChecks
from superglue_ros.image_decoding import image_decoder
from superglue_ros.images import read_image
from superglue_ros.intensity import Intensity
from superglue_ros.nodes.concerns import Concerns
from superglue_ros.nodes.inputs import Stream

_ANY_IS_WHITE = Intensity(IntensityConfig(intensity_max=1))
"""For masks of 16 bits: what is not 0 counts."""


class ImageFrame(NamedTuple):
    """The images of one frame, grey, and for each its mask or None."""

    images: list[GreyImage]
    masks: list[GreyImage | None]


def image_stream(topic: str, config: ImageTopicConfig) -> Stream:
    """A topic of images, raw or compressed."""
    if config.image_transport == "compressed":
        return Stream(topic, CompressedImage, "/compressed")
    return Stream(topic, Image)


class ImageSource:
    """One camera, or the left and the right one.

    Args:
        config: Transport, intensities and masks.
        stereo: Whether there are two cameras.
        concerns: Where is noted what is wrong with images that can be decoded.

    Raises:
        InputError: A mask file cannot be read.

    Attributes:
        cameras: The prefix of each camera's topics.
        library: What decodes the images.
    """

    def __init__(self, config: CameraConfig, concerns: Concerns, *, stereo: bool) -> None:
        """Read the mask files."""
        self.cameras = ("left/", "right/") if stereo else ("",)
        self._config = config
        self._concerns = concerns
        self._intensities = [Intensity(config) for _ in self.cameras]
        self._checks = [ImageChecks(f"{camera}image") for camera in self.cameras]
        self._decoder = image_decoder()
        self.library = self._decoder.library
        files = (config.mask_file, config.right_mask_file)[: len(self.cameras)]
        self._masks = [read_image(Path(file)) if file else None for file in files]

    @property
    def streams(self) -> list[Stream]:
        """The image topics, and after them the mask topics where they are used."""
        streams = [image_stream(f"{camera}image", self._config) for camera in self.cameras]
        if self._config.use_mask_topic:
            streams += [Stream(f"{camera}mask", Image) for camera in self.cameras]
        return streams

    def decode(self, frame: Sequence[Any]) -> ImageFrame:
        """The images and masks that the messages of one frame carry.

        Raises:
            InputError: A message is truncated, or of an encoding that has no grey image.
        """
        count = len(self.cameras)
        images = [self._image(*one) for one in enumerate(frame[:count])]
        topic_masks = [self._decoder.decode(message, _ANY_IS_WHITE) for message in frame[count:]]
        masks = [_both(*pair) for pair in zip_longest(self._masks, topic_masks)]
        return ImageFrame(images, masks)

    def use(self, config: CameraConfig) -> None:
        """Take over live settings, with the next frame."""
        for intensity in self._intensities:
            intensity.config = config

    def _image(self, index: int, message: Any) -> GreyImage:
        intensity = self._intensities[index]
        image = intensity.equalised(self._decoder.decode(message, intensity))
        for kind, text in self._checks[index].of(image):
            self._concerns.note(kind, text)
        return image


def _both(mask0: GreyImage | None, mask1: GreyImage | None) -> GreyImage | None:
    """The mask that lets through what both of two do."""
    if mask0 is None or mask1 is None:
        return mask1 if mask0 is None else mask0
    if mask0.shape != mask1.shape:
        raise InputError(f"mask file and mask topic differ in size: {mask0.shape}, {mask1.shape}")
    return np.minimum(mask0, mask1)
