"""Settings of the pictures of matches."""

from __future__ import annotations

from dataclasses import dataclass

from superglue_ros.config.settings import Settings, setting


@dataclass(frozen=True)
class DrawingConfig(Settings):
    """How matches are drawn."""

    layout: str = setting(
        "side_by_side",
        "Both images side by side or stacked, or overlay: image 1 with lines from where its "
        "points were in image 0.",
        choices=("side_by_side", "stacked", "overlay"),
        live=True,
    )
    colour: str = setting(
        "confidence",
        "confidence: dark blue 0, yellow 1; inlier: blue dots, and red crosses for what "
        "contradicts the geometry, where there is one.",
        choices=("confidence", "inlier"),
        live=True,
    )
    max_picture_size: int = setting(
        1920,
        "Longest side in pixels to which larger pictures are reduced; 0 keeps the size.",
        minimum=0,
        maximum=16384,
        live=True,
    )
