"""What the tests over ROS share: nodes in this process or in their own, topics, messages, images.

Whatever a test waits for, it waits for by its condition and within a time limit.
"""

from __future__ import annotations

import array
import functools
import itertools
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
import torch
from ament_index_python import get_package_prefix
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, ShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from superglue_ros.features import GreyImage
from superglue_ros.nodes.distributions import node_executor

TIMEOUT_SEC = 60.0
SPIN_SEC = 0.1
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)

_namespaces = (f"/test_{number}" for number in itertools.count())


def wait_until(
    condition: Callable[[], object], what: str, *, timeout_sec: float = TIMEOUT_SEC
) -> None:
    """Return once the condition holds; the test fails where it does not in time."""
    deadline = time.monotonic() + timeout_sec
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_sec:g} s in vain: {what}")
        time.sleep(0.005)


class Collector:
    """Keeps the messages of a topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._messages: list[Any] = []
        self._arrival = threading.Condition()

    def add(self, message: Any) -> None:
        with self._arrival:
            self._messages.append(message)
            self._arrival.notify_all()

    @property
    def messages(self) -> list[Any]:
        """What has come so far."""
        with self._arrival:
            return list(self._messages)

    def wait_for(self, count: int, *, timeout_sec: float = TIMEOUT_SEC) -> list[Any]:
        """All messages, once there are `count` of them."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self._messages) >= count, timeout_sec):
                pytest.fail(
                    f"{self._topic}: {len(self._messages)} of {count} messages in {timeout_sec:g} s"
                )
            return list(self._messages)

    def at(self, sec: int, nanosec: int = 0, *, timeout_sec: float = TIMEOUT_SEC) -> Any:
        """The message with that stamp, once it is there."""
        found = self.find(sec, nanosec, timeout_sec=timeout_sec)
        if found is None:
            pytest.fail(
                f"{self._topic}: nothing of stamp {sec}.{nanosec:09} in {timeout_sec:g} s, "
                f"only of {[stamp(message) for message in self.messages]}"
            )
        return found

    def find(self, sec: int, nanosec: int = 0, *, timeout_sec: float) -> Any:
        """The message with that stamp, or None where it does not come in time."""

        def with_the_stamp() -> Any:
            found = (one for one in self._messages if stamp(one) == (sec, nanosec))
            return next(found, None)

        with self._arrival:
            return self._arrival.wait_for(with_the_stamp, timeout_sec)


def executable_path(name: str) -> Path:
    """Where an executable of the package lies, as `ros2 run` finds it."""
    return Path(get_package_prefix("superglue_ros")) / "lib" / "superglue_ros" / name


class NodeProcess:
    """An executable of the package running in a process of its own."""

    def __init__(self, executable: str, *ros_arguments: str) -> None:
        self._output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                executable_path(executable),
                *(("--ros-args", *ros_arguments) if ros_arguments else ()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment(), "OMP_NUM_THREADS": "1"},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """What it has printed."""
        self._output.seek(0)
        return self._output.read()

    def wait(self, *, timeout_sec: float = TIMEOUT_SEC) -> int:
        """Its exit status, once it has ended."""
        try:
            return self._process.wait(timeout_sec)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the process has not ended in {timeout_sec:g} s; it printed {self.output}")

    def end(self, with_signal: signal.Signals, *, timeout_sec: float = TIMEOUT_SEC) -> int:
        """Its exit status after it was sent a signal."""
        self._process.send_signal(with_signal)
        return self.wait(timeout_sec=timeout_sec)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()


class Ros:
    """A context with nodes that are spun in threads, one of them the test's own.

    Relative names are in a namespace that no other test uses.
    """

    def __init__(self) -> None:
        self.namespace = next(_namespaces)
        self.context = Context()
        rclpy.init(
            args=[],
            context=self.context,
            domain_id=domain_id(),
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self._spinning: list[_Spinning] = []
        self._processes: list[NodeProcess] = []
        self.node = Node("test", namespace=self.namespace, context=self.context)
        self._spin(self.node)

    def start(
        self, node_type: type, *, under: str = "", active: bool = True, **parameters: Any
    ) -> Any:
        """A lifecycle node in this process, configured and activated unless told otherwise.

        Args:
            node_type: Class of the node.
            under: Namespace below the test's own.
            active: Whether to configure and activate it.
            **parameters: Their values at the start.
        """
        node = node_type(
            context=self.context,
            namespace=f"{self.namespace}/{under}".rstrip("/"),
            use_global_arguments=False,
            parameter_overrides=[
                Parameter(name, value=value) for name, value in parameters.items()
            ],
        )
        if active:
            succeeded = node.trigger_configure(), node.trigger_activate()
            assert [result.name for result in succeeded] == ["SUCCESS", "SUCCESS"]
        self._spin(node)
        return node

    def run(self, executable: str, *, under: str = "", **parameters: Any) -> NodeProcess:
        """A node in a process of its own; see `start`."""
        arguments = ["-r", f"__ns:={self.namespace}/{under}".rstrip("/")]
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else value
            arguments += ["-p", f"{name}:={text}"]
        process = NodeProcess(executable, *arguments)
        self._processes.append(process)
        return process

    def publisher(self, message_type: type, topic: str, qos: QoSProfile = RELIABLE) -> Publisher:
        return self.node.create_publisher(message_type, topic, qos)

    def collector(self, message_type: type, topic: str, qos: QoSProfile = RELIABLE) -> Collector:
        collector = Collector(topic)
        self.node.create_subscription(message_type, topic, collector.add, qos)
        return collector

    def wait_for_subscribers(self, *publishers: Publisher, count: int = 1) -> None:
        """Return once each publisher has that many subscriptions that hear it."""
        for publisher in publishers:
            wait_until(
                lambda publisher=publisher: publisher.get_subscription_count() == count,
                f"{count} subscriptions to {publisher.topic_name}",
            )

    def call(self, service_type: type, name: str, request: Any) -> Any:
        """The answer of a service."""
        client = self.node.create_client(service_type, name)
        try:
            assert client.wait_for_service(TIMEOUT_SEC), f"no service {name}"
            answered = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _: answered.set())
            assert answered.wait(TIMEOUT_SEC), f"{name} does not answer"
            return future.result()
        finally:
            self.node.destroy_client(client)

    def set_parameters(self, node_name: str, **values: Any) -> SetParametersResult:
        """Change parameters of a node, all or none, as any other node would."""
        changes = [
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        request = SetParametersAtomically.Request(parameters=changes)
        service = f"{node_name}/set_parameters_atomically"
        return self.call(SetParametersAtomically, service, request).result

    def change_state(self, node_name: str, transition: int) -> bool:
        """Lead a node through a transition of its life cycle; returns whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(ChangeState, f"{node_name}/change_state", request).success

    def close(self) -> None:
        """End everything; an exception that came out of a callback is raised here."""
        for process in self._processes:
            process.close()
        errors = [spinning.close() for spinning in reversed(self._spinning)]
        rclpy.shutdown(context=self.context)
        for error in filter(None, errors):
            raise error

    def _spin(self, node: Node) -> None:
        self._spinning.append(_Spinning(node, self.context))


class _Spinning:
    """A node with the executor and the thread that spin it."""

    def __init__(self, node: Node, context: Context) -> None:
        self._node = node
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._executor = node_executor(context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._executor.spin_once(timeout_sec=SPIN_SEC)
        except (ExternalShutdownException, ShutdownException):
            pass
        except Exception as error:
            self._error = error

    def close(self) -> Exception | None:
        self._ended.set()
        self._thread.join(TIMEOUT_SEC)
        assert not self._thread.is_alive(), f"{self._node.get_name()} hangs in a callback"
        self._executor.shutdown(timeout_sec=TIMEOUT_SEC)
        if hasattr(self._node, "stop"):
            self._node.stop()
        self._node.destroy_node()
        return self._error


def ros_context() -> Iterator[Ros]:
    """A fixture, for a test or a module: `ros = pytest.fixture(ros_context)`.

    PyTorch is kept to one thread, here and in the processes of the nodes: then the results are the
    same to the bit, and the processes do not stand in each other's way.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    os.environ.update(environment())
    ros = Ros()
    try:
        yield ros
    finally:
        ros.close()
        torch.set_num_threads(threads)


def environment() -> dict[str, str]:
    """What keeps the nodes of this test session among themselves and their logs out of the home."""
    return {
        "ROS_DOMAIN_ID": str(domain_id()),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": tempfile.gettempdir(),
    }


@functools.cache
def _domain_lock() -> tuple[int, socket.socket]:
    """A domain id and the open port by which other test sessions see that it is taken."""
    first_port = 22119
    for candidate in range(1, 100):
        lock = socket.socket()
        try:
            lock.bind(("127.0.0.1", first_port + candidate))
        except OSError:
            lock.close()
        else:
            return candidate, lock
    raise RuntimeError("every ROS domain id of this machine is taken by a test session")


def domain_id() -> int:
    """The ROS domain id of this test session."""
    return _domain_lock()[0]


def header(sec: int, nanosec: int = 0, frame_id: str = "camera") -> Header:
    result = Header(frame_id=frame_id)
    result.stamp.sec, result.stamp.nanosec = sec, nanosec
    return result


def stamp(message: Any) -> tuple[int, int]:
    """Seconds and nanoseconds in the header of a message, or of the header itself."""
    found = getattr(message, "header", message).stamp
    return found.sec, found.nanosec


def image_message(
    pixels: NDArray[Any], of: Header, *, encoding: str = "mono8", padding: bytes = b""
) -> Image:
    """An image (H, W) or (H, W, C), with the padding at the end of each row."""
    rows = [row.tobytes() + padding for row in pixels]
    message = Image(header=of, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.step = len(rows[0])
    message.data = array.array("B", b"".join(rows))
    return message


def reduced(image: GreyImage, width: int = 160, height: int = 120) -> GreyImage:
    """The image at a size that is quick to work on."""
    result = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(result, np.uint8)


def moving_view(image: GreyImage, count: int, *, step: int = 8) -> list[GreyImage]:
    """What a camera that pans over an image sees: `count` frames, `step` pixels apart."""
    wide = reduced(image, 160 + count * step, 120)
    return [np.ascontiguousarray(wide[:, i * step : i * step + 160]) for i in range(count)]


def small_image(seed: int = 0, width: int = 64, height: int = 48) -> GreyImage:
    """Rectangles of random grey: a small image in which there are corners to find."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (height // 8 + 1, width // 8 + 1), np.uint8)
    return np.ascontiguousarray(np.kron(blocks, np.ones((8, 8), np.uint8))[:height, :width])
