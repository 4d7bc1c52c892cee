"""Exercises of *What could mislead us*."""

import torch

from ..checking import Answer, compare, exercise


@exercise("half-life", "Adam's memory, in examples", "derive", "medium", 10)
def half_life(answer: Answer) -> None:
    """beta(beta, small, large): Adam's decay with a memory of as many examples at the large batch."""
    factor, upside_down = lambda b, s, l: b * s / l, lambda b, s, l: b ** (s / l)
    straight = lambda b, s, l: 1 - (1 - b) * l / s
    mistakes = {
        "The decay is over steps, so it multiplies: B_large / B_small small steps are one power, not a factor.": factor,
        "The power is upside down: a large step holds many examples, so its memory must be shorter.": upside_down,
        "That is the straight-line approximation, and falls below 0 for a large ratio. Take the power.": straight,
    }
    compare(answer, [(0.9, 256, 6000), (0.999, 256, 6000), (0.9, 32, 64)], lambda b, s, l: b ** (l / s), mistakes)


def _match(lengths, bias=True):
    def match(weight, bias_, reference):
        c = lengths(reference) / lengths(weight)
        by_filter = c.ndim == 1 and len(c) == len(weight)
        return weight * (c[..., None] if by_filter else c), bias_ * c if bias else bias_

    return match


@exercise("filter-norms", "Filters of one length", "implement", "medium", 15)
def filter_norms(answer: Answer) -> None:
    """match(weight, bias, reference): both with each filter as long as the reference's."""
    double = dict(dtype=torch.float64)
    weight, bias, reference = torch.randn(4, 6, **double), torch.randn(4, **double), 3 * torch.randn(4, 6, **double)
    forgotten = _match(lambda w: w.norm(dim=1), bias=False)
    mistakes = {
        "One factor for the whole layer. Batch norm lets each filter have its own.": _match(lambda w: w.norm()),
        "The bias was forgotten. It belongs to the filter's output and must grow with it.": forgotten,
        "The longest entry was matched. The length of a filter is its 2-norm.": _match(lambda w: w.abs().amax(dim=1)),
    }
    compare(answer, [(weight, bias, reference)], _match(lambda w: w.norm(dim=1)), mistakes)
