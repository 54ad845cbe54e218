"""The matching layer against float64 references, closed forms and hand-made assignments."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from superglue_ros.networks import log_optimal_transport, mutual_matches, optimal_transport
from superglue_ros.networks.optimal_transport import Counts

SHAPES = [(1, 1), (1, 5), (5, 1), (3, 7), (30, 12)]

Transport = Callable[..., torch.Tensor]


def through_the_log_domain(
    scores: torch.Tensor, bin_score: torch.Tensor, iterations: int, *counts: Counts
) -> torch.Tensor:
    return log_optimal_transport(scores, bin_score, iterations, *counts).exp()


both_paths = pytest.mark.parametrize(
    "transport",
    [
        pytest.param(optimal_transport, id="exponential"),
        pytest.param(through_the_log_domain, id="logarithmic"),
    ],
)


def logsumexp(values: np.ndarray) -> float:
    largest = values.max()
    return float(largest + np.log(np.exp(values - largest).sum()))


def sinkhorn_by_hand(scores: np.ndarray, bin_score: float, iterations: int) -> np.ndarray:
    """One problem (rows, columns), row by row and column by column, in float64."""
    rows, columns = scores.shape
    augmented = np.full((rows + 1, columns + 1), float(bin_score))
    augmented[:rows, :columns] = scores
    # As many keypoints as there are in the other image fit into a dustbin.
    log_row_mass = np.log(np.array([1] * rows + [columns]) / (rows + columns))
    log_column_mass = np.log(np.array([1] * columns + [rows]) / (rows + columns))
    u, v = np.zeros(rows + 1), np.zeros(columns + 1)
    for _ in range(iterations):
        for i in range(rows + 1):
            u[i] = log_row_mass[i] - logsumexp(augmented[i] + v)
        for j in range(columns + 1):
            v[j] = log_column_mass[j] - logsumexp(augmented[:, j] + u)
    return np.exp(augmented + u[:, None] + v) * (rows + columns)


def random_problem(
    rng: np.random.Generator, shape: tuple[int, int], spread: float
) -> tuple[np.ndarray, float]:
    scores = rng.uniform(-spread / 2, spread / 2, shape)
    return scores, float(rng.uniform(-spread / 2, spread / 2))


def solve(transport: Transport, scores: object, bin_score: float, iterations: int) -> np.ndarray:
    given = torch.as_tensor(np.asarray(scores), dtype=torch.float32)[None]
    return transport(given, torch.tensor(bin_score), iterations)[0].numpy()


@both_paths
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("iterations", [1, 2, 100])
def test_it_is_sinkhorns_algorithm(
    transport: Transport, shape: tuple[int, int], iterations: int, rng: np.random.Generator
) -> None:
    scores, bin_score = random_problem(rng, shape, spread=12)
    expected = sinkhorn_by_hand(scores, bin_score, iterations)
    found = solve(transport, scores, bin_score, iterations)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@both_paths
@pytest.mark.parametrize("difference", [-4.0, 0.0, 2 * math.log(3), 4.0])
def test_one_keypoint_in_each_image_has_a_closed_form(
    transport: Transport, difference: float
) -> None:
    """Of two equal rows and columns p / (1 - p) is the square root of exp(score - bin)."""
    p = 1 / (1 + math.exp(-difference / 2))  # 3/4 for a difference of 2 log 3
    found = solve(transport, [[1.5 + difference]], 1.5, 100)
    np.testing.assert_allclose(found, [[p, 1 - p], [1 - p, p]], atol=1e-5)


@both_paths
def test_a_single_iteration_by_hand(transport: Transport) -> None:
    """One keypoint against two, all scores equal: a row of mass 1, a dustbin row of mass 2.

    The rows, normalised first, hold 1/3 and 2/3 per entry; columns of mass 1, 1 and 1 are then
    right as they are.
    """
    found = solve(transport, [[0.0, 0.0]], 0.0, 1)
    np.testing.assert_allclose(found, [[1 / 3, 1 / 3, 1 / 3], [2 / 3, 2 / 3, 2 / 3]], atol=1e-6)


@both_paths
@pytest.mark.parametrize("iterations", [1, 3])
def test_columns_are_normalised_last(
    transport: Transport, iterations: int, rng: np.random.Generator
) -> None:
    scores, bin_score = random_problem(rng, (4, 9), spread=12)
    found = solve(transport, scores, bin_score, iterations)
    np.testing.assert_allclose(found.sum(axis=0), [1] * 9 + [4], rtol=1e-4)
    assert np.abs(found.sum(axis=1) - ([1] * 4 + [9])).max() > 0.01  # not converged yet


@both_paths
def test_each_keypoint_is_assigned_once_and_the_dustbins_take_the_rest(
    transport: Transport, rng: np.random.Generator
) -> None:
    scores, bin_score = random_problem(rng, (6, 10), spread=6)
    found = solve(transport, scores, bin_score, 200)
    np.testing.assert_allclose(found.sum(axis=0), [1] * 10 + [6], rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), [1] * 6 + [10], rtol=1e-4)


@both_paths
def test_problems_of_a_batch_are_solved_each_by_itself(
    transport: Transport, rng: np.random.Generator
) -> None:
    batch = torch.from_numpy(rng.uniform(-5, 5, (3, 6, 4))).float()
    together = transport(batch, torch.tensor(1.0), 20)
    for index in range(3):
        alone = transport(batch[index : index + 1], torch.tensor(1.0), 20)
        torch.testing.assert_close(together[index], alone[0])


@pytest.mark.parametrize("spread", [1, 20, 79])
def test_the_exponential_path_gives_what_the_logarithmic_one_does(
    spread: float, rng: np.random.Generator
) -> None:
    scores, bin_score = random_problem(rng, (200, 150), spread)
    exponential = solve(optimal_transport, scores, bin_score, 100)
    logarithmic = solve(through_the_log_domain, scores, bin_score, 100)
    np.testing.assert_allclose(exponential[:-1, :-1], logarithmic[:-1, :-1], atol=1e-4)
    np.testing.assert_allclose(exponential, logarithmic, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("spread", [100, 300, 2000])
def test_scores_beyond_what_exp_can_hold_are_solved_all_the_same(
    spread: float, rng: np.random.Generator
) -> None:
    scores, bin_score = random_problem(rng, (12, 20), spread)
    found = solve(optimal_transport, scores, bin_score, 100)
    np.testing.assert_allclose(found, sinkhorn_by_hand(scores, bin_score, 100), atol=2e-3)


def test_keypoints_that_want_the_same_partner_share_it_and_the_dustbin_takes_the_rest() -> None:
    """Though exp(bin - score) is 0 in single precision."""
    scores = np.full((30, 1), 150.0)
    found = solve(optimal_transport, scores, 0.0, 100)
    np.testing.assert_allclose(found, sinkhorn_by_hand(scores, 0.0, 100), atol=2e-3)
    np.testing.assert_allclose(found[:-1, 0], 1 / 30, atol=1e-3)
    np.testing.assert_allclose(found[:-1, 1], 29 / 30, atol=1e-3)


def test_half_precision_scores_are_solved_in_single_precision(rng: np.random.Generator) -> None:
    scores = torch.from_numpy(rng.uniform(-10, 10, (1, 8, 8))).half()
    bin_score = torch.tensor(1.0).half()
    found = optimal_transport(scores, bin_score, 100)
    assert found.dtype == torch.float32
    expected = sinkhorn_by_hand(scores[0].double().numpy(), 1.0, 100)
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_the_logarithmic_path_has_the_right_gradients(rng: np.random.Generator) -> None:
    scores = torch.from_numpy(rng.uniform(-2, 2, (1, 3, 2))).requires_grad_()
    bin_score = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda s, b: log_optimal_transport(s, b, 5), (scores, bin_score)
    )


PADDED = (16, 24)
COUNTS = [(16, 24), (5, 9), (9, 5), (1, 1), (1, 24), (16, 1), (0, 7), (7, 0), (0, 0)]


def padded_problems(
    rng: np.random.Generator, spread: float
) -> tuple[torch.Tensor, float, tuple[torch.Tensor, torch.Tensor]]:
    """One problem for each of `COUNTS`, padded with scores that would win were they true."""
    scores = torch.full((len(COUNTS), *PADDED), 2 * spread)
    for problem, shape in zip(scores, COUNTS, strict=True):
        drawn = rng.uniform(-spread / 2, spread / 2, shape)
        problem[: shape[0], : shape[1]] = torch.from_numpy(drawn)
    counts0, counts1 = torch.tensor(COUNTS).T
    return scores, float(rng.uniform(-2, 2)), (counts0, counts1)


@pytest.mark.parametrize("spread", [12, 60, 300])
def test_padding_changes_no_probability_and_gets_none(
    spread: float, rng: np.random.Generator
) -> None:
    scores, bin_score, counts = padded_problems(rng, spread)
    for transport in (optimal_transport, through_the_log_domain):
        together = transport(scores, torch.tensor(bin_score), 100, counts).numpy()
        assert np.isfinite(together).all()
        for found, problem, (rows, columns) in zip(together, scores, COUNTS, strict=True):
            kept = np.ix_([*range(rows), PADDED[0]], [*range(columns), PADDED[1]])
            if rows and columns:
                alone = solve(transport, problem[:rows, :columns], bin_score, 100)
                np.testing.assert_allclose(found[kept], alone, atol=1e-5)
            outside = found.copy()
            outside[kept] = 0
            assert not outside.any()


def test_padding_is_never_matched(rng: np.random.Generator) -> None:
    scores, _, counts = padded_problems(rng, spread=12)
    found = mutual_matches(optimal_transport(scores, torch.tensor(-9.0), 50, counts), 0.0)
    matches0, matches1, scores0, scores1 = (tensor.numpy() for tensor in found)
    for index, (rows, columns) in enumerate(COUNTS):
        assert (matches0[index, rows:] == -1).all()
        assert (matches1[index, columns:] == -1).all()
        assert not scores0[index, rows:].any()
        assert not scores1[index, columns:].any()
        assert matches0[index].max() < max(1, columns)
        assert (matches0[index] >= 0).any() == (rows > 0 < columns)


def assignment(inner: list[list[float]]) -> torch.Tensor:
    """With dustbins that are better than any keypoint, which must not matter."""
    return torch.nn.functional.pad(torch.tensor(inner), (0, 1, 0, 1), value=1.0)[None]


def test_mutual_maxima_above_the_threshold_match() -> None:
    found = mutual_matches(
        assignment(
            [
                [0.10, 0.75, 0.05],  # 0 and 1 are each other's best
                [0.00, 0.50, 0.20],  # wants 1, which has a better one
                [0.30, 0.00, 0.00],  # 2 and 0 are each other's best
                [0.00, 0.00, 0.25],  # 3 and 2 too, but not above the threshold
            ]
        ),
        threshold=0.25,
    )
    matches0, matches1, scores0, scores1 = (tensor[0].tolist() for tensor in found)
    assert matches0 == [1, -1, 0, -1]
    assert matches1 == [2, 0, -1]
    # The score stays beside a pair that is below the threshold, and is 0 where nothing is mutual.
    np.testing.assert_allclose(scores0, [0.75, 0, 0.3, 0.25])
    np.testing.assert_allclose(scores1, [0.3, 0.75, 0.25])


def test_a_probability_at_the_threshold_is_no_match_and_above_it_is() -> None:
    just_above = math.nextafter(np.float32(0.5), 1) + 1e-7
    found = mutual_matches(assignment([[0.5, 0.0], [0.0, just_above]]), threshold=0.5)
    assert found[0].tolist() == [[-1, 1]]
    assert found[1].tolist() == [[-1, 1]]


def test_matching_equals_its_definition(rng: np.random.Generator) -> None:
    probabilities = rng.random((2, 9, 6)).astype(np.float32)
    found = [tensor.numpy() for tensor in mutual_matches(torch.from_numpy(probabilities), 0.6)]
    for index, problem in enumerate(probabilities):
        inner = problem[:-1, :-1]
        matches0, scores0 = [-1] * 8, [0.0] * 8
        matches1, scores1 = [-1] * 5, [0.0] * 5
        for i, j in np.ndindex(inner.shape):
            if inner[i, j] == inner[i].max() == inner[:, j].max():
                scores0[i] = scores1[j] = inner[i, j]
                if inner[i, j] > 0.6:
                    matches0[i], matches1[j] = j, i
        assert found[0][index].tolist() == matches0
        assert found[1][index].tolist() == matches1
        np.testing.assert_array_equal(found[2][index], scores0)
        np.testing.assert_array_equal(found[3][index], scores1)


def test_of_equal_candidates_each_keypoint_takes_at_most_one() -> None:
    matches0, matches1, _, _ = mutual_matches(assignment([[0.5, 0.5], [0.5, 0.5]]), 0.2)
    assert matches0.tolist() == [[0, -1]]
    assert matches1.tolist() == [[0, -1]]
