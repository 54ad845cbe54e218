"""Bags of every kind, whole and damaged, to images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bag_helpers import (
    camera,
    compressed_message,
    frame,
    read,
    stamp_ns,
    write_bag,
    write_ros1_bag,
)
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from superglue_ros.bag.collection import find_bags, is_one_bag
from superglue_ros.bag.config import BagConfig
from superglue_ros.bag.frames import Frames
from superglue_ros.bag.reader import BagReader
from superglue_ros.bag.topics import choose_topics
from superglue_ros.errors import InputError

COUNT = 6


def split(path: Path) -> Path:
    """A bag in two files, without metadata.yaml."""
    path.mkdir()
    for part, messages in enumerate((camera(COUNT)[:4], camera(COUNT)[4:])):
        whole = write_bag(path.parent / f"whole{part}", messages)
        shutil.move(whole / f"whole{part}.mcap", path / f"split_{part}.mcap")
    return path


def as_file(path: Path) -> Path:
    return next(write_bag(path, camera(COUNT)).glob("*.mcap"))


KINDS: dict[str, Callable[[Path], Path]] = {
    "mcap": lambda path: write_bag(path, camera(COUNT)),
    "mcap file": as_file,
    "sqlite3": lambda path: write_bag(path, camera(COUNT), storage=StoragePlugin.SQLITE3),
    "compressed file": lambda path: write_bag(
        path, camera(COUNT), storage=StoragePlugin.SQLITE3, compression=CompressionMode.FILE
    ),
    "compressed messages": lambda path: write_bag(
        path, camera(COUNT), compression=CompressionMode.MESSAGE
    ),
    "compressed chunks": lambda path: write_bag(
        path, camera(COUNT), compression=CompressionMode.STORAGE
    ),
    "split": split,
    "ros 1": lambda path: write_ros1_bag(path.with_suffix(".bag"), COUNT),
    "compressed images": lambda path: write_bag(
        path,
        [("/camera", stamp_ns(n), compressed_message(frame(n), stamp_ns(n))) for n in range(COUNT)],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bags_of_every_kind_give_their_images(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path / "bag")
    assert read(path) == (list(range(COUNT)), [])
    with BagReader(path) as reader:
        (topic,) = reader.image_topics()
    assert (topic.name, topic.count) == ("/camera", COUNT)
    assert topic.rate_hz == pytest.approx(COUNT / 0.25)


def test_a_file_without_its_end_still_gives_every_frame(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(COUNT))
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[:-8])
    numbers, problems = read(bag)
    assert numbers == list(range(COUNT))
    assert "bag.mcap" in problems[0]


def test_a_missing_split_costs_its_own_frames_only(tmp_path: Path) -> None:
    bag = split(tmp_path / "bag")
    (bag / "split_0.mcap").write_bytes(b"")
    numbers, problems = read(bag)
    assert numbers == [4, 5]
    assert any("split_0.mcap" in problem for problem in problems)


def test_what_is_no_bag_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError, match=path.name):
            BagReader(path)


def test_topics_are_found_where_there_is_no_doubt(tmp_path: Path) -> None:
    one = write_bag(tmp_path / "one", camera(2))
    stereo = write_bag(
        tmp_path / "two", [*camera(2, "/a/left/image"), *camera(2, "/a/right/image")]
    )
    with BagReader(one) as reader:
        assert choose_topics(reader, BagConfig()) == ("/camera",)
        with pytest.raises(InputError, match="left and the right"):
            choose_topics(reader, BagConfig(mode="stereo"))
    with BagReader(stereo) as reader:
        topics = choose_topics(reader, BagConfig(mode="stereo"))
        assert topics == ("/a/left/image", "/a/right/image")
        with pytest.raises(InputError, match=r"/a/left/image \(sensor_msgs/msg/Image, 2 messages"):
            choose_topics(reader, BagConfig())
        assert choose_topics(reader, BagConfig(topic="/a/left/image")) == ("/a/left/image",)


def indices(path: Path, config: BagConfig) -> tuple[list[int], dict[str, int]]:
    with BagReader(path) as reader:
        frames = Frames(reader, choose_topics(reader, config), config)
        return [frame.index for frame in frames], dict(frames.dropped)


def test_start_end_and_every_choose_the_frames(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", camera(COUNT))
    with BagReader(bag) as reader:
        config = BagConfig(start=0.06, end=0.2)
        times = [frame.images[0].time_ns for frame in Frames(reader, ("/camera",), config)]
    assert times == [stamp_ns(2), stamp_ns(3), stamp_ns(4)]
    assert indices(bag, BagConfig(every=3))[0] == [0, 3]


def test_stereo_images_without_a_partner_are_counted(tmp_path: Path) -> None:
    left, right = camera(4, "/left"), camera(4, "/right")
    bag = write_bag(tmp_path / "bag", sorted(left + right[1:], key=lambda one: one[1]))
    found, dropped = indices(bag, BagConfig(mode="stereo"))
    assert found == [0, 1, 2]
    assert {reason: n for reason, n in dropped.items() if n} == {"no partner for /left": 1}


@pytest.mark.parametrize("compression", [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("given", ["folder", "file"])
def test_compressed_bags_whose_recorder_was_killed_are_read(
    given: str, storage: StoragePlugin, compression: CompressionMode, tmp_path: Path
) -> None:
    bag = write_bag(tmp_path / "bag", camera(COUNT), storage=storage, compression=compression)
    (bag / "metadata.yaml").unlink()
    (file,) = bag.iterdir()
    assert is_one_bag(bag)
    assert read(bag if given == "folder" else file) == (list(range(COUNT)), [])


def test_a_file_that_is_there_compressed_too_is_read_once(tmp_path: Path) -> None:
    compressed = write_bag(tmp_path / "bag", camera(COUNT), compression=CompressionMode.FILE)
    (compressed / "metadata.yaml").unlink()
    shutil.copy(as_file(tmp_path / "plain"), compressed / "bag.mcap")
    assert read(compressed) == (list(range(COUNT)), [])


def test_plain_and_compressed_bags_in_one_folder_are_bags_of_their_own(tmp_path: Path) -> None:
    folder = write_bag(tmp_path / "night", camera(2), compression=CompressionMode.FILE)
    (folder / "metadata.yaml").unlink()
    shutil.copy(as_file(tmp_path / "plain"), folder / "day.mcap")
    found = find_bags(folder, tmp_path / "out")
    assert not is_one_bag(folder)
    assert [bag.name for bag in found] == ["day.mcap", "night.mcap.zstd"]
    assert [output.name for output in found.values()] == ["day", "night"]
