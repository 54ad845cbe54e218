"""Parameters given to a node that it does not have: told, where they can be meant for it."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from rclpy.node import Node
from rclpy.parameter import Parameter

from superglue_ros.documentation import NODES
from superglue_ros.nodes.distributions import DECLARED_BY_ROS

_QOS_OVERRIDES = "qos_overrides."
_ALL_NODES = ("/**", "**", "/*", "*")
"""Sections of a parameter file that mean every node, whatever its name."""

_OF_ANY_NODE = {setting.name for node in NODES.values() for setting in node.describe()}


def unknown_parameters(node: Node, arguments: Sequence[str] = sys.argv) -> list[str]:
    """A line for each parameter given at the start that the node does not have.

    ROS leaves such a value unused without a word, and a typing error unnoticed. What a file gives
    to all nodes may be another one's, unless it is nearly the name of one of this node's.

    Args:
        node: Its parameters are declared.
        arguments: Of the process, which name the files.
    """
    given: dict[str, Parameter] = getattr(node, "_parameter_overrides", {})
    known = list(node.get_parameters_by_prefix(""))
    for_all = set(_given_to_all(arguments))
    lines = []
    for name in given:
        if node.has_parameter(name) or name in DECLARED_BY_ROS:
            continue
        if name.startswith(_QOS_OVERRIDES):
            lines.append(
                f"{name} has no effect: inputs follow their publishers (parameter qos), outputs "
                "are reliable and volatile"
            )
            continue
        if name in for_all and name in _OF_ANY_NODE:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        if close or name not in for_all:
            hint = f"; did you mean {close[0]}?" if close else ""
            lines.append(f"unknown parameter {name!r} is ignored{hint}")
    return lines


def _given_to_all(arguments: Sequence[str]) -> Iterator[str]:
    """Names of parameters that the files give to nodes of any name."""
    for name, value in itertools.pairwise(arguments):
        if name == "--params-file":
            for section, parameters in _sections(Path(value)):
                if section in _ALL_NODES:
                    yield from parameters


def _sections(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The sections of a parameter file, which ROS has read before, and the names in each."""
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section, content in _flat(loaded):
        yield section, list(content)


def _flat(content: Any, above: str = "") -> Iterator[tuple[str, list[str]]]:
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == "ros__parameters":
            yield above, list(_names(value))
        else:
            yield from _flat(value, f"{above.rstrip('/')}/{key.lstrip('/')}" if above else key)


def _names(parameters: Any, above: str = "") -> Iterator[str]:
    for key, value in parameters.items() if isinstance(parameters, dict) else ():
        if isinstance(value, dict):
            yield from _names(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"
