"""The pool of photographs: found in packages, cut, packed, counted; broken images left out."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from superglue_ros.errors import InputError
from superglue_ros.features import GreyImage
from superglue_ros.lab.training.photographs import archives as archives_module
from superglue_ros.lab.training.photographs.archives import (
    _decode_with_pillow,
    decode_grey,
    load_photographs,
)
from superglue_ros.lab.training.photographs.containers import image_members, is_cut_short
from superglue_ros.lab.training.photographs.crops import difference_hash, take_crops
from superglue_ros.lab.training.photographs.packages import (
    PACKAGES,
    Package,
    select_packages,
    unpack_package,
)
from superglue_ros.lab.training.photographs.pool import RECORD, Pool

PACKAGE = Package("made-up", r"images/.*\.(jpg|png|rcc|pk3)$", "public domain")

MakeImage = Callable[..., GreyImage]


def encoded(image: GreyImage, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.fixture
def unpacked(tmp_path: Path, make_image: MakeImage) -> Path:
    """A package with good images, a copy, a corrupt, a cut, a small and a flat one."""
    root = tmp_path / "package"
    images = root / "usr/share/images"
    images.mkdir(parents=True)
    for index in range(3):
        (images / f"good{index}.jpg").write_bytes(encoded(make_image(600, 800, seed=index)))
    first = cv2.imdecode(np.frombuffer((images / "good0.jpg").read_bytes(), np.uint8), 0)
    (images / "zz_copy.png").write_bytes(encoded(cv2.resize(first, (1200, 900)), ".png"))
    (images / "corrupt.jpg").write_bytes(b"\xff\xd8\xff no image \xff\xd9")
    whole = encoded(make_image(600, 800, seed=9))
    (images / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "small.png").write_bytes(encoded(make_image(100, 100), ".png"))
    (images / "flat.png").write_bytes(encoded(np.full((600, 800), 90, np.uint8), ".png"))
    (images / "text.txt").write_text("not wanted")
    (root / "usr/share/doc/made-up").mkdir(parents=True)
    (root / "usr/share/doc/made-up/copyright").write_text("by nobody")
    return root


def gather(pool: Pool, unpacked: Path) -> list[str]:
    seen: list[str] = []
    pool.gather(PACKAGE, unpacked, lambda photograph: seen.append(photograph.status))
    return seen


def test_every_image_is_counted_and_only_good_ones_are_kept(unpacked: Path, tmp_path: Path) -> None:
    pool = Pool(tmp_path / "pool")
    gather(pool, unpacked)
    counts = pool.counts()["made-up"]
    assert {name: counts[name] for name in ("kept", "corrupt", "duplicate", "small", "flat")} == {
        "kept": 3,
        "corrupt": 2,
        "duplicate": 1,
        "small": 1,
        "flat": 1,
    }
    made = pool.pack()
    photographs = load_photographs(made)
    assert photographs.shape[1:] == (480, 640)
    assert len(photographs) == counts["train crops"] + counts["validation crops"] > 0
    record = json.loads((tmp_path / "pool" / RECORD).read_text())
    assert len(record) == 8
    assert (tmp_path / "pool/licences/made-up.txt").read_text() == "by nobody"


def test_gathering_goes_on_where_it_was_cut(
    unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather(Pool(tmp_path / "pool"), unpacked)
    from superglue_ros.lab.training.photographs import pool as pool_module

    def not_again(*_: object) -> None:
        raise AssertionError("a photograph was cut twice")

    monkeypatch.setattr(pool_module, "take_crops", not_again)
    assert gather(Pool(tmp_path / "pool"), unpacked).count("kept") == 3


def test_copies_of_evaluation_images_stay_out(unpacked: Path, tmp_path: Path) -> None:
    data = (unpacked / "usr/share/images/good1.jpg").read_bytes()
    image = decode_grey(data)
    assert image is not None
    smaller = cv2.resize(image, (400, 300), interpolation=cv2.INTER_AREA)
    statuses = gather(Pool(tmp_path / "pool", [difference_hash(smaller)]), unpacked)
    assert (statuses.count("kept"), statuses.count("excluded")) == (2, 1)


def test_parts_share_no_photograph(unpacked: Path, tmp_path: Path) -> None:
    pool = Pool(tmp_path / "pool")
    gather(pool, unpacked)
    names: dict[str, set[str]] = {}
    for archive in pool.pack():
        with zipfile.ZipFile(archive) as content:
            digests = {n.split("-")[0] for n in content.namelist() if n.endswith(".webp")}
        names.setdefault(archive.name.split("-")[0], set()).update(digests)
    assert not names.get("train", set()) & names.get("validation", set())


def test_archives_stay_below_their_limit(
    unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(tmp_path / "pool")
    gather(pool, unpacked)
    largest = max(p.stat().st_size for p in (tmp_path / "pool/crops").glob("*.webp"))
    monkeypatch.setattr(archives_module, "MAX_ARCHIVE_BYTES", largest + 1000)
    made = pool.pack()
    assert len(made) > 2
    assert all(archive.stat().st_size <= largest + 1000 for archive in made)


def test_no_photographs_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photographs found"):
        load_photographs([])
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("0.webp", b"not an image")
    with pytest.raises(InputError, match="no photographs found"):
        load_photographs([tmp_path / "empty.zip"])
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    with pytest.raises(InputError, match="cannot read the archive"):
        load_photographs([tmp_path / "broken.zip"])


def test_pillow_decodes_what_opencv_does(make_image: MakeImage) -> None:
    pytest.importorskip("PIL")
    data = encoded(make_image(64, 80), ".webp")
    ours, theirs = decode_grey(data), _decode_with_pillow(data)
    assert ours is not None
    assert theirs is not None
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert _decode_with_pillow(b"nothing") is None


def test_images_are_found_in_zip_archives_and_qt_resources(
    tmp_path: Path, make_image: MakeImage
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    jpeg, webp = encoded(make_image(16, 16)), encoded(make_image(16, 16), ".webp")
    with zipfile.ZipFile(images / "a.pk3", "w") as archive:
        archive.writestr("x/wall.jpg", jpeg)
        archive.writestr("x/readme.txt", "text")
    blocks = [b"// code", jpeg, webp]
    data = b"".join(struct.pack(">I", len(block)) + block for block in blocks)
    header = struct.pack(">4sIIII", b"qres", 3, 24 + len(data), 24, 24 + len(data)) + b"\0" * 4
    (images / "b.rcc").write_bytes(header + data + b"names")
    found = dict(image_members(Package("p", r"images/.*\.(pk3.*|rcc)$", ""), tmp_path))
    assert list(found) == ["images/a.pk3/x/wall.jpg", "images/b.rcc/001", "images/b.rcc/002"]
    assert list(found.values()) == [jpeg, jpeg, webp]


def test_files_cut_short_are_recognised(make_image: MakeImage) -> None:
    for suffix in (".jpg", ".webp"):
        data = encoded(make_image(64, 64), suffix)
        assert not is_cut_short(data)
        assert is_cut_short(data[: len(data) * 2 // 3])


def test_crops_repeat_with_their_seed_and_keep_their_size(make_image: MakeImage) -> None:
    image = make_image(900, 1200)
    first, second = take_crops(image, 4, seed=1), take_crops(image, 4, seed=1)
    assert first
    assert all(crop.image.shape == (480, 640) for crop in first)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    assert take_crops(np.zeros((100, 100), np.uint8), 4, seed=1) == []


def test_an_unknown_package_is_told() -> None:
    with pytest.raises(InputError, match="no package 'nothing'"):
        select_packages(["nothing"])
    assert len(select_packages([])) == len(PACKAGES)


def test_a_machine_without_package_tools_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get and dpkg are needed"):
        unpack_package(PACKAGE, tmp_path)
