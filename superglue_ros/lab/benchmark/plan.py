"""What is measured: the conditions, and what each kind of benchmark takes where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass

Size = tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """Every combination of these is measured, as far as a benchmark depends on them.

    Attributes:
        keypoints: Keypoints of an image.
        sizes: (width, height) of the images in pixels, multiples of 8.
        batches: Images that are extracted from at once; of a bag frames, 0 for as many as is best.
        devices: As the setting `device`.
        engines: As the setting `engine`.
        precisions: As the setting `precision`.
        repeats: Runs of each contender under each condition, pairs through the nodes, rounds over a
            bag.
        peers: Whether other implementations are measured beside ours.
    """

    keypoints: tuple[int, ...] = (256, 512, 1024, 2048)
    sizes: tuple[Size, ...] = ((320, 240), (640, 480), (1280, 960))
    batches: tuple[int, ...] = (1, 2, 4)
    devices: tuple[str, ...] = ("auto",)
    engines: tuple[str, ...] = ("auto", "torch")
    precisions: tuple[str, ...] = ("auto",)
    repeats: int = 10
    peers: bool = True


@dataclass(frozen=True)
class Kind:
    """A kind of benchmark.

    Attributes:
        plan: What it measures where nothing is said.
        short: The same for who has a few minutes.
        without: Fields of the plan that have no effect on it.
        one_each: Fields of which it takes one value.
    """

    plan: Plan
    short: Plan
    without: tuple[str, ...] = ()
    one_each: tuple[str, ...] = ()


KINDS = {
    "networks": Kind(
        Plan(), Plan(keypoints=(512, 1024), sizes=((640, 480),), batches=(1, 2), repeats=5)
    ),
    "plot": Kind(
        Plan(
            sizes=((320, 240), (640, 480), (960, 720), (1280, 960)),
            batches=(1, 2, 4, 8),
            engines=("auto",),
            repeats=5,
        ),
        Plan(
            keypoints=(256, 512, 1024),
            sizes=((320, 240), (640, 480), (960, 720)),
            engines=("auto",),
            repeats=3,
        ),
        without=("peers",),
        one_each=("devices", "engines", "precisions"),
    ),
    "ros": Kind(
        Plan(keypoints=(1024,), sizes=((640, 480),), engines=("auto",), repeats=40),
        Plan(keypoints=(1024,), sizes=((640, 480),), engines=("auto",), repeats=20),
        without=("batches", "peers"),
    ),
    "bag": Kind(
        Plan(keypoints=(1024,), batches=(0,), engines=("auto",), repeats=3),
        Plan(keypoints=(1024,), batches=(0,), engines=("auto",), repeats=1),
        without=("sizes", "peers"),
    ),
}
"""By the flag that asks for it; `networks` without one."""
