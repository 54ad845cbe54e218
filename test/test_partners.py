"""Which earlier image each new one is matched to, on hand-made sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from superglue_ros.config import KeyframeConfig
from superglue_ros.features import Matches
from superglue_ros.inference.tensors import FeatureTensors
from superglue_ros.partners import Keyframe, PreviousFrame, Templates, View

COUNT = 10


def view(stamp_sec: float, x: float = 0.0) -> View[str]:
    """Ten keypoints in a row, the first one at `x`."""
    keypoints = np.stack([x + np.arange(COUNT), np.zeros(COUNT)], axis=1).astype(np.float32)
    return View(features(keypoints), stamp_sec, origin=f"at {stamp_sec:g}")


def features(keypoints: NDArray[np.float32]) -> FeatureTensors:
    return FeatureTensors(
        keypoints=torch.from_numpy(keypoints),
        scores=torch.ones(len(keypoints)),
        descriptors=torch.zeros(len(keypoints), 0),
        image_size=(100, 100),
        extractor="",
    )


def matches(count: int) -> Matches:
    """The first `count` keypoints matched to those of the same index."""
    indices = np.where(np.arange(COUNT) < count, np.arange(COUNT), -1).astype(np.int32)
    scores = (indices >= 0).astype(np.float32)
    return Matches(indices, indices, scores, scores, matcher="")


def origins(views: list[View[str]]) -> list[str]:
    return [one.origin for one in views]


def keyframe_after(config: KeyframeConfig, second: View[str], matched: int) -> str:
    """The keyframe that a third frame gets, where the second had that many matches to the first."""
    partners: Keyframe[str] = Keyframe(config)
    first = view(0)
    assert partners.of(first) == []
    assert partners.of(second) == [first]
    partners.matched(first, second, matches(matched))
    (partner,) = partners.of(view(second.stamp_sec + 0.1))
    return partner.origin


def test_each_frame_is_matched_to_the_one_before() -> None:
    partners: PreviousFrame[str] = PreviousFrame()
    assert [origins(partners.of(view(t))) for t in (0, 1, 2)] == [[], ["at 0"], ["at 1"]]


def test_a_sequence_starts_anew_where_time_is_set_back() -> None:
    partners: PreviousFrame[str] = PreviousFrame()
    assert [origins(partners.of(view(t))) for t in (100, 0, 1)] == [[], [], ["at 0"]]


def test_a_slightly_late_frame_is_still_matched_to_the_one_before() -> None:
    partners: PreviousFrame[str] = PreviousFrame()
    assert [origins(partners.of(view(t))) for t in (100, 99.5)] == [[], ["at 100"]]


@pytest.mark.parametrize(("matched", "keyframe"), [(5, "at 0"), (4, "at 1")])
def test_the_keyframe_is_renewed_where_too_few_match(matched: int, keyframe: str) -> None:
    config = KeyframeConfig(keyframe_min_match_share=0.5)
    assert keyframe_after(config, view(1), matched) == keyframe


@pytest.mark.parametrize(("x", "keyframe"), [(20, "at 0"), (21, "at 1")])
def test_the_keyframe_is_renewed_where_matches_moved_too_far(x: float, keyframe: str) -> None:
    config = KeyframeConfig(keyframe_max_motion_px=20.0)
    assert keyframe_after(config, view(1, x), COUNT) == keyframe


@pytest.mark.parametrize(("age_sec", "keyframe"), [(4.9, "at 0"), (5.0, "at 5")])
def test_the_keyframe_is_renewed_where_it_is_too_old(age_sec: float, keyframe: str) -> None:
    config = KeyframeConfig(keyframe_max_age_sec=5.0)
    assert keyframe_after(config, view(age_sec), COUNT) == keyframe


def test_a_keyframe_that_still_fits_stays() -> None:
    assert keyframe_after(KeyframeConfig(), view(1000, 50), COUNT) == "at 0"


def test_the_keyframe_is_renewed_on_request() -> None:
    partners: Keyframe[str] = Keyframe(KeyframeConfig())
    partners.of(view(0))
    partners.renew()
    assert partners.of(view(1)) == []
    assert origins(partners.of(view(2))) == ["at 1"]


def test_the_keyframe_is_renewed_where_time_is_set_back() -> None:
    partners: Keyframe[str] = Keyframe(KeyframeConfig())
    partners.of(view(100))
    assert partners.of(view(0)) == []
    assert origins(partners.of(view(1))) == ["at 0"]


def test_a_keyframe_without_keypoints_is_renewed() -> None:
    partners: Keyframe[str] = Keyframe(KeyframeConfig())
    dark = replace(view(0), tensors=features(np.zeros((0, 2), np.float32)))
    none, scores = np.full(COUNT, -1, np.int32), np.zeros(COUNT, np.float32)
    partners.of(dark)
    bright = view(1)
    assert partners.of(bright) == [dark]
    partners.matched(dark, bright, Matches(none[:0], none, scores[:0], scores, matcher=""))
    assert origins(partners.of(view(2))) == ["at 1"]


def test_every_frame_is_matched_to_every_template() -> None:
    partners: Templates[str] = Templates()
    assert partners.of(view(5)) == []
    partners.add(view(1))
    partners.add(view(2))
    assert [origins(partners.of(view(t))) for t in (6, 7)] == [["at 1", "at 2"]] * 2
    partners.clear()
    assert (len(partners), partners.of(view(8))) == (0, [])
