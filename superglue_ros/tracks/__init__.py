"""Keypoints followed over a sequence of matches; `motion` makes rays and velocities of them."""

from superglue_ros.tracks.table import TrackTable
from superglue_ros.tracks.tracker import Ids, Tracker, Tracks

__all__ = ["Ids", "TrackTable", "Tracker", "Tracks"]
