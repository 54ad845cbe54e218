"""Whether messages get lost on the way: an input falls behind another, or stamps are missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from superglue_ros.errors import InputError
from superglue_ros.installation import shared_file
from superglue_ros.nodes.distributions import is_fast_dds, profile_variable
from superglue_ros.nodes.inputs import TopicInput
from superglue_ros.nodes.shared_memory import PROFILE

WINDOW = 10
"""Looks, one a second, over which messages are counted."""

LEAST_MESSAGES = 10
LEAST_SHARE = 0.7
_STEADY, _STEADY_SHARE = 0.2, 0.8
DEFAULT_SEGMENT_BYTES = 512 << 10
"""Of the shared memory that Fast DDS takes by itself."""


class Pace:
    """Compares how many messages the inputs of a frame bring.

    Args:
        inputs: The inputs of which one message each makes a frame.
    """

    def __init__(self, inputs: Sequence[TopicInput]) -> None:
        """Start to count."""
        self._inputs = inputs
        self._looks: deque[list[int]] = deque(maxlen=WINDOW + 1)

    def problem(self) -> str:
        """What one input far behind another one means, empty where there is none; once a second."""
        self._looks.append([one.received for one in self._inputs])
        oldest, newest = self._looks[0], self._looks[-1]
        came = [now - before for before, now in zip(oldest, newest, strict=True)]
        fewest, most = min(came), max(came)
        if most < LEAST_MESSAGES:
            return ""
        if fewest >= LEAST_SHARE * most:
            return "; ".join(filter(None, map(self._gaps, self._inputs)))
        behind = self._inputs[came.index(fewest)]
        ahead = self._inputs[came.index(most)]
        return (
            f"{behind.topic} has brought {fewest} messages while {ahead.topic} brought {most}, the "
            f"rest has no partner: {self._cause()}"
        )

    def _gaps(self, one: TopicInput) -> str:
        """That images so large that Fast DDS may lose them have gaps between their stamps."""
        if not self._is_too_large:
            return ""
        came, sent = len(one.stamps), frames_by_stamps(one.stamps)
        if came >= LEAST_SHARE * sent:
            return ""
        return f"by their stamps {sent - came} of {sent} images on {one.topic} got lost: " + (
            self._cause()
        )

    @property
    def _is_too_large(self) -> bool:
        together = sum(one.message_bytes for one in self._inputs)
        return is_fast_dds() and together > DEFAULT_SEGMENT_BYTES

    def _cause(self) -> str:
        if not self._is_too_large:
            return "is its publisher slower, or does the network lose messages?"
        together = sum(one.message_bytes for one in self._inputs)
        what = "sent together they have" if len(self._inputs) > 1 else "each has"
        return (
            f"{what} {together // 1000} kB, and the shared memory of Fast DDS "
            f"takes 512 KiB unless told otherwise: start the cameras with {profile_setting()}"
        )


def frames_by_stamps(stamps: Sequence[int]) -> int:
    """How many frames a steady camera has taken from the first to the last of its stamps.

    Args:
        stamps: Nanoseconds, in the order of arrival.

    Returns:
        The number of stamps where they are few, or where no steady rate is to be seen.
    """
    gaps = np.diff(np.asarray(stamps, np.float64))
    if len(gaps) < LEAST_MESSAGES or (gaps <= 0).any():
        return len(stamps)
    period = np.percentile(gaps, 10)
    steps = gaps / period
    is_steady = np.mean(np.abs(steps - np.rint(steps)) < _STEADY) > _STEADY_SHARE
    return int(np.rint(steps).sum()) + 1 if is_steady else len(stamps)


def profile_setting() -> str:
    """The setting that gives a process enough shared memory, as a shell takes it."""
    try:
        path = str(shared_file(PROFILE))
    except InputError:  # an installation of the Python package alone
        path = f"superglue_ros's {PROFILE}"
    return f"{profile_variable()}={path}"
