"""The networks and the layers around them as pure torch modules: tensors in, tensors out."""

from superglue_ros.networks.keypoints import (
    non_maximum_suppression,
    sample_descriptors,
    select_fixed,
    select_keypoints,
    stay_within,
    without_slopes,
)
from superglue_ros.networks.optimal_transport import (
    log_optimal_transport,
    mutual_matches,
    optimal_transport,
)
from superglue_ros.networks.superglue import SuperGlue
from superglue_ros.networks.superpoint import SuperPoint, detector_probabilities

__all__ = [
    "SuperGlue",
    "SuperPoint",
    "detector_probabilities",
    "log_optimal_transport",
    "mutual_matches",
    "non_maximum_suppression",
    "optimal_transport",
    "sample_descriptors",
    "select_fixed",
    "select_keypoints",
    "stay_within",
    "without_slopes",
]
