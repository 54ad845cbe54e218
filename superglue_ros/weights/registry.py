"""The weights that come with the package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from superglue_ros.config import SIFT_SUPERGLUE
from superglue_ros.errors import InputError


@dataclass(frozen=True)
class ShippedWeights:
    """One set of weights; MODEL_CARD.md beside the files tells how it came about.

    Attributes:
        name: What the `weights` setting calls it.
        network: The network it belongs to.
        file_name: File in this folder.
        sha256: Digest of that file.
        licence: SPDX identifier.
        note: How far it can be trusted, in a few words.
        figures: What was measured with it, in percent; the model card has more.
        extractor: Of a matcher: the extractor it was made for, shipped weights or sift.
        subpixel: Of an extractor: whether sub-pixel keypoints were measured to be the better ones.
    """

    name: str
    network: str
    file_name: str
    sha256: str
    licence: str
    note: str
    figures: str = ""
    extractor: str = ""
    subpixel: bool = False

    @property
    def path(self) -> Path:
        """Where the file is."""
        return Path(__file__).parent / self.file_name

    def verify(self) -> None:
        """Raise InputError unless the file is there and has its digest."""
        if not self.path.is_file():
            raise InputError(f"weights {self.name!r}: {self.path} is missing; install again")
        found = sha256_of(self.path)
        if found != self.sha256:
            raise InputError(
                f"weights {self.name!r}: {self.path} has sha256 {found}, expected {self.sha256}; "
                "the file was changed or cut short: install again"
            )


def label(path: Path, sha256: str) -> str:
    """The name that results carry: of the weights, with the first digits of their digest."""
    return f"{path.stem} sha256:{sha256[:12]}"


def sha256_of(path: Path) -> str:
    """The SHA-256 digest of a file in hexadecimal.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


SHIPPED: dict[str, ShippedWeights] = {
    entry.name: entry
    for entry in (
        ShippedWeights(
            name="superpoint",
            network="SuperPoint",
            file_name="superpoint.safetensors",
            sha256="8eadc9af9175d084c71c02d605b7893a29968b408c40c1741eeb95a8ca302784",
            licence="Apache-2.0",
            note="preliminary: two and a half hours of training on a CPU",
            figures="held-out homographies, nearest neighbours: precision 80, recall 62",
            subpixel=True,
        ),
        ShippedWeights(
            name="superglue",
            network="SuperGlue",
            file_name="superglue.safetensors",
            sha256="3bc61aae5cb143c7e04f05a85a4b9639ecf9b445664cd7a89d9a72c99dae321d",
            licence="Apache-2.0",
            note="preliminary: four layers, 2,347 steps of training on a CPU",
            figures="held-out homographies: precision 86, recall 64",
            extractor="superpoint",
        ),
        ShippedWeights(
            name=SIFT_SUPERGLUE,
            network="SuperGlue",
            file_name="superglue_sift.safetensors",
            sha256="cf33648ec455a78c9b3deae6276af8f65d7ae0f7d3c2688272d82d20d4aefbb0",
            licence="Apache-2.0",
            note="preliminary: four layers, 2,047 steps of training on a CPU",
            figures="held-out homographies: precision 91, recall 65",
            extractor="sift",
        ),
    )
}
