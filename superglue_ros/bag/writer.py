"""Writing of mcap bags with the message definitions inside."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys.store import Typestore

from superglue_ros.bag.definitions import message_types
from superglue_ros.errors import InputError

_UNSET = QosTime(0, 0)
_LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _UNSET,
    _UNSET,
    QosLiveliness.SYSTEM_DEFAULT,
    _UNSET,
    avoid_ros_namespace_conventions=False,
)
"""As listeners to transforms ask for it of whoever plays the bag."""

_FORMAT: Literal[8] = 8  # of metadata.yaml: the newest that ROS 2 Humble reads


class BagWriter:
    """Writes serialized messages into a new bag; a context manager.

    Args:
        path: Folder of the bag; it must not exist yet.
    """

    def __init__(self, path: Path) -> None:
        """Take the path; `__enter__` makes the bag."""
        self.path = path
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        """Make the bag.

        Raises:
            InputError: The folder exists or cannot be made.
        """
        try:
            self._writer = Writer(self.path, version=_FORMAT, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except WriterError as error:
            raise InputError(
                f"bag {self.path} exists already; name another or remove it"
            ) from error
        except OSError as error:
            raise InputError(f"cannot write bag {self.path}: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the bag, also after an error: what was recorded until then stays readable."""
        self._writer.close()

    def declare(self, topic: str, message_type: str, types: Typestore | None = None) -> None:
        """Add a topic.

        Args:
            topic: Absolute name of the topic.
            message_type: Name of its type, for instance "sensor_msgs/msg/Image".
            types: Where the type is defined; those that this package knows where None.
        """
        qos = [_LATCHED] if topic == "/tf_static" else []
        self._connections[topic] = self._writer.add_connection(
            topic, message_type, typestore=types or message_types(), offered_qos_profiles=qos
        )

    def write(self, topic: str, message_type: str, data: bytes, time_ns: int) -> None:
        """Append a message.

        Args:
            topic: Absolute name of its topic.
            message_type: Name of its type, for instance "sensor_msgs/msg/Image".
            data: The message as CDR.
            time_ns: When it was received, in nanoseconds since the epoch.
        """
        if topic not in self._connections:
            self.declare(topic, message_type)
        self._writer.write(self._connections[topic], time_ns, data)
