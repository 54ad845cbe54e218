"""The shipped weights and what is known of them; `weights.loading` loads these and others."""

from superglue_ros.weights.registry import SHIPPED, ShippedWeights

__all__ = ["SHIPPED", "ShippedWeights"]
