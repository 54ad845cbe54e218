"""Start and end of a node's process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from superglue_ros.errors import InputError
from superglue_ros.nodes.distributions import node_executor
from superglue_ros.nodes.frame_node import FrameNode
from superglue_ros.nodes.shared_memory import make_room
from superglue_ros.pipes import drop_output

USER_ERROR = 2
SIGNAL_LATENCY_SEC = 0.1


def run_node(node_type: type[FrameNode[Any]]) -> None:
    """Run a node until Ctrl-C, SIGTERM or the end of its context.

    The process ends with 0, or with 2 and one line where it was given something unusable.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        _print_help(node_type)
        return
    ended = _ended_by_signal()
    make_room()
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        status = _run(node_type, ended)
    except InputError as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        status = USER_ERROR
    rclpy.try_shutdown()
    # Not sys.exit: a pass through a network cannot be interrupted, and a thread that comes back
    # from one into an interpreter that is shutting down aborts the process. It also is faster.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _ended_by_signal() -> threading.Event:
    """An event that Ctrl-C or SIGTERM sets.

    rclpy's handlers would take the context away from a frame in work, and a KeyboardInterrupt can
    come out of any line, also of one in rclpy that makes another error of it.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _run(node_type: type[FrameNode[Any]], ended: threading.Event) -> int:
    """Run the node until the event; returns the exit status."""
    node = node_type()
    node.ended = ended
    executor = node_executor()
    executor.add_node(node)
    try:
        if node.config.autostart and not ended.is_set() and not _start(node):
            return USER_ERROR
        while not ended.is_set():
            executor.spin_once(timeout_sec=SIGNAL_LATENCY_SEC)
    except ExternalShutdownException:
        pass
    finally:
        node.stop()
        executor.shutdown(timeout_sec=0)
        if rclpy.ok():
            node.destroy_node()
    return 0


def _start(node: FrameNode[Any]) -> bool:
    return all(
        transition() == TransitionCallbackReturn.SUCCESS
        for transition in (node.trigger_configure, node.trigger_activate)
    )


def _print_help(node_type: type[FrameNode[Any]]) -> None:
    """Print how a node is used, as far as somebody reads it.

    That is no failure: `ros2 run` would report one to the reader who has gone, and fail itself.
    """
    try:
        print(_help(node_type), flush=True)
    except BrokenPipeError:
        drop_output()


def _help(node_type: type[FrameNode[Any]]) -> str:
    lines = [
        (node_type.__doc__ or "").splitlines()[0],
        "",
        f"usage: ros2 run superglue_ros {node_type.node_name} --ros-args [-p PARAMETER:=VALUE] "
        "[-r TOPIC:=TOPIC] [-r __ns:=/NAMESPACE]",
        "",
        "parameters:",
    ]
    for setting in node_type.config_type.describe():
        accepted = f" [{setting.range_text}]" if setting.range_text else ""
        lines.append(f"  {setting.name}:={setting.default}{accepted}")
        lines.append(f"      {setting.description}")
    return "\n".join(lines)
