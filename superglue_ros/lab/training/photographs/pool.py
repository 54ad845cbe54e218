"""The pool of training photographs: gathered, deduplicated, cut, packed and accounted for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from superglue_ros.lab.training.photographs.archives import decode_grey, write_archives
from superglue_ros.lab.training.photographs.containers import image_members, is_cut_short
from superglue_ros.lab.training.photographs.crops import (
    MAX_ENLARGEMENT,
    difference_hash,
    smallest_scale,
    take_crops,
)
from superglue_ros.lab.training.photographs.packages import Package, copyright_file

VALIDATION_SHARE = 0.1
WEBP_QUALITY = 70
MAX_CROPS = 6
MAX_HASH_DISTANCE = 6
"""Bits by which the fingerprints of two copies of one photograph may differ."""

RECORD = "photographs.json"
_DIGEST_DIGITS = 16


@dataclass(frozen=True)
class Photograph:
    """What became of one image file of a package.

    Attributes:
        name: Its path in the package.
        package: The package.
        digest: First digits of the SHA-256 of the file.
        status: kept, corrupt, small, flat, duplicate or excluded.
        fingerprint: `difference_hash` of the image, 0 where it is corrupt.
        part: train or validation.
        crops: How many crops were taken.
    """

    name: str
    package: str
    digest: str
    status: str
    fingerprint: int
    part: str
    crops: int


class Pool:
    """A folder that photographs are gathered into; gathering may stop and go on.

    Args:
        folder: Holds `crops/` (images and one record a photograph), the archives and
            `photographs.json`.
        excluded: Fingerprints of images that must stay out, such as those of evaluation sets.
    """

    def __init__(self, folder: Path, excluded: Iterable[int] = ()) -> None:
        """Take up what an earlier run has gathered."""
        self.folder = folder
        self._crops = folder / "crops"
        self._crops.mkdir(parents=True, exist_ok=True)
        records = (json.loads(path.read_text()) for path in sorted(self._crops.glob("*.json")))
        self._photographs = {record["digest"]: Photograph(**record) for record in records}
        self._excluded = list(excluded)

    @property
    def photographs(self) -> list[Photograph]:
        """Every photograph seen, by package and name."""
        return sorted(self._photographs.values(), key=lambda p: (p.package, p.name))

    def gather(
        self, package: Package, unpacked: Path, on_photograph: Callable[[Photograph], None]
    ) -> None:
        """Take the crops of every photograph of an unpacked package that is not yet in the pool."""
        for name, data in image_members(package, unpacked):
            digest = hashlib.sha256(data).hexdigest()[:_DIGEST_DIGITS]
            if digest not in self._photographs:
                photograph = self._add(name, package.name, digest, data)
                self._photographs[digest] = photograph
                record = json.dumps(dataclasses.asdict(photograph))
                (self._crops / f"{digest}.json").write_text(record)
            on_photograph(self._photographs[digest])
        statement = copyright_file(package, unpacked)
        if statement is not None:
            licences = self.folder / "licences"
            licences.mkdir(exist_ok=True)
            (licences / f"{package.name}.txt").write_bytes(statement.read_bytes())

    def _add(self, name: str, package: str, digest: str, data: bytes) -> Photograph:
        in_validation = int(digest, 16) % 1000 < VALIDATION_SHARE * 1000
        seen = Photograph(
            name, package, digest, "kept", 0, "validation" if in_validation else "train", 0
        )
        image = None if is_cut_short(data) else decode_grey(data)
        if image is None:
            return dataclasses.replace(seen, status="corrupt")
        seen = dataclasses.replace(seen, fingerprint=difference_hash(image))
        if smallest_scale(image) > MAX_ENLARGEMENT:
            return dataclasses.replace(seen, status="small")
        if _is_near(seen.fingerprint, self._excluded):
            return dataclasses.replace(seen, status="excluded")
        kept = [p.fingerprint for p in self._photographs.values() if p.status == "kept"]
        if _is_near(seen.fingerprint, kept):
            return dataclasses.replace(seen, status="duplicate")
        crops = take_crops(image, MAX_CROPS, seed=int(digest, 16))
        for index, crop in enumerate(crops):
            _, encoded = cv2.imencode(".webp", crop.image, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
            (self._crops / f"{digest}-{index}.webp").write_bytes(encoded.tobytes())
        return dataclasses.replace(seen, status="kept" if crops else "flat", crops=len(crops))

    def pack(self) -> list[Path]:
        """Write the archives of both parts, each a fair sample of the whole, and the record."""
        archives = []
        for part in ("train", "validation"):
            kept = [p for p in self.photographs if p.part == part and p.crops]
            files = [self._crops / f"{p.digest}-{i}.webp" for p in kept for i in range(p.crops)]
            random.Random(0).shuffle(files)
            archives += write_archives(self.folder, part, files)
        record = [dataclasses.asdict(photograph) for photograph in self.photographs]
        (self.folder / RECORD).write_text(json.dumps(record, indent=1))
        return archives

    def counts(self) -> dict[str, Counter[str]]:
        """For each package how many photographs have which status, and how many crops they gave."""
        counts: dict[str, Counter[str]] = {}
        for photograph in self.photographs:
            counter = counts.setdefault(photograph.package, Counter())
            counter[photograph.status] += 1
            counter[f"{photograph.part} crops"] += photograph.crops
        return counts


def _is_near(fingerprint: int, others: Sequence[int]) -> bool:
    return any((fingerprint ^ other).bit_count() <= MAX_HASH_DISTANCE for other in others)
