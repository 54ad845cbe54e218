"""Many bags: which there are, and what becomes of each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bag_helpers import camera, write_bag, write_ros1_bag
from rosbags.highlevel import AnyReader

import superglue_ros
from superglue_ros.bag.collection import find_bags, is_one_bag
from superglue_ros.cli.main import main
from superglue_ros.errors import InputError

FLAGS = ["--max-keypoints", "32", "--device", "cpu", "--sinkhorn-iterations", "10"]


def mcap(path: Path, count: int = 2) -> Path:
    """A bag that is a bare file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bag = write_bag(path.with_name("whole"), camera(count))
    shutil.move(bag / "whole.mcap", path)
    shutil.rmtree(bag)
    return path


def names(folder: Path, output: Path) -> dict[str, str]:
    found = find_bags(folder, output)
    return {str(bag.relative_to(folder)): str(to.relative_to(output)) for bag, to in found.items()}


def test_the_bags_of_a_folder_are_found_wherever_they_lie(tmp_path: Path) -> None:
    folder = tmp_path / "drives"
    write_bag(folder / "monday" / "first", camera(1))
    mcap(folder / "monday" / "second.mcap")
    mcap(folder / "same.mcap")
    write_ros1_bag(folder / "same.bag", 1)
    mcap(folder / "split" / "a_0.mcap")
    mcap(folder / "split" / "a_1.mcap")
    (folder / "notes.txt").write_text("")
    mcap(folder / "out" / "old" / "old.mcap")
    assert names(folder, folder / "out") == {
        "monday/first": "monday/first",
        "monday/second.mcap": "monday/second",
        "same.bag": "same.bag",
        "same.mcap": "same.mcap",
        "split": "split",
    }
    assert not is_one_bag(folder)


def test_one_bag_is_told_from_several(tmp_path: Path) -> None:
    assert is_one_bag(write_bag(tmp_path / "bag", camera(1)))
    assert is_one_bag(mcap(tmp_path / "split" / "a_0.mcap").parent)
    mcap(tmp_path / "split" / "a_10.mcap")
    assert is_one_bag(tmp_path / "split")
    for name in ("2024-01-02-10-00-00_0", "2024-01-02-10-05-00_1"):
        mcap(tmp_path / "dated" / f"{name}.mcap")
    assert is_one_bag(tmp_path / "dated")
    mcap(tmp_path / "split" / "b.mcap")
    assert not is_one_bag(tmp_path / "split")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no bags"):
        find_bags(tmp_path / "empty", tmp_path / "out")


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sound bags and one that is none."""
    folder = tmp_path_factory.mktemp("drives")
    for name in ("a", "b", "c"):
        mcap(folder / f"{name}.mcap", 3)
    (folder / "broken.mcap").write_bytes(b"nothing")
    return folder


def run(*arguments: Any) -> int:
    try:
        return main(["bag", *map(str, arguments), *FLAGS])
    except SystemExit as ended:
        return int(ended.code or 0)


def messages(bag: Path) -> list[tuple[str, int, bytes]]:
    with AnyReader([bag]) as reader:
        return [(one.topic, time_ns, data) for one, time_ns, data in reader.messages()]


def statuses(output: Path) -> dict[str, str]:
    lines = json.loads((output / "bags.json").read_text())
    return {Path(line["input"]).stem: line["status"] for line in lines}


@pytest.fixture(scope="module")
def matched(drives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have made of them."""
    output = tmp_path_factory.mktemp("matched")
    assert run(drives, output, "--jobs", 2, "--csv", "--quiet") == 3
    return output


def test_a_failing_bag_does_not_stop_the_others(
    drives: Path, matched: Path, tmp_path: Path
) -> None:
    assert statuses(matched) == {"a": "done", "b": "done", "broken": "failed", "c": "done"}
    assert run(drives / "a.mcap", tmp_path / "alone", "--quiet") == 0
    assert messages(matched / "a") == messages(tmp_path / "alone")


def test_what_is_done_is_skipped(
    drives: Path, matched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    shutil.copytree(matched, output)
    shutil.rmtree(output / "b")
    assert run(drives, output, "--csv", "--json") == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads((output / "bags.json").read_text())
    assert "broken.mcap: which topic" in printed.err
    assert statuses(output) == {"a": "skipped", "b": "done", "broken": "failed", "c": "skipped"}
    assert messages(output / "b") == messages(matched / "b")


def test_what_was_made_with_other_settings_is_not_taken_for_done(
    drives: Path, matched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(matched / "a", tmp_path / "a")
    same = [drives / "a.mcap", tmp_path / "a", "--resume", "--quiet"]
    assert run(*same, "--csv") == 0
    assert run(*same) == 2
    assert run(drives / "b.mcap", *same[1:], "--csv") == 2
    assert capsys.readouterr().err.count("of another input or with other settings") == 2


def test_ray_gives_the_same_bags(drives: Path, matched: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    assert run(drives, tmp_path, "--jobs", 2, "--quiet", "--csv", "--ray", "local") == 3
    assert statuses(tmp_path) == statuses(matched)
    for name in ("a", "b", "c"):
        here, there = matched / name, tmp_path / name
        assert messages(here) == messages(there)
        assert (here / "matches.csv").read_bytes() == (there / "matches.csv").read_bytes()


def test_without_ray_the_remedy_is_named(
    drives: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(drives, tmp_path / "out", "--ray", "local") == 2
    assert "pip install ray" in capsys.readouterr().err


def superglue_ros_command() -> list[str]:
    """The installed command, which the processes that it starts import."""
    installed = shutil.which("superglue-ros")
    if installed is not None:
        return [installed]
    code = "import sys; from superglue_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code]


def wait_for_the_end_of_all(group: int) -> None:
    """Python's own helper process ends a moment after the others."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("processes are left")


def test_ctrl_c_ends_all_processes_and_the_next_run_goes_on(tmp_path: Path) -> None:
    drives, output = tmp_path / "drives", tmp_path / "out"
    for name in ("a", "b"):
        mcap(drives / f"{name}.mcap", 30)
    command = [*superglue_ros_command(), "bag", str(drives), str(output), "--jobs", "2", *FLAGS]
    path = os.pathsep.join([str(Path(superglue_ros.__file__).parents[1]), *sys.path])
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # One at work is enough: the other process may have loaded so much faster that it is done
    while process.poll() is None and not any(output.glob("*.partial/unfinished")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    wait_for_the_end_of_all(process.pid)
    assert len(list(output.glob("[ab]"))) < 2
    assert run(drives, output, "--quiet") == 0
    assert len(messages(output / "b")) == 2 * 30 - 1
