"""Room in shared memory for what the nodes send, where Fast DDS carries it."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from superglue_ros.errors import InputError
from superglue_ros.installation import shared_file
from superglue_ros.nodes.distributions import (
    OLD_PROFILE_VARIABLE,
    PROFILE_VARIABLE,
    profile_variable,
)

PROFILE = "config/fastdds.xml"

_USERS_CHOICE = (OLD_PROFILE_VARIABLE, PROFILE_VARIABLE, "FASTDDS_BUILTIN_TRANSPORTS")
_LEAST_FREE_BYTES = 256 << 20  # a container may have 64 MiB for all its processes
_SHARED_MEMORY = Path("/dev/shm")


def make_room(
    environment: MutableMapping[str, str] = os.environ, memory: Path = _SHARED_MEMORY
) -> None:
    """Have Fast DDS pass large messages through shared memory; before ROS is initialised.

    Features with descriptors, or the images of a stereo pair, are larger than the segment of
    512 KiB that it makes by default. What the user has set stays as it is, and so does everything
    where there is little shared memory.

    Args:
        environment: The variables of this process.
        memory: Where its shared memory is mounted.
    """
    if (
        any(name in environment for name in _USERS_CHOICE)
        or _free_bytes(memory) < _LEAST_FREE_BYTES
    ):
        return
    try:
        environment[profile_variable(environment)] = str(shared_file(PROFILE))
    except InputError:  # an installation of the Python package alone
        return


def _free_bytes(folder: Path) -> int:
    try:
        state = os.statvfs(folder)
    except OSError:
        return 0
    return state.f_bavail * state.f_frsize
