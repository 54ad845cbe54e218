"""Pictures of matches, for files, topics and videos alike."""

from superglue_ros.drawing.colours import confidence_colours
from superglue_ros.drawing.layouts import BgrImage, Image
from superglue_ros.drawing.pictures import draw_matches
from superglue_ros.drawing.tails import Tails, TrackTails

__all__ = ["BgrImage", "Image", "Tails", "TrackTails", "confidence_colours", "draw_matches"]
