"""Exercises of *The generalisation gap*."""

import numpy as np
import scipy.stats
import torch
from torch import nn

from ..checking import Wrong, answered, compare, exercise


def _interval(spread, quantile):
    """The interval of the mean of small - large, given its standard error and the quantile for so many seeds."""

    def interval(small, large):
        middle, half = (
            np.mean(small) - np.mean(large),
            quantile(len(small)) * spread(np.asarray(small), np.asarray(large)),
        )
        return middle - half, middle + half

    return interval


@exercise("gap-interval", "Is it a gap?", "judge", "medium", 15)
def gap_interval(answer):
    student = lambda n: scipy.stats.t.ppf(0.975, n - 1)
    paired = lambda ddof: lambda a, b: (a - b).std(ddof=ddof) / len(a) ** 0.5
    unpaired = lambda a, b: (a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) ** 0.5
    cases = [([98.1, 98.3, 97.9, 98.0, 98.4], [97.8, 98.1, 97.8, 97.6, 98.0]), ([50.0, 60.0, 71.0], [49.0, 58.5, 70.0])]
    normal = lambda n: scipy.stats.norm.ppf(0.975)
    mistakes = {
        (
            "The interval is that of two independent groups. SB and LB of one seed share a start: take"
            " their differences first."
        ): _interval(unpaired, student),
        (
            "1.96 is right for many seeds. With five, the deviation itself is uncertain: take"
            " Student's t with n - 1 degrees of freedom."
        ): _interval(paired(1), normal),
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
def evaluate(answer):
    used = network()
    inputs, before = torch.randn(150, 6), {k: v.clone() for k, v in used.state_dict().items()}
    used.eval()
    right = torch.arange(150) < 128
    guessed = used(inputs).argmax(1)
    labels = torch.where(
        right, guessed, (guessed + 1) % 4
    )  # all right in the first two batches of 64, none in the last
    used.train()
    value = answer(used, inputs, labels, 64)
    answered(value)
    after = used.state_dict()
    if any(not torch.equal(before[k], after[k]) for k in before):
        raise Wrong(
            "The network has changed: batch norm moved its running statistics on the test data. It was still in"
            " training mode."
        )
    if not used.training:
        raise Wrong(
            "The network came in training mode and goes out in evaluation mode. What trains on would do so without"
            " dropout."
        )
    exact, by_batch = 100 * 128 / 150, 200 / 3
    if abs(value - by_batch) < 1e-3:
        raise Wrong(
            "The last batch is smaller, but counts as much as the others. Count the right ones and divide once, at the"
            " end."
        )
    if abs(value - exact) > 1e-3:
        raise Wrong(f"It gives {value:.2f} %; {exact:.2f} % of these examples are classified right.")
