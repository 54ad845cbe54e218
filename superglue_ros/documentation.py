"""The parameter table of the README, made from the configuration dataclasses.

`python -m superglue_ros.documentation README.md` puts it in again; a test holds them together.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from superglue_ros.config import (
    GeometryNodeConfig,
    MatchVisualizerNodeConfig,
    OdometryNodeConfig,
    PipelineNodeConfig,
    Setting,
    Settings,
    SuperGlueNodeConfig,
    SuperPointNodeConfig,
)

NODES: dict[str, type[Settings]] = {
    "superpoint": SuperPointNodeConfig,
    "superglue": SuperGlueNodeConfig,
    "pipeline": PipelineNodeConfig,
    "geometry": GeometryNodeConfig,
    "visual_odometry": OdometryNodeConfig,
    "match_visualizer": MatchVisualizerNodeConfig,
}
BLOCK = re.compile(r"(<!-- begin parameters -->\n).*?(<!-- end parameters -->)", re.DOTALL)


def parameter_table() -> str:
    """A Markdown table of the parameters of all nodes, one row where they are the same."""
    nodes_of: dict[Setting, list[str]] = {}
    for node, config_type in NODES.items():
        for setting in config_type.describe():
            nodes_of.setdefault(setting, []).append(node)
    rows = sorted(nodes_of.items(), key=lambda item: (-len(item[1]), item[0].name))
    lines = ["| parameter | default | range | nodes | |", "| --- | --- | --- | --- | --- |"]
    for setting, nodes in rows:
        default = json.dumps(setting.default)
        live = " *Live.*" if setting.live else ""
        where = "all" if len(nodes) == len(NODES) else ", ".join(nodes)
        lines.append(
            f"| `{setting.name}` | `{default}` | {setting.range_text} | {where} "
            f"| {setting.description}{live} |"
        )
    return "\n".join(lines) + "\n"


def with_parameter_table(text: str) -> str:
    """A text in which what stands between the markers is the table as it is now."""
    return BLOCK.sub(lambda found: found[1] + parameter_table() + found[2], text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(with_parameter_table(path.read_text(encoding="utf-8")), encoding="utf-8")
