"""Pictures of matches: both images, what joins them, and what has been counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superglue_ros.config import DrawingConfig
from superglue_ros.drawing.caption import Caption, Entry
from superglue_ros.drawing.colours import (
    INLIER,
    NEUTRAL,
    OUTLIER,
    Flags,
    MatchColours,
    keypoint_colours,
    match_colours,
)
from superglue_ros.drawing.layouts import BgrImage, Canvas, Image, arrange
from superglue_ros.drawing.marks import FEWEST_LINES, Pen
from superglue_ros.drawing.tails import Tails, split
from superglue_ros.errors import InputError
from superglue_ros.features import Features, FloatArray, Matches

_MATCHED_RADIUS = 2.2
_OUTLIER_RADIUS = 3.2
_UNMATCHED_RADIUS = 1.2
_SOME_LINES = "lines of the 0 most certain"


def draw_matches(
    image0: Image | None,
    image1: Image,
    features0: Features,
    features1: Features,
    matches: Matches,
    config: DrawingConfig | None = None,
    *,
    inliers: Flags | None = None,
    tails: Tails | None = None,
    notes: Sequence[str] = (),
) -> BgrImage:
    """Draw two images with their keypoints and matches.

    Side by side or stacked, a match is a line from image to image; in layout overlay it is a line
    on image 1, from where the point was in image 0 to where it is. Colours say how confident a
    match is (dark blue 0, yellow 1, the most confident on top) or whether it is an inlier (blue
    dots) or an outlier (red crosses). Keypoints without a match are small grey dots. Where the
    lines of all matches would hide the images, the most certain have theirs. A caption below the
    images holds the counts and what the marks mean. Nothing found gives the images and the caption.

    Args:
        image0: (H0, W0) grey or (H0, W0, 3) BGR; the left, the upper, or the one that is overlaid.
            None where there is none to show: image 1 then stands alone.
        image1: (H1, W1) grey or (H1, W1, 3) BGR.
        features0: The keypoints in pixels of image 0; descriptors are not needed.
        features1: The keypoints in pixels of image 1.
        matches: The matches of the two.
        config: Layout, colours and size; the defaults where None.
        inliers: (K,) bool, which of `matches.pairs` agree with the geometry. None where that is not
            known: colours then are by confidence, whatever the settings.
        tails: The tracks of image 1, drawn on it.
        notes: What the caption says beside the counts.

    Returns:
        (H, W, 3) uint8 BGR: the images at their size with 4 pixels between them, or reduced to the
        `max_picture_size`, from the top left corner on, and below them the caption where the
        picture is large enough for it.

    Raises:
        InputError: An image is of another kind, or the matches are of other features.
    """
    config = config or DrawingConfig()
    _check(features0, features1, matches, inliers, tails)
    features1 = matches.refined(features1)
    by_inlier = config.colour == "inlier" and inliers is not None
    colours = match_colours(matches.confidences, inliers if by_inlier else None)
    has_lines = image0 is not None and not (config.layout == "overlay" and tails is not None)
    entries = [
        *(Entry(text) for text in (*_counts(features0, features1, matches, tails), *notes)),
        *_key(colours, by_inlier=by_inlier, is_overlay=has_lines and config.layout == "overlay"),
        *([] if tails is None else [Entry("where tracks were", "line", NEUTRAL)]),
    ]
    with_room = [*entries, Entry(_SOME_LINES)] if len(matches) > FEWEST_LINES else entries
    canvas = arrange(image0, image1, config, Caption(with_room).height)
    points0 = canvas.place0.carry(features0.keypoints, features0.image_size)
    points1 = canvas.place1.carry(features1.keypoints, features1.image_size)
    pen = Pen(canvas.images)
    if not canvas.alone:
        _draw_unmatched(pen, points0[matches.matches0 < 0])
    _draw_unmatched(pen, points1[matches.matches1 < 0])
    if tails is not None:
        _draw_tails(pen, tails, canvas, features1, matches, colours)
    shown = _draw_matches(pen, points0, points1, matches, colours, canvas, has_lines=has_lines)
    if has_lines and shown < len(matches):
        entries.append(Entry(_SOME_LINES.replace("0", str(shown))))
    Caption(entries).draw(canvas.picture[len(canvas.images) :])
    return canvas.picture


def _check(
    features0: Features,
    features1: Features,
    matches: Matches,
    inliers: Flags | None,
    tails: Tails | None,
) -> None:
    if (len(matches.matches0), len(matches.matches1)) != (len(features0), len(features1)):
        raise InputError(
            f"the matches are of {len(matches.matches0)} and {len(matches.matches1)} keypoints, "
            f"but {len(features0)} and {len(features1)} were given"
        )
    if inliers is not None and len(inliers) != len(matches):
        raise InputError(f"there are {len(matches)} matches, but {len(inliers)} inlier flags")
    if tails is not None and len(tails) and tails.keypoints.max() >= len(features1):
        last = tails.keypoints.max()
        raise InputError(f"a track is keypoint {last} of {len(features1)}: of other matches?")


def _draw_unmatched(pen: Pen, points: FloatArray) -> None:
    neutral = np.full((len(points), 3), NEUTRAL, np.uint8)
    pen.dots(points, neutral, radius=_UNMATCHED_RADIUS, rim=False)


def _draw_tails(
    pen: Pen,
    tails: Tails,
    canvas: Canvas,
    features1: Features,
    matches: Matches,
    colours: MatchColours,
) -> None:
    """Each tail in the colour of its keypoint's match."""
    of_keypoint = keypoint_colours(len(features1), matches.pairs[:, 1], colours.colours)
    points = canvas.place1.carry(tails.points, features1.image_size)
    pen.tails(split(points, tails.lengths), of_keypoint[tails.keypoints])


def _draw_matches(
    pen: Pen,
    points0: FloatArray,
    points1: FloatArray,
    matches: Matches,
    colours: MatchColours,
    canvas: Canvas,
    *,
    has_lines: bool,
) -> int:
    """Draw the matches; returns how many of them have their line."""
    index0, index1 = matches.pairs[colours.order].T
    shown = 0
    shades, outliers = colours.colours[colours.order], colours.outliers[colours.order]
    if has_lines:
        certainty = matches.confidences[colours.order]
        shown = pen.lines(points0[index0], points1[index1], shades, certainty)
    ends = [points1[index1]] if canvas.alone else [points0[index0], points1[index1]]
    for points in ends:
        pen.crosses(points[outliers], shades[outliers], radius=_OUTLIER_RADIUS)
        pen.dots(points[~outliers], shades[~outliers], radius=_MATCHED_RADIUS, rim=True)
    return shown


def _key(colours: MatchColours, *, by_inlier: bool, is_overlay: bool) -> list[Entry]:
    """What the marks mean."""
    out = int(np.count_nonzero(colours.outliers))
    inside = len(colours.outliers) - out
    kinds = (
        [Entry(f"inliers {inside}", "dot", INLIER), Entry(f"outliers {out}", "cross", OUTLIER)]
        if by_inlier
        else [Entry("confidence 0..1", "confidences")]
    )
    line = [Entry("dot now, line from before")] if is_overlay else []
    return [*kinds, Entry("no match", "dot", NEUTRAL), *line]


def _counts(
    features0: Features, features1: Features, matches: Matches, tails: Tails | None
) -> list[str]:
    mean = f"{matches.confidences.mean():.2f}" if len(matches) else "-"
    return [
        f"keypoints {len(features0)} / {len(features1)}",
        f"matches {len(matches)}",
        f"mean confidence {mean}",
        *([] if tails is None else [f"tracks {len(tails)}"]),
    ]
