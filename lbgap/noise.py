"""The gradient noise scale: how large a batch is before more examples add little (McCandlish et al. 2018)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import torch

from . import field_checks, machine


@dataclasses.dataclass(frozen=True)
class NoiseScale:
    """The result of `noise_scale`.

    value: trace / squared_gradient, in examples; infinite where the gradient is lost in the noise.
    trace: tr(Sigma), Sigma the covariance of the gradient of one example over the training set, N - 1 in the
    denominator.
    squared_gradient: |G|^2, G the mean gradient; as estimated, so it may be negative. batch_size: as given.
    batches: mini-batches used, both passes together.
    """

    value: float
    trace: float
    squared_gradient: float
    batch_size: int
    batches: int


@machine.plain()
def noise_scale(
    f: Callable, x: torch.Tensor, batch_size: int, *, seed: int = 0, count: int | None = None
) -> NoiseScale:
    """The simple noise scale tr(Sigma) / |G|^2 at x, in examples, from the mini-batches of two shuffled passes.

    With batch norm in "batch" mode each mini-batch has its own statistics, as in training (dropout off). G is then the
    mean of the mini-batch gradients over all shuffles, not quite the gradient of `f`, whose batches are larger, and
    tr(Sigma) is batch_size times the mini-batch's variance, which falls with batch_size near a minimiser. Say the size.

    Args:
        f: anything with f.gradients(x, batch_size, seed) -> iterator of (gradient (n,), examples), as `Objective`.
        x: flat (n,). Two float64 vectors (n,) are kept beside the gradient at hand.
        batch_size: examples a mini-batch.
        seed: of the two shuffles, whose own seeds are 2 seed and 2 seed + 1.
        count: how many mini-batches of each pass are used; None is all. tr(Sigma) and |G|^2 are unbiased in both cases,
            and |G|^2 is exact with all of them when an example's gradient does not depend on its mini-batch.

    Raises:
        ValueError: when f has no gradients, or such with NaN, for batch_size < 1, count < 2, and where all examples are
            one mini-batch.

    Source: not in the paper; McCandlish et al. 2018, Eq. 2.9 and, for another pair of unbiased estimates, Appendix A.1.
    """
    if not hasattr(f, "gradients"):
        told = f"f is a {type(f).__name__} without gradients"
        raise ValueError(f"{told}; expected f.gradients(x, batch_size, seed), as lbgap.Objective has")
    batch_size = field_checks.count("batch_size", batch_size, 1)
    count = None if count is None else field_checks.count("count", count, 2)  # of one there is no variance
    # N examples with gradients h_i, mean G, Sigma = sum (h_i - G)(h_i - G)^T / (N - 1). Let g_j be the mean over b_j of
    # them, drawn without replacement, M = sum b_j g_j / n the mean of k such mini-batches, n = sum b_j. If n = N, then
    # M = G, E |g_j - M|^2 = tr(Sigma) (1 / b_j - 1 / N), the finite-population correction in it, and
    #   E sum b_j |g_j - M|^2 = E sum b_j |g_j|^2 - n |M|^2 = tr(Sigma) sum (1 - b_j / n) = tr(Sigma) (k - 1).
    # So it is for n < N: those n are a random sample, whose own Sigma is an unbiased estimate of the whole's.
    # Two independent shuffles have E M_1.M_2 = |E M|^2 = |G|^2. |M|^2 would not do: with batch norm M depends on who is
    # with whom, and near a minimiser |M|^2 is nothing but that, tr(Sigma) / N, which gives a noise scale of N.
    x, seed = x.detach(), field_checks.count("seed", seed)
    (first, trace_1, k_1), (second, trace_2, k_2) = (_pass(f, x, batch_size, 2 * seed + i, count) for i in range(2))
    trace, squared_gradient = (trace_1 + trace_2) / 2, torch.dot(first, second).item()
    if not (math.isfinite(trace) and math.isfinite(squared_gradient)):
        raise ValueError("f's gradients have NaN or infinite entries at x; expected finite ones: did training diverge?")
    value = trace / squared_gradient if squared_gradient > 0 else math.inf
    return NoiseScale(value, trace, squared_gradient, batch_size, k_1 + k_2)


def _pass(f, x, batch_size, seed, count):
    """The mean of one pass's mini-batch gradients, in float64, tr(Sigma) from it, and how many they were."""
    mean, squares, n, k = 0, 0.0, 0, 0
    for gradient, examples in itertools.islice(f.gradients(x, batch_size, seed), count):
        if k == 0:
            mean = torch.zeros_like(gradient, dtype=torch.float64)
        mean.add_(gradient, alpha=examples)
        squares += examples * torch.linalg.vector_norm(gradient, dtype=torch.float64).item() ** 2
        n, k = n + examples, k + 1
    if k < 2:
        told = f"batch_size is {batch_size}, which makes {k} mini-batch of {n} examples"
        raise ValueError(f"{told}; expected at least two: lower batch_size")
    mean /= n
    return mean, (squares - n * torch.dot(mean, mean).item()) / (k - 1), k
