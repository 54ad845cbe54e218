"""The log of a training: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path

Entry = dict[str, float]


class History:
    """Figures by step, kept in a file.

    Args:
        path: The log; taken up where it exists.
        step: Entries after this step are of a run that was cut after its last checkpoint: they are
            dropped, since the steps are taken again.
    """

    def __init__(self, path: Path, step: int) -> None:
        """Take up an existing log."""
        self._path = path
        self.entries: list[Entry] = [e for e in read_history(path) if e["step"] <= step]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(entry) + "\n" for entry in self.entries))

    def add(self, entry: Entry) -> None:
        """Append the figures of a step."""
        self.entries.append(entry)
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def read_history(path: Path) -> list[Entry]:
    """The entries of a log, none where there is no file; a line cut short is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [entry for entry in map(_parse, lines) if entry]


def _parse(line: str) -> Entry:
    try:
        entry: Entry = json.loads(line)
    except json.JSONDecodeError:  # cut in the middle of a line
        return {}
    return entry
