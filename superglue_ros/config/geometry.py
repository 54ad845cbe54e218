"""Settings of what is made of matches: keyframes, geometry, tracks, odometry."""

from __future__ import annotations

from dataclasses import dataclass

from superglue_ros.config.settings import Settings, setting


@dataclass(frozen=True)
class KeyframeConfig(Settings):
    """When a keyframe gives way to the frame that was matched to it last."""

    keyframe_min_match_share: float = setting(
        0.3,
        "Least share of the keyframe's keypoints that are matched; below it the keyframe is "
        "renewed.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    keyframe_max_motion_px: float = setting(
        0.0,
        "Median distance in pixels that matches may move before the keyframe is renewed; 0: any.",
        minimum=0.0,
        maximum=16384.0,
        live=True,
    )
    keyframe_max_age_sec: float = setting(
        0.0,
        "Seconds after which the keyframe is renewed; 0 for never.",
        minimum=0.0,
        maximum=86400.0,
        live=True,
    )


@dataclass(frozen=True)
class EpipolarConfig(Settings):
    """When a match agrees with the geometry of two views."""

    max_epipolar_error_px: float = setting(
        1.5,
        "Largest distance in pixels, of the image as received, of an inlier to its epipolar line.",
        minimum=0.01,
        maximum=100.0,
        live=True,
    )


@dataclass(frozen=True)
class GeometryConfig(EpipolarConfig):
    """What is asked of matches before their geometry is believed."""

    min_inliers: int = setting(
        20,
        "Least number of matches that must agree with a geometry.",
        minimum=8,
        maximum=16384,
        live=True,
    )
    max_ransac_iterations: int = setting(
        20000,
        "Most models to try; the fewer of the matches are right, the more it takes.",
        minimum=1,
        maximum=1000000,
        live=True,
    )
    min_motion_px: float = setting(
        1.0,
        "Median distance in pixels that matches must move; below it the camera stands still.",
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )
    max_pose_deviation_deg: float = setting(
        5.0,
        "Largest standard deviation in degrees of the rotation and of the direction of translation "
        "with which a pose is given.",
        minimum=0.0,
        maximum=180.0,
        live=True,
    )


@dataclass(frozen=True)
class StereoConfig(EpipolarConfig):
    """Which stereo matches become points in space."""

    min_disparity_px: float = setting(
        1.0,
        "Least disparity in pixels of a point: what is farther away has no reliable depth.",
        minimum=0.01,
        maximum=16384.0,
        live=True,
    )


@dataclass(frozen=True)
class TrackConfig(Settings):
    """How long a track lasts without being seen."""

    max_gap_frames: int = setting(
        3,
        "Frames in a row in which a track may not be seen before it ends.",
        minimum=0,
        maximum=1000,
        live=True,
    )
    track_search_radius_px: float = setting(
        4.0,
        "Distance in pixels from where its neighbours' motion would have taken it within which a "
        "track that was lost is taken up again; 0: only by a match.",
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )


@dataclass(frozen=True)
class OdometryConfig(Settings):
    """What locates a camera."""

    min_landmarks: int = setting(
        15,
        "Least number of known points that must be seen again for a pose.",
        minimum=4,
        maximum=16384,
        live=True,
    )
    max_reprojection_error_px: float = setting(
        2.0,
        "Largest distance in pixels between where a known point is seen and where it should be.",
        minimum=0.1,
        maximum=100.0,
        live=True,
    )
    min_parallax_deg: float = setting(
        1.5,
        "Mode mono: least angle in degrees between two views of a point that make it known.",
        minimum=0.1,
        maximum=90.0,
        live=True,
    )
