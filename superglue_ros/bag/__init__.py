"""Bags of ROS 2 messages, read and written without ROS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superglue_ros.bag.pairs import matched_pairs

__all__ = ["matched_pairs"]


def __getattr__(name: str) -> Any:
    """Import only what is asked for: PyTorch, which matching needs, takes seconds."""
    if name != "matched_pairs":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from superglue_ros.bag.pairs import matched_pairs

    return matched_pairs
