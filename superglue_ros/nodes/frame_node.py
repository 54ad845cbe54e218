"""What the nodes have in common: life cycle, parameters, inputs, worker, counts."""

from __future__ import annotations

import functools
import traceback
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from superglue_ros.config import NodeConfig
from superglue_ros.errors import InputError
from superglue_ros.nodes.inputs import Pairing, TopicInput
from superglue_ros.nodes.parameters import (
    changed_config,
    declare_parameters,
    read_parameters,
    unknown_parameters,
)
from superglue_ros.nodes.synchroniser import NANOSECONDS, synchronisers
from superglue_ros.nodes.worker import Worker

Config = TypeVar("Config", bound=NodeConfig)
Frame = tuple[Any, ...]

WATCH_PERIOD_SEC = 1.0
WARNING_PERIOD_SEC = 5.0
STOP_TIMEOUT_SEC = 1.0
OUTPUT_DEPTH = 10


Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


def _transition(callback: Transition) -> Transition:
    """Log what a transition raises; rclpy would take it for a failure without a word."""

    @functools.wraps(callback)
    def wrapped(node: LifecycleNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return callback(node, state)
        except InputError as error:
            node.get_logger().fatal(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            node.get_logger().fatal(traceback.format_exc())
            return TransitionCallbackReturn.ERROR

    return wrapped


class FrameNode(LifecycleNode, Generic[Config]):
    """A node that takes frames of one or two messages and works on them in a thread.

    A subclass says what to load and release, which topics make a frame, and what to do with one.
    Bad input is warned of once in a while and counted; it never ends the node.

    Attributes:
        config: The settings that are in force.
        counts: Messages received, frames processed and frames dropped by reason.
    """

    config_type: type[Config]
    input_type: type

    def __init__(self, name: str, **node_options: Any) -> None:
        """Declare the parameters.

        Raises:
            InputError: A parameter has the wrong type or is out of range.
        """
        super().__init__(name, **node_options)
        declare_parameters(self, self.config_type)
        self.config: Config = read_parameters(self, self.config_type)
        for line in unknown_parameters(self):
            self.get_logger().warning(line)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.counts: Counter[str] = Counter()
        self._counts_lock = Lock()
        self._inputs: list[TopicInput] = []
        self._worker: Worker[Frame] | None = None
        self._watch: Any = None
        self._configured = False

    def load(self) -> None:
        """Load the networks and create the publishers; may raise InputError."""
        raise NotImplementedError

    def release(self) -> None:
        """Undo `load`."""
        raise NotImplementedError

    def input_topics(self) -> tuple[str, ...]:
        """The topic, or the left and the right topic, that make a frame."""
        raise NotImplementedError

    def process(self, frame: Frame) -> None:
        """Work on the message or the pair of messages of one frame; may raise InputError."""
        raise NotImplementedError

    def apply(self, config: Config) -> None:
        """Take over changed live settings with the next frame."""
        raise NotImplementedError

    @_transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the networks with the parameters as they are now."""
        self.config = read_parameters(self, self.config_type)
        self.load()
        self._configured = True
        return TransitionCallbackReturn.SUCCESS

    @_transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to work."""
        self._worker = Worker(
            self._process_safely,
            keep_every_item=self.config.process_every_frame,
            on_replaced=lambda _: self._count("dropped: a newer frame came first"),
        )
        topics = self.input_topics()
        if len(topics) == 2:
            library = synchronisers()
            self.get_logger().info(f"pairing by {library.library}")
            pairing = Pairing(library, self.config, self._hand_over, self._on_stamps_reset)
            handlers = [lambda message, i=i: pairing.add(i, message) for i in range(2)]
        else:
            handlers = [self._hand_over]
        self._inputs = [
            TopicInput(self, self.input_type, topic, self.config, self._checked(handler))
            for topic, handler in zip(topics, handlers, strict=True)
        ]
        self._watch = self.create_timer(WATCH_PERIOD_SEC, self._on_watch)
        names = ", ".join(topic_input.topic for topic_input in self._inputs)
        self.get_logger().info(f"listening to {names}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop working."""
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the networks and their memory."""
        self._configured = False
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working, from whatever state."""
        self.stop()
        return TransitionCallbackReturn.SUCCESS

    def warn(self, text: str) -> None:
        """Warn of bad input, at most once in a few seconds."""
        self.get_logger().warning(text, throttle_duration_sec=WARNING_PERIOD_SEC)

    def output_qos(self) -> QoSProfile:
        """Quality of service of the results: reliable, so that either kind of reader hears them."""
        every = self.config.process_every_frame
        return QoSProfile(
            history=HistoryPolicy.KEEP_ALL if every else HistoryPolicy.KEEP_LAST,
            depth=OUTPUT_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE,
        )

    def worker_has_ended(self) -> bool:
        """Whether no frame is being worked on any more."""
        return self._worker is None

    def stop(self) -> None:
        """Unsubscribe and stop working; does nothing where that was done already."""
        for topic_input in self._inputs:
            topic_input.close()
        self._inputs = []
        if self._watch is not None:
            self.destroy_timer(self._watch)
            self._watch = None
        if self._worker is not None and self._worker.stop(STOP_TIMEOUT_SEC):
            self._worker = None

    def _checked(self, handler: Any) -> Any:
        """Count a message and let it through where its stamp is one."""

        def on_message(message: Any) -> None:
            self._count("received")
            stamp = message.header.stamp
            if stamp.sec < 0 or stamp.nanosec >= NANOSECONDS:
                self._count("dropped: impossible stamp")
                self.warn(f"impossible stamp {stamp.sec} s {stamp.nanosec} ns")
                return
            handler(message)

        return on_message

    def _hand_over(self, *frame: Any) -> None:
        if self._worker is not None:
            self._worker.put(frame)

    def _process_safely(self, frame: Frame) -> None:
        try:
            self.process(frame)
        except InputError as error:
            self._count("dropped: bad input")
            self.warn(str(error))
        except Exception:  # a defect of ours must not end the thread that all frames go through
            self._count("dropped: internal error")
            self.get_logger().error(
                traceback.format_exc(), throttle_duration_sec=WARNING_PERIOD_SEC
            )
        else:
            self._count("processed")

    def _count(self, what: str) -> None:
        with self._counts_lock:
            self.counts[what] += 1

    def _on_watch(self) -> None:
        for topic_input in self._inputs:
            topic_input.follow_publisher()

    def _on_stamps_reset(self) -> None:
        self._count("stamps set back")
        self.warn("stamps jumped back: what waited for a partner was let go")

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        config, result = changed_config(self.config, parameters, running=self._configured)
        if result.successful and config is not self.config:
            self.config = config
            if self._configured:
                self.apply(config)
        return result
