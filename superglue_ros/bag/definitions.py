"""The message types of ROS 2 and of this package, for code that has no ROS."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from superglue_ros.installation import shared_file


@lru_cache(maxsize=1)
def message_types() -> Typestore:
    """The types of a ROS 2 distribution together with superglue_ros/msg, from their definitions.

    Raises:
        InputError: The installation lacks the definitions.
    """
    types = get_typestore(Stores.LATEST)
    for path in sorted(shared_file("msg").glob("*.msg")):
        types.register(get_types_from_msg(path.read_text(), f"superglue_ros/msg/{path.stem}"))
    return types


def make(name: str, **fields: Any) -> Any:
    """A message of rosbags; see `markers.Make`."""
    message_class, defaults = _defaults(name)
    blank = {field: default() for field, default in defaults.items() if field not in fields}
    return message_class(**blank, **fields)


@cache
def _defaults(name: str) -> tuple[Any, dict[str, Callable[[], Any]]]:
    """The class of a message type, and what makes the default of each of its fields."""
    types = message_types()
    _, fields = types.fielddefs[name]
    return types.types[name], {field: _default(*kind) for field, kind in fields}


def _default(kind: Nodetype, detail: Any) -> Callable[[], Any]:
    if kind == Nodetype.NAME:
        return partial(make, detail)
    if kind == Nodetype.BASE:
        return str if detail[0] == "string" else {"bool": bool}.get(detail[0], int)
    (of_kind, of_detail), size = detail
    count = size if kind == Nodetype.ARRAY else 0
    if of_kind == Nodetype.BASE and of_detail[0] != "string":
        return partial(np.zeros, count, of_detail[0])
    return lambda: [_default(of_kind, of_detail)() for _ in range(count)]
