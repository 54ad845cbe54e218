"""Which earlier image each new image of a sequence is matched to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from superglue_ros.config import KeyframeConfig
from superglue_ros.features import Features, Matches

if TYPE_CHECKING:  # PyTorch takes seconds to import, and nothing here needs it
    from superglue_ros.inference.tensors import FeatureTensors

Origin = TypeVar("Origin")

RESET_SEC = 1.0
"""A stamp that is this much older than the last one means that time was set back."""


@dataclass(frozen=True, eq=False)
class View(Generic[Origin]):
    """The features of one image and when it was taken.

    Attributes:
        tensors: The features, on whatever device, which may be computing them still.
        stamp_sec: Time of the image in seconds.
        origin: What the caller wants back with it, a message header say.
    """

    tensors: FeatureTensors
    stamp_sec: float
    origin: Origin

    @property
    def features(self) -> Features:
        """Keypoints and confidences in the host's memory, without the rest, once computed."""
        return self.tensors.on_host

    def refined(self, matches: Matches) -> Features:
        """`features` with the keypoints where matches to this view, as image 1, have them."""
        return matches.refined(self.features)


class Partners(Protocol[Origin]):
    """Chooses the partners of each new view."""

    def of(self, view: View[Origin]) -> list[View[Origin]]:
        """The views that `view`, the next one of the sequence, is to be matched to."""

    def matched(self, partner: View[Origin], view: View[Origin], matches: Matches) -> None:
        """Take note of the matches from a partner (image 0) to a view (image 1)."""

    def remembered(self) -> list[View[Origin]]:
        """The views that, given to `of` again in this order, lead to the same state."""


class PreviousFrame(Generic[Origin]):
    """Each frame is matched to the one before it."""

    def __init__(self) -> None:
        """Start without a frame."""
        self._previous: View[Origin] | None = None

    def of(self, view: View[Origin]) -> list[View[Origin]]:
        """The frame before; none for the first, and after time was set back."""
        previous, self._previous = self._previous, view
        return [] if previous is None or _set_back(previous, view) else [previous]

    def matched(self, partner: View[Origin], view: View[Origin], matches: Matches) -> None:
        """Nothing to note."""

    def remembered(self) -> list[View[Origin]]:
        """The frame before."""
        return [] if self._previous is None else [self._previous]


class Keyframe(Generic[Origin]):
    """Each frame is matched to the last keyframe.

    Args:
        config: When the keyframe is renewed; replaced, it takes effect with the next frame.
    """

    def __init__(self, config: KeyframeConfig) -> None:
        """Start without a keyframe."""
        self.config = config
        self._keyframe: View[Origin] | None = None
        self._newest: View[Origin] | None = None

    def of(self, view: View[Origin]) -> list[View[Origin]]:
        """The keyframe; none where this view becomes it."""
        newest, self._newest = self._newest, view
        if self._keyframe is None or newest is None or _set_back(newest, view):
            self._keyframe = view
            return []
        return [self._keyframe]

    def matched(self, partner: View[Origin], view: View[Origin], matches: Matches) -> None:
        """Make the view the keyframe where it has moved too far from the one it has."""
        config = self.config
        share = len(matches) / max(1, len(partner.features))
        age_sec = view.stamp_sec - partner.stamp_sec
        if (
            share < config.keyframe_min_match_share
            or 0 < config.keyframe_max_motion_px < _median_motion(partner, view, matches)
            or 0 < config.keyframe_max_age_sec <= age_sec
        ):
            self._keyframe = view

    def remembered(self) -> list[View[Origin]]:
        """The keyframe, and the newest frame where it is another."""
        views = [self._keyframe, self._newest]
        if self._keyframe is None or self._newest is self._keyframe:
            views = views[:1]
        return [view for view in views if view is not None]

    def renew(self) -> None:
        """Make the next frame the keyframe."""
        self._keyframe = None


class Templates(Generic[Origin]):
    """Each frame is matched to every stored reference image."""

    def __init__(self) -> None:
        """Start without reference images."""
        self._views: list[View[Origin]] = []

    def __len__(self) -> int:
        """The number of reference images."""
        return len(self._views)

    def add(self, view: View[Origin]) -> None:
        """Store a reference image."""
        self._views = [*self._views, view]

    def clear(self) -> None:
        """Forget all reference images."""
        self._views = []

    def of(self, view: View[Origin]) -> list[View[Origin]]:
        """Every reference image."""
        return self._views

    def matched(self, partner: View[Origin], view: View[Origin], matches: Matches) -> None:
        """Nothing to note."""

    def remembered(self) -> list[View[Origin]]:
        """Nothing: reference images are added, not given to `of`."""
        return []


def _set_back(previous: View[Origin], view: View[Origin]) -> bool:
    return view.stamp_sec < previous.stamp_sec - RESET_SEC


def _median_motion(partner: View[Origin], view: View[Origin], matches: Matches) -> float:
    """Median distance in pixels between the two ends of a match, 0 where there is none."""
    ends0, ends1 = matches.points(partner.features, view.features)
    if not len(ends0):
        return 0.0
    return float(np.median(np.linalg.norm(ends1 - ends0, axis=1)))
