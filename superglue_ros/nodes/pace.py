"""Whether one of several inputs falls far behind the others: its messages get lost on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from superglue_ros.errors import InputError
from superglue_ros.installation import shared_file
from superglue_ros.nodes.distributions import is_fast_dds, profile_variable
from superglue_ros.nodes.inputs import TopicInput
from superglue_ros.nodes.shared_memory import PROFILE

WINDOW = 10
"""Looks, one a second, over which messages are counted."""

LEAST_MESSAGES = 10
LEAST_SHARE = 0.7
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
        if most < LEAST_MESSAGES or fewest >= LEAST_SHARE * most:
            return ""
        behind = self._inputs[came.index(fewest)]
        ahead = self._inputs[came.index(most)]
        return (
            f"{behind.topic} has brought {fewest} messages while {ahead.topic} brought {most}, the "
            f"rest has no partner: {self._cause()}"
        )

    def _cause(self) -> str:
        together = sum(one.message_bytes for one in self._inputs)
        if not is_fast_dds() or together <= DEFAULT_SEGMENT_BYTES:
            return "is its publisher slower, or does the network lose messages?"
        return (
            f"sent together they have {together // 1000} kB, and the shared memory of Fast DDS "
            f"takes 512 KiB unless told otherwise: start the cameras with {profile_setting()}"
        )


def profile_setting() -> str:
    """The setting that gives a process enough shared memory, as a shell takes it."""
    try:
        path = str(shared_file(PROFILE))
    except InputError:  # an installation of the Python package alone
        path = f"superglue_ros's {PROFILE}"
    return f"{profile_variable()}={path}"
