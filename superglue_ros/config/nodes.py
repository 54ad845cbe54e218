"""Settings of the nodes."""

from __future__ import annotations

from dataclasses import dataclass

from superglue_ros.config.drawing import DrawingConfig
from superglue_ros.config.geometry import (
    GeometryConfig,
    KeyframeConfig,
    OdometryConfig,
    StereoConfig,
    TrackConfig,
)
from superglue_ros.config.inference import (
    AssignmentConfig,
    DetectionConfig,
    DeviceConfig,
    ExtractorChoiceConfig,
    IntensityConfig,
    MatcherChoiceConfig,
    RotationConfig,
    SuperGlueConfig,
    SuperPointConfig,
)
from superglue_ros.config.settings import Settings, setting


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
    sync_by: str = setting(
        "stamp",
        "What tells which messages belong together: stamp, or when they came or were recorded "
        "(arrival), for drivers that do not stamp. By stamp, a message is dropped whose stamp is 0 "
        "or that of another one of its topic.",
        choices=("stamp", "arrival"),
    )


@dataclass(frozen=True)
class JoiningConfig(SyncConfig):
    """How a node joins the messages of several inputs."""

    sync_queue_size: int = setting(
        10, "Messages of one input kept while the others are awaited.", minimum=1, maximum=1000
    )


@dataclass(frozen=True)
class TransportConfig(Settings):
    """How a node takes its input from topics."""

    qos: str = setting(
        "auto",
        "Reliability of the input subscriptions; auto follows the publisher.",
        choices=("auto", "best_effort", "reliable"),
    )
    process_every_frame: bool = setting(
        False,
        "Process every frame in order rather than the newest only; what comes meanwhile waits in "
        "the middleware's queue, which takes memory.",
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
class NetworkNodeConfig(DeviceConfig, JoiningConfig, NodeConfig):
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
class CameraConfig(ImageTopicConfig, IntensityConfig):
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
class MatchingConfig(ModeConfig, KeyframeConfig, RotationConfig):
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
class SuperPointNodeConfig(
    CameraConfig, ExtractorChoiceConfig, SuperPointConfig, NetworkNodeConfig
):
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
    publish_patches: bool = setting(
        True,
        "Put the grey patches into the Features messages, 0.3 MB at 1024 keypoints; the matcher "
        "needs them to refine matches.",
    )


@dataclass(frozen=True)
class MatchingNodeConfig(MatchingConfig, MatcherChoiceConfig, NetworkNodeConfig):
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
class OdometryNodeConfig(CalibrationConfig, OdometryConfig, JoiningConfig, NodeConfig):
    """The visual_odometry_node."""

    mode: str = setting(
        "mono",
        "mono: tracks of one camera, the scale unknown; stereo: with points, in metres.",
        choices=("mono", "stereo"),
    )
    odom_frame: str = setting(
        "odom",
        "Frame of the poses: that of base_frame at the start, or the camera's, turned to x forward "
        "and z up.",
    )
    base_frame: str = setting(
        "",
        "Frame of the robot whose poses are told, base_link say; /tf_static must lead from there "
        "to the camera's. Empty: the camera's frame.",
    )
    publish_tf: bool = setting(
        False,
        "Also publish the poses as transforms from odom_frame on /tf, where ROS has tf2_msgs; with "
        "a camera on a robot set base_frame, as no frame may have two parents.",
    )


@dataclass(frozen=True)
class MatchVisualizerNodeConfig(DrawingConfig, ImageTopicConfig, NodeConfig):
    """The match_visualizer_node."""

    mode: str = setting(
        "mono",
        "mono: both images of a pair come on image; stereo: on left/image and right/image.",
        choices=("mono", "stereo"),
    )
    upright_frame: str = setting(
        "camera_upright",
        "Frame to view points in, which is told on /tf_static: that of the camera turned to x "
        "forward and z up, a child of its optical frame; empty for none.",
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
