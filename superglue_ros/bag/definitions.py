"""The message types of ROS 2 and of this package, for code that has no ROS."""

from __future__ import annotations

from functools import lru_cache

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
