"""Training pairs: what is said to correspond does, by independent computations."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from superglue_ros.lab.training.config import PairConfig, PhotometricConfig, ViewConfig
from superglue_ros.lab.training.ground_truth import IGNORED, NO_MATCH, true_matches
from superglue_ros.lab.training.pairs import (
    HIDDEN,
    UNKNOWN,
    VISIBLE,
    PairBatch,
    homography_pairs,
    make_pairs,
    scene_pairs,
    scene_targets,
)
from superglue_ros.lab.training.synthesis.homographies import (
    homography_from_points,
    pixel_grid,
    random_views,
    transform_points,
    warp_images,
)
from superglue_ros.lab.training.synthesis.motions import random_cameras
from superglue_ros.lab.training.synthesis.photometrics import CHANGES, change_photometry
from superglue_ros.lab.training.synthesis.scenes import (
    Cameras,
    plane_homography,
    project,
    random_planes,
    render,
)

SIZE = (64, 48)


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """Soft noise, so that a place looks alike in both images when it is resampled."""
    random = np.random.default_rng(0)
    images = [
        cv2.resize(
            random.uniform(0, 255, (20, 26)).astype(np.float32),
            (160, 120),
            interpolation=cv2.INTER_CUBIC,
        ).clip(0, 255)
        for _ in range(5)
    ]
    return torch.from_numpy(np.stack(images).astype(np.uint8))


@pytest.fixture
def generator() -> Generator:
    return Generator().manual_seed(4)


def config(**settings: float) -> PairConfig:
    return PairConfig(batch=6, view_width=SIZE[0], view_height=SIZE[1], **settings)


def test_a_homography_takes_four_points_where_opencv_takes_them() -> None:
    points0 = np.array([[0, 0], [63, 0], [63, 47], [0, 47]], np.float32)
    points1 = np.array([[3, 5], [50, -4], [70, 40], [-6, 52]], np.float32)
    ours = homography_from_points(torch.from_numpy(points0)[None], torch.from_numpy(points1)[None])
    theirs = cv2.getPerspectiveTransform(points0, points1)
    np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=1e-4, atol=1e-4)


def test_a_warped_image_is_that_of_opencv(photographs: Tensor, generator: Generator) -> None:
    view = random_views(1, SIZE, (160, 120), ViewConfig(), generator)
    ours = warp_images(photographs[:1, None].float(), view, SIZE, supersampling=1)[0, 0].numpy()
    theirs = cv2.warpPerspective(
        photographs[0].numpy().astype(np.float32),
        view[0].numpy(),
        SIZE,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    assert np.abs(ours - theirs).mean() < 0.5  # OpenCV rounds positions to 1/32 pixel


def test_points_behind_the_view_are_infinitely_far() -> None:
    behind = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, -1]]])
    assert torch.isinf(transform_points(behind, torch.ones(1, 1, 2))).all()


def test_pixels_of_a_homography_pair_look_alike_where_they_should_be(
    photographs: Tensor, generator: Generator
) -> None:
    check_looks_alike(homography_pairs(photographs, 6, config(scale=1.2), generator), 0.02)


def test_pixels_of_a_scene_look_alike_where_they_should_be(
    photographs: Tensor, generator: Generator
) -> None:
    check_looks_alike(scene_pairs(photographs, 6, config(), generator), 0.03)


def check_looks_alike(pairs: PairBatch, limit: float) -> None:
    for side in (0, 1):
        for index in range(pairs.images.shape[1]):
            target = pairs.targets[side, index].numpy()
            other = pairs.images[1 - side, index, 0].numpy()
            seen = cv2.remap(other, target[..., 0], target[..., 1], cv2.INTER_LINEAR)
            visible = pairs.visibility[side, index].numpy() == VISIBLE
            difference = np.abs(seen - pairs.images[side, index, 0].numpy())[visible]
            if visible.sum() > 100:
                assert np.median(difference) < limit


def test_a_scene_agrees_with_ray_casting_by_hand(photographs: Tensor, generator: Generator) -> None:
    """Depth and plane of random pixels by solving ray-plane equations one at a time."""
    cameras = random_cameras(2, SIZE, generator)
    focal_px = cameras[0].intrinsics[:, 0, 0]
    planes = random_planes(2, 0, focal_px, photographs, generator)
    camera = cameras[1]
    seen = render(planes, camera, photographs, SIZE)
    random = np.random.default_rng(1)
    for scene in (0, 1):
        K, R, t = (
            tensor[scene].double().numpy()
            for tensor in (camera.intrinsics, camera.rotation, camera.translation)
        )
        for _ in range(20):
            x, y = random.integers(0, SIZE[0]), random.integers(0, SIZE[1])
            ray = R.T @ np.linalg.inv(K) @ np.array([x, y, 1.0])
            centre = -R.T @ t
            depths = []
            for index in range(planes.texture.shape[1]):
                origin = planes.origin[scene, index].double().numpy()
                axes = planes.axes[scene, index].double().numpy()
                normal = np.cross(axes[:, 0], axes[:, 1])
                depth = normal @ (origin - centre) / (normal @ ray)
                depths.append(depth if 0.05 < depth < 50 else np.inf)
            nearest = int(np.argmin(depths))
            if np.isinf(depths[nearest]):
                continue
            assert int(seen.plane[scene, y, x]) == nearest
            expected = centre + depths[nearest] * ray
            np.testing.assert_allclose(
                seen.points[scene, y, x].numpy(), expected, rtol=2e-3, atol=2e-3
            )


def test_projecting_a_scene_point_returns_its_pixel(
    photographs: Tensor, generator: Generator
) -> None:
    _, camera = random_cameras(3, SIZE, generator)
    planes = random_planes(3, 4, camera.intrinsics[:, 0, 0], photographs, generator)
    seen = render(planes, camera, photographs, SIZE)
    pixels = project(camera, seen.points.flatten(1, 2))
    grid = pixel_grid(*SIZE, torch.device("cpu"))
    error = (pixels - grid).norm(dim=2)[seen.plane.flatten(1) >= 0]
    assert float(error.max()) < 0.05
    assert plane_homography(planes, 0, camera).shape == (3, 3, 3)


def test_hidden_pixels_are_out_of_view_or_behind_something_nearer(
    photographs: Tensor, generator: Generator
) -> None:
    cameras = random_cameras(4, SIZE, generator)
    planes = random_planes(4, 8, cameras[0].intrinsics[:, 0, 0], photographs, generator)
    views = [render(planes, camera, photographs, SIZE) for camera in cameras]
    targets, visibility = scene_targets(views[0], views[1], cameras[1])
    x, y = targets.round().nan_to_num(posinf=-1, neginf=-1).long().unbind(dim=3)
    inside = (x >= 0) & (y >= 0) & (x < SIZE[0]) & (y < SIZE[1])
    assert (visibility[~inside & (visibility != UNKNOWN)] == HIDDEN).all()

    def depth(camera: Cameras, points: Tensor) -> Tensor:
        seen = points.flatten(1, 2) @ camera.rotation.mT + camera.translation[:, None]
        return seen[..., 2].view(points.shape[:3])

    own = depth(cameras[1], views[0].points)
    nearest = depth(cameras[1], views[1].points).flatten(1)
    index = (y.clamp(0, SIZE[1] - 1) * SIZE[0] + x.clamp(0, SIZE[0] - 1)).flatten(1)
    there = nearest.gather(1, index).view_as(own)
    occluded = inside & (visibility == HIDDEN)
    assert occluded.any()
    assert float((own[occluded] > there[occluded] * 0.98).float().mean()) > 0.97


def flat_pairs(shift: tuple[float, float]) -> PairBatch:
    """Image 1 is image 0 moved; nothing is occluded."""
    width, height = SIZE
    grid = pixel_grid(width, height, torch.device("cpu")).view(1, height, width, 2)
    move = torch.tensor(shift)
    targets = torch.stack([grid + move, grid - move])
    inside = ((targets >= -0.5) & (targets < torch.tensor(SIZE) - 0.5)).all(dim=4)
    visibility = torch.where(inside, VISIBLE, HIDDEN)
    return PairBatch(torch.zeros(2, 1, 1, height, width), targets, visibility)


def test_true_matches_by_hand() -> None:
    pairs = flat_pairs((10.0, 0.0))
    keypoints0 = torch.tensor([[[5.0, 5], [20, 20], [30, 30], [60, 5], [40, 40]]])
    keypoints1 = torch.tensor([[[15.0, 5], [32, 20], [44, 30], [3, 3], [50, 46]]])
    truth = true_matches(pairs, keypoints0, keypoints1)
    # exact; 2 px off; 4 px off, between the limits; out of view; nothing within 5 px
    assert truth.matches0.tolist() == [[0, 1, IGNORED, NO_MATCH, NO_MATCH]]
    assert truth.matches1.tolist() == [[0, 1, IGNORED, NO_MATCH, NO_MATCH]]


def test_a_keypoint_on_the_edge_of_an_occlusion_is_ignored() -> None:
    pairs = flat_pairs((0.0, 0.0))
    pairs.visibility[0, 0, 5, 5] = UNKNOWN
    at = torch.tensor([[[5.0, 5.0]]])
    assert true_matches(pairs, at, at).matches0.tolist() == [[IGNORED]]


def test_the_same_seed_makes_the_same_pairs(photographs: Tensor) -> None:
    first, second = (
        make_pairs(photographs, config(), Generator().manual_seed(8)) for _ in range(2)
    )
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.visibility, second.visibility)
    assert first.images.shape == (2, 6, 1, SIZE[1], SIZE[0])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_changes_of_light_are_finite_and_do_something(change) -> None:
    image = torch.rand(4, 1, 41, 53, generator=Generator().manual_seed(1))
    changed = change(image, 1.0, Generator().manual_seed(2))
    assert changed.shape == image.shape
    assert torch.isfinite(changed).all()
    assert not torch.allclose(changed, image)


def test_without_strength_the_light_is_left_alone(generator: Generator) -> None:
    image = torch.rand(2, 1, 16, 16)
    assert change_photometry(image, PhotometricConfig(strength=0.0), generator) is image
    changed = change_photometry(image, PhotometricConfig(), generator)
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1
