"""The flags that choose an extractor and a matcher, and those of their settings."""

from __future__ import annotations

import argparse
from typing import Any

from superglue_ros.cli.flags import Flags, add_flags, check_effect
from superglue_ros.config import Settings
from superglue_ros.inference import registry

EXTRACTORS: dict[str, Flags[Any]] = {
    name: Flags(entry.config, {"weights": f"{name}_weights"})
    for name, entry in registry.EXTRACTORS.items()
}
MATCHERS: dict[str, Flags[Any]] = {
    name: Flags(entry.config, {"weights": f"{name}_weights", "refinement": "refine"})
    for name, entry in registry.MATCHERS.items()
}


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("extractor and matcher")
    group.add_argument(
        "--extractor", choices=EXTRACTORS, default="superpoint", help="default superpoint"
    )
    group.add_argument("--matcher", choices=MATCHERS, default="superglue", help="default superglue")
    add_flags(group, {**EXTRACTORS, **MATCHERS})


def read_networks(arguments: argparse.Namespace) -> tuple[Settings, Settings]:
    """The settings of the extractor and of the matcher that a command line chooses.

    Raises:
        InputError: They do not fit each other, or a flag belongs to another one.
    """
    chosen = (arguments.extractor, arguments.matcher)
    registry.fit(*chosen)
    check_effect(arguments, {**EXTRACTORS, **MATCHERS}, chosen)
    extractor: Settings = EXTRACTORS[chosen[0]].read(arguments)
    matcher: Settings = MATCHERS[chosen[1]].read(arguments)
    if f"{chosen[1]}_weights" not in arguments:
        matcher = matcher.updated(**registry.weights_for(*chosen))
    return extractor, matcher
