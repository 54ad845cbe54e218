"""Work that goes through a device in batches, one of them always under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The same items, `size` of them at a time, the last ones as many as there are."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def overlapped(begun: Iterable[Callable[[], Iterable[Item]]]) -> Iterator[Item]:
    """The results of batches of work, each batch begun before the one before it is waited for.

    Args:
        begun: To take the next of it begins a batch of work; to call that waits for the results.

    Yields:
        All results in order.
    """
    finish: Callable[[], Iterable[Item]] | None = None
    for upcoming in begun:
        if finish is not None:
            yield from finish()
        finish = upcoming
    if finish is not None:
        yield from finish()
