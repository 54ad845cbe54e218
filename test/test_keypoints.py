"""From dense outputs to keypoints and descriptors, against slow and hand-computed references."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superglue_ros.networks import (
    non_maximum_suppression,
    sample_descriptors,
    select_fixed,
    select_keypoints,
)


def window(values: np.ndarray, row: int, column: int, radius: int) -> np.ndarray:
    top, left = max(0, row - radius), max(0, column - radius)
    return values[top : row + radius + 1, left : column + radius + 1]


def suppress_by_hand(scores: np.ndarray, radius: int) -> np.ndarray:
    """Pixel by pixel, as the definition reads."""

    def maxima(values: np.ndarray) -> np.ndarray:
        found = np.zeros(values.shape, bool)
        for row, column in np.ndindex(values.shape):
            around = window(values, row, column, radius)
            found[row, column] = values[row, column] == around.max()
        return found

    kept = maxima(scores)
    for _ in range(2):
        near = np.zeros(scores.shape, bool)
        for row, column in np.ndindex(scores.shape):
            near[row, column] = window(kept, row, column, radius).any()
        left = np.where(near, 0, scores)
        kept |= maxima(left) & ~near
    return np.where(kept, scores, 0)


@pytest.mark.parametrize("radius", [0, 1, 3, 4, 9])
def test_suppression_equals_its_definition(radius: int, rng: np.random.Generator) -> None:
    for levels in (1000, 8):  # the second has many ties
        scores = (rng.integers(0, levels, (2, 17, 23)) / levels).astype(np.float32)
        suppressed = non_maximum_suppression(torch.from_numpy(scores), radius)
        expected = np.stack([suppress_by_hand(image, radius) for image in scores])
        np.testing.assert_array_equal(suppressed, expected)


def kept_of_a_row(peaks: dict[int, float], radius: int = 4) -> list[int]:
    scores = torch.zeros(1, 1, 40)
    for column, score in peaks.items():
        scores[0, 0, column] = score
    return torch.nonzero(non_maximum_suppression(scores, radius)[0, 0])[:, 0].tolist()


def test_a_stronger_peak_suppresses_up_to_the_radius_and_not_beyond() -> None:
    assert kept_of_a_row({10: 0.9, 14: 0.5}) == [10]
    assert kept_of_a_row({10: 0.9, 15: 0.5}) == [10, 15]


def test_what_was_shadowed_only_by_a_suppressed_peak_returns_in_two_rounds() -> None:
    """In a falling chain each peak is within the window of the one before it only.

    At first the strongest stands alone, then every other one returns: one in each round.
    """
    chain = {3 * index: 0.9 - 0.1 * index for index in range(7)}
    assert kept_of_a_row(chain) == [0, 6, 12]


def test_equal_neighbours_both_stay() -> None:
    assert kept_of_a_row({10: 0.5, 12: 0.5}) == [10, 12]


def test_suppression_works_in_both_directions_of_the_image() -> None:
    scores = torch.zeros(1, 20, 20)
    scores[0, 10, 10] = 0.9
    scores[0, 6, 14] = scores[0, 14, 6] = 0.8  # on the window's corners
    scores[0, 5, 10] = 0.7  # beyond its edge
    kept = torch.nonzero(non_maximum_suppression(scores, 4)[0]).tolist()
    assert kept == [[5, 10], [10, 10]]


def test_keypoints_are_x_y_with_their_scores_the_best_first() -> None:
    scores = torch.zeros(20, 30)
    scores[5, 20], scores[15, 7], scores[10, 10] = 0.25, 0.75, 0.5
    keypoints, confidences = select_keypoints(scores, 0.1, 10)
    assert keypoints.tolist() == [[7, 15], [10, 10], [20, 5]]
    assert confidences.tolist() == [0.75, 0.5, 0.25]
    assert keypoints.dtype == torch.float32


def test_a_keypoint_is_above_the_threshold_not_at_it() -> None:
    scores = torch.zeros(20, 20)
    scores[10, 5], scores[10, 15] = 0.25, 0.2500001
    assert select_keypoints(scores, 0.25, 10)[0].tolist() == [[15, 10]]
    assert len(select_keypoints(torch.zeros(20, 20), 0.0, 10)[0]) == 0


def test_keypoints_are_at_least_4_pixels_from_the_border() -> None:
    height, width = 20, 30
    keypoints, _ = select_keypoints(torch.ones(height, width), 0.5, height * width)
    assert keypoints.amin(dim=0).tolist() == [4, 4]
    assert keypoints.amax(dim=0).tolist() == [width - 5, height - 5]
    assert len(keypoints) == (height - 8) * (width - 8)


def test_the_most_probable_keypoints_are_kept(rng: np.random.Generator) -> None:
    scores = torch.from_numpy(rng.permutation(32 * 32).reshape(32, 32).astype(np.float32))
    every, _ = select_keypoints(scores, 0.0, 10_000)
    for count in (1, 10, 500):
        best, confidences = select_keypoints(scores, 0.0, count)
        assert best.tolist() == every[:count].tolist()
        assert confidences.tolist() == sorted(confidences.tolist(), reverse=True)


def test_keypoints_of_equal_score_come_in_reading_order() -> None:
    keypoints, _ = select_keypoints(torch.ones(10, 11), 0.5, 4)
    assert keypoints.tolist() == [[4, 4], [5, 4], [6, 4], [4, 5]]


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (50, 6), (7, 7), (8, 8), (8, 50)])
def test_an_image_that_is_all_border_has_no_keypoints(shape: tuple[int, int]) -> None:
    keypoints, confidences = select_keypoints(torch.ones(shape), 0.0, 10)
    assert keypoints.shape == (0, 2)
    assert confidences.shape == (0,)


def test_the_smallest_image_with_a_keypoint_is_9_by_9() -> None:
    assert select_keypoints(torch.ones(9, 9), 0.0, 10)[0].tolist() == [[4, 4]]


def ramp(height: int, width: int) -> torch.Tensor:
    """A map (3, h, w) that tells where it was read: 1, the column and the row of the cell."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.ones(height, width), columns, rows])


@pytest.mark.parametrize(
    ("x", "y", "column", "row"),
    [
        (3.5, 3.5, 0, 0),
        (79, 39, 9, 4),  # the last pixel reads the last cell: 75.5 / 75.5 * 9, 35.5 / 35.5 * 4
        (7, 12, 3.5 / 75.5 * 9, 8.5 / 35.5 * 4),  # 0.4172, 0.9577
        (41.25, 21.25, 4.5, 2),  # half-way
        (40, 20, 36.5 / 75.5 * 9, 16.5 / 35.5 * 4),  # 4.3510, 1.8592
    ],
)
def test_descriptors_are_read_at_the_published_position(
    x: float, y: float, column: float, row: float
) -> None:
    """In a map of 10x5 cells: (x - 3.5) / (80 - 4.5) of the way from the first cell to the last."""
    sampled = sample_descriptors(torch.tensor([[x, y]]), ramp(5, 10))[0]
    np.testing.assert_allclose(sampled[1:] / sampled[0], [column, row], atol=1e-4)


def test_descriptors_are_interpolated_bilinearly_to_unit_length(rng: np.random.Generator) -> None:
    height, width, count = 6, 9, 40
    cells = rng.normal(size=(16, height, width))
    keypoints = rng.uniform((4, 4), (8 * width - 5, 8 * height - 5), (count, 2))
    sampled = sample_descriptors(torch.from_numpy(keypoints), torch.from_numpy(cells))
    assert sampled.shape == (count, 16)
    for (x, y), descriptor in zip(keypoints, sampled, strict=True):
        column = (x - 3.5) / (8 * width - 4.5) * (width - 1)
        row = (y - 3.5) / (8 * height - 4.5) * (height - 1)
        j, i = int(column), int(row)
        right, below = column - j, row - i
        top = cells[:, i, j] * (1 - right) + cells[:, i, j + 1] * right
        bottom = cells[:, i + 1, j] * (1 - right) + cells[:, i + 1, j + 1] * right
        expected = top * (1 - below) + bottom * below
        np.testing.assert_allclose(descriptor, expected / np.linalg.norm(expected), atol=1e-9)


def test_no_keypoints_have_no_descriptors() -> None:
    assert sample_descriptors(torch.zeros(0, 2), torch.ones(256, 3, 4)).shape == (0, 256)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (9, 9), (20, 30), (64, 48)])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_fixed_shapes_hold_the_same_keypoints(
    shape: tuple[int, int], count: int, rng: np.random.Generator
) -> None:
    """Few values, so that many are equal, and the cut goes through equal ones."""
    drawn = rng.choice([0.0, 0.1, 0.25, 0.2500001, 1e-30, 0.9], (3, *shape), p=[0.5] + [0.1] * 5)
    scores = torch.from_numpy(drawn.astype(np.float32))
    for threshold in (0.0, 0.1):
        keypoints, confidences, counts = select_fixed(scores, threshold, count)
        assert keypoints.shape == (3, count, 2)
        for index, image in enumerate(scores):
            expected, expected_confidences = select_keypoints(image, threshold, count)
            found = int(counts[index])
            assert keypoints[index, :found].tolist() == expected.tolist()
            assert torch.equal(confidences[index, :found], expected_confidences)
            assert not confidences[index, found:].any()


def test_descriptors_of_a_batch_are_those_of_each_image(rng: np.random.Generator) -> None:
    maps = torch.from_numpy(rng.normal(size=(3, 16, 6, 9)))
    keypoints = torch.from_numpy(rng.uniform((4, 4), (67, 43), (3, 5, 2)))
    together = sample_descriptors(keypoints, maps)
    for index in range(3):
        torch.testing.assert_close(
            together[index], sample_descriptors(keypoints[index], maps[index])
        )
