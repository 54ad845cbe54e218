"""The inputs of a node, of which one message each makes a frame."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node

from superglue_ros.config import JoiningConfig, TransportConfig
from superglue_ros.drops import Drop
from superglue_ros.joining import REMEDY, Joining
from superglue_ros.nodes.arrivals import Arrivals, note_several_publishers
from superglue_ros.nodes.concerns import Concerns
from superglue_ros.nodes.inputs import Stream, TopicInput
from superglue_ros.nodes.pace import Pace
from superglue_ros.nodes.tally import Tally
from superglue_ros.synchroniser import synchronisers

SideStream = tuple[Stream, Callable[[Any], None]]
"""A topic and what takes its messages."""


class FrameInputs:
    """Subscribes to the topics of a node and joins their messages to frames.

    Args:
        node: The node that subscribes.
        streams: The topics.
        config: How to subscribe and, by the settings of JoiningConfig that it holds, to join.
        tally: Where messages are counted that make no frame.
        concerns: Where is noted what looks wrong with those that come.
        on_frame: Called with one message of each topic.
        side_streams: Topics that make no frames, and what is called with their messages.
        warn: Called with a line on each message that cannot be used.

    Attributes:
        enabled: Whether messages are taken; else they are dropped and counted.
    """

    def __init__(
        self,
        node: Node,
        streams: Sequence[Stream],
        config: TransportConfig,
        tally: Tally,
        concerns: Concerns,
        on_frame: Callable[..., None],
        side_streams: Sequence[SideStream],
        warn: Callable[[str], None],
    ) -> None:
        """Subscribe."""
        self.enabled = True
        self._tally = tally
        self._concerns = concerns
        self._warn = warn
        self._joining: Joining | None = None
        handlers = [on_frame]
        sync = config.part(JoiningConfig)
        if len(streams) > 1:
            library = synchronisers()
            node.get_logger().info(f"joining {len(streams)} inputs by {library.library}")
            queue_size = None if config.process_every_frame else sync.sync_queue_size
            self._joining = Joining(
                library, sync, queue_size, len(streams), on_frame, self._on_set_back
            )
            handlers = [functools.partial(self._join, i) for i in range(len(streams))]
        self._arrivals = [
            Arrivals(stream.full_name(node), tally, concerns, warn) for stream in streams
        ]
        subscribe = functools.partial(TopicInput, node, config, sync.sync_queue_size)
        self._inputs = [
            subscribe(stream, functools.partial(self._take, handler, index))
            for index, (stream, handler) in enumerate(zip(streams, handlers, strict=True))
        ]
        self._pace = Pace(self._inputs)
        self._side_inputs = [subscribe(stream, handler) for stream, handler in side_streams]

    @property
    def topics(self) -> list[str]:
        """Full names of the topics."""
        return [one.topic for one in self._all_inputs]

    def look(self) -> None:
        """Follow the publishers, and note what is wrong with them; to be called once a second."""
        for one in self._all_inputs:
            one.follow_publishers()
            note_several_publishers(one, self._concerns)
        behind = self._pace.problem()
        if behind:
            self._concerns.note("input far behind another", behind, number=0)

    def counts(self) -> Counter[str]:
        """Messages received, left without a partner, and waiting for one."""
        counts = Counter({"received": sum(one.received for one in self._inputs)})
        for index in range(len(self._inputs)):
            counts += self._joined_counts(index)
        del counts["paired"]
        return counts

    def facts(self) -> dict[str, str]:
        """For each topic when the last message came and what became of them."""
        facts = {}
        for one in self._all_inputs:
            age_sec = one.silence_sec
            facts[f"{one.topic} last arrival [s ago]"] = (
                "never" if age_sec is None else f"{age_sec:.1f}"
            )
        for topic, counts in self.counts_by_topic().items():
            facts |= {f"{topic} {what}": str(number) for what, number in counts.items()}
        return facts

    def counts_by_topic(self) -> dict[str, Counter[str]]:
        """For each topic, where there are several, what became of its messages before they met."""
        if len(self._all_inputs) == 1:
            return {}
        counts = {
            one.topic: Counter(received=one.received) + seen.refused + self._joined_counts(index)
            for index, (one, seen) in enumerate(zip(self._inputs, self._arrivals, strict=True))
        }
        return counts | {one.topic: Counter(received=one.received) for one in self._side_inputs}

    @property
    def _all_inputs(self) -> list[TopicInput]:
        return [*self._inputs, *self._side_inputs]

    def _joined_counts(self, index: int) -> Counter[str]:
        if self._joining is None:
            return Counter()
        counts = {
            "paired": self._joining.joined,
            Drop.NO_PARTNER.count_name: self._joining.unpaired(index),
            "waiting": self._joining.waiting(index),
        }
        return +Counter(counts)

    def problem(self, timeout_sec: float, *, processed: bool) -> str:
        """Why nothing usable comes; empty where that is not known.

        Args:
            timeout_sec: How long a topic may be silent.
            processed: Whether there have been frames.
        """
        reasons = [one.problem(timeout_sec) for one in self._inputs]
        if self._joining is not None and not processed:
            reasons.append(self._joining.problem())
        return "; ".join(filter(None, reasons))

    def close(self) -> None:
        """Unsubscribe and put the counts into the tally."""
        for one in self._all_inputs:
            one.close()
        counts = self.counts()
        self._tally.drop(Drop.DEACTIVATED, counts.pop("waiting", 0))
        for what, number in counts.items():
            self._tally.count(what, number)

    def _take(self, handler: Callable[[Any], None], index: int, message: Any) -> None:
        if self._arrivals[index].let_through(message, enabled=self.enabled):
            handler(message)

    def _join(self, index: int, message: Any) -> None:
        assert self._joining is not None
        fault = self._joining.add(index, message)
        if fault is not None:
            self._arrivals[index].refuse(fault)
            self._warn(f"{self._inputs[index].topic}: the {fault}, so not paired by it; {REMEDY}")

    def _on_set_back(self) -> None:
        self._warn("stamps jumped back: was a clock set, or does a bag begin anew?")
