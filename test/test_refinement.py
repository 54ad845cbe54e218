"""Matches brought to a fraction of a pixel, on texture whose true motion is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from superglue_ros.features import Features, FloatArray, GreyImage, Matches
from superglue_ros.inference import NearestMatcher, SuperGlueMatcher, SuperPointExtractor
from superglue_ros.refinement import (
    PATCH_SIZE,
    align_patches,
    cut_patches,
    refine_matches,
    unrefinable,
)
from superglue_ros.refinement.alignment import MAX_OFFSET
from superglue_ros.tracks import Tracker

Points = NDArray[np.float64]

SIZE = (320, 240)


@pytest.fixture(scope="module")
def texture(request: pytest.FixtureRequest) -> GreyImage:
    """A real image, (500, 741), so soft that views of half its size can be sampled anywhere."""
    image: GreyImage = request.getfixturevalue("stereo_pair").left
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.2), np.uint8)


def seen(texture: GreyImage, motion: Points, light: Sequence[float] = (1.0, 0.0)) -> GreyImage:
    """(240, 320): what a motion (3, 3) from view to texture shows of it, in other light."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    view = cv2.warpPerspective(texture.astype(np.float32), motion, SIZE, flags=flags)
    gain, bias = light
    return np.asarray((gain * view + bias).round().clip(0, 255), np.uint8)


def moved(motion: Points, points: FloatArray) -> Points:
    homogeneous = np.c_[points, np.ones(len(points))] @ motion.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def affine(degrees: float, scale: float, shift: Sequence[float]) -> Points:
    """A turn and zoom about the middle of a view, and a shift, as (3, 3)."""
    motion = np.eye(3)
    motion[:2] = cv2.getRotationMatrix2D((160, 120), degrees, scale)
    motion[:2, 2] += shift
    return motion


INTO_TEXTURE = np.array([[2, 0, 50], [0, 2, 10], [0, 0, 1]], np.float64)
"""From a view to the texture."""


def patches_of(image: GreyImage, points: FloatArray) -> Tensor:
    tensors = (torch.from_numpy(one)[None] for one in (image, points.astype(np.float32)))
    return cut_patches(*tensors)[0]


def corners(image: GreyImage, count: int = 150) -> FloatArray:
    """Where there is something to align, away from the border."""
    inner = np.zeros_like(image)
    inner[40:-40, 40:-40] = 1
    found = cv2.goodFeaturesToTrack(image, count, 0.01, 5, mask=inner)
    return np.asarray(found, np.float32).reshape(-1, 2)


def alignment_errors(
    texture: GreyImage,
    rng: np.random.Generator,
    motion: Points,
    light: Sequence[float] = (1.0, 0.0),
    misplaced_px: float = 1.2,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Distances from the truth of points that begin misplaced, and which were accepted.

    Args:
        texture: What is looked at.
        rng: Of the misplacements.
        motion: (3, 3) from view 0 to view 1.
        light: Gain and bias of view 1.
        misplaced_px: Largest misplacement along an axis.
    """
    view0 = seen(texture, INTO_TEXTURE)
    view1 = seen(texture, INTO_TEXTURE @ np.linalg.inv(motion), light)
    points0 = corners(view0)
    truth = moved(motion, points0)
    points1 = (truth + rng.uniform(-misplaced_px, misplaced_px, truth.shape)).astype(np.float32)
    alignment = align_patches(patches_of(view0, points0), patches_of(view1, points1))
    errors = np.linalg.norm(points1 + alignment.offsets.numpy() - truth, axis=1)
    return errors, alignment.accepted.numpy()


@pytest.mark.parametrize(
    ("motion", "light"),
    [
        (affine(0, 1.0, (3.37, -2.71)), (1.0, 0.0)),
        (affine(0, 1.0, (3.37, -2.71)), (0.7, 25.0)),
        (affine(15, 1.0, (0.3, 0.6)), (1.0, 0.0)),
        (affine(0, 1.2, (-0.4, 0.2)), (1.0, 0.0)),
        (affine(15, 1.2, (0.3, 0.6)), (0.8, 20.0)),
    ],
    ids=["shift", "light", "turn", "zoom", "all"],
)
def test_points_come_to_within_a_twentieth_of_a_pixel(
    texture: GreyImage, rng: np.random.Generator, motion: Points, light: Sequence[float]
) -> None:
    errors, accepted = alignment_errors(texture, rng, motion, light)
    assert accepted.mean() > 0.7
    assert np.median(errors[accepted]) < 0.05


def test_what_is_not_accepted_stays_where_it_was(
    texture: GreyImage, rng: np.random.Generator
) -> None:
    """Patches of different places do not move, or within the limit."""
    view = seen(texture, INTO_TEXTURE)
    patches = patches_of(view, corners(view))
    offsets, accepted = align_patches(patches, patches.flip(0))
    assert not accepted.all()
    assert not offsets[~accepted].any()
    assert float(offsets.norm(dim=1).max()) <= MAX_OFFSET


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_flat_patches_do_not_move(texture: GreyImage, grey: int) -> None:
    view = seen(texture, INTO_TEXTURE)
    textured = patches_of(view, corners(view))
    flat = torch.full_like(textured, grey)
    for pair in ((flat, flat), (flat, textured), (textured, flat)):
        offsets, accepted = align_patches(*pair)
        assert torch.isfinite(offsets).all()
        assert not offsets[~accepted].any()
    assert not align_patches(flat, flat).accepted.any()
    assert not align_patches(flat, textured).accepted.any()


def test_saturated_and_border_patches_give_numbers(texture: GreyImage) -> None:
    view = seen(texture, INTO_TEXTURE)
    blown = np.where(view > 100, 255, 0).astype(np.uint8)
    border = np.array([[0, 0], [319, 0], [0, 239], [319, 239], [0.5, 100], [-3, 250]], np.float32)
    points = np.concatenate([corners(view), border])
    for one, other in ((view, view), (blown, blown), (view, blown)):
        offsets, _ = align_patches(patches_of(one, points), patches_of(other, points))
        assert torch.isfinite(offsets).all()
        assert float(offsets.norm(dim=1).max()) <= MAX_OFFSET


def test_patches_hold_the_grey_values_around_a_keypoint() -> None:
    """Of a ramp whose grey values are 2 x + 3 y: between pixels, values in between."""
    y, x = np.mgrid[:40, :40]
    patch = patches_of((2 * x + 3 * y).astype(np.uint8), np.array([[20.5, 19.0]]))[0]
    reach = PATCH_SIZE // 2
    assert patch.shape == (PATCH_SIZE, PATCH_SIZE)
    assert patch[reach, reach] == 2 * 20.5 + 3 * 19
    assert patch[reach, reach + 3] == 2 * 23.5 + 3 * 19
    assert patch[reach - 2, reach] == 2 * 20.5 + 3 * 17


def test_only_matched_keypoints_of_image_1_move_in_its_own_pixels(texture: GreyImage) -> None:
    view = seen(texture, INTO_TEXTURE)
    points = corners(view, 3)
    off = points + np.array([0.75, -0.5], np.float32)
    matches = Matches(
        matches0=np.array([1, -1, 2], np.int32),
        matches1=np.array([-1, 0, 2], np.int32),
        matching_scores0=np.ones(3, np.float32),
        matching_scores1=np.ones(3, np.float32),
        matcher="by hand",
    )
    order = [1, 0, 2]  # keypoint 1 of image 1 is keypoint 0 of image 0
    patches = (patches_of(view, points[order]), patches_of(view, off))
    refined = refine_matches(matches, 2 * off, patches, patch_scale1=2.0)
    assert refined.keypoints1 is not None
    np.testing.assert_array_equal(refined.keypoints1[0], 2 * off[0])
    np.testing.assert_allclose(refined.keypoints1[1:], 2 * points[1:], atol=0.1)


def test_why_patches_cannot_be_aligned_is_said() -> None:
    assert unrefinable(PATCH_SIZE, PATCH_SIZE) == ""
    assert "image 0 carry no patches" in unrefinable(0, PATCH_SIZE)
    assert "image 1 carry no patches" in unrefinable(PATCH_SIZE, 0)
    assert "both images carry no patches" in unrefinable(0, 0)
    assert "15x15 and 17x17" in unrefinable(15, 17)
    assert "odd size" in unrefinable(9, 9)


Extract = Callable[[GreyImage], Features]


@pytest.fixture(scope="module")
def extract() -> Extract:
    return SuperPointExtractor(max_keypoints=200, device="cpu").extract


@pytest.fixture(scope="module")
def pair(extract: Extract, texture: GreyImage) -> tuple[Features, Features]:
    """The features of two views, the second shifted by (3.4, -2.3) pixels."""
    shift = affine(0, 1.0, (3.4, -2.3))
    views = (seen(texture, INTO_TEXTURE), seen(texture, INTO_TEXTURE @ np.linalg.inv(shift)))
    return extract(views[0]), extract(views[1])


def shift_errors(pair: tuple[Features, Features], matches: Matches) -> Points:
    points0, points1 = matches.points(*pair)
    return np.asarray(np.linalg.norm(points1 - points0 - (3.4, -2.3), axis=1))


@pytest.mark.parametrize("make", [SuperGlueMatcher, NearestMatcher])
def test_matchers_refine_unless_told_not_to(
    pair: tuple[Features, Features], make: type[SuperGlueMatcher] | type[NearestMatcher]
) -> None:
    refined, raw = (make(refinement=on).match(*pair) for on in (True, False))
    np.testing.assert_array_equal(refined.matches0, raw.matches0)
    assert raw.keypoints1 is None
    assert np.median(shift_errors(pair, raw)) > 0.2
    assert np.median(shift_errors(pair, refined)) < 0.05


def test_matches_of_features_without_patches_stay_as_they_are(
    pair: tuple[Features, Features],
) -> None:
    matcher = SuperGlueMatcher()
    bare = dataclasses.replace(pair[0], patches=None)
    assert pair[1].patches is not None
    smaller = dataclasses.replace(pair[0], patches=pair[1].patches[: len(pair[0]), 2:-2, 2:-2])
    expected = matcher.match(*pair)
    for other in (bare, smaller):
        found = matcher.match(other, pair[1])
        assert found.keypoints1 is None
        np.testing.assert_array_equal(found.matches0, expected.matches0)


def test_engines_refine_alike(pair: tuple[Features, Features]) -> None:
    """One aligns the matches, another in fixed shapes all there is room for."""
    torch_engine, fused = (
        SuperGlueMatcher(engine=engine, device="cpu").match(*pair) for engine in ("torch", "fused")
    )
    assert torch_engine.keypoints1 is not None
    assert fused.keypoints1 is not None
    both = (torch_engine.matches1 >= 0) & (torch_engine.matches1 == fused.matches1)
    assert both.sum() > 50
    np.testing.assert_allclose(torch_engine.keypoints1[both], fused.keypoints1[both], atol=0.01)


def test_a_batch_with_and_without_patches_is_refined_where_it_can_be(
    pair: tuple[Features, Features],
) -> None:
    from superglue_ros.inference.tensors import FeatureTensors

    matcher = SuperGlueMatcher(engine="fused", device="cpu")
    whole0, whole1, bare0 = (
        FeatureTensors.from_features(one, matcher.device)
        for one in (*pair, dataclasses.replace(pair[0], patches=None))
    )
    unrefined, refined = matcher.match_batch([(bare0, whole1), (whole0, whole1)])
    assert unrefined.keypoints1 is None
    assert refined.keypoints1 is not None


def test_a_track_stays_on_its_point(extract: Extract, texture: GreyImage) -> None:
    """50 frames of moving texture: detections jump by a pixel, the tracks do not drift away."""
    velocity = (0.63, -0.37)
    matcher, tracker = NearestMatcher(), Tracker()
    before: Features | None = None
    begun: dict[int, Points] = {}
    for frame in range(51):
        shift = affine(0, 1.0, (frame * velocity[0], frame * velocity[1]))
        features = extract(seen(texture, INTO_TEXTURE @ np.linalg.inv(shift)))
        if before is not None:
            matches = matcher.match(before, features)
            points0, points1 = matches.points(before, features)
            right = np.linalg.norm(points1 - points0 - velocity, axis=1) < 2
            tracks = tracker.update(
                (frame - 1.0, float(frame)),
                before.keypoints,
                matches.refined(features).keypoints,
                matches.pairs[right],
                matches.are_refined[right],
            )
            still = tracks.points - np.multiply(frame, velocity)
            for number, place in zip(tracks.ids.tolist(), still, strict=True):
                begun.setdefault(number, place)
        before = features
    lasting = tracks.lengths >= 50
    drift = [
        np.linalg.norm(place - begun[number])
        for number, place in zip(tracks.ids[lasting].tolist(), still[lasting], strict=True)
    ]
    assert len(drift) > 10
    assert np.median(drift) < 0.3
