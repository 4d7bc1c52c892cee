"""The batch or the rate: rates by batch sizes in the laboratory, and rates and optimisers on the paper's networks."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..campaign import experiments, scales, units
from ..claims import contrast
from ..results import arrays
from ..run import Run
from .comparisons import best, compare, labelled, networks_of, row, sharpness_of, trained, training_loss
from .panels import ACCURACY_COLOR, COLOR, Picture, each, look
from .statistics import ahead, correlation, ratio, sharper
from .words import ARMS, NOT_YET, Networks, Text, folded, number, short


@dataclasses.dataclass(frozen=True)
class Rates:
    """Six rates by eight batch sizes. accuracy, sharpness, f at the end: (rates, sizes, T); chosen: index of the rate
    (sizes,)."""

    rates: tuple
    sizes: tuple
    accuracy: np.ndarray
    sharpness: np.ndarray
    f: np.ndarray
    chosen: tuple
    goal: float

    @property
    def arrived(self) -> np.ndarray:
        """At which rates and sizes f came below the goal in every trial."""
        return (self.f < self.goal).all(2)


def rates(network: str = "mlp") -> Rates | None:
    """Test accuracy and sharpness at every rate and batch size, and the rate chosen by the validation split, or None
    until all of a choice is measured."""
    lrs, sizes, measured = experiments.LABORATORY_RATES, scales.scale().laboratory, _measured(network)
    make = lambda lr, b, held=False: [experiments.laboratory_rate(network, b, t, lr, held) for t in measured]
    if not measured:
        return None
    table = lambda what: np.array([[what(make(lr, b)) for b in sizes] for lr in lrs])
    values = (table(what) for what in (arrays.final, sharpness_of, training_loss))
    found = Rates(lrs, sizes, *values, (), make(lrs[0], sizes[0])[0].stop_f)
    there = found.arrived  # a rate that does not come to the loss is no rate for that batch size
    chosen = [
        best({k: make(lr, b, True) for k, lr in enumerate(lrs) if there[k, i] or not there[:, i].any()})
        for i, b in enumerate(sizes)
    ]
    return None if None in chosen else dataclasses.replace(found, chosen=tuple(chosen))


def _measured(network) -> list[int]:
    """The trials of which every rate and size is trained."""
    whole = lambda t: all(
        arrays.document(units.train(experiments.laboratory_rate(network, b, t, lr, validation)))
        for lr in experiments.LABORATORY_RATES
        for b in scales.scale().laboratory
        for validation in (False, True)
    )
    return [t for t in scales.scale().trials if whole(t)]


def rates_figure(network: str = "mlp") -> Picture:
    """Test accuracy and sharpness against the batch size: at the paper's rate, and at the rate chosen for each size."""
    found = rates(network)

    def draw(ax, panel):
        values, words, scale = panel
        usual = found.rates.index(1e-3)
        tuned = np.stack([values[k, i] for i, k in enumerate(found.chosen)])
        for of, name, arm in ((values[usual], "rate 1e-3", "LB"), (tuned, "rate chosen for each size", "SB")):
            ax.plot(found.sizes, of, ".", color=COLOR[arm], ms=4, alpha=0.5)
            ax.plot(found.sizes, np.nanmean(of, 1), **look(arm, ms=None), label=name)
        ax.set(title=f"{network}, {words}", xlabel="batch size", xscale="log", yscale=scale)

    return each(_panels(found), draw)


def by_rate(network: str = "mlp") -> Picture:
    """Test accuracy and sharpness against the rate at the smallest, a middle and the largest batch size, where f came
    to the loss."""
    found = rates(network)

    def draw(ax, panel):
        values, words, scale = panel
        middle = {"color": ACCURACY_COLOR, "marker": "^", "ls": ":"}
        for i, style in ((0, look("SB", ls="-")), (len(found.sizes) // 2, middle), (-1, look("LB", ls="-"))):
            there = found.arrived[:, i]
            at, of = np.array(found.rates)[there], values[there, i]
            ax.plot(at, of, ".", color=style["color"], ms=4, alpha=0.5)
            ax.plot(at, np.nanmean(of, 1), **{**style, "ms": None}, label=f"batch {found.sizes[i]:,}")
        ax.set(title=f"{network}, {words}", xlabel="learning rate", xscale="log", yscale=scale)

    return each(_panels(found), draw)


def _panels(found: Rates | None) -> list[tuple[np.ndarray, str, str]]:
    """(values, their name, the kind of their axis) of accuracy and of sharpness."""
    accuracy, sharp = ("test accuracy (%)", "linear"), ("sharpness, epsilon 1e-3", "log")
    return [(found.accuracy, *accuracy), (found.sharpness, *sharp)] if found else []


def rates_and_sharpness(network: str = "mlp") -> Text:
    """How far sharpness and accuracy go over all rates and batch sizes that came to the loss, and together or not."""
    found = rates(network)
    if not found:
        return NOT_YET
    sharp, accuracy = (of.mean(2) for of in (found.sharpness, found.accuracy))
    there = found.arrived & (sharp > 0)
    if not there.any():
        return Text(f"None of {there.size} pairs of rate and batch size came to f < {found.goal:g}.")
    rho = correlation(sharp[there], accuracy[there])
    # the largest over the smallest: along the rates at each batch size, and along the sizes at each rate
    of = np.where(there, sharp, np.nan)
    by_rate, by_size = (np.nanmedian(np.nanmax(of, axis) / np.nanmin(of, axis)) for axis in (0, 1))
    own = [correlation(s[t], a[t]).value for s, a, t in zip(sharp, accuracy, there)]
    own = ", ".join(f"{number(rho)} at {rate:g}" for rho, rate in zip(own, found.rates) if not np.isnan(rho))
    late = [f"batch {found.sizes[i]:,} at {found.rates[k]:g}" for k, i in zip(*np.nonzero(~there))]
    return Text(
        folded(
            f"**Over the six rates the sharpest end is {short(by_rate)} times as sharp as the flattest, over the eight"
            f" batch sizes {short(by_size)} times** (medians). Its rank correlation with test accuracy is"
            f" {number(rho.value)} over all rates and sizes (no interval: they share their starts and their data). At"
            f" one rate, over the sizes that came to the loss, it is {own}.",
            f"Of {there.size} pairs of rate and batch size {there.sum()} came to f < {found.goal:g}. Over these,"
            f" sharpness goes from {number(sharp[there].min())} to {number(sharp[there].max(), 1)}, test accuracy from"
            f" {number(accuracy[there].min(), 1)} to {number(accuracy[there].max(), 1)} %. These did not come to the"
            f" loss: {', '.join(late) or 'none'}.",
        )
    )


def rates_verdict(network: str = "mlp") -> Text:
    """Whether the smallest batch is still ahead of the largest once each has its own rate."""
    found = rates(network)
    if not found:
        return NOT_YET
    usual, last = found.rates.index(1e-3), len(found.sizes) - 1
    names, said = [f"batch {found.sizes[k]:,}" for k in (0, last)], {True: [], False: []}
    own = found.chosen[0], found.chosen[last]
    for words, picks in (("At one rate, 1e-3", (usual, usual)), ("Each at its own rate", own)):
        tests, sharp = ([of[k, i] for k, i in zip(picks, (0, last))] for of in (found.accuracy, found.sharpness))
        lead, steep = contrast(*tests), ratio(*sharp)
        for brief, lines in said.items():
            told = f"{ahead(lead, *names, brief=brief)}, and {sharper(steep, names[1], names[0], brief)}"
            lines.append(f"**{words}**, {told}.")
    own = ", ".join(f"{b:,}: {found.rates[k]:g}" for b, k in zip(found.sizes, found.chosen))
    rule = f"Of the rates that came to the loss the validation split chose, by batch size, {own}."
    rule += f" {found.accuracy.shape[2]} trials."
    return Text(folded(" ".join(said[True]), f"{' '.join(said[False])} {rule}"))


def optimizers(networks: Networks = None) -> Text:
    """Section 2.2: "other optimizers ... led to similar results"; and those that are not rebuilt, with the reason."""
    missing = "\n\n".join(f"**{name} is not rebuilt:** {why}." for name, why in experiments.NOT_REBUILT.items())
    return trained("optimizers", networks, labels=labelled(experiments.OPTIMIZERS), below=missing)


def learning_rates(networks: Networks = None) -> Text:
    """Every learning rate for either arm, and each arm at the rate chosen for it on the validation split."""
    rows = []
    for network in networks_of("learning_rates", networks):
        at, chosen = rate_runs(network), chosen_rates(network)
        rows += [row(network, f"learning rate {lr:g}", runs) for lr, runs in at.items()]
        if chosen:
            best = {arm: at[chosen[arm]][arm] for arm in ARMS}
            rows.append(row(network, f"**chosen: SB {chosen['SB']:g}, LB {chosen['LB']:g}**", best))
    return compare(rows, extra={"validation accuracy": lambda runs: arrays.final(on_validation(runs))})


def rate_runs(network: str) -> dict[float, dict]:
    """The runs of either arm by learning rate, ascending, the paper's own among them."""
    rates = sorted({1e-3, *experiments.RATES})
    return {lr: arrays.pairs(network, arrays.trials("learning_rates"), lr=lr) for lr in rates}


def on_validation(runs: list[Run]) -> list:
    """The same runs on the rest of the training set, whose test set is the validation split."""
    return [dataclasses.replace(of, dataset=f"{of.dataset}-val") for of in runs]


def chosen_rates(network: str) -> dict[str, float] | None:
    """The rate of either arm that does best on the validation split, once all are measured."""
    chosen = {arm: best({lr: on_validation(runs[arm]) for lr, runs in rate_runs(network).items()}) for arm in ARMS}
    return None if None in chosen.values() else chosen
