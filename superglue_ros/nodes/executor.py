"""The executor of a node's process."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ament_index_python.packages import get_package_share_directory
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.utilities import get_rmw_implementation_identifier

_SERVICES_AWAIT = (9, 1, 2)
"""From this version of rclpy on, callbacks of services may await under `EventsExecutor`."""


def node_executor(context: Context | None = None) -> Executor:
    """The executor that takes least time for a message, of those that this ROS has.

    `SingleThreadedExecutor` looks through every service, timer and event of a node, several times
    for each message. `EventsExecutor` is told by the middleware what has come; it is used with the
    one that it was tried with. It wants `spin_once`: rclpy 9.1.2 hangs in `spin` where another
    thread wakes it.
    """
    is_fast_dds = get_rmw_implementation_identifier().startswith("rmw_fastrtps")
    if not is_fast_dds or rclpy_version() < _SERVICES_AWAIT:
        return SingleThreadedExecutor(context=context)
    from rclpy.experimental.events_executor import EventsExecutor  # older ones have none

    return EventsExecutor(context=context)


def rclpy_version() -> tuple[int, ...]:
    """The version of the installed rclpy."""
    package = Path(get_package_share_directory("rclpy")) / "package.xml"
    version = ElementTree.parse(package).getroot().findtext("version", "0")
    return tuple(int(part) for part in version.split("."))
