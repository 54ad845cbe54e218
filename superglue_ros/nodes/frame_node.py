"""What the nodes have in common: life cycle, parameters, inputs, worker, counts, reports."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import SetBool

from superglue_ros.config import NodeConfig
from superglue_ros.errors import InputError
from superglue_ros.inference.device import (
    DeviceError,
    allocated_mebibytes,
    release_memory,
    select_device,
)
from superglue_ros.nodes.diagnostics import PERIOD_SEC, Reporter
from superglue_ros.nodes.frame_inputs import FrameInputs
from superglue_ros.nodes.inputs import Stream
from superglue_ros.nodes.parameters import (
    changed_config,
    declare_parameters,
    read_parameters,
    unknown_parameters,
)
from superglue_ros.nodes.tally import Tally
from superglue_ros.nodes.transitions import logged
from superglue_ros.nodes.worker import Worker
from superglue_ros.timing import Stopwatch

Config = TypeVar("Config", bound=NodeConfig)
Messages = tuple[Any, ...]

WARNING_PERIOD_SEC = 5.0
STOP_TIMEOUT_SEC = 1.0
END_CHECK_SEC = 0.2
OUTPUT_DEPTH = 10


class Frame(NamedTuple):
    """The messages that are worked on together and when the last of them came."""

    messages: Messages
    arrival_sec: float


class FrameNode(LifecycleNode, Generic[Config]):
    """A node that joins messages to frames and works on them in a thread.

    A subclass says what to load and release, which topics make a frame, and what to do with one.
    Bad input is warned of once in a while and counted; it never ends the node.

    Attributes:
        config: The settings that are in force.
        ended: Whoever runs the node sets it for its end: the node no longer waits for room.
        stopwatch: For the stages of the frame in work.
    """

    node_name: str
    config_type: type[Config]

    def __init__(self, **node_options: Any) -> None:
        """Declare the parameters.

        Raises:
            InputError: A parameter has the wrong type or is out of range.
        """
        super().__init__(self.node_name, **node_options)
        declare_parameters(self, self.config_type)
        self.config: Config = read_parameters(self, self.config_type)
        for line in unknown_parameters(self):
            self.get_logger().warning(line)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.ended = threading.Event()
        self.stopwatch = Stopwatch()
        self._tally = Tally()
        self._inputs: FrameInputs | None = None
        self._outputs: list[Publisher] = []
        self._worker: Worker[Frame] | None = None
        self._watch: Any = None
        self._configured = False
        self._enabled = True
        self._last_usable_sec = 0.0
        self._last_error = ""
        self._reported_problem = ""
        self._reporter = Reporter(self)
        self.create_service(SetBool, "enable", self._on_enable)

    # What a subclass provides

    def load_networks(self) -> None:
        """Load and warm the networks; may raise InputError or DeviceError."""
        raise NotImplementedError

    def release_networks(self) -> None:
        """Let go of the networks and what was computed with them."""
        raise NotImplementedError

    def create_outputs(self) -> None:
        """Create the publishers of the results with `add_output`."""
        raise NotImplementedError

    def streams(self) -> list[Stream]:
        """The topics of which one message each makes a frame."""
        raise NotImplementedError

    def process(self, messages: Messages) -> None:
        """Work on the messages of one frame; may raise InputError or DeviceError."""
        raise NotImplementedError

    def apply_settings(self) -> None:
        """Take over live settings of `config` that have changed, with the next frame."""
        raise NotImplementedError

    def networks(self) -> dict[str, tuple[str, str]]:
        """For each network that is loaded its weights and their licence."""
        raise NotImplementedError

    def halve_keypoints(self) -> int:
        """Work with half as many keypoints from now on; returns their number."""
        raise NotImplementedError

    # What a subclass uses

    def warn(self, text: str) -> None:
        """Warn of bad input, at most once in a few seconds."""
        self.get_logger().warning(text, throttle_duration_sec=WARNING_PERIOD_SEC)

    def add_output(self, message_type: type, topic: str) -> Publisher:
        """A publisher of results: reliable, so that either kind of reader hears them."""
        every = self.config.process_every_frame
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_ALL if every else HistoryPolicy.KEEP_LAST,
            depth=OUTPUT_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE,
        )
        publisher = self.create_lifecycle_publisher(message_type, topic, qos)
        self._outputs.append(publisher)
        return publisher

    def run_between_frames(self, job: Callable[[], None]) -> bool:
        """Run a job in the thread that has the networks; False while the node is not active."""
        if self._worker is None:
            return False
        self._worker.run(job)
        return True

    # Life cycle

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the networks with the parameters as they are now."""
        self.config = read_parameters(self, self.config_type)
        self.load_networks()
        self.create_outputs()
        self._configured = True
        return TransitionCallbackReturn.SUCCESS

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
            self, self.streams(), self.config, self._tally, self._hand_over, self.warn
        )
        self._inputs.enabled = self._enabled
        self._last_usable_sec = time.monotonic()
        # Simulated time may stand still; the watch goes on.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._watch = self.create_timer(PERIOD_SEC, self._on_watch, clock=steady)
        self.get_logger().info(f"listening to {', '.join(self._inputs.topics)}")
        return succeeded

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop working."""
        self.stop()
        return super().on_deactivate(state)

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the networks and their memory."""
        self._configured = False
        for output in self._outputs:
            self.destroy_lifecycle_publisher(output)
        self._outputs = []
        self._release_memory()
        return TransitionCallbackReturn.SUCCESS

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working, from whatever state."""
        self.stop()
        return TransitionCallbackReturn.SUCCESS

    def stop(self) -> None:
        """Unsubscribe and stop working; a frame in work is waited for a moment."""
        if self._watch is not None:
            self.destroy_timer(self._watch)
            self._watch = None
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

    def _hand_over(self, *messages: Any) -> None:
        frame = Frame(messages, time.monotonic())
        while self._worker is not None and not self.ended.is_set():
            if self._worker.put(frame, timeout_sec=END_CHECK_SEC):
                return
        self._tally.drop("the node was deactivated", len(messages))

    def _work(self, frame: Frame) -> None:
        """Process a frame in the worker's thread, whatever comes."""
        count = len(frame.messages)
        self.stopwatch.begin_frame()
        self.stopwatch.add("wait", (time.monotonic() - frame.arrival_sec) * 1e3)
        try:
            self.process(frame.messages)
        except InputError as error:
            self._last_error = str(error)
            self._tally.drop("bad input", count)
            self.warn(str(error))
        except DeviceError as error:
            self._tally.drop("device error", count)
            self._on_device_error(error)
        except Exception:  # a defect of ours must not end the thread that all frames go through
            self._tally.drop("internal error", count)
            self.get_logger().error(
                traceback.format_exc(), throttle_duration_sec=WARNING_PERIOD_SEC
            )
        else:
            self._tally.count("processed", count)
            self._last_usable_sec = time.monotonic()
            self.stopwatch.add("total", (self._last_usable_sec - frame.arrival_sec) * 1e3)
            self.stopwatch.end_frame()
            self._reporter.timing(frame.messages[-1].header, self.stopwatch.frame_ms)

    def _on_device_error(self, error: DeviceError) -> None:
        self.get_logger().error(str(error), throttle_duration_sec=WARNING_PERIOD_SEC)
        if self.config.on_device_error == "fewer_keypoints":
            self.get_logger().warning(f"going on with {self.halve_keypoints()} keypoints")
        elif self.config.on_device_error == "cpu":
            self.get_logger().warning("going on with the CPU")
            self.config = self.config.updated(device="cpu")
            self._release_memory()
            self.load_networks()

    def _release_memory(self) -> None:
        self.release_networks()
        release_memory(select_device(self.config.device))

    # Watching

    def _on_watch(self) -> None:
        if self._inputs is not None:
            self._inputs.follow_publishers()
        problem = self._problem()
        if problem and problem != self._reported_problem:
            self.get_logger().warning(problem)
        self._reported_problem = problem
        self._reporter.diagnostics(problem, self._facts(), self.counts, self.stopwatch.statistics())

    def _facts(self) -> dict[str, str]:
        """Device, weights and licences."""
        device = select_device(self.config.device)
        facts = {"device": str(device), "device memory [MiB]": f"{allocated_mebibytes(device):.1f}"}
        for network, (weights, licence) in self.networks().items():
            facts |= {f"{network} weights": weights, f"{network} licence": licence}
        return facts

    def _problem(self) -> str:
        """Why there has been no usable input for too long; empty where there has."""
        if self._inputs is None or self._worker is None or not self._enabled:
            return ""
        timeout_sec = self.config.input_timeout_sec
        silent_sec = time.monotonic() - self._last_usable_sec
        if timeout_sec == 0 or silent_sec < timeout_sec or not self._worker.is_idle:
            return ""
        reasons = [self._inputs.problem(processed=self.counts["processed"] > 0)]
        reasons += [f"last unusable input: {self._last_error}"] if self._last_error else []
        why = "; ".join(filter(None, reasons)) or "the publisher has fallen silent"
        return f"no usable input for {timeout_sec:g} s: {why}"

    def _on_enable(self, request: Any, response: Any) -> Any:
        self._enabled = request.data
        if self._inputs is not None:
            self._inputs.enabled = request.data
        self._last_usable_sec = time.monotonic()
        response.success = True
        response.message = "enabled" if request.data else "disabled"
        return response

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        config, result = changed_config(self.config, parameters, running=self._configured)
        if result.successful and config is not self.config:
            self.config = config
            if self._configured:
                self.apply_settings()
        return result
