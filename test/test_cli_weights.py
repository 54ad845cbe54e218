"""superglue-ros weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from superglue_ros.cli.main import main
from superglue_ros.weights import SHIPPED


def test_the_list_tells_of_every_set_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    printed = capsys.readouterr().out
    for entry in SHIPPED.values():
        for text in (entry.name, entry.network, entry.licence, entry.sha256[:12]):
            assert text in printed
        assert entry.note.split()[0] in printed


def test_sound_weights_are_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(SHIPPED)


def test_changed_weights_are_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = dataclasses.replace(SHIPPED["superglue"], sha256="0" * 64)
    monkeypatch.setitem(SHIPPED, "superglue", changed)
    assert main(["weights", "verify"]) == 2
    assert "superglue.safetensors" in capsys.readouterr().err


def test_missing_weights_are_listed_as_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = dataclasses.replace(SHIPPED["superglue"], file_name="gone.safetensors")
    monkeypatch.setitem(SHIPPED, "superglue", missing)
    assert main(["weights", "list"]) == 0
    assert "missing" in capsys.readouterr().out
