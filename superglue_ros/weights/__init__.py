"""The shipped weights, what is known of them, and the loading of any checkpoint."""

from superglue_ros.weights.loading import LoadedNetwork, load_superglue, load_superpoint
from superglue_ros.weights.registry import SHIPPED, ShippedWeights

__all__ = ["SHIPPED", "LoadedNetwork", "ShippedWeights", "load_superglue", "load_superpoint"]
