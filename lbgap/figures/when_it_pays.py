"""Appendix C with measured numbers: how fast a step is by batch size, and whether a large batch pays on one device."""

from __future__ import annotations

import numpy as np

from .. import performance_model
from ..campaign.experiments import EXPERIMENTS
from ..results import arrays
from ..run import Run
from .comparisons import networks_of
from .panels import Picture, each, look, named
from .words import ARMS, Networks, Text, by_network, folded, known, number, table

DEVICE = {"cpu": ("CPU core", "SB"), "cuda": ("GPU", "LB")}  # its name, and whose colour, mark and line it has


def throughput(networks: Networks = None) -> Picture:
    """Training examples a second against the batch size, on each kind of device; bars are the quartiles of the
    steps."""

    def draw(ax, network):
        for device, (name, like) in DEVICE.items():
            found = speeds(network, device)
            if found:
                value, low, high = (np.array([r[what] for r in found.values()]) for what in ("value", "low", "high"))
                ax.errorbar(list(found), value, (value - low, high - value), **look(like, capsize=2, label=name))
                ax.set(xscale="log", yscale="log")
        ax.set(title=named(network), xlabel="batch size", ylabel="training examples a second")

    return each(networks_of("throughput", networks), draw)


def speeds(network: str, device: str = "cpu") -> dict[int, dict]:
    """What is stored of a step's speed on a kind of device, by batch size, ascending."""
    wanted = [] if arrays.waiting(network) else EXPERIMENTS["throughput"].units(network, 0)
    found = {unit["run"]["batch_size"]: arrays.result(unit) for unit in wanted if unit["device"] == device}
    return {size: result for size, result in found.items() if result}


def fills(networks: Networks = None, device: str = "cpu") -> Text:
    """Whether a larger batch is the faster one in examples a second: the fastest measured size against the smallest and
    the largest.

    Two speeds differ where the quartiles of their steps do not meet.
    """

    def sentence(network):
        found = speeds(network, device)
        if len(found) < 2:
            return None
        fastest = max(found, key=lambda size: found[size]["value"])
        told = lambda size: f"{number(found[size]['value'], 0)} examples a second at batch {size:,}"
        slower = lambda size: found[size]["high"] < found[fastest]["low"]
        first, last = min(found), max(found)
        word = {
            (True, False): "a larger batch is the faster one",
            (False, True): "a larger batch is the slower one",
            (True, True): "the fastest batch is neither the smallest nor the largest",
            (False, False): "no batch size is shown to be the faster one",
        }[slower(first), slower(last)]
        more = f"{', '.join(map(told, dict.fromkeys((first, fastest, last))))}."
        if slower(last) and device == "cpu":
            more += (
                " That need not be arithmetic: a large batch needs large blocks of memory, and where these are given"
                " back after each step and fetched anew at the next, the time goes there."
            )
        return folded(f"{network} on one {DEVICE[device][0]}: {word}.", more, "Examples a second")

    return by_network(networks_of("throughput", networks), sentence)


def pays(networks: Networks = "F1", device: str = "cpu") -> Picture:
    """Whether LB pays on one device: App. C's break-even from its speed at either batch, against the iterations they
    took.

    The point of comparable test accuracy is LB's final one, its mean over the trials; a trial in which LB never comes
    there is lost. A trial is undecided where its iterations lie within the timing's spread of the break-even: between
    what it is with the quartiles of the two speeds one way and the other.
    """

    def sentence(network):
        runs = arrays.pairs(network)
        if not len(known(arrays.final(runs["LB"]))):
            return None
        level = known(arrays.final(runs["LB"])).mean()
        taken = {arm: iterations(runs[arm], level) for arm in ARMS}
        both = ~np.isnan(taken["SB"] * taken["LB"]) & (np.isfinite(taken["SB"]) | np.isfinite(taken["LB"]))
        if not both.any():
            return None
        found, name = speeds(network, device), DEVICE[device][0]
        batches = {arm: runs[arm][0].batch_size for arm in ARMS}
        if not set(batches.values()) <= set(found):
            return None
        taken = {arm: taken[arm][both] for arm in ARMS}
        quotients = taken["LB"] / taken["SB"]  # infinite where LB never came there, 0 where SB never did
        ratio = batches["SB"] / batches["LB"]
        small, large = (found[batches[arm]] for arm in ARMS)
        limit, low, high = (
            performance_model.break_even(small[a], ratio, large[b])
            for a, b in (("value", "value"), ("high", "low"), ("low", "high"))
        )
        became = np.select([quotients < low, quotients > high], ["pays", "does not pay"], "is undecided")
        counts = {what: int((became == what).sum()) for what in ("pays", "does not pay", "is undecided")}
        word = " and ".join(f"{what} in {count}" for what, count in counts.items() if count)
        word = f"{word} of {len(became)} trials"
        word = next((what for what in ("pays", "does not pay") if counts[what] == len(became)), word)
        rows = [
            [str(trial), came(small_took, 0), came(large_took, 0), came(times, 3), what]
            for trial, small_took, large_took, times, what in zip(
                np.flatnonzero(both), taken["SB"], taken["LB"], quotients, became
            )
        ]
        by_trial = table("trial | iterations of SB | iterations of LB | LB / SB | the large batch", rows)
        return folded(
            f"**Verdict: {network} on one {name}: the large batch {word}.**",
            f"Iterations to the first epoch at LB's final test accuracy, {number(level)} % in the mean:\n\n{by_trial}"
            f"\n\nOne {name} trains {number(small['value'], 0)} examples a second at batch {batches['SB']:,} and"
            f" {number(large['value'], 0)} at batch {batches['LB']:,}, so LB pays where it takes less than"
            f" {number(limit, 3)} times SB's iterations; a trial between {number(low, 3)} and {number(high, 3)} is"
            " undecided, since the speeds' own quartiles put the break-even anywhere there.",
        )

    return by_network(networks, sentence)


def came(count: float, digits: int) -> str:
    """A number of iterations, or of times as many, in words: infinite is never."""
    return number(count, digits) if count < np.inf else "never"


def iterations(runs: list[Run], level: float) -> np.ndarray:
    """The iterations after which each run first had a test accuracy (R,), to the epoch; infinite if never, NaN if not
    stored."""
    out = []
    for of in runs:
        found = arrays.curves_of([of], "test_accuracy")
        epochs = min([*found[0][0][found[0][1] >= level], np.inf]) if found else np.nan
        out.append(epochs * arrays.batches(of))
    return np.array(out, float)
