"""Odometry against a known walk: in metres with stereo, up to scale with one camera."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from test_geometry import CAMERAS, SIZE, Array, K

from superglue_ros.geometry.odometry import (
    MonocularOdometry,
    Motion,
    Odometry,
    State,
    StereoOdometry,
)
from superglue_ros.tracks import Tracks

CAMERA = CAMERAS[0]
FRAMES = 60
NONE = np.zeros(0, np.int64)


def true_pose(frame: int) -> tuple[Array, Array]:
    """A walk on a quarter of a circle of 3 m, looking ahead: R and t of the world in the camera."""
    angle = frame / FRAMES * np.pi / 2
    rotation = cv2.Rodrigues(np.array([0.0, -angle, 0.0]))[0]
    centre = 3 * np.array([1 - np.cos(angle), 0.0, np.sin(angle)])
    return rotation, -rotation @ centre


def walk(*, wrong_share: float = 0.0, blind: int = -1) -> Iterator[tuple[Tracks, Array]]:
    """The tracks of each frame and where the camera sees them in space, with 0.3 px of noise."""
    random = np.random.default_rng(0)
    space = random.uniform((-6, -2, -2), (10, 2, 12), (3000, 3))
    seen_before = np.zeros(len(space), bool)
    for frame in range(FRAMES):
        rotation, translation = true_pose(frame)
        here = space @ rotation.T + translation
        pixels = here @ K.T
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = pixels[:, :2] / pixels[:, 2:]
        seen = (here[:, 2] > 0.5) & (here[:, 2] < 8)
        seen &= (pixels > 0).all(1) & (pixels < SIZE).all(1)
        if frame == blind:
            seen &= False
        ids = np.flatnonzero(seen)
        points = pixels[ids] + random.normal(0, 0.3, (len(ids), 2))
        wrong = random.random(len(ids)) < wrong_share
        points[wrong] = random.uniform((0, 0), SIZE, (int(wrong.sum()), 2))
        ended = np.flatnonzero(seen_before & ~seen)
        seen_before = seen
        order = np.arange(len(ids), dtype=np.int32)
        lengths = np.ones(len(ids), np.int32)
        yield Tracks(ids, order, points.astype(np.float32), lengths, ended), here[ids]


def noisy_depths(positions: Array) -> Array:
    """As a stereo camera has them: 0.3 px of 0.1 m times 500 px over the depth."""
    random = np.random.default_rng(1)
    depths = positions[:, 2:]
    return np.asarray(positions * (1 + random.normal(0, 0.3, depths.shape) * depths / 50))


def by_stereo(**scene: float) -> tuple[StereoOdometry, list[Motion]]:
    odometry = StereoOdometry()
    motions = [
        odometry.update(tracks, tracks.keypoints, noisy_depths(positions), CAMERA)
        for tracks, positions in walk(**scene)  # type: ignore[arg-type]
    ]
    return odometry, motions


def centres(motions: list[Motion]) -> Array:
    return np.array([-motion.pose[0].T @ motion.pose[1] for motion in motions])


def true_centres() -> Array:
    poses = [true_pose(frame) for frame in range(FRAMES)]
    return np.array([-rotation.T @ translation for rotation, translation in poses])


@pytest.mark.parametrize("wrong_share", [0.0, 0.3])
def test_stereo_gives_the_walk_in_metres(wrong_share: float) -> None:
    _, motions = by_stereo(wrong_share=wrong_share)
    assert [motion.state for motion in motions] == [State.STARTING] + [State.TRACKING] * 59
    errors = np.linalg.norm(centres(motions) - true_centres(), axis=1)
    assert errors.max() < 0.03 * 3 * np.pi / 2  # of the way of 4.7 m
    turned = motions[-1].pose[0] @ true_pose(FRAMES - 1)[0].T
    assert np.degrees(np.linalg.norm(cv2.Rodrigues(turned)[0])) < 1.5


def test_one_camera_gives_the_walk_up_to_its_scale() -> None:
    odometry = MonocularOdometry()
    motions = [odometry.update(tracks, SIZE, CAMERA) for tracks, _ in walk(wrong_share=0.1)]
    states = [motion.state for motion in motions]
    begin = states.index(State.TRACKING)
    assert begin < 10
    assert set(states[begin:]) == {State.TRACKING}
    found, true = centres(motions)[begin:], true_centres()[begin:]
    scale = (found * true).sum() / (found**2).sum()
    errors = np.linalg.norm(scale * found - true, axis=1)
    assert errors.max() < 0.1 * 3 * np.pi / 2


def test_uncertainty_grows_along_the_way() -> None:
    _, motions = by_stereo()
    deviations = [np.sqrt(np.trace(motion.covariance[:3, :3])) for motion in motions]
    assert deviations[0] == 0
    assert (np.diff(deviations) > 0).all()
    assert 0.002 < deviations[-1] < 0.2


def test_a_blind_frame_is_called_lost_and_the_walk_goes_on() -> None:
    _, motions = by_stereo(blind=30)
    states = [motion.state for motion in motions]
    assert states[30] == State.LOST
    assert states[31] == State.STARTING
    assert set(states[32:]) == {State.TRACKING}
    np.testing.assert_array_equal(motions[30].pose[1], motions[29].pose[1])


def test_ended_tracks_are_forgotten() -> None:
    odometry, _ = by_stereo()
    *_, (last, _) = walk()
    assert len(odometry.landmarks) <= len(last.ids)


def test_a_camera_that_stands_still_does_not_start() -> None:
    odometry = MonocularOdometry()
    tracks, _ = next(walk())
    motions = [odometry.update(tracks, SIZE, CAMERA) for _ in range(5)]
    assert {motion.state for motion in motions} == {State.STARTING}


@pytest.mark.parametrize("kind", [StereoOdometry, MonocularOdometry])
def test_no_tracks_give_no_pose(kind: type[Odometry]) -> None:
    nothing = Tracks(NONE, np.zeros(0, np.int32), np.zeros((0, 2), np.float32), NONE, NONE)
    odometry = kind()
    for _ in range(2):
        if isinstance(odometry, StereoOdometry):
            motion = odometry.update(nothing, nothing.keypoints, np.zeros((0, 3)), CAMERA)
        else:
            motion = odometry.update(nothing, SIZE, CAMERA)  # type: ignore[attr-defined]
        assert (motion.state, motion.landmarks) == (State.STARTING, 0)
