"""What rviz and Foxglove are told to show is what the visualiser publishes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

CONFIG = Path(__file__).resolve().parents[1] / "config"
NODE = CONFIG.parent / "superglue_ros/nodes/match_visualizer_node.py"


def published() -> set[str]:
    """Topics of the node, and those of the nodes beside it."""
    names = set(re.findall(r'add_output\(\w+, "(\w+)"\)|topic_name\("(\w+)"\)', NODE.read_text()))
    topics = {name for pair in names for name in pair if name}
    assert {"match_image", "markers", "image_markers"} == topics
    return topics | {"image", "path", "diagnostics", "tf", "tf_static"}


def topics_in(settings: Any) -> set[str]:
    """The values of all keys that name a topic, and the keys of what lists topics."""
    if isinstance(settings, list):
        return set().union(*map(topics_in, settings))
    if not isinstance(settings, dict):
        return set()
    found = set()
    for key, value in settings.items():
        if key in ("imageTopic", "topicToRender"):
            found.add(value)
        elif key in ("topics", "annotations"):
            found |= set(value)
        elif key == "Topic":
            found.add(value["Value"])
        else:
            found |= topics_in(value)
    return found


def test_rviz_shows_topics_of_its_namespace_that_are_published_reliable() -> None:
    yaml = pytest.importorskip("yaml")
    settings = yaml.safe_load((CONFIG / "matches.rviz").read_text())
    topics = topics_in(settings)
    assert {"match_image", "markers"} <= topics <= published()
    displays = settings["Visualization Manager"]["Displays"]
    assert all(one["Enabled"] == one["Value"] for one in displays)
    policies = {one["Topic"]["Reliability Policy"] for one in displays if "Topic" in one}
    assert policies == {"Reliable"}


def test_every_panel_of_the_foxglove_layout_has_its_place_and_its_topics() -> None:
    settings = json.loads((CONFIG / "matches.foxglove.json").read_text())
    topics = {topic.removeprefix("/") for topic in topics_in(settings)}
    assert {"match_image", "image_markers", "markers"} <= topics <= published()

    def panels(layout: Any) -> list[str]:
        if isinstance(layout, str):
            return [layout]
        return panels(layout["first"]) + panels(layout["second"])

    assert sorted(panels(settings["layout"])) == sorted(settings["configById"])
