"""Sinkhorn's algorithm as a Triton kernel, for CUDA devices.

`networks.optimal_transport` scales exp(scores), and has to look at the scores' range first, which
makes the host wait. Here the scalings are absorbed into the exponent at every step, as in the log
domain, so that any range will do: on a GPU the exponentials cost less than reading the scores.

One launch normalises all rows, the next all columns, with the same kernel on the transposed scores.
The dustbins are a scalar and never become part of the matrix, whose rows stay aligned. Meant to be
captured in a CUDA graph, in which a launch costs little.
"""

from __future__ import annotations

import torch
from torch import Tensor

from superglue_ros.networks.optimal_transport import Counts, true_places, with_dustbins

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # comes with PyTorch for CUDA, and with no other
    triton = None

_VALUES_PER_THREAD = 8

_ALIGNMENT = 16
"""Each problem's scalings take this many places more than it has keypoints, the first of them for
the dustbin, so that rows begin where wide loads can."""

if triton is not None:

    @triton.jit
    def _normalise(
        scores,
        theirs,
        ours,
        bin_score,
        our_counts,
        their_counts,
        our_size,
        their_size,
        BLOCK: tl.constexpr,
        ALIGNMENT: tl.constexpr,
    ):
        """Scale one row of one problem to its mass: program (row, problem), the dustbin's last.

        ours[row] = log(mass of the row) - logsumexp of scores[row] + theirs.
        """
        row = tl.program_id(0)
        problem = tl.program_id(1).to(tl.int64)
        our_count = tl.load(our_counts + problem)
        their_count = tl.load(their_counts + problem)
        is_dustbin = row == our_size
        if is_dustbin | (row < our_count):
            bin_score_value = tl.load(bin_score)
            columns = tl.arange(0, BLOCK)
            matrix_row = problem * our_size + tl.minimum(row, our_size - 1)
            # Masks that depend on the size alone leave the loads wide
            row_scores = tl.load(
                scores + matrix_row * their_size + columns, mask=columns < their_size, other=0.0
            )
            row_scores = tl.where(is_dustbin, bin_score_value, row_scores)
            their_row = theirs + problem * (their_size + ALIGNMENT)
            scalings = tl.load(their_row + columns, mask=columns < their_size, other=0.0)
            values = tl.where(columns < their_count, row_scores + scalings, -float("inf"))
            bin_value = bin_score_value + tl.load(their_row + their_size)
            largest = tl.maximum(tl.max(values, axis=0), bin_value)
            total = tl.sum(tl.exp(values - largest), axis=0) + tl.exp(bin_value - largest)
            count = (our_count + their_count).to(tl.float32)
            mass = tl.where(is_dustbin, their_count.to(tl.float32), 1.0)
            mass = tl.where(count == 0, 1.0, mass)
            result = tl.log(mass) - tl.log(tl.maximum(count, 1.0)) - largest - tl.log(total)
            tl.store(ours + problem * (our_size + ALIGNMENT) + row, result)


def triton_optimal_transport(
    scores: Tensor, bin_score: Tensor, iterations: int, counts: Counts
) -> Tensor:
    """`networks.optimal_transport` for a padded batch, without waiting for the device.

    Args:
        scores: (B, N, M) matching scores, float32.
        bin_score: The learned score of the dustbins, a scalar float32 tensor.
        iterations: Normalisations of rows, then columns; the last one is of the columns.
        counts: (B,) integers each: how many of the N and M are true keypoints, the first ones.

    Returns:
        (B, N+1, M+1) assignment probabilities, the dustbins last; 0 for padding.
    """
    scores = scores.contiguous()
    u, v = (_start(count, size) for count, size in zip(counts, scores.shape[1:], strict=True))
    counts0, counts1 = (count.int() for count in counts)
    transposed = scores.mT.contiguous()
    for _ in range(iterations):
        _launch(scores, v, u, bin_score, (counts0, counts1))
        _launch(transposed, u, v, bin_score, (counts1, counts0))
    total = (counts0 + counts1).clamp(min=1).float().log()[:, None, None]
    rows, columns = u[:, : scores.shape[1] + 1, None], v[:, None, : scores.shape[2] + 1]
    return torch.exp(with_dustbins(scores, bin_score, counts) + rows + (columns + total))


def _start(count: Tensor, size: int) -> Tensor:
    """(B, size + _ALIGNMENT) logarithms of scalings: 0, and of padding -infinity, which stays."""
    is_true = torch.nn.functional.pad(true_places(count, size), (0, _ALIGNMENT), value=True)
    return torch.where(is_true, 0.0, -torch.inf)


def _launch(
    scores: Tensor, theirs: Tensor, ours: Tensor, bin_score: Tensor, counts: Counts
) -> None:
    """Normalise the rows of all problems."""
    problems, our_size, their_size = scores.shape
    block = max(32, triton.next_power_of_2(their_size))
    _normalise[(our_size + 1, problems)](
        scores,
        theirs,
        ours,
        bin_score,
        *counts,
        our_size,
        their_size,
        BLOCK=block,
        ALIGNMENT=_ALIGNMENT,
        num_warps=min(8, max(1, block // (32 * _VALUES_PER_THREAD))),
    )
