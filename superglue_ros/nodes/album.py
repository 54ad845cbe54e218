"""What belongs to one picture, from several topics and times."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from superglue_ros.partners import RESET_SEC
from superglue_ros.synchroniser import NANOSECONDS, header_nanoseconds, stamp_nanoseconds

PATIENCE_FRAMES = 5
"""Matches for which nothing has come on a further topic, until it is not waited for any more."""

MAX_BYTES = 256 * 2**20
"""Of images that are kept, whatever their number."""


class Exhibit(NamedTuple):
    """A Matches message with what belongs to it; None for what there is not.

    Attributes:
        matches: The Matches message.
        image0: The image message of its header0.
        image1: That of its header1.
        extras: What has its stamp on each of the further topics.
        milliseconds: From image 1 to the arrival of the matches, as far as that is known.
    """

    matches: Any
    image0: Any
    image1: Any
    extras: tuple[Any, ...]
    milliseconds: float = 0.0

    @property
    def header(self) -> Any:
        """The header of the Matches message."""
        return self.matches.header


class Album:
    """Keeps images and what else comes, until the matches come that they belong to.

    A Matches message waits for what has its stamps, as long as there is room: for an image where
    its topic has a publisher from which nothing newer has come, for the rest where it comes
    regularly.

    Args:
        image_topics: One, or those of image 0 and image 1.
        extra_topics: Further topics; one message with the stamp of the matches belongs to them.
        capacity: Messages of each topic to keep, and Matches that may wait.
        is_published: Whether a topic has a publisher.
        on_complete: Called with what belongs together.
    """

    def __init__(
        self,
        image_topics: Sequence[str],
        extra_topics: Sequence[str],
        capacity: int,
        is_published: Callable[[str], bool],
        on_complete: Callable[[Exhibit], None],
    ) -> None:
        """Start with nothing."""
        self._shelves = {topic: _Shelf(capacity) for topic in (*image_topics, *extra_topics)}
        self._image_topics = (image_topics[0], image_topics[-1])
        self._extra_topics = tuple(extra_topics)
        self._capacity = capacity
        self._is_published = is_published
        self._on_complete = on_complete
        self._waiting: deque[tuple[Any, float]] = deque()
        self._shown: deque[int] = deque(maxlen=PATIENCE_FRAMES)  # stamps of the last matches
        self._image0: Any = None  # the last one: a keyframe is asked for again and again

    def add(self, topic: str, message: Any, content: Any = None) -> None:
        """Take a message of an image topic or a further one.

        Args:
            topic: Which.
            message: The message.
            content: What is kept of it; the message itself where None.
        """
        stamp = stamp_nanoseconds(message)
        self._shelves[topic].put(stamp, message if content is None else content, _size(message))
        self._complete()

    def add_matches(self, message: Any, milliseconds: float = 0.0) -> None:
        """Take a Matches message, that came so long after its image 1."""
        self._waiting.append((message, milliseconds))
        self._complete()

    def _complete(self) -> None:
        while self._waiting:
            full = len(self._waiting) > self._capacity
            if not full and self._is_awaiting(self._waiting[0][0]):
                return
            self._on_complete(self._exhibit(*self._waiting.popleft()))

    def _is_awaiting(self, matches: Any) -> bool:
        stamp = stamp_nanoseconds(matches)
        if self._is_coming(self._image_topics[1], stamp):
            return True
        # With one camera image 0 is an earlier one, or none of the camera's at all.
        topic0, topic1 = self._image_topics
        if topic0 != topic1 and self._is_coming(topic0, header_nanoseconds(matches.header0)):
            return True
        if len(self._waiting) > PATIENCE_FRAMES:
            return False
        since = self._shown[0] if self._shown else 0
        return any(since <= self._shelves[topic].newest < stamp for topic in self._extra_topics)

    def _is_coming(self, topic: str, stamp: int) -> bool:
        return self._shelves[topic].newest < stamp and self._is_published(topic)

    def _exhibit(self, matches: Any, milliseconds: float) -> Exhibit:
        stamp0, stamp = header_nanoseconds(matches.header0), stamp_nanoseconds(matches)
        topic0, topic1 = self._image_topics
        image0 = self._shelves[topic0].get(stamp0)
        if image0 is None and self._image0 is not None:
            image0 = self._image0 if stamp_nanoseconds(self._image0) == stamp0 else None
        self._image0 = image0
        self._shown.append(stamp)
        extras = tuple(self._shelves[topic].get(stamp) for topic in self._extra_topics)
        image1 = self._shelves[topic1].get(stamp)
        return Exhibit(matches, image0, image1, extras, milliseconds)


class _Shelf:
    """The last things of one topic, by stamp.

    Attributes:
        newest: The newest stamp, in nanoseconds.
    """

    def __init__(self, capacity: int) -> None:
        self.newest = -1
        self._capacity = capacity
        self._kept: OrderedDict[int, tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    def put(self, stamp: int, content: Any, size: int) -> None:
        if stamp < self.newest - RESET_SEC * NANOSECONDS:  # a bag begins anew, or simulated time
            self._kept.clear()
            self._bytes, self.newest = 0, -1
        self._bytes -= self._kept.pop(stamp, (None, 0))[1]
        self._kept[stamp] = (content, size)
        self._bytes += size
        self.newest = max(self.newest, stamp)
        while len(self._kept) > self._capacity or (self._bytes > MAX_BYTES and len(self._kept) > 2):
            self._bytes -= self._kept.popitem(last=False)[1][1]

    def get(self, stamp: int) -> Any:
        return self._kept.get(stamp, (None, 0))[0]


def _size(message: Any) -> int:
    return len(getattr(message, "data", ()))
