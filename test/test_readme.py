"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

from superglue_ros.documentation import NODES, with_parameter_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_parameter_table_is_that_of_the_dataclasses() -> None:
    assert with_parameter_table(README) == README
    for config_type in NODES.values():
        for setting in config_type.describe():
            assert f"| `{setting.name}` |" in README
            assert setting.description in README


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_file_and_folder_of_the_structure_exists() -> None:
    block = README.split("## Structure")[1].split("\n\n")[1]
    names = re.findall(r"^ {4}(?: {2})?((?:[\w.]+/?(?: {2}|$))+)", block, flags=re.MULTILINE)
    found = [name for line in names for name in line.split()]
    assert len(found) > 15
    below = ROOT / "superglue_ros"
    missing = [n for n in found if not (ROOT / n).exists() and not (below / n).exists()]
    assert missing == []
