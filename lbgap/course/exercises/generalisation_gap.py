"""Exercises of *The generalisation gap*."""

import numpy as np
import scipy.stats
import torch
from torch import nn

from ..checking import Answer, Wrong, answered, compare, exercise


def _interval(spread, quantile):
    """The interval of the mean of small - large, given its standard error and the quantile for so many seeds."""

    def interval(small, large):
        small, large = np.asarray(small), np.asarray(large)
        middle, half = small.mean() - large.mean(), quantile(len(small)) * spread(small, large)
        return middle - half, middle + half

    return interval


@exercise("gap-interval", "Is it a gap?", "judge", "medium", 15)
def gap_interval(answer: Answer) -> None:
    """interval(small, large): the 95 % interval of the gap, seeds paired."""
    student = lambda n: scipy.stats.t.ppf(0.975, n - 1)
    paired = lambda ddof: lambda a, b: (a - b).std(ddof=ddof) / len(a) ** 0.5
    unpaired = lambda a, b: (a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) ** 0.5
    cases = [([98.1, 98.3, 97.9, 98.0, 98.4], [97.8, 98.1, 97.8, 97.6, 98.0]), ([50.0, 60.0, 71.0], [49.0, 58.5, 70.0])]
    independent = _interval(unpaired, student)
    for_many = _interval(paired(1), lambda n: scipy.stats.norm.ppf(0.975))
    mistakes = {
        "That is for two independent groups. SB and LB of a seed share a start: take differences first.": independent,
        "1.96 is right for many seeds. With five take Student's t with n - 1 degrees of freedom.": for_many,
        "The deviation divides by n. For a sample it is n - 1 (`ddof=1`).": _interval(paired(0), student),
    }
    compare(answer, cases, _interval(paired(1), student), mistakes, tolerance=1e-3)


def network() -> nn.Module:
    """A small network in training, with batch norm and dropout, whose running statistics have seen other data."""
    made = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
    with torch.no_grad():
        for _ in range(20):
            made(3 * torch.randn(32, 6) + 1)
    return made


@exercise("evaluate", "Three faults in an evaluation", "find the bug", "medium", 15)
def evaluate(answer: Answer) -> None:
    """accuracy(network, inputs, labels, batch_size): in percent, the network left as it was."""
    used = network()
    inputs, before = torch.randn(150, 6), {k: v.clone() for k, v in used.state_dict().items()}
    used.eval()
    right = torch.arange(150) < 128
    guessed = used(inputs).argmax(1)
    # all right in the first two batches of 64, none in the last
    labels = torch.where(right, guessed, (guessed + 1) % 4)
    used.train()
    value = answer(used, inputs, labels, 64)
    answered(value)
    after = used.state_dict()
    if any(not torch.equal(before[k], after[k]) for k in before):
        raise Wrong("The network has changed: in training mode batch norm moved its running statistics on test data.")
    if not used.training:
        raise Wrong("The network came in training mode and goes out in evaluation mode: training on has no dropout.")
    exact, by_batch = 100 * 128 / 150, 200 / 3
    if abs(value - by_batch) < 1e-3:
        raise Wrong("The last batch is smaller, but counts as much. Count the right ones and divide once, at the end.")
    if abs(value - exact) > 1e-3:
        raise Wrong(f"It gives {value:.2f} %; {exact:.2f} % of these examples are classified right.")
