"""Topics that are copied from the input bag to the output, as ROS 2 messages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from superglue_ros.bag.definitions import message_types
from superglue_ros.bag.frames import Period
from superglue_ros.bag.raw import RawMessage
from superglue_ros.bag.reader import BagReader
from superglue_ros.errors import InputError

_HEADER = "std_msgs/msg/Header"
_IDL_SEPARATOR = "=" * 80 + "\n"


class PassedTopic(NamedTuple):
    """A topic that is copied.

    Attributes:
        name: Its name.
        message_type: Type of its messages.
        types: The type with all that it is made of.
    """

    name: str
    message_type: str
    types: Typestore


class PassThrough:
    """Copies topics; one whose type the bag does not define, and nobody knows, is left out.

    Args:
        reader: The input; a topic that is left out is added to its problems.
        names: The topics; None for all.
        period: The time to copy.
        own: Names that the output has for topics of its own; left out, and noted.

    Raises:
        InputError: The bag has no such topic, or it has the name of one that is written.
    """

    def __init__(
        self,
        reader: BagReader,
        names: Collection[str] | None,
        period: Period,
        own: Collection[str],
    ) -> None:
        """Choose the topics."""
        self._reader = reader
        self._period = period
        self._topics: dict[str, PassedTopic] = {}
        types = reader.topic_types()
        _check(names, types)
        for name in types if names is None else names:
            if name in own:
                reader.notes.append(f"{name} is not copied: the output has its own")
                continue
            store = _types_of(reader.connection(name), types[name])
            if store is None:
                reader.note(f"{name} is not passed through: {types[name]} is not defined anywhere")
            else:
                self._topics[name] = PassedTopic(name, types[name], store)

    def topics(self) -> list[PassedTopic]:
        """What is copied, by name."""
        return [self._topics[name] for name in sorted(self._topics)]

    def messages(self) -> Iterator[RawMessage]:
        """The messages as CDR."""
        if not self._topics:
            return
        for raw, is_ros1 in self._reader.raw_messages(self._topics, *self._period):
            if not is_ros1:
                yield raw
                continue
            types = self._topics[raw.topic].types
            try:
                data = bytes(types.ros1_to_cdr(raw.data, raw.message_type))
            except Exception as error:  # whatever wrong bytes come to
                self._reader.note(f"a message of {raw.topic} at {raw.time_ns} is damaged: {error}")
            else:
                yield raw._replace(data=data)


def _check(names: Collection[str] | None, known: Collection[str]) -> None:
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise InputError(
            f"cannot pass through {', '.join(unknown)}: the bag has {', '.join(sorted(known))}"
        )


def _types_of(connection: Connection | None, message_type: str) -> Typestore | None:
    """The type and those that it is made of, from the bag where it defines them."""
    if connection is None or connection.msgdef.format == MessageDefinitionFormat.NONE:
        return message_types() if message_type in message_types().fielddefs else None
    definition = connection.msgdef.data
    if connection.msgdef.format == MessageDefinitionFormat.MSG:
        found = get_types_from_msg(definition, message_type)
    else:
        found = _types_from_idl(definition)
    found.pop("builtin_interfaces/msg/Time", None)  # an empty store has these two
    found.pop("builtin_interfaces/msg/Duration", None)
    if _HEADER in found:  # that of ROS 1 has a counter, which ROS 2 has dropped
        found[_HEADER] = message_types().fielddefs[_HEADER]
    types = get_typestore(Stores.EMPTY)
    types.register(found)
    return types


def _types_from_idl(definition: str) -> dict[str, Any]:
    if not definition.startswith(f"{_IDL_SEPARATOR}IDL: "):
        return dict(get_types_from_idl(definition))
    found: dict[str, Any] = {}
    for one in definition.split(_IDL_SEPARATOR)[1:]:
        found.update(get_types_from_idl(one.split("\n", 1)[1]))
    return found
