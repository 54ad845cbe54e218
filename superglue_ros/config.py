"""Every setting of the extractors, matchers and nodes: default, range and description, once.

The ROS parameter descriptors, the command line flags and the README's tables are made from these
dataclasses.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from superglue_ros.errors import InputError

Value = bool | int | float | str
Config = TypeVar("Config", bound="Settings")
Part = TypeVar("Part", bound="Settings")

_NUMBERS: dict[type, tuple[type, ...]] = {int: (int,), float: (int, float)}


@dataclass(frozen=True)
class Setting:
    """What is known of one setting.

    Attributes:
        name: The name of the ROS parameter; as a flag, its underscores are hyphens.
        default: The value used where the user gives none; its type is the setting's type.
        description: One sentence with the unit.
        minimum: Smallest accepted number, or None.
        maximum: Largest accepted number, or None.
        choices: The accepted words, or empty where any is accepted.
        live: Whether it may change while a node is running.
    """

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def range_text(self) -> str:
        """The accepted values in words, empty where all of the type are."""
        if self.choices:
            return ", ".join(self.choices)
        if self.minimum is None and self.maximum is None:
            return ""
        low = "" if self.minimum is None else f"{self.minimum:g}"
        high = "" if self.maximum is None else f"{self.maximum:g}"
        return f"{low} to {high}"

    def check(self, value: Value) -> Value:
        """Return `value` in the setting's type, or raise InputError naming the accepted ones."""
        kind = type(self.default)
        accepted = _NUMBERS.get(kind, (kind,))
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise InputError(f"{self.name} must be of type {kind.__name__}, got {value!r}")
        value = kind(value)
        if self.choices and value not in self.choices:
            raise InputError(f"{self.name} must be one of {self.range_text}, got {value!r}")
        if isinstance(value, (int, float)) and not self._in_range(value):
            raise InputError(f"{self.name} must be in the range {self.range_text}, got {value!r}")
        return value

    def _in_range(self, value: float) -> bool:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= value <= high


def setting(
    default: Value,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """A dataclass field that carries its own documentation; see `Setting`."""
    known = {
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "live": live,
    }
    return field(default=default, metadata=known)


@dataclass(frozen=True)
class Settings:
    """Base of the configurations: values are checked when one is made."""

    def __post_init__(self) -> None:
        """Check each value against its type and range."""
        for known in self.describe():
            checked = known.check(getattr(self, known.name))
            object.__setattr__(self, known.name, checked)

    @classmethod
    def describe(cls) -> tuple[Setting, ...]:
        """The settings of this configuration in their order of declaration."""
        return tuple(Setting(f.name, f.default, **f.metadata) for f in fields(cls))  # type: ignore[arg-type]

    def part(self, config_type: type[Part], **more: Value) -> Part:
        """The settings of another configuration that this one holds, with `more` beside them."""
        shared = {f.name for f in fields(config_type)} & {f.name for f in fields(self)}
        return config_type(**{name: getattr(self, name) for name in shared} | more)

    def updated(self: Config, **changes: Value) -> Config:
        """A copy with some values replaced.

        Raises:
            InputError: A name is unknown, or a value has the wrong type or is out of range.
        """
        known = {f.name for f in fields(self)}
        for name in changes:
            if name not in known:
                raise InputError(f"unknown setting {name!r}; known are {', '.join(sorted(known))}")
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class DeviceConfig(Settings):
    """Where and how the networks run."""

    device: str = setting("auto", "auto (a CUDA GPU where there is one), cpu, cuda or cuda:N.")
    engine: str = setting(
        "auto",
        "What runs the networks; auto is the fastest that gives the same results here.",
        choices=("auto", "torch", "fused", "onnxruntime"),
    )
    precision: str = setting(
        "auto",
        "Numbers that the networks compute with; auto is what the engine is best at.",
        choices=("auto", "fp32", "fp16", "bf16"),
    )


@dataclass(frozen=True)
class ImageConfig(Settings):
    """What is done to an image before keypoints are looked for."""

    resize: int = setting(
        640,
        "Longest side in pixels to which larger images are reduced before extraction; 0 keeps the "
        "size. Keypoints are always in pixels of the image as received.",
        minimum=0,
        maximum=16384,
        live=True,
    )
    max_keypoints: int = setting(
        1024,
        "Most keypoints to keep per image, the most confident first.",
        minimum=1,
        maximum=16384,
        live=True,
    )


@dataclass(frozen=True)
class SiftConfig(ImageConfig):
    """SIFT features by OpenCV, as unit-length RootSIFT descriptors."""


@dataclass(frozen=True)
class DetectionConfig(ImageConfig):
    """Which pixels of SuperPoint's probability map become keypoints."""

    keypoint_threshold: float = setting(
        0.005, "Least detector probability of a keypoint.", minimum=0.0, maximum=1.0, live=True
    )
    nms_radius: int = setting(
        4,
        "Radius in network pixels within which only the strongest keypoint stays.",
        minimum=0,
        maximum=64,
        live=True,
    )
    subpixel: str = setting(
        "auto",
        "on moves keypoints to the centre of mass of the probabilities around them, off gives "
        "whole network pixels, as published weights were made for; auto is on for weights that are "
        "known to gain by it, such as the shipped ones.",
        choices=("auto", "on", "off"),
        live=True,
    )
    mask_border: int = setting(
        0,
        "Pixels along the border of the image where no keypoint is taken.",
        minimum=0,
        maximum=8192,
        live=True,
    )


@dataclass(frozen=True)
class SuperPointConfig(DetectionConfig, DeviceConfig):
    """The SuperPoint extractor (arXiv 1712.07629)."""

    weights: str = setting(
        "superpoint", "Name of shipped weights, or path of a .safetensors or .pth checkpoint."
    )


@dataclass(frozen=True)
class AssignmentConfig(Settings):
    """How SuperGlue's scores become matches."""

    match_threshold: float = setting(
        0.2, "Least assignment probability of a match.", minimum=0.0, maximum=1.0, live=True
    )
    sinkhorn_iterations: int = setting(
        100, "Iterations of the optimal-transport layer.", minimum=1, maximum=1000, live=True
    )


@dataclass(frozen=True)
class SuperGlueConfig(AssignmentConfig, DeviceConfig):
    """The SuperGlue matcher (arXiv 1911.11763)."""

    weights: str = setting(
        "superglue", "Name of shipped weights, or path of a .safetensors or .pth checkpoint."
    )


SIFT_SUPERGLUE = "superglue_sift"
"""The shipped SuperGlue weights that are for SIFT instead of SuperPoint."""


@dataclass(frozen=True)
class NearestConfig(Settings):
    """Mutual nearest neighbours in descriptor space."""

    match_threshold: float = setting(
        0.7, "Least cosine similarity of two matched descriptors.", minimum=-1.0, maximum=1.0
    )


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


@dataclass(frozen=True)
class SyncConfig(Settings):
    """Which messages of several inputs belong together."""

    exact_sync: bool = setting(False, "Pair messages only where their stamps are equal.")
    sync_slop_sec: float = setting(
        0.02,
        "Largest difference in seconds between the stamps of messages that belong together.",
        minimum=0.0,
        maximum=10.0,
    )


@dataclass(frozen=True)
class TransportConfig(SyncConfig):
    """How a node takes its input from topics."""

    qos: str = setting(
        "auto",
        "Reliability of the input subscriptions; auto follows the publisher.",
        choices=("auto", "best_effort", "reliable"),
    )
    sync_queue_size: int = setting(
        10, "Messages of one input kept while the others are awaited.", minimum=1, maximum=1000
    )
    process_every_frame: bool = setting(
        False,
        "Process every frame in order, making the publisher wait, rather than the newest only.",
    )
    input_timeout_sec: float = setting(
        5.0,
        "Seconds without usable input after which the node says why; 0 for never.",
        minimum=0.0,
        maximum=3600.0,
    )


@dataclass(frozen=True)
class NodeConfig(TransportConfig):
    """What every node has."""

    autostart: bool = setting(
        True, "Configure and activate the node when it starts, without a life cycle manager."
    )


@dataclass(frozen=True)
class NetworkNodeConfig(DeviceConfig, NodeConfig):
    """What the nodes with networks have."""

    on_device_error: str = setting(
        "drop_frame",
        "What to do when the device fails, for want of memory say: drop_frame, and from then on "
        "work with half as many keypoints (fewer_keypoints) or on the CPU (cpu).",
        choices=("drop_frame", "fewer_keypoints", "cpu"),
    )


@dataclass(frozen=True)
class ImageTopicConfig(Settings):
    """How images come."""

    image_transport: str = setting(
        "raw",
        "raw: sensor_msgs/Image; compressed: sensor_msgs/CompressedImage at IMAGE/compressed.",
        choices=("raw", "compressed"),
    )


@dataclass(frozen=True)
class CameraConfig(ImageTopicConfig):
    """Image topics and the masks on them."""

    mask_file: str = setting(
        "", "Image file of the camera's size, of the left camera's in stereo: no keypoint where 0."
    )
    right_mask_file: str = setting("", "The same for the right camera.")
    use_mask_topic: bool = setting(
        False,
        "Await an image of the same stamp at mask, or left/mask and right/mask, for every image: "
        "no keypoint where 0.",
    )


@dataclass(frozen=True)
class ModeConfig(Settings):
    """Which images are matched to which."""

    mode: str = setting(
        "sequential",
        "sequential: each frame to the one before; keyframe: to the last keyframe; template: to "
        "stored reference images; stereo: left to right of one moment.",
        choices=("sequential", "keyframe", "template", "stereo"),
    )


@dataclass(frozen=True)
class MatchingConfig(ModeConfig, KeyframeConfig):
    """How images are matched and what is published of it."""

    template_folder: str = setting(
        "", "Folder of the reference images for mode template; more can be set by service."
    )
    superpoint_weights: str = setting(
        "superpoint", "Weights of the SuperPoint that reference images are extracted with."
    )
    publish_assignment_matrix: bool = setting(
        False, "Publish the assignment probabilities with the dustbins, 4 MiB a pair at 1024."
    )


@dataclass(frozen=True)
class CalibrationConfig(Settings):
    """What camera_info holds for."""

    rectified: bool = setting(
        False,
        "The images come rectified, so that P of camera_info holds for them; else K, D, R and P.",
    )


@dataclass(frozen=True)
class SuperPointNodeConfig(CameraConfig, SuperPointConfig, NetworkNodeConfig):
    """The superpoint_node."""

    mode: str = setting(
        "mono",
        "mono: image to features; stereo: left/image and right/image to left/features and "
        "right/features, a pair as one batch.",
        choices=("mono", "stereo"),
    )
    publish_descriptors: bool = setting(
        True, "Put the descriptors into the Features messages; the matcher needs them."
    )


@dataclass(frozen=True)
class MatchingNodeConfig(MatchingConfig, NetworkNodeConfig):
    """What the nodes that match have."""


@dataclass(frozen=True)
class SuperGlueNodeConfig(MatchingNodeConfig, SuperGlueConfig):
    """The superglue_node."""


@dataclass(frozen=True)
class PipelineNodeConfig(MatchingNodeConfig, CameraConfig, DetectionConfig, AssignmentConfig):
    """The pipeline_node."""

    superpoint_weights: str = setting(
        "superpoint", "Name of shipped SuperPoint weights, or path of a checkpoint."
    )
    superglue_weights: str = setting(
        "superglue", "Name of shipped SuperGlue weights, or path of a checkpoint."
    )


@dataclass(frozen=True)
class GeometryNodeConfig(
    ModeConfig, CalibrationConfig, GeometryConfig, StereoConfig, TrackConfig, NodeConfig
):
    """The geometry_node."""


@dataclass(frozen=True)
class OdometryNodeConfig(CalibrationConfig, OdometryConfig, NodeConfig):
    """The visual_odometry_node."""

    mode: str = setting(
        "mono",
        "mono: tracks of one camera, the scale unknown; stereo: with points, in metres.",
        choices=("mono", "stereo"),
    )
    odom_frame: str = setting(
        "odom", "Frame of the poses: the camera's at the start, turned to x forward and z up."
    )


@dataclass(frozen=True)
class MatchVisualizerNodeConfig(DrawingConfig, ImageTopicConfig, NodeConfig):
    """The match_visualizer_node."""

    mode: str = setting(
        "mono",
        "mono: both images of a pair come on image; stereo: on left/image and right/image.",
        choices=("mono", "stereo"),
    )
    rerun: str = setting(
        "",
        "Where to show all in Rerun as well: a file to write that ends in .rrd, viewer to start "
        "one here, or the address of one, rerun+http://HOST:9876/proxy.",
    )
    sync_queue_size: int = setting(
        60,
        "Images kept until their matches come, and matches kept until their images come.",
        minimum=2,
        maximum=1000,
    )
