"""The door that every message of an input passes: what is refused there, and what is noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from superglue_ros.drops import Drop
from superglue_ros.nodes.concerns import Concerns
from superglue_ros.nodes.inputs import TopicInput
from superglue_ros.nodes.tally import Tally
from superglue_ros.synchroniser import NANOSECONDS, stamp_nanoseconds

SEVERAL_STAMPS = 3
"""Equal stamps in a row, of different messages, that are no accident."""


class Arrivals:
    """Looks at the messages of one topic as they come.

    Args:
        topic: Full name of the topic.
        tally: Where the refused are counted.
        concerns: Where is noted what is let through, though it looks wrong.
        warn: Called with a line on a message that cannot be used.

    Attributes:
        refused: Messages that were refused, by the name of their count.
    """

    def __init__(
        self, topic: str, tally: Tally, concerns: Concerns, warn: Callable[[str], None]
    ) -> None:
        """Start before the first."""
        self.refused: Counter[str] = Counter()
        self._topic = topic
        self._tally = tally
        self._concerns = concerns
        self._warn = warn
        self._previous: Any = None
        self._repeats = 0

    def let_through(self, message: Any, *, enabled: bool) -> bool:
        """Whether a message is to be used; if not, it is counted and told."""
        drop = self._refusal(message) if enabled else Drop.DISABLED
        if drop is not None:
            self.refuse(drop)
        return drop is None

    def refuse(self, drop: Drop) -> None:
        """Count a message that is not used."""
        self.refused[drop.count_name] += 1
        self._tally.drop(drop)

    def _refusal(self, message: Any) -> Drop | None:
        stamp = message.header.stamp
        if stamp.sec < 0 or stamp.nanosec >= NANOSECONDS:
            self._warn(
                f"{self._topic}: impossible stamp, {stamp.sec} s and {stamp.nanosec} ns: "
                "what does its publisher put into header.stamp?"
            )
            return Drop.IMPOSSIBLE_STAMP
        previous, self._previous = self._previous, message
        if previous is None:
            return None
        self._compare_frames(previous.header.frame_id, message.header.frame_id)
        if previous.header.stamp != stamp:
            self._repeats = 0
            self._compare_order(previous, message)
            return None
        if previous == message:
            self._concerns.note(
                "message that came twice",
                f"{self._topic} brings the same message again, stamp {_seconds(message)}: is there "
                "a second publisher, a relay, or a driver that sends its last image over and over?",
            )
            return Drop.DUPLICATE
        self._repeats += 1
        self._concerns.note(
            "repeated stamp", f"{self._topic} brings different messages of {self._stamp_text()}"
        )
        return None

    def _stamp_text(self) -> str:
        last = self._previous
        if self._repeats >= SEVERAL_STAMPS:
            return (
                f"one stamp, {_seconds(last)}, {self._repeats + 1} in a row: stamps tell nothing "
                "here; have the driver set header.stamp"
            )
        return f"one stamp, {_seconds(last)}: does the driver stamp each image, or are there two?"

    def _compare_order(self, before: Any, now: Any) -> None:
        if stamp_nanoseconds(now) < stamp_nanoseconds(before):
            self._concerns.note(
                "stamp that goes back",
                f"{self._topic} brings stamp {_seconds(now)} after {_seconds(before)}: late "
                "messages, two publishers, or a clock that was set or a bag that began anew",
            )

    def _compare_frames(self, before: str, now: str) -> None:
        if before != now:
            self._concerns.note(
                "changed frame_id",
                f"{self._topic} brings frame_id {now!r} after {before!r}: two cameras on one "
                "topic? Give each a namespace or a remapping of its own",
            )


def note_several_publishers(one: TopicInput, concerns: Concerns) -> None:
    """Take note where a topic has more than one publisher."""
    if len(one.publishers) > 1 and not one.shared:
        names = ", ".join(sorted(one.publishers))
        concerns.note(
            f"several publishers on {one.topic}",
            f"{one.topic} has {len(one.publishers)} publishers ({names}): their messages mix; give "
            "each a namespace or a remapping of its own",
            number=0,
        )


def _seconds(message: Any) -> str:
    return f"{stamp_nanoseconds(message) / NANOSECONDS:.9g} s"
