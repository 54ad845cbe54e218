"""The matching layer of SuperGlue: optimal transport with dustbins (arXiv 1911.11763, section 3.2).

N keypoints are in image 0 and M in image 1; row N and column M are the dustbins.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MAX_EXPONENT_RANGE = 80.0
"""Score range up to which exp() of it stays a normal float32 number."""


Counts = tuple[Tensor, Tensor]
"""Of a padded batch the true number of keypoints in image 0 and image 1, each (B,) integers."""


def with_dustbins(scores: Tensor, bin_score: Tensor, counts: Counts | None) -> Tensor:
    """(B, N, M) scores to (B, N+1, M+1), the dustbins and the padding filled with `bin_score`."""
    batch, rows, columns = scores.shape
    if counts is not None:
        true_rows, true_columns = (
            true_places(count, size) for count, size in zip(counts, (rows, columns), strict=True)
        )
        scores = torch.where(true_rows[:, :, None] & true_columns[:, None], scores, bin_score)
    row_bins = bin_score.expand(batch, rows, 1)
    column_bins = bin_score.expand(batch, 1, columns + 1)
    return torch.cat([torch.cat([scores, row_bins], dim=2), column_bins], dim=1)


def true_places(count: Tensor, size: int) -> Tensor:
    """(B,) counts to (B, size) boolean: which places of a padded row hold something."""
    return torch.arange(size, device=count.device) < count[:, None]


class _Marginals(NamedTuple):
    """The mass of each row (B, N+1) and column (B, M+1), 0 for padding; each sums to 1.

    `total` (B, 1, 1) is the number of keypoints, by which they were divided. B is 1 where nothing
    is padded.
    """

    rows: Tensor
    columns: Tensor
    total: Tensor


def _marginals(scores: Tensor, counts: Counts | None) -> _Marginals:
    """The marginals of a (B, N, M) problem."""
    if counts is None:
        counts0, counts1 = (scores.new_tensor([size]) for size in scores.shape[1:])
    else:
        counts0, counts1 = (count.to(scores.dtype) for count in counts)
    nothing = (counts0 + counts1 == 0).to(scores.dtype)  # then all the mass is the dustbins'
    total = counts0 + counts1 + nothing
    masses = [
        torch.cat([true_places(own, size).to(scores.dtype), (other + nothing)[:, None]], dim=1)
        for own, other, size in zip(
            (counts0, counts1), (counts1, counts0), scores.shape[1:], strict=True
        )
    ]
    return _Marginals(masses[0] / total[:, None], masses[1] / total[:, None], total[:, None, None])


def log_optimal_transport(
    scores: Tensor, bin_score: Tensor, iterations: int, counts: Counts | None = None
) -> Tensor:
    """Sinkhorn's algorithm in the log domain, stable for any scores and differentiable.

    Args:
        scores: (B, N, M) matching scores.
        bin_score: The learned score of the dustbins, a scalar tensor.
        iterations: Normalisations of rows, then columns; the last one is of the columns.
        counts: How many of the N and M are true keypoints, the first ones; None for all. Padding
            changes nothing for the others and gets no mass.

    Returns:
        (B, N+1, M+1) log of the assignment probabilities, the dustbins last.
    """
    couplings = with_dustbins(scores, bin_score, counts)
    mass = _marginals(scores, counts)
    log_rows, log_columns = mass.rows.log()[:, :, None], mass.columns.log()[:, None]
    v = torch.zeros_like(couplings[:, :1])  # (B, 1, M+1)
    if counts is not None:
        v = torch.where(log_columns > -torch.inf, v, log_columns)
    u = torch.zeros_like(couplings[:, :, :1])  # (B, N+1, 1)
    for _ in range(iterations):
        u = log_rows - torch.logsumexp(couplings + v, dim=2, keepdim=True)
        v = log_columns - torch.logsumexp(couplings + u, dim=1, keepdim=True)
    return couplings + u + v + mass.total.log()


def optimal_transport(
    scores: Tensor, bin_score: Tensor, iterations: int, counts: Counts | None = None
) -> Tensor:
    """Sinkhorn's algorithm for inference: `log_optimal_transport` exponentiated, but faster.

    It scales exp(scores) by matrix-vector products in float32. The dustbins keep every row and
    column sum away from zero; where the scores span more than exp() can hold, it takes the log
    domain.

    Args:
        scores: (B, N, M) matching scores.
        bin_score: The learned score of the dustbins, a scalar tensor.
        iterations: Normalisations of rows, then columns; the last one is of the columns.
        counts: How many of the N and M are true keypoints, as in `log_optimal_transport`.

    Returns:
        (B, N+1, M+1) assignment probabilities, the dustbins last.
    """
    scores, bin_score = scores.float(), bin_score.float()
    couplings = with_dustbins(scores, bin_score, counts)
    if couplings.amax() - couplings.amin() > MAX_EXPONENT_RANGE:
        return log_optimal_transport(scores, bin_score, iterations, counts).exp()
    mass = _marginals(scores, counts)
    kernel = torch.exp(couplings - couplings.amax(dim=2, keepdim=True))  # (B, N+1, M+1)
    v = torch.ones_like(kernel[:, :1]).mT  # (B, M+1, 1)
    if counts is not None:
        v = (mass.columns > 0).to(v.dtype)[:, :, None]
    u = torch.ones_like(kernel[:, :, :1])  # (B, N+1, 1)
    for _ in range(iterations):
        u = mass.rows[:, :, None] / (kernel @ v)
        v = mass.columns[:, :, None] / (kernel.mT @ u)
    return u * kernel * v.mT * mass.total


def mutual_matches(
    probabilities: Tensor, threshold: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read matches off the assignment: mutual maxima above a threshold.

    Args:
        probabilities: (B, N+1, M+1) assignment with dustbins, N and M at least 1.
        threshold: A match's probability is above this.

    Returns:
        matches0 (B, N) and matches1 (B, M), the partner's index or -1; matching_scores0 (B, N) and
        matching_scores1 (B, M), the probability at the mutual maximum, also where it is below the
        threshold, and 0 where there is no mutual maximum.
    """
    inner = probabilities[:, :-1, :-1]
    best0, best1 = inner.max(dim=2), inner.max(dim=1)

    def one_side(forward: Tensor, backward: Tensor, maxima: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.arange(forward.shape[1], device=forward.device)
        mutual = backward.gather(1, forward) == own
        scores = torch.where(mutual, maxima, 0.0)
        return torch.where(mutual & (maxima > threshold), forward, -1), scores

    matches0, scores0 = one_side(best0.indices, best1.indices, best0.values)
    matches1, scores1 = one_side(best1.indices, best0.indices, best1.values)
    return matches0, matches1, scores0, scores1
