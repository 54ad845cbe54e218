"""Which topics of a bag are the cameras."""

from __future__ import annotations

from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.reader import BagReader, Topic
from superglue_ros.errors import InputError

_DRAWN = frozenset(("match_image", "marker_image"))


def choose_topics(reader: BagReader, config: BagConfig) -> tuple[str, ...]:
    """The topic of the camera, or those of the left and the right one.

    Raises:
        InputError: There is doubt, or a topic that is named is none of images in this bag; the text
            lists those that are.
    """
    topics = _wanted_topics(reader, config)
    known = {topic.name for topic in reader.image_topics()}
    unknown = [name for name in topics if name not in known]
    if unknown:
        raise InputError(f"{reader.path} has no images on {', '.join(unknown)}; {reader.listing()}")
    return topics


def _wanted_topics(reader: BagReader, config: BagConfig) -> tuple[str, ...]:
    if config.mode != "stereo":
        if config.right_topic:
            raise InputError(f"right_topic is for mode stereo, not {config.mode}; leave it out")
        return (config.topic,) if config.topic else (_only_topic(reader),)
    if config.topic and config.right_topic:
        return config.topic, config.right_topic
    if config.topic or config.right_topic:
        raise InputError("name the topics of both cameras or of none (topic, right_topic)")
    return _only_pair(reader)


def _camera_topics(reader: BagReader) -> list[Topic]:
    """Those with images, but for pictures that match_visualizer_node or a run before has drawn."""
    topics = [topic for topic in reader.image_topics() if topic.count]
    return [topic for topic in topics if not _DRAWN.intersection(topic.name.split("/"))]


def _only_topic(reader: BagReader) -> str:
    names = [topic.name for topic in _camera_topics(reader)]
    if len(names) != 1:
        raise InputError(
            f"which topic of {reader.path} is the camera? Set topic; {reader.listing()}"
        )
    return names[0]


def _only_pair(reader: BagReader) -> tuple[str, str]:
    """The one pair of topics whose names differ in nothing but left and right."""
    topics = {topic.name: topic.message_type for topic in _camera_topics(reader)}
    pairs = [
        (name, name.replace("left", "right"))
        for name, kind in topics.items()
        if "left" in name and topics.get(name.replace("left", "right")) == kind
    ]
    if len(pairs) != 1:
        raise InputError(
            f"which topics of {reader.path} are the left and the right camera? Set topic "
            f"and right_topic; {reader.listing()}"
        )
    return pairs[0]
