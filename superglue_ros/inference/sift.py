"""SIFT features by OpenCV, as RootSIFT."""

from __future__ import annotations

import cv2
import numpy as np

from superglue_ros.config import SiftConfig, Value
from superglue_ros.features import Features, GreyImage
from superglue_ros.images import check_grey, reduce_to_longest_side, rescale_keypoints
from superglue_ros.inference.interface import HostExtractor

DESCRIPTOR_DIM = 128


class SiftExtractor(HostExtractor):
    """Grey images in, SIFT features out.

    Descriptors are RootSIFT (Arandjelovic and Zisserman, CVPR 2012): L1-normalised square roots,
    which have unit length. Confidences are the detector's responses, the strongest of an image
    being 1.

    Args:
        config: The settings.
        **settings: Single settings by name, over those of `config`.
    """

    def __init__(self, config: SiftConfig | None = None, **settings: Value) -> None:
        """Create the detector."""
        self.config = (config or SiftConfig()).updated(**settings)
        self._sift = cv2.SIFT.create(nfeatures=self.config.max_keypoints)

    @property
    def name(self) -> str:
        """Name and the version of OpenCV that computes it."""
        return f"sift opencv-{cv2.__version__}"

    def extract(self, image: GreyImage) -> Features:
        """Extract from one image; see `Extractor.extract_batch`."""
        check_grey(image)
        reduced = reduce_to_longest_side(image, self.config.resize)
        found, described = self._sift.detectAndCompute(reduced, None)
        if described is None:
            found, described = (), np.zeros((0, DESCRIPTOR_DIM), np.float32)
        responses = np.array([keypoint.response for keypoint in found], np.float32)
        order = np.argsort(-responses, kind="stable")[: self.config.max_keypoints]
        points = np.array([keypoint.pt for keypoint in found], np.float32).reshape(-1, 2)
        size_reduced, size = reduced.shape[::-1], image.shape[::-1]
        return Features(
            keypoints=rescale_keypoints(points[order], size_reduced, size),
            scores=responses[order] / responses.max(initial=1e-12),
            descriptors=_root_sift(described[order]),
            image_size=size,
            extractor=self.name,
        )


def _root_sift(descriptors: np.ndarray) -> np.ndarray:
    totals = descriptors.sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt(descriptors / np.maximum(totals, 1e-12)), np.float32)
