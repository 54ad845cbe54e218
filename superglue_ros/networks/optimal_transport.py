"""The matching layer of SuperGlue: optimal transport with dustbins (arXiv 1911.11763, section 3.2).

N keypoints are in image 0 and M in image 1; row N and column M are the dustbins.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_EXPONENT_RANGE = 80.0
"""Score range up to which exp() of it stays a normal float32 number."""


def _with_dustbins(scores: Tensor, bin_score: Tensor) -> Tensor:
    """(B, N, M) scores to (B, N+1, M+1), the dustbins filled with `bin_score`."""
    batch, rows, columns = scores.shape
    row_bins = bin_score.expand(batch, rows, 1)
    column_bins = bin_score.expand(batch, 1, columns + 1)
    return torch.cat([torch.cat([scores, row_bins], dim=2), column_bins], dim=1)


def _marginals(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The mass of each row (N+1,) and column (M+1,) of a (B, N, M) problem; each sums to 1."""
    rows, columns = scores.shape[1:]
    row_mass, column_mass = scores.new_ones(rows + 1), scores.new_ones(columns + 1)
    row_mass[-1], column_mass[-1] = columns, rows
    return row_mass / (rows + columns), column_mass / (rows + columns)


def log_optimal_transport(scores: Tensor, bin_score: Tensor, iterations: int) -> Tensor:
    """Sinkhorn's algorithm in the log domain, stable for any scores and differentiable.

    Args:
        scores: (B, N, M) matching scores.
        bin_score: The learned score of the dustbins, a scalar tensor.
        iterations: Normalisations of rows, then columns; the last one is of the columns.

    Returns:
        (B, N+1, M+1) log of the assignment probabilities.
    """
    couplings = _with_dustbins(scores, bin_score)
    row_mass, column_mass = _marginals(scores)
    log_rows, log_columns = row_mass.log()[:, None], column_mass.log()
    v = torch.zeros_like(couplings[:, :1])  # (B, 1, M+1)
    u = torch.zeros_like(couplings[:, :, :1])  # (B, N+1, 1)
    for _ in range(iterations):
        u = log_rows - torch.logsumexp(couplings + v, dim=2, keepdim=True)
        v = log_columns - torch.logsumexp(couplings + u, dim=1, keepdim=True)
    total = sum(scores.shape[1:])
    return couplings + u + v + torch.log(scores.new_tensor(float(total)))


def optimal_transport(scores: Tensor, bin_score: Tensor, iterations: int) -> Tensor:
    """Sinkhorn's algorithm for inference: `log_optimal_transport` exponentiated, but faster.

    It scales exp(scores) by matrix-vector products in float32. The dustbins keep every row and
    column sum away from zero; where the scores span more than exp() can hold, it takes the log
    domain.

    Args:
        scores: (B, N, M) matching scores.
        bin_score: The learned score of the dustbins, a scalar tensor.
        iterations: Normalisations of rows, then columns; the last one is of the columns.

    Returns:
        (B, N+1, M+1) assignment probabilities.
    """
    scores, bin_score = scores.float(), bin_score.float()
    couplings = _with_dustbins(scores, bin_score)
    if couplings.amax() - couplings.amin() > MAX_EXPONENT_RANGE:
        return log_optimal_transport(scores, bin_score, iterations).exp()
    row_mass, column_mass = _marginals(scores)
    kernel = torch.exp(couplings - couplings.amax(dim=2, keepdim=True))  # (B, N+1, M+1)
    v = torch.ones_like(kernel[:, 0])[:, :, None]  # (B, M+1, 1)
    u = torch.ones_like(kernel[:, :, :1])  # (B, N+1, 1)
    for _ in range(iterations):
        u = row_mass[:, None] / (kernel @ v)
        v = column_mass[:, None] / (kernel.mT @ u)
    return u * kernel * v.mT * sum(scores.shape[1:])


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
    none = best0.indices.new_tensor(-1)

    def one_side(forward: Tensor, backward: Tensor, maxima: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.arange(forward.shape[1], device=forward.device)
        mutual = backward.gather(1, forward) == own
        scores = torch.where(mutual, maxima, torch.zeros_like(maxima))
        return torch.where(mutual & (maxima > threshold), forward, none), scores

    matches0, scores0 = one_side(best0.indices, best1.indices, best0.values)
    matches1, scores1 = one_side(best1.indices, best0.indices, best1.values)
    return matches0, matches1, scores0, scores1
