"""The picture of a pair, for videos and reports."""

from __future__ import annotations

from superglue_ros.bag.results import MatchedPair
from superglue_ros.config import DrawingConfig
from superglue_ros.drawing import BgrImage, draw_matches


def picture_of(pair: MatchedPair, config: DrawingConfig) -> BgrImage:
    """(H, W, 3) uint8: the images of a pair with their matches, and which are inliers if known."""
    view0, view1 = pair.view0, pair.view1
    return draw_matches(
        view0.origin.image,
        view1.origin.image,
        view0.features,
        view1.features,
        pair.matches,
        config,
        inliers=pair.inliers,
    )
