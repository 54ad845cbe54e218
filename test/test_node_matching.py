"""How the nodes that match use a GPU: all of a frame is begun before any of it is waited for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from itertools import chain
from typing import NoReturn

import numpy as np
import pytest

pytest.importorskip("rclpy")

from fused_helpers import Networks, as_on_a_gpu, logged, networks
from ros_helpers import header
from superglue_ros.msg import Matches as MatchesMessage

from superglue_ros.config import PipelineNodeConfig
from superglue_ros.features import GreyImage
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.nodes.matching import Matching
from superglue_ros.timing import Stopwatch

MakeImage = Callable[..., GreyImage]


@pytest.fixture(scope="module")
def frames(make_image: MakeImage) -> list[GreyImage]:
    image = make_image(80, 140)
    return [np.ascontiguousarray(image[:72, 8 * n : 8 * n + 104]) for n in range(4)]


def no_descriptors(self: FeatureTensors) -> NoReturn:
    pytest.fail("descriptors went to the host")


@pytest.fixture(scope="module")
def both() -> dict[str, Networks]:
    return {engine: networks(engine) for engine in ("fused", "torch")}


def matched(
    mode: str, both: dict[str, Networks], engine: str, frames: list[GreyImage]
) -> tuple[list[list[MatchesMessage]], list[list[str]]]:
    """The messages of each frame, and what was done for it."""
    extractor, matcher = both[engine]
    matching = Matching(PipelineNodeConfig(mode=mode), matcher, Stopwatch(), pytest.fail)
    messages, logs = [], []
    with as_on_a_gpu(extractor, matcher) if engine == "fused" else nullcontext():
        if mode == "template":
            for second, image in enumerate(frames[:3]):
                matching.add_template(header(second), image, extractor)
        for second, image in enumerate(frames, start=10):
            images = [image, frames[0]] if mode == "stereo" else [image]
            with logged() as log, pytest.MonkeyPatch.context() as patch:
                if engine == "fused":
                    patch.setattr(FeatureTensors, "descriptors", property(no_descriptors))
                tensors = extractor.extract_tensors(images)
                found = matching.frame([header(second)] * len(images), tensors)
            messages.append([one.matches for one in found])
            logs.append(log)
    return messages, logs


@pytest.mark.parametrize(
    ("mode", "pairs"),
    [
        ("sequential", [0, 1, 1, 1]),
        ("keyframe", [0, 1, 1, 1]),
        ("template", [3, 3, 3, 3]),
        ("stereo", [1, 1, 1, 1]),
    ],
)
def test_a_frame_is_extracted_and_matched_before_the_host_waits(
    mode: str, pairs: list[int], both: dict[str, Networks], frames: list[GreyImage]
) -> None:
    messages, logs = matched(mode, both, "fused", frames)
    assert [len(of_frame) for of_frame in messages] == pairs
    for log, count in zip(logs, pairs, strict=True):
        begun = ["extract", *["match"] * -(-count // 2)]  # two pairs at a time
        assert log[: len(begun)] == begun
        assert set(log[len(begun) :]) == ({"wait"} if count else set())
    expected, _ = matched(mode, both, "torch", frames)
    for one, other in zip(chain(*messages), chain(*expected), strict=True):
        np.testing.assert_array_equal(one.matches0, other.matches0)
        np.testing.assert_allclose(one.keypoints1, other.keypoints1, atol=1e-3)
        np.testing.assert_allclose(one.matching_scores0, other.matching_scores0, atol=1e-3)
        assert sum(index >= 0 for index in one.matches0) > 10
