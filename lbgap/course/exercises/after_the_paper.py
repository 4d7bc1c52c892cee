"""Exercises of *After the paper*."""

import torch
import torch.nn.functional as F

from ..checking import Answer, Wrong, answered, compare, exercise
from .generalisation_gap import network


def _ghost(whole=False, unbiased=False, first=False):
    def normalised(x, size):
        parts = [x] if whole else x.split(size)
        of = lambda part: parts[0] if first else part
        return torch.cat([(p - of(p).mean(0)) / (of(p).var(0, unbiased=unbiased) + 1e-5) ** 0.5 for p in parts])

    return normalised


@exercise("ghost", "Ghost batch norm", "implement", "medium", 15)
def ghost(answer: Answer) -> None:
    """normalised(x, size): batch norm of x (B, D), `size` examples at a time."""
    x = torch.randn(24, 3, dtype=torch.float64) * torch.linspace(0.5, 4, 24, dtype=torch.float64)[:, None] + 1
    x[:, 2] *= 1e-3  # so little that it matters where 1e-5 is added
    mistakes = {
        "The whole batch was normalised at once, so no noise comes back. Take each ghost alone.": _ghost(whole=True),
        "The variance divides by n - 1. Batch norm divides by n (`unbiased=False`).": _ghost(unbiased=True),
        "Every ghost is normalised by the statistics of the first. Each has its own.": _ghost(first=True),
    }
    compare(answer, [(x, 8), (x, 6)], _ghost(), mistakes)


@exercise("sam-counts-twice", "Batch norm counted twice", "find the bug", "hard", 25)
def sam_counts_twice(answer: Answer) -> None:
    """gradients(network, inputs, labels, rho): SAM's, with batch norm's statistics moved once."""
    used, rho = network(), 0.5
    used[3].p = 0.0
    inputs, labels = 2 * torch.randn(64, 6), torch.randint(4, (64,))
    weights, parameters = [p.detach().clone() for p in used.parameters()], list(used.parameters())
    mean, count = used[1].running_mean.clone(), int(used[1].num_batches_tracked)

    def at(direction, each=False):
        """The gradient after a move of rho along `direction` times the gradient; each: every tensor by its own norm."""
        g = torch.autograd.grad(F.cross_entropy(used(inputs), labels), parameters)
        norm = torch.stack([v.norm() for v in g]).norm()
        steps = [direction * rho * v / (v.norm() if each else norm) for v in g]
        moved = {name: p + step for (name, p), step in zip(used.named_parameters(), steps)}
        out = torch.func.functional_call(used, moved, (inputs,))
        return torch.autograd.grad(F.cross_entropy(out, labels), parameters)

    found = answer(used, inputs, labels, rho)
    answered(found)
    counted, moved_mean = int(used[1].num_batches_tracked) - count, used[1].running_mean.clone()
    if any((p - w).abs().max() > 1e-5 for p, w in zip(parameters, weights)):
        raise Wrong("The weights stay at the worst point. Put them back before the optimiser steps.")
    near = lambda other: all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(found, other))
    if near(at(-1)):
        raise Wrong("The move goes downhill. SAM asks for the gradient where the loss is worst: plus rho g / |g|.")
    if near(at(1, each=True)):
        raise Wrong("Each layer was moved by rho. It is one ball round all weights: divide by the whole g's norm.")
    if not near(at(1)):
        told = "These are not the gradients at x + rho g / |g|, g the gradient at x over the whole batch"
        raise Wrong(f"{told}, both in training mode: batch norm by this batch's statistics.")
    with torch.no_grad():
        once = 0.9 * mean + 0.1 * used[0](inputs).mean(0)
    if counted > 1 or not torch.allclose(moved_mean, once, atol=1e-4):
        told = "Batch norm saw this batch twice (or not at all), the second time at weights that are no network's"
        raise Wrong(f"{told}. Its running statistics must move once, at x: switch them off for the second pass.")
