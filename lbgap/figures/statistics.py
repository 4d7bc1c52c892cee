"""Intervals and comparisons, as the project settled them: all points, intervals, and never a p alone.

Accuracy is compared with a bootstrap over seeds and test images, sharpness on a log scale by Welch's test, with Holm's
correction over a table's cells. A result differs from the paper's when the two intervals do not meet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from .. import stored
from .words import known


class Compared(NamedTuple):
    """A difference or a ratio; interval: (low, high) or None with fewer than two values a side; how: the interval's kind; p: Welch's."""

    value: float
    interval: tuple[float, float] | None
    how: str
    p: float = np.nan

    def side(self, null: float) -> int:
        """1 or -1 when the interval lies above or below the null, else 0."""
        return 0 if self.interval is None else int(self.interval[0] > null) - int(self.interval[1] < null)


def welch(mean_a, sd_a, n_a, mean_b, sd_b, n_b, level=0.95) -> tuple[float, float]:
    """The confidence interval of mean_a - mean_b by Welch's t, from summaries, as the paper gives them."""
    a, b = sd_a**2 / n_a, sd_b**2 / n_b
    if a + b == 0:
        return mean_a - mean_b, mean_a - mean_b
    df = (a + b) ** 2 / (a**2 / (n_a - 1) + b**2 / (n_b - 1))
    half = stats.t.ppf((1 + level) / 2, df) * (a + b) ** 0.5
    return mean_a - mean_b - half, mean_a - mean_b + half


def welch_p(mean_a, sd_a, n_a, mean_b, sd_b, n_b) -> float:
    """Welch's p that the means are the same; NaN without any deviation."""
    return float(stats.ttest_ind_from_stats(mean_a, sd_a, n_a, mean_b, sd_b, n_b, equal_var=False).pvalue) if sd_a or sd_b else np.nan


def _summary(values) -> tuple[float, float, int]:
    values = known(values)
    return values.mean(), values.std(ddof=1), len(values)


def difference(a, b) -> tuple[float, tuple[float, float] | None]:
    """mean a - mean b and its 95 % interval by Welch's t; no interval when either has fewer than two values."""
    a, b = known(a), known(b)
    if min(len(a), len(b)) < 2:
        return (a.mean() - b.mean() if len(a) and len(b) else np.nan), None
    return a.mean() - b.mean(), welch(*_summary(a), *_summary(b))


def bootstrap(small, large, draws=2000, seed=0, level=0.95) -> tuple[float, float]:
    """The percentile interval of the mean accuracy of `small` less that of `large`, in points, over seeds and test images.

    small (S, N), large (L, N): which test images each seed's network classifies right. Each draw takes images with
    replacement, the same for all networks, and seeds of either side with replacement, one fewer than there are, which
    makes the variance of their mean that of the textbook (Hesterberg 2015); still, for five seeds it is a little narrow.
    """
    small, large = np.asarray(small), np.asarray(large)
    images = small.shape[1]
    # images on which every network agrees with another image are one kind: so many of each kind are drawn
    kinds, counts = np.unique(np.concatenate([small, large]), axis=1, return_counts=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(images, counts / images, draws) @ kinds.T.astype(float) / images  # (draws, S + L)
    mean = 0.0
    for sign, n, values in ((1, len(small), drawn[:, : len(small)]), (-1, len(large), drawn[:, len(small) :])):
        weights = rng.multinomial(n - 1, np.full(n, 1 / n), draws) / (n - 1)
        mean = mean + sign * 100 * (weights * values).sum(1)
    low, high = np.quantile(mean, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def gap(small_runs, large_runs) -> Compared:
    """How far SB's test accuracy is ahead of LB's, in points: bootstrap where every run has its hits stored, else Welch.

    p is Welch's over seeds in both cases, for Holm's correction.
    """
    small, large = stored.final(small_runs), stored.final(large_runs)
    value, by_seeds = difference(small, large)
    hits = [stored.hits(runs) for runs in (small_runs, large_runs)]
    p = welch_p(*_summary(small), *_summary(large)) if by_seeds else np.nan
    if by_seeds is None or any(len(h) < len(known(v)) for h, v in zip(hits, (small, large))):
        return Compared(value, by_seeds, "Welch over seeds", p)
    return Compared(value, bootstrap(*map(np.array, hits)), "bootstrap over seeds and test images", p)


def ratio(small, large) -> Compared:
    """The ratio of geometric means, large / small, and its interval, by Welch's t on a log scale; NaN where a value is not above 0."""
    small, large = known(small), known(large)
    if not (len(small) and len(large) and (small > 0).all() and (large > 0).all()):
        return Compared(np.nan, None, "")
    log, pair = difference(np.log(large), np.log(small))
    p = welch_p(*_summary(np.log(large)), *_summary(np.log(small))) if pair else np.nan
    return Compared(float(np.exp(log)), pair and (float(np.exp(pair[0])), float(np.exp(pair[1]))), "Welch on a log scale", p)


def paper_gap(cell: dict) -> Compared:
    """The paper's gap in points from {"SB": [mean, deviation], "LB": ...}."""
    return Compared(cell["SB"][0] - cell["LB"][0], welch(*cell["SB"], 5, *cell["LB"], 5), "Welch from means and deviations")


def paper_ratio(cell: dict) -> Compared:
    """The paper's ratio of means, LB / SB; its interval takes a deviation over its mean for one of the logarithm."""
    (small, small_sd), (large, large_sd) = cell["SB"], cell["LB"]
    pair = welch(np.log(large), large_sd / large, 5, np.log(small), small_sd / small, 5)
    return Compared(large / small, (float(np.exp(pair[0])), float(np.exp(pair[1]))), "Welch from means and deviations")


def meet(a, b) -> bool:
    """Whether two intervals have a point in common."""
    return a[0] <= b[1] and b[0] <= a[1]


def holm(p) -> np.ndarray:
    """The p values, adjusted by Holm's step-down method for being so many; NaN is no comparison, and stays."""
    p = np.asarray(p, float)
    out, order = np.full(len(p), np.nan), np.argsort(p)  # NaN last
    m, least = int((~np.isnan(p)).sum()), 0.0
    for i, k in enumerate(order[:m]):
        least = max(least, (m - i) * p[k])
        out[k] = min(1.0, least)
    return out
