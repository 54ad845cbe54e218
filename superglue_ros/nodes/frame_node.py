"""What the nodes have in common at work: inputs, worker, counts, reports."""

from __future__ import annotations

import re
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool

from superglue_ros.config import NodeConfig
from superglue_ros.drops import Drop
from superglue_ros.errors import InputError
from superglue_ros.nodes.concerns import Concerns
from superglue_ros.nodes.configured_node import WARNING_PERIOD_SEC, ConfiguredNode
from superglue_ros.nodes.diagnostics import PERIOD_SEC, Report, Reporter
from superglue_ros.nodes.frame_inputs import FrameInputs, SideStream
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.tally import Tally
from superglue_ros.nodes.transitions import logged
from superglue_ros.nodes.watch import Watch
from superglue_ros.nodes.worker import Worker
from superglue_ros.timing import Stopwatch

Config = TypeVar("Config", bound=NodeConfig)
Messages = tuple[Any, ...]

STOP_TIMEOUT_SEC = 1.0
END_CHECK_SEC = 0.2


class Frame(NamedTuple):
    """The messages that are worked on together and when the last of them came."""

    messages: Messages
    arrival_sec: float


class FrameNode(ConfiguredNode[Config]):
    """A node that joins messages to frames and works on them in a thread.

    A subclass says which topics make a frame and what to do with one; it needs no networks (those
    that do: `network_node`). Bad input is warned of once in a while and counted; it never ends the
    node.

    Attributes:
        ended: Whoever runs the node sets it for its end: the node no longer waits for room.
        stopwatch: For the stages of the frame in work.
        concerns: What looks wrong with the input though it is used.
    """

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters; see `ConfiguredNode`."""
        super().__init__(**node_options)
        self.ended = threading.Event()
        self.stopwatch = Stopwatch()
        self._tally = Tally()
        self.concerns = Concerns(self._tally)
        self._inputs: FrameInputs | None = None
        self._worker: Worker[Frame] | None = None
        self._enabled = True
        self._watch = Watch()
        self._reported_problem = ""
        self._reporter = Reporter(self)
        # Simulated time may stand still; the watch goes on, whatever the state of the node.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(PERIOD_SEC, self._on_watch, clock=steady)
        self.create_service(SetBool, "~/enable", self._on_enable)

    # What a subclass provides

    def streams(self) -> list[Stream]:
        """The topics of which one message each makes a frame."""
        raise NotImplementedError

    def side_streams(self) -> list[SideStream]:
        """Further topics, which make no frames, and what is called with their messages."""
        return []

    def take(self, *messages: Any) -> None:
        """Take the messages of a frame; a subclass may let it wait before it is handed over."""
        self.hand_over(*messages)

    def process(self, messages: Messages) -> None:
        """Work on the messages of one frame; may raise InputError or DeviceError."""
        raise NotImplementedError

    def facts(self) -> dict[str, str]:
        """What the diagnostics tell beside state, counts and timings."""
        return {}

    def on_failure(self, error: Exception) -> Drop:
        """Log what `process` raised, and go on; returns the reason under which it is counted."""
        if isinstance(error, InputError):
            self._watch.last_error = str(error)
            self.warn(str(error))
            return Drop.BAD_INPUT
        # A defect of ours must not end the thread that all frames go through.
        lines = "".join(traceback.format_exception(error))
        self.get_logger().error(lines, throttle_duration_sec=WARNING_PERIOD_SEC)
        return Drop.INTERNAL_ERROR

    # What a subclass uses

    def hand_over(self, *messages: Any) -> None:
        """Have a frame worked on."""
        frame = Frame(messages, time.monotonic())
        while self._worker is not None and not self.ended.is_set():
            if self._worker.put(frame, timeout_sec=END_CHECK_SEC):
                return
        self._tally.drop(Drop.DEACTIVATED, len(messages))

    def run_between_frames(self, job: Callable[[], None]) -> bool:
        """Run a job in the thread that works on frames; False while the node is not active."""
        if self._worker is None:
            return False
        self._worker.run(job)
        return True

    # Life cycle

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to work."""
        succeeded = super().on_activate(state)  # the publishers, before there is work for them
        self._worker = Worker(
            self._work,
            keep_every_item=self.config.process_every_frame,
            on_dropped=lambda frame, reason: self._tally.drop(reason, len(frame.messages)),
        )
        self._inputs = FrameInputs(
            self,
            self.streams(),
            self.config,
            self._tally,
            self.concerns,
            self.take,
            self.side_streams(),
            self.warn,
        )
        self._inputs.enabled = self._enabled
        self._watch.begin_anew()
        self._timer.reset()  # publishers are to be found before they are followed
        self.get_logger().info(f"listening to {', '.join(self._inputs.topics)}")
        return succeeded

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop working."""
        self.stop()
        return super().on_deactivate(state)

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working, from whatever state."""
        self.stop()
        return TransitionCallbackReturn.SUCCESS

    def stop(self) -> None:
        """Unsubscribe and stop working; a frame in work is waited for a moment."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop(STOP_TIMEOUT_SEC)
        inputs, self._inputs = self._inputs, None
        if inputs is not None:
            inputs.close()

    # Frames

    @property
    def counts(self) -> Counter[str]:
        """Messages received, processed, dropped by reason and waiting for a partner.

        What is received and nothing of the others is in work.
        """
        counts = self._tally.so_far()
        return counts if self._inputs is None else counts + self._inputs.counts()

    def _work(self, frame: Frame) -> None:
        """Process a frame in the worker's thread, whatever comes."""
        count = len(frame.messages)
        self.stopwatch.begin_frame()
        self.stopwatch.add("wait", (time.monotonic() - frame.arrival_sec) * 1e3)
        try:
            self.process(frame.messages)
        except Exception as error:
            self._tally.drop(self.on_failure(error), count)
        else:
            self._tally.count("processed", count)
            self._watch.begin_anew()
            self.stopwatch.add("total", (time.monotonic() - frame.arrival_sec) * 1e3)
            self.stopwatch.end_frame()
            self._reporter.frame(frame.messages[-1].header, self.stopwatch.frame_ms)

    # Watching

    def _on_watch(self) -> None:
        if self._inputs is not None:
            self._inputs.look()
        counts = self.counts
        problem = self._rest() or self._input_problem() or self._reporter.much_dropped(counts)
        if self._inputs is not None and _kind(problem) not in ("", _kind(self._reported_problem)):
            self.get_logger().warning(problem)
        self._reported_problem = problem
        for text in self.concerns.new():
            self.get_logger().warning(text)
        problem = "; ".join(filter(None, [problem, *self.concerns.current()]))
        facts = (self.facts() if self._configured else {}) | self._input_facts()
        self._reporter.publish(Report(problem, facts, counts, self.stopwatch.statistics()))

    def _rest(self) -> str:
        """Why the node is not meant to work now; empty where it is."""
        if not self._configured:
            return f"not configured: {self.failure}" if self.failure else "not configured"
        if self._inputs is None:
            return "configured, not active: it does not listen"
        return "" if self._enabled else "disabled by ~/enable: what comes is dropped"

    def _input_facts(self) -> dict[str, str]:
        return {} if self._inputs is None else self._inputs.facts()

    def _input_problem(self) -> str:
        """Why there has been no usable input for too long; empty where there has."""
        working = self._worker is not None and not self._worker.is_idle
        if self._inputs is None or working:
            return ""
        processed = self.counts["processed"] > 0
        timeout_sec = self.config.input_timeout_sec
        return self._watch.problem(self._inputs, timeout_sec, processed=processed)

    def _on_enable(self, request: Any, response: Any) -> Any:
        self._enabled = request.data
        if self._inputs is not None:
            self._inputs.enabled = request.data
        self._watch.begin_anew()
        response.success = True
        response.message = "enabled" if request.data else "disabled"
        return response


def _kind(problem: str) -> str:
    """A problem without its numbers, which change from second to second."""
    return re.sub(r"\b\d+(\.\d+)?\b", "", problem)
