"""Every setting of the extractors, matchers and nodes: default, range and description, once.

The ROS parameter descriptors, the command line flags and the README's tables are made from these
dataclasses.
"""

from superglue_ros.config.drawing import DrawingConfig
from superglue_ros.config.geometry import (
    EpipolarConfig,
    GeometryConfig,
    KeyframeConfig,
    OdometryConfig,
    StereoConfig,
    TrackConfig,
)
from superglue_ros.config.inference import (
    SIFT_SUPERGLUE,
    AssignmentConfig,
    DetectionConfig,
    DeviceConfig,
    ImageConfig,
    NearestConfig,
    RotationConfig,
    SiftConfig,
    SuperGlueConfig,
    SuperPointConfig,
)
from superglue_ros.config.nodes import (
    CalibrationConfig,
    CameraConfig,
    GeometryNodeConfig,
    ImageTopicConfig,
    JoiningConfig,
    MatchingConfig,
    MatchingNodeConfig,
    MatchVisualizerNodeConfig,
    ModeConfig,
    NetworkNodeConfig,
    NodeConfig,
    OdometryNodeConfig,
    PipelineNodeConfig,
    SuperGlueNodeConfig,
    SuperPointNodeConfig,
    SyncConfig,
    TransportConfig,
)
from superglue_ros.config.settings import Setting, Settings, Value, setting

__all__ = [
    "SIFT_SUPERGLUE",
    "AssignmentConfig",
    "CalibrationConfig",
    "CameraConfig",
    "DetectionConfig",
    "DeviceConfig",
    "DrawingConfig",
    "EpipolarConfig",
    "GeometryConfig",
    "GeometryNodeConfig",
    "ImageConfig",
    "ImageTopicConfig",
    "JoiningConfig",
    "KeyframeConfig",
    "MatchVisualizerNodeConfig",
    "MatchingConfig",
    "MatchingNodeConfig",
    "ModeConfig",
    "NearestConfig",
    "NetworkNodeConfig",
    "NodeConfig",
    "OdometryConfig",
    "OdometryNodeConfig",
    "PipelineNodeConfig",
    "RotationConfig",
    "Setting",
    "Settings",
    "SiftConfig",
    "StereoConfig",
    "SuperGlueConfig",
    "SuperGlueNodeConfig",
    "SuperPointConfig",
    "SuperPointNodeConfig",
    "SyncConfig",
    "TrackConfig",
    "TransportConfig",
    "Value",
    "setting",
]
