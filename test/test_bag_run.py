"""From a bag to a bag: what is written, and that nothing is lost whatever happens."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import fused_helpers
import numpy as np
import pytest
from bag_helpers import START_NS, camera, frame, image_message, stamp_ns, write_bag
from rosbags.highlevel import AnyReader

from superglue_ros.bag import matched_pairs
from superglue_ros.bag import run as run_module
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.journal import reasons
from superglue_ros.bag.outputs import Outputs, Summary
from superglue_ros.bag.run import BagRun
from superglue_ros.cli.main import main
from superglue_ros.errors import InputError
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor
from superglue_ros.messages import features_from_message, matches_from_message

COUNT = 7
SETTINGS = {"max_keypoints": 64, "device": "cpu"}
Content = list[tuple[str, int, Any]]


@pytest.fixture(scope="module")
def networks() -> tuple[SuperPointExtractor, SuperGlueMatcher]:
    return SuperPointExtractor(**SETTINGS), SuperGlueMatcher(device="cpu", sinkhorn_iterations=20)


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PART_FRAMES", 2)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "recording", camera(COUNT))


def content(bag: Path) -> Content:
    """Topic, time and message, read by the definitions in the bag."""
    with AnyReader([bag]) as reader:
        return [
            (connection.topic, time_ns, reader.deserialize(data, connection.msgtype))
            for connection, time_ns, data in reader.messages()
        ]


def serialized(bag: Path) -> list[tuple[str, int, bytes]]:
    with AnyReader([bag]) as reader:
        return [(connection.topic, time, data) for connection, time, data in reader.messages()]


def run(source: Path, output: Path, networks: Any, **settings: Any) -> Summary:
    outputs = Outputs(descriptors=True, npz=True, csv=True)
    return BagRun(source, output, BagConfig(**settings), outputs).run(*networks)


def seconds(header: Any) -> int:
    return round((header.stamp.sec * 10**9 + header.stamp.nanosec - START_NS) / 50e6)


def test_every_frame_is_extracted_and_matched_to_the_one_before(
    recording: Path, networks: Any, tmp_path: Path
) -> None:
    summary = run(recording, tmp_path / "out", networks)
    messages = content(tmp_path / "out")
    features = [message for topic, _, message in messages if topic == "/features"]
    matches = [message for topic, _, message in messages if topic == "/matches"]
    assert [seconds(message.header) for message in features] == list(range(COUNT))
    assert [(seconds(m.header0), seconds(m.header1)) for m in matches] == [
        (n, n + 1) for n in range(COUNT - 1)
    ]
    assert all(
        time_ns == stamp_ns(seconds(message.header)) and message.header.frame_id == "camera"
        for _, time_ns, message in messages
    )
    extractor, matcher = networks
    expected = extractor.extract_batch([frame(2)])[0]
    got = features_from_message(features[2])
    np.testing.assert_array_equal(got.descriptors, expected.descriptors)
    np.testing.assert_array_equal(got.keypoints, expected.keypoints)
    pair = matcher.match(*(features_from_message(message) for message in features[2:4]))
    np.testing.assert_array_equal(matches_from_message(matches[2])[2].matches0, pair.matches0)
    assert len(pair) > 20
    assert (summary.frames, summary.pairs, summary.problems) == (COUNT, COUNT - 1, [])
    assert not (tmp_path / "out.partial").exists()


def test_the_same_matches_lie_in_the_npz_files_and_the_table(
    recording: Path, networks: Any, tmp_path: Path
) -> None:
    run(recording, tmp_path / "out", networks)
    message = [message for topic, _, message in content(tmp_path / "out") if topic == "/matches"][3]
    _, features1, matches = matches_from_message(message)
    with np.load(tmp_path / "out" / "pairs" / "000003.npz") as arrays:
        np.testing.assert_array_equal(arrays["matches"], matches.matches0)
        np.testing.assert_array_equal(arrays["keypoints1"], features1.keypoints)
        np.testing.assert_array_equal(arrays["match_confidence"], matches.matching_scores0)
    lines = (tmp_path / "out" / "matches.csv").read_text().splitlines()
    rows = np.array([line.split(",") for line in lines[1:]], float)
    of_pair = rows[rows[:, 0] == 3]
    assert lines[0] == "pair,stamp0,stamp1,x0,y0,x1,y1,confidence"
    np.testing.assert_allclose(of_pair[:, 5:7], features1.keypoints[matches.pairs[:, 1]], rtol=1e-6)
    np.testing.assert_allclose(of_pair[:, 7], matches.confidences, rtol=1e-6)


@pytest.mark.parametrize("mode", ["sequential", "keyframe"])
def test_an_interrupted_run_goes_on_to_the_same_result(
    mode: str, recording: Path, networks: Any, tmp_path: Path
) -> None:
    settings = {"mode": mode, "keyframe_max_motion_px": 7.0}
    everything = Outputs(*[True] * 7, pictures=True, pass_through=None)
    whole = tmp_path / "whole" / "out"
    BagRun(recording, whole, BagConfig(**settings), everything).run(*networks)
    output = tmp_path / "cut" / "out"

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    bag_run = BagRun(recording, output, BagConfig(**settings), everything)
    with pytest.raises(KeyboardInterrupt):
        bag_run.run(*networks, on_frame=interrupt)
    assert not output.exists()
    with pytest.raises(InputError, match="--resume"):
        bag_run.run(*networks)
    done: list[int] = []
    summary = bag_run.run(*networks, resume=True, on_frame=lambda n, total: done.append(n))
    assert done == [5, 6, 7]
    assert summary.frames == COUNT
    files = assert_same_files(whole, output)
    names = {"matches.csv", "tracks.csv", "matches.mp4", "report.html", "run.json", "out.mcap"}
    names.add("foxglove_layout.json")
    assert names <= {file.name for file in files}
    assert len(files) == 8 + COUNT - 1


def test_a_run_on_a_gpu_goes_on_to_the_same_result(recording: Path, tmp_path: Path) -> None:
    """From a part of one batch, with the features that it left."""

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    networks = fused_helpers.networks("fused")
    outputs = Outputs(descriptors=True, csv=True)
    runs = [BagRun(recording, tmp_path / n / "out", BagConfig(), outputs) for n in ("one", "two")]
    with fused_helpers.as_on_a_gpu(*networks):
        runs[0].run(*networks)
        with pytest.raises(KeyboardInterrupt):
            runs[1].run(*networks, on_frame=interrupt)
        done: list[int] = []
        runs[1].run(*networks, resume=True, on_frame=lambda n, total: done.append(n))
    assert done == [5, 6, 7]
    assert_same_files(tmp_path / "one", tmp_path / "two")


def assert_same_files(one: Path, other: Path) -> set[Path]:
    """That two folders hold the same files of the same bytes; returns them."""
    files = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    assert files == {path.relative_to(other) for path in other.rglob("*") if path.is_file()}
    for file in files:
        assert untimed(one / file) == untimed(other / file), file
    return files


def untimed(path: Path) -> bytes:
    """The content of an output, of the report without the durations that it has measured."""
    data = path.read_bytes()
    return (
        re.sub(rb"<h2>Time that a frame.*?</table>", b"", data) if path.suffix == ".html" else data
    )


def test_a_run_of_other_settings_is_not_gone_on_with(
    recording: Path, networks: Any, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BagRun(recording, tmp_path / "out", BagConfig(), Outputs()).run(
            *networks, on_frame=interrupt
        )
    other = BagRun(recording, tmp_path / "out", BagConfig(every=2), Outputs())
    with pytest.raises(InputError, match="other settings"):
        other.run(*networks, resume=True)


def test_a_batch_is_a_matter_of_speed(recording: Path, networks: Any) -> None:
    """On a CPU engines take one image after the other, whatever they are given."""
    single = list(matched_pairs(recording, *networks, batch_size=1))
    batched = list(matched_pairs(recording, *networks, batch_size=3))
    assert len(single) == len(batched) == COUNT - 1
    for (*_, one), (*_, other) in zip(single, batched, strict=True):
        np.testing.assert_array_equal(one.matches0, other.matches0)
        np.testing.assert_array_equal(one.matching_scores0, other.matching_scores0)


@pytest.mark.parametrize("mode", ["sequential", "stereo"])
def test_frames_go_through_a_gpu_in_batches_each_image_once(mode: str, tmp_path: Path) -> None:
    """Of seven frames, of which one cannot be used, the next batch before one is waited for."""
    messages = camera(COUNT, "/left/image")
    messages[2][2].encoding = "32FC1"
    if mode == "stereo":
        messages = sorted([*messages, *camera(COUNT, "/right/image", shift=8)], key=lambda m: m[1])
    bag = write_bag(tmp_path / "bag", messages)
    fused = fused_helpers.networks("fused")
    settings = {"mode": mode}
    with fused_helpers.as_on_a_gpu(*fused), fused_helpers.logged() as log:
        found = list(matched_pairs(bag, *fused, **settings))
    # Four images at a time, and two pairs at a time of the three or four that they make
    begun = {"sequential": [2, 1 + 2], "stereo": [4, 4]}[mode]
    assert [log.count("extract"), log.count("match")] == begun
    assert log.index("wait") >= 4
    exact = fused_helpers.networks("torch")
    expected = list(matched_pairs(bag, *exact, **settings))
    assert len(found) == len(expected) == (5 if mode == "sequential" else 6)
    for (_, features1, one), (_, expected1, other) in zip(found, expected, strict=True):
        np.testing.assert_allclose(features1.keypoints, expected1.keypoints, atol=1e-3)
        np.testing.assert_allclose(features1.descriptors, expected1.descriptors, atol=1e-4)
        np.testing.assert_array_equal(one.matches0, other.matches0)
        assert len(one) > 10


def test_stereo_pairs_are_matched_left_to_right(networks: Any, tmp_path: Path) -> None:
    both = [*camera(2, "/left/image"), *camera(2, "/right/image", shift=8)]
    bag = write_bag(tmp_path / "bag", sorted(both, key=lambda one: one[1]))
    run(bag, tmp_path / "out", networks, mode="stereo")
    messages = content(tmp_path / "out")
    assert [topic for topic, _, _ in messages] == [
        "/left/features",
        "/right/features",
        "/matches",
    ] * 2
    features0, features1, matches = matches_from_message(messages[2][2])
    ends0, ends1 = (
        f.keypoints[i] for f, i in zip((features0, features1), matches.pairs.T, strict=True)
    )
    assert np.median((ends0 - ends1)[:, 0]) == pytest.approx(8, abs=0.5)


def test_unusable_images_are_counted_and_the_sequence_goes_on(
    networks: Any, tmp_path: Path
) -> None:
    messages = camera(4)
    messages[1][2].encoding = "32FC1"
    bag = write_bag(tmp_path / "bag", messages)
    summary = run(bag, tmp_path / "out", networks)
    matches = [m for topic, _, m in content(tmp_path / "out") if topic == "/matches"]
    assert [(seconds(m.header0), seconds(m.header1)) for m in matches] == [(0, 2), (2, 3)]
    assert summary.dropped == {"unusable image": 1}


def test_a_gap_begins_the_sequence_anew(networks: Any, tmp_path: Path) -> None:
    messages = [camera(6)[n] for n in (0, 1, 4, 5)]
    bag = write_bag(tmp_path / "bag", messages)
    assert len(list(matched_pairs(bag, *networks))) == 3
    assert len(list(matched_pairs(bag, *networks, max_gap=0.1))) == 2


def test_a_full_disk_is_one_line_and_the_run_can_go_on(
    recording: Path, networks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    bag_run = BagRun(recording, tmp_path / "out", BagConfig(), Outputs())
    with monkeypatch.context() as patch:
        patch.setattr("superglue_ros.bag.writer.BagWriter.write", full)
        with pytest.raises(InputError, match="No space left on device"):
            bag_run.run(*networks)
    assert bag_run.run(*networks, resume=True).pairs == COUNT - 1


FLAGS = ["--max-keypoints", "64", "--device", "cpu", "--sinkhorn-iterations", "20"]


def test_a_killed_command_leaves_nothing_and_goes_on(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(20))
    code = (
        "import sys; from superglue_ros.bag import run; run.PART_FRAMES = 2\n"
        "from superglue_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    outputs = ["--csv", "--tracks", "--report", "--video", "--geometry", "--pass-through"]
    arguments = [*FLAGS, *outputs, "--quiet"]
    cut, whole = tmp_path / "cut" / "out", tmp_path / "whole" / "out"
    command = [sys.executable, "-c", code, "bag", str(bag), str(cut), *arguments]
    path = os.pathsep.join([str(Path(run_module.__file__).parents[2]), *sys.path])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    part = cut.parent / "out.partial" / "part_000001"
    while not part.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not cut.exists()
    assert main(["bag", str(bag), str(cut), *arguments, "--resume"]) == 0
    assert main(["bag", str(bag), str(whole), *arguments]) == 0
    assert_same_files(whole, cut)
    assert not cut.with_name("out.partial").exists()
    # Killed once more, while cleaning up: there is nothing left to do but that
    cut.with_name("out.partial").mkdir()
    assert main(["bag", str(bag), str(cut), *arguments, "--resume"]) == 0
    assert not cut.with_name("out.partial").exists()
    assert main(["bag", str(bag), str(cut), *arguments, "--resume", "--every", "2"]) == 2
    assert_same_files(whole, cut)


def test_the_command_prints_its_summary_as_json(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bag", str(recording), str(tmp_path / "out"), *FLAGS, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["frames"], summary["pairs"]) == (COUNT, COUNT - 1)
    assert main(["bag", str(recording), str(tmp_path / "out"), *FLAGS]) == 2
    assert "exists already" in capsys.readouterr().err


def test_the_command_ends_with_1_where_the_input_is_damaged(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(COUNT))
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(SystemExit) as ended:
        main(["bag", str(bag), str(tmp_path / "out"), *FLAGS])
    assert ended.value.code == 1
    assert len(serialized(tmp_path / "out")) == 2 * COUNT - 1


def test_doubt_about_the_topic_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path / "bag", [*camera(2, "/a"), *camera(2, "/b")])
    assert main(["bag", str(bag), str(tmp_path / "out"), *FLAGS]) == 2
    error = capsys.readouterr().err.strip()
    assert "/a (sensor_msgs/msg/Image, 2 messages" in error
    assert len(error.splitlines()) == 1


def test_a_topic_that_is_not_there_is_one_line_and_leaves_nothing(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--topic", "/none", *FLAGS]
    assert main(["bag", str(recording), str(tmp_path / "out"), *flags]) == 2
    error = capsys.readouterr().err.strip()
    assert "no images on /none; its image topics: /camera" in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_images_without_features_give_empty_messages(networks: Any, tmp_path: Path) -> None:
    black = np.zeros((120, 160), np.uint8)
    messages = [("/camera", stamp_ns(n), image_message(black, stamp_ns(n))) for n in range(2)]
    summary = run(write_bag(tmp_path / "bag", messages), tmp_path / "out", networks)
    assert (summary.pairs, summary.mean_matches, summary.mean_keypoints) == (1, 0, 0)


def test_reasons_that_differ_in_their_numbers_alone_are_told_once() -> None:
    counts = Counter({f"unusable: image holds {n} bytes instead of 19200": 1 for n in range(300)})
    counts["unusable: encoding '32FC1' is not one of intensities"] = 2
    counts["unpaired: first of the sequence"] = 1
    assert reasons(counts, "unusable") == {
        "image holds 0 bytes instead of 19200": 300,
        "encoding '32FC1' is not one of intensities": 2,
    }
