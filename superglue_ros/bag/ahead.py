"""Stages that work at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """The same items, up to `count` of them made in advance by a thread."""
    end = object()
    thread = ThreadPoolExecutor(1)
    try:
        awaited = [thread.submit(next, items, end) for _ in range(count)]
        while (item := awaited.pop(0).result()) is not end:
            awaited.append(thread.submit(next, items, end))
            yield item  # type: ignore[misc]
    finally:  # also where the items are not wanted to their end
        thread.shutdown(cancel_futures=True)
