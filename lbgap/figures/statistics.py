"""Comparisons of stored runs, by the rules of the claims: all points, intervals over seeds, and never a p alone.

SB and LB of one seed share x0, so they are compared seed by seed; sides that do not come by seed by Welch's test.
Sharpness is compared on a log scale. The rules and their arithmetic are in `lbgap.claims`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .. import claims, paper
from ..campaign.units import Unit
from ..claims import Contrast, contrast, holm, summarised  # noqa: F401  (holm: one room for them)
from ..results import arrays
from ..run import Run
from .words import ARMS, interval, number, short, told


def gap(small_runs: list[Run], large_runs: list[Run]) -> Contrast:
    """How far SB's test accuracy is ahead of LB's, in points; by seed where both sides have the same seeds in order."""
    small, large = (arrays.final(runs) for runs in (small_runs, large_runs))
    same = [of.init_seed for of in small_runs] == [of.init_seed for of in large_runs]
    gone = int(lost(small_runs, small).sum() + lost(large_runs, large).sum())
    return contrast(small, large, seeds="paired" if same else "independent", diverged=gone)


def ratio(small: ArrayLike, large: ArrayLike, diverged: int = 0) -> Contrast:
    """The ratio of geometric means, large / small, and its interval.

    By seed where both have as many entries, else Welch's. NaN where a value is not above 0. diverged: how many runs
    have no value for good (`lost`).
    """
    seeds = "paired" if len(small) == len(large) else "independent"
    return contrast(large, small, scale="ratio", seeds=seeds, diverged=diverged)


def lost(runs: list[Run], values: ArrayLike, measure: Callable[[Run], Unit] | None = None) -> np.ndarray:
    """Which runs have no value for good (R,) bool: they diverged, or were measured and the value could not be had.

    values (R,): NaN where there is none. measure(run): the unit that was to give it, beside the training itself.
    """
    measured = lambda of: measure is not None and arrays.document(measure(of)) is not None
    gone = lambda of: arrays.diverged([of]) > 0 or measured(of)
    return np.array([bool(np.isnan(value)) and gone(of) for of, value in zip(runs, values)], bool)


def trials_gone(runs: dict, *values: ArrayLike) -> int:
    """How many trials have a run without a value for good; values: those of {"SB": runs, "LB": runs} in turn (T,)."""
    both = [lost(runs[arm], of) for arm, of in zip(ARMS, values)]
    return int(np.any(both, axis=0).sum()) if len(values[0]) else 0


def best_and_last(runs: dict) -> dict[str, np.ndarray]:
    """{arm: (test accuracy at the best epoch, at the last)}, each (T,), of {arm: runs}."""
    curve = lambda of: next(iter(arrays.history([of], "test_accuracy")), np.array([np.nan]))
    return {arm: np.array([(c.max(), c[-1]) for c in map(curve, runs[arm])], float).reshape(-1, 2).T for arm in ARMS}


def rises(found: dict, step: float = 0.5) -> dict[str, np.ndarray]:
    """{arm: how much f rises `step` in alpha away from its end (T,), mean of both sides} of one of `arrays.paths`."""
    at = lambda a: found["train_loss"][:, int(np.abs(found["alpha"] - a).argmin())]
    return {arm: (at(end - step) + at(end + step)) / 2 - at(end) for arm, end in (("SB", 0), ("LB", 1))}


def paper_gap(cell: dict) -> Contrast:
    """The paper's gap in points from {"SB": [mean, deviation], "LB": ...}."""
    return summarised(cell["SB"], cell["LB"])


def paper_ratio(cell: dict) -> Contrast:
    """The paper's ratio of means, LB / SB."""
    return summarised(cell["LB"], cell["SB"], scale="ratio")


def paper_gain(network: str) -> Contrast:
    """What conservative training gains over plain LB by the paper's own means and deviations, Table 7 against Table
    2."""
    after, before = paper.cell("table7_conservative", network)["LB"], paper.cell("table2", network)["test"]["LB"]
    return summarised(after, before)


def theirs_for(network: str, theirs: claims.Contrast) -> claims.Contrast | None:
    """The paper's contrast where ours is of the same data, so that sizes can be compared."""
    return None if arrays.stand_in(network) else theirs


def elsewhere(network: str) -> str:
    """ ", on a stand-in for TIMIT" for a network on other data than the paper's, else nothing."""
    return f", on {arrays.stand_in(network)}" if arrays.stand_in(network) else ""


def sized(verdict: claims.Verdict, theirs: claims.Contrast, network: str, unit: str, digits: int = 2) -> str:
    """The paper's value, and whether ours has its size, in sentences."""
    on = ", on TIMIT," if arrays.stand_in(network) else ""
    said = (
        f"The paper has{on} {number(theirs.value, digits)} {unit} ({interval(theirs.interval, digits)}, "
        "from its means and deviations)"
    )
    if arrays.stand_in(network):
        return f"{said}; ours is another data set, so sizes are not compared."
    if verdict.quotient is None:
        return f"{said}. Size: {verdict.size}, one trial gives no interval."
    low, high = (number(v, 1) for v in verdict.quotient)
    quotient = verdict.value / theirs.value
    times = "of the other sign" if quotient <= 0 else f"{number(quotient, 1)} times the paper's"
    return f"{said}. Size: {verdict.size}; ours is {times} (95 % interval {low} to {high})."


def ahead(found: Contrast, first: str = "SB", second: str = "LB", more: str = "", brief: bool = False) -> str:
    """Who leads in test accuracy, by how much and how sure; the leader stands first, so there is no minus sign.

    Args:
        found: a difference, first less second.
        first: who.
        second: against whom.
        more: goes into the brackets, after the interval.
        brief: two significant digits and no brackets; no digits where the interval holds 0.
    """
    value, pair = found.value, found.interval
    if value < 0:
        value, pair, first, second = -value, pair and (-pair[1], -pair[0]), second, first
    said = f"{first} is ahead of {second} by"
    if brief:
        return _apart(found, 0, first, second, "test accuracy") or f"{said} {short(value)} points"
    sure = interval(pair)
    if pair and pair[0] < 0:  # each end with its leader in place of a minus sign
        sure = f"95 % interval: from {second} ahead by {number(-pair[0])} to {first} ahead by {number(pair[1])}"
    return f"{said} {number(value)} points ({sure}{more})"


def sharper(found: Contrast, first: str = "LB", second: str = "SB", brief: bool = False) -> str:
    """Which is the sharper and how sure: "LB is 4.0 times as sharp as SB (95 % interval 2.8 to 5.8)"; brief: as
    in `ahead`."""
    value, pair = found.value, found.interval
    if value < 1:
        value, pair, first, second = 1 / value, pair and (1 / pair[1], 1 / pair[0]), second, first
    if brief:
        return _apart(found, 1, first, second, "sharpness") or f"{first} is {short(value)} times as sharp as {second}"
    said, sure = told(value, pair)
    return f"{first} is {said} times as sharp as {second} ({sure})"


def _apart(found, null, first, second, what) -> str:
    """That two sides are not told apart, where they are not: a reader takes a number for a difference."""
    return f"{first} and {second} are not told apart in {what}" if found.interval and not found.side(null) else ""


def correlation(x: ArrayLike, y: ArrayLike, least: int = 5) -> Contrast:
    """Spearman's rank correlation with its interval by Fisher's z; no value with fewer than `least` pairs."""
    n = len(x)
    if n < least:
        return contrast([])
    rho = float(stats.spearmanr(x, y).statistic)
    z, error = math.atanh(min(max(rho, -1 + 1e-12), 1 - 1e-12)), 1 / math.sqrt(n - 3)
    ends = [math.tanh(z + side * stats.norm.ppf((1 + claims.LEVEL) / 2) * error) for side in (-1, 1)]
    p = 2 * float(stats.norm.sf(abs(z) / error))
    return Contrast(rho, tuple(ends), "Fisher's z", p, n, error=error, df=math.inf)


def at_one_f(of: dict, pick: Callable) -> list[float]:
    """Sharpness at the largest f (pick=max), or the smallest (min), that all ways down pass, between measured points.

    Args:
        of: {arm: (f, sharpness)} along training, as `arrays.descent` gives it.
        pick: max or min.
    """
    f = {max: min, min: max}[pick](pick(f) for f, _ in of.values())
    return [float(np.exp(np.interp(np.log(f), *(np.log(v[np.argsort(fs)]) for v in (fs, s))))) for fs, s in of.values()]


def crossing(x: ArrayLike, y: ArrayLike, level: float) -> float:
    """The x at which y first reaches a level from below or above, on straight lines between the logarithms; NaN if it
    never does."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    x, y = np.log(x[y > 0]), np.log(y[y > 0]) - np.log(level)
    for a, b, at, to in zip(x, x[1:], y, y[1:]):
        if at * to <= 0 and at != to:
            return float(np.exp(a - at * (b - a) / (to - at)))
    return float("nan")
