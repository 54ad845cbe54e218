"""Calibrated cameras, and what matches tell of two views, of points in space and of motion.

`stereo` makes points in space of matches, `odometry` poses of tracks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from superglue_ros.geometry.cameras import Camera, Matrix, Points
from superglue_ros.geometry.two_view_geometry import Case, Flags, Scale, TwoViewGeometry

if TYPE_CHECKING:
    from superglue_ros.geometry.two_view_estimation import estimate_two_view_geometry

__all__ = [
    "Camera",
    "Case",
    "Flags",
    "Matrix",
    "Points",
    "Scale",
    "TwoViewGeometry",
    "estimate_two_view_geometry",
]


def __getattr__(name: str) -> Any:
    """Import only what is asked for: messages and pictures of a geometry do without PoseLib."""
    if name != "estimate_two_view_geometry":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from superglue_ros.geometry.two_view_estimation import estimate_two_view_geometry

    return estimate_two_view_geometry
