"""The settings of matching over a recorded bag."""

from __future__ import annotations

from dataclasses import dataclass

from superglue_ros.config import (
    CalibrationConfig,
    DrawingConfig,
    GeometryConfig,
    KeyframeConfig,
    StereoConfig,
    SyncConfig,
    TrackConfig,
    setting,
)


@dataclass(frozen=True)
class BagConfig(
    CalibrationConfig,
    DrawingConfig,
    GeometryConfig,
    KeyframeConfig,
    StereoConfig,
    SyncConfig,
    TrackConfig,
):
    """Which images of a bag are matched, and what is made of the matches."""

    mode: str = setting(
        "sequential",
        "sequential: each frame to the one before; keyframe: to the last keyframe; stereo: left "
        "to right of one moment.",
        choices=("sequential", "keyframe", "stereo"),
    )
    topic: str = setting(
        "", "Topic of the images; in stereo of the left ones. Not needed where there is no doubt."
    )
    right_topic: str = setting("", "Topic of the right images in stereo.")
    start: float = setting(
        0.0, "Seconds from the beginning of the bag to the first image.", minimum=0.0
    )
    end: float = setting(
        0.0, "Seconds from the beginning of the bag to the last image; 0 for its end.", minimum=0.0
    )
    every: int = setting(1, "Take each Nth frame only.", minimum=1)
    max_gap: float = setting(
        0.0,
        "Seconds between the stamps of two frames above which the sequence starts anew; 0: any.",
        minimum=0.0,
    )
    camera_info: str = setting(
        "",
        "Topic of the camera's calibration, without which geometry has no poses; in stereo of the "
        "left one's. Not needed where it is camera_info beside the images.",
    )
    right_camera_info: str = setting("", "Topic of the right camera's calibration in stereo.")
    batch_size: int = setting(
        0,
        "Frames that go through the networks together; 0: as many as they are best at, one on a "
        "CPU. With more than one the results may differ from those of the live nodes in the last "
        "bits.",
        minimum=0,
        maximum=256,
    )
