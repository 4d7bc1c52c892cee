"""Exercises of *Remedies*."""

import math

import torch

from ..checking import Answer, compare, exercise


def _proximal(pull):
    def solve(gradient, x_k, strength, lr, steps):
        x = x_k
        for _ in range(steps):
            x = x - lr * (gradient(x) + pull(x, x_k, strength))
        return x

    return solve


@exercise("proximal", "One proximal step", "implement", "medium", 15)
def proximal(answer: Answer) -> None:
    """solve(gradient, x_k, strength, lr, steps): where the sub-problem of Eq. 5 ends."""
    H, c = torch.tensor([[4.0, 1.0], [1.0, 1.0]], dtype=torch.float64), torch.tensor([1.0, -1.0], dtype=torch.float64)
    gradient, x_k = lambda x: H @ (x - c), torch.tensor([3.0, 2.0], dtype=torch.float64)
    times = lambda factor: _proximal(lambda x, k, s: factor * s * (x - k))
    mistakes = {
        "The pull is half as strong as it should be: the derivative of the square brings a factor 2.": times(1),
        "There is no pull at all. Perhaps the anchor moves along with x: x_k stays where the batch was met.": times(0),
        "The pull points away from x_k. Its gradient is that of + strength |x - x_k|^2.": times(-2),
    }
    cases = [(gradient, x_k, 0.5, 0.1, 3), (gradient, x_k, 0.5, 0.1, 100)]
    compare(answer, cases, times(2), mistakes)


def _needed(noise, share=lambda theta: theta**2):
    return lambda g, theta: math.ceil(noise(g) / (share(theta) * (g.mean(0) ** 2).sum().item()))


@exercise("variance-test", "How large a batch is large enough?", "implement", "medium", 15)
def variance_test(answer: Answer) -> None:
    """batch(g, theta): the least batch size that passes the test, g (N, n) the examples' gradients."""
    g, trace = torch.randn(400, 6, dtype=torch.float64) + 0.2, lambda g: g.var(0).sum().item()
    second = lambda g: (g**2).sum().item() / (len(g) - 1)
    mistakes = {
        "theta is not squared: the test compares a variance with theta^2 |g|^2.": _needed(trace, lambda t: t),
        "The trace is the sum over the coordinates, not their mean.": _needed(lambda g: g.var(0).mean().item()),
        "The mean gradient has not been taken off: that is the second moment, not the variance.": _needed(second),
    }
    compare(answer, [(g, 0.5), (g, 0.2)], _needed(trace), mistakes)
