"""From images to keypoints to matches, without ROS.

extractor, matcher = SuperPointExtractor(max_keypoints=1024), SuperGlueMatcher()
features0, features1 = extractor.extract_batch([image0, image1])
matches = matcher.match(features0, features1)
"""

from superglue_ros.inference.image_pairs import ImagePairMatcher, MatchedImages
from superglue_ros.inference.interface import Extractor, Matcher
from superglue_ros.inference.nearest import NearestMatcher
from superglue_ros.inference.sift import SiftExtractor
from superglue_ros.inference.superglue import SuperGlueMatcher
from superglue_ros.inference.superpoint import SuperPointExtractor

__all__ = [
    "Extractor",
    "ImagePairMatcher",
    "MatchedImages",
    "Matcher",
    "NearestMatcher",
    "SiftExtractor",
    "SuperGlueMatcher",
    "SuperPointExtractor",
]
