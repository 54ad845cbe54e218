"""What differs between the ROS distributions, for all nodes; Humble is the oldest.

message_filters and cv_bridge, which an installation may have or not, are looked for in
`synchroniser` and `image_decoding`, as what needs no ROS asks for them too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from ament_index_python.packages import get_package_share_directory
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.utilities import get_rmw_implementation_identifier

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # ROS from pip has it only where it is asked for
    TFMessage = None

__all__ = [
    "DECLARED_BY_ROS",
    "OLD_PROFILE_VARIABLE",
    "PROFILE_VARIABLE",
    "PublisherEventCallbacks",
    "SubscriptionEventCallbacks",
    "TFMessage",
    "is_fast_dds",
    "node_executor",
    "profile_variable",
    "rclpy_version",
]

DECLARED_BY_ROS = {"use_sim_time", "start_type_description_service"}  # the latter from Jazzy on

OLD_PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
PROFILE_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
_FAST_DDS_2 = ("humble", "iron", "jazzy")
_FAST_DDS_3 = (8,)
"""The first version of rclpy that came with Fast DDS 3, which is Kilted's."""

_SERVICES_AWAIT = (9, 1, 2)
"""From this version of rclpy on, callbacks of services may await under `EventsExecutor`."""


def profile_variable(environment: Mapping[str, str] = os.environ) -> str:
    """The variable that names a file of profiles to the Fast DDS of this distribution."""
    distribution = environment.get("ROS_DISTRO")  # not there where ROS comes from pip
    is_old = distribution in _FAST_DDS_2 if distribution else rclpy_version() < _FAST_DDS_3
    return OLD_PROFILE_VARIABLE if is_old else PROFILE_VARIABLE


def is_fast_dds() -> bool:
    """Whether Fast DDS carries the messages of this process."""
    return str(get_rmw_implementation_identifier()).startswith("rmw_fastrtps")


def node_executor(context: Context | None = None) -> Executor:
    """The executor that takes least time for a message, of those that this ROS has.

    `SingleThreadedExecutor` looks through every service, timer and event of a node, several times
    for each message. `EventsExecutor` is told by the middleware what has come; it is used with the
    one that it was tried with. It wants `spin_once`: rclpy 9.1.2 hangs in `spin` where another
    thread wakes it.
    """
    if not is_fast_dds() or rclpy_version() < _SERVICES_AWAIT:
        return SingleThreadedExecutor(context=context)
    from rclpy.experimental.events_executor import EventsExecutor  # older ones have none

    return EventsExecutor(context=context)


def rclpy_version() -> tuple[int, ...]:
    """The version of the installed rclpy."""
    package = Path(get_package_share_directory("rclpy")) / "package.xml"
    version = ElementTree.parse(package).getroot().findtext("version", "0")
    return tuple(int(part) for part in version.split("."))
