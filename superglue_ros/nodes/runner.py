"""Start and end of a node's process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from superglue_ros.errors import InputError
from superglue_ros.nodes.frame_node import FrameNode

USER_ERROR = 2


def run_node(node_type: type[FrameNode[Any]]) -> None:
    """Run a node until Ctrl-C, SIGTERM or the end of its context.

    The process ends with 0, or with 2 and one line where it was given something unusable.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(_help(node_type))
        return
    rclpy.init(args=sys.argv)
    status, worker_has_ended = 0, True
    try:
        status, worker_has_ended = _run(node_type)
    except InputError as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        status = USER_ERROR
    rclpy.try_shutdown()
    if not worker_has_ended:
        # A pass through a network cannot be interrupted, and a thread that comes back from one
        # into an interpreter that is shutting down aborts the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _run(node_type: type[FrameNode[Any]]) -> tuple[int, bool]:
    node = node_type()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    status = 0
    try:
        if node.config.autostart and not _start(node):
            return USER_ERROR, True
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        worker_has_ended = node.stop()
        executor.shutdown(timeout_sec=0)
        if rclpy.ok():
            node.destroy_node()
    return status, worker_has_ended


def _start(node: FrameNode[Any]) -> bool:
    return all(
        transition() == TransitionCallbackReturn.SUCCESS
        for transition in (node.trigger_configure, node.trigger_activate)
    )


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
