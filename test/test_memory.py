"""Memory stays what it is however many frames come, of whatever size.

`pytest test/test_memory.py --memory-frames 10000 -s` is the long run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from superglue_ros.features import GreyImage
from superglue_ros.inference import SuperGlueMatcher, SuperPointExtractor

LARGEST = (96, 128)
MOST_KEYPOINTS = 128
WARM_UP_FRAMES = 200
RSS_GROWTH = 1.05


@pytest.mark.timeout(3600)
def test_memory_is_flat_over_frames_of_changing_sizes_and_counts(
    request: pytest.FixtureRequest,
    make_image: Callable[..., GreyImage],
    rng: np.random.Generator,
) -> None:
    count: int = request.config.getoption("--memory-frames")
    extractor, matcher = SuperPointExtractor(device="cpu"), SuperGlueMatcher(device="cpu")
    scene = make_image(2 * LARGEST[0], 2 * LARGEST[1])
    before, matched = None, 0

    def frame() -> None:
        nonlocal before, matched
        height, width = (int(rng.integers(side // 2, side + 1)) for side in LARGEST)
        y, x = (int(rng.integers(0, 20)) for _ in range(2))
        keypoints = int(rng.integers(MOST_KEYPOINTS // 4, MOST_KEYPOINTS + 1))
        extractor.config = extractor.config.updated(max_keypoints=keypoints)
        (features,) = extractor.extract_batch([scene[y : y + height, x : x + width]])
        if before is not None:
            matched += int((matcher.match(before, features).matches0 >= 0).sum())
        before = features

    for _ in range(WARM_UP_FRAMES):
        frame()
    first = rss_kib()
    for _ in range(count):
        frame()
    last = rss_kib()
    print(f"\n{count} frames, {matched} matches, RSS {first} -> {last} KiB")
    assert matched > 10 * count  # else little was done
    assert last <= first * RSS_GROWTH, f"memory grew from {first} to {last} KiB"


def rss_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
