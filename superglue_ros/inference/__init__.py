"""From images to keypoints to matches, without ROS.

extractor, matcher = SuperPointExtractor(max_keypoints=1024), SuperGlueMatcher()
features0, features1 = extractor.extract_batch([image0, image1])
matches = matcher.match(features0, features1)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superglue_ros.inference.aliked import AlikedExtractor
    from superglue_ros.inference.image_pairs import ImagePairMatcher, MatchedImages
    from superglue_ros.inference.interface import Extractor, Matcher
    from superglue_ros.inference.lightglue import LightGlueMatcher
    from superglue_ros.inference.nearest import NearestMatcher
    from superglue_ros.inference.sift import SiftExtractor
    from superglue_ros.inference.superglue import SuperGlueMatcher
    from superglue_ros.inference.superpoint import SuperPointExtractor

__all__ = [
    "AlikedExtractor",
    "Extractor",
    "ImagePairMatcher",
    "LightGlueMatcher",
    "MatchedImages",
    "Matcher",
    "NearestMatcher",
    "SiftExtractor",
    "SuperGlueMatcher",
    "SuperPointExtractor",
]
_MODULES = {
    "AlikedExtractor": "aliked",
    "Extractor": "interface",
    "ImagePairMatcher": "image_pairs",
    "LightGlueMatcher": "lightglue",
    "MatchedImages": "image_pairs",
    "Matcher": "interface",
    "NearestMatcher": "nearest",
    "SiftExtractor": "sift",
    "SuperGlueMatcher": "superglue",
    "SuperPointExtractor": "superpoint",
}


def __getattr__(name: str) -> Any:
    """Import only what is asked for: the registry does without PyTorch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
