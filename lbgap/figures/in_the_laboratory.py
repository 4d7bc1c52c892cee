"""Why small batches escape, and the batch or the rate: section 3 in the laboratory, where every trial takes seconds."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..campaign import experiments, scales, units
from ..campaign.scales import LABS
from ..claims import contrast
from ..results import arrays
from .controls import LOSS, best
from .found import at_one_f, correlation
from .plots import COLOR, LINE, _axes, _legend, look
from .statistics import ahead, ratio, sharper
from .words import ARMS, Text, interval, known, number, spread

NOT_YET = Text("Not measured yet. [What is measured, and what is not](status.ipynb) says what it takes.")
SHARP = lambda runs: arrays.sharpness(runs, 1e-3)


def _trials() -> range:
    return scales.scale().trials


def warm_starts(network: str = "mlp"):
    """Fig. 5 in the laboratory: LB, started where SB was after some epochs; all trials, and their mean."""
    if not len(warm_values(network, SHARP)[0]):
        return NOT_YET
    figure, axes = _axes(2)
    for ax, what, words in zip(axes, (arrays.final, SHARP), ("test accuracy (%)", "sharpness, epsilon 1e-3")):
        at, values = warm_values(network, what)
        ax.plot(np.repeat(at, values.shape[0]), values.T.ravel(), ".", color=COLOR["LB"], ms=4, alpha=0.5)
        ax.plot(at, np.nanmean(values, 0), **look("LB", ms=None), label="LB from there")
        for arm, runs in arrays.pairs(network).items():
            ax.axhline(known(what(runs)).mean(), ls=LINE[arm], lw=1, color=COLOR[arm], label=f"{arm} from the start")
        ax.set(title=f"{network}, {words}", xlabel="epochs of SB before")
    axes[1].set_yscale("log")
    _legend(figure, *axes)
    return figure


def warm_values(network: str, what) -> tuple[np.ndarray, np.ndarray]:
    """Fig. 5's epochs that are measured in the laboratory (K,), and what(runs) of LB from there (T, K)."""
    at = sorted(scales.scale().warm[:6])
    runs = [[experiments.warm(network, trial, k) for k in at] for trial in _trials()]
    values = np.array([what(of) for of in runs])
    there = ~np.isnan(values).all(0)
    return np.array(at)[there], values[:, there]


def warm_verdict(network: str = "mlp") -> Text:
    """What warm starts do in the laboratory, first against last epoch."""
    (at, accuracy), (_, sharp) = (warm_values(network, what) for what in (arrays.final, SHARP))
    if len(at) < 2:
        return NOT_YET
    runs = arrays.pairs(network)
    plain, whole = runs["LB"], {arm: spread(arrays.epochs(of), 0) for arm, of in runs.items()}
    lines = [f"- From the start SB's whole run takes {whole['SB']} epochs, LB's {whole['LB']}."]
    for k in (0, -1):
        gain = contrast(accuracy[:, k], arrays.final(plain))
        sharpness = ratio(sharp[:, k], SHARP(plain))
        epochs = f"{at[k]} epoch{'' if at[k] == 1 else 's'}"
        lines.append(
            f"- After {epochs} of SB, {ahead(gain, 'the warm-started LB', 'LB from the start')}, and"
            f" {sharper(sharpness, 'LB from the start', 'the warm-started')}."
        )
    return Text("\n".join(lines))


def way_down(networks=LABS):
    """Fig. 6 in the laboratory: sharpness against f along training, all trials; training goes from right to left."""
    found = {network: _descents(network) for network in networks}
    if not any(found.values()):
        return NOT_YET
    figure, axes = _axes(len(networks))
    for ax, network in zip(axes, networks):
        for arm, f, s in found[network]:
            ax.plot(f, s, **look(arm, ms=3, lw=0.8), label=arm)
        ax.set(
            title=network, xlabel="f (training goes left)", ylabel="sharpness, epsilon 1e-3", xscale="log", yscale="log"
        )
    _legend(figure, *axes)
    return figure


def _descents(network):
    """(arm, f, sharpness) of each run that is measured along its way."""
    found = [(arm, *arrays.descent(of, 1e-3)) for arm, runs in arrays.pairs(network).items() for of in runs]
    return [(arm, f, s) for arm, f, s in found if len(f) > 1]


def way_down_verdict(networks=LABS) -> Text:
    """How SB and LB compare near the start and the end, at one f each, and whether LB grows sharper all the way."""
    lines = []
    for network in networks:
        found = [{arm: arrays.descent(of, 1e-3) for arm, of in zip(ARMS, both)} for both in _by_seed(network)]
        found = [of for of in found if min(len(f) for f, _ in of.values()) > 1]
        if not found:
            continue
        said = []
        for words, pick in (("near the start", max), ("near the end", min)):
            both = np.array([at_one_f(of, pick) for of in found]).T
            said.append(f"{words}, at one f, {sharper(ratio(*both))}")
        last = {arm: contrast([of[arm][1][-1] / of[arm][1][0] for of in found], scale="ratio") for arm in ARMS}
        peak = spread([of["LB"][1].max() / of["LB"][1][-1] for of in found], 1)
        end = "; ".join(
            f"{arm} ends {number(of.value, 2)} times as sharp as after its first epoch ({interval(of.interval)})"
            for arm, of in last.items()
        )
        lines.append(
            f"- {network}: {'; '.join(said)}. {end}. On its way LB was up to {peak} times as sharp as at its end."
        )
    return Text("\n".join(lines)) if lines else NOT_YET


def _by_seed(network):
    return list(zip(*arrays.pairs(network).values()))


# -- few steep directions ---------------------------------------------------------------------------------------------


def curved(network: str) -> dict[str, dict[str, np.ndarray]]:
    """Of each arm's minimisers (T,): the Hessian's largest, tenth and smallest eigenvalue, and the share in percent of
    all eigenvalues, by its density, along which f rises by 1 % or more of the largest rise."""
    out = {}
    for arm, runs in arrays.pairs(network).items():
        found = [r for r in arrays.each(units.spectrum, runs) if r]
        share = [100 * np.array(r["weights"])[np.array(r["nodes"]) >= 0.01 * r["top"][0]].sum() for r in found]
        out[arm] = {
            "largest": np.array([r["top"][0] for r in found]),
            "tenth": np.array([r["top"][-1] for r in found]),
            "smallest": np.array([r["bottom"] for r in found]),
            "share": np.array(share),
        }
    return out


def curvature():
    """The ten largest eigenvalues of the Hessian where SB and LB ended, all trials."""
    if not any(arrays.each(units.spectrum, [of for n in LABS for runs in arrays.pairs(n).values() for of in runs])):
        return NOT_YET
    figure, axes = _axes(len(LABS))
    for ax, network in zip(axes, LABS):
        for arm, runs in arrays.pairs(network).items():
            for r in filter(None, arrays.each(units.spectrum, runs)):
                ranks = np.arange(1, len(r["top"]) + 1)
                ax.plot(ranks, r["top"], **look(arm, ms=3, lw=0.8), label=arm)
        ax.set(title=network, xlabel="rank", ylabel="eigenvalue of the Hessian", yscale="log")
    _legend(figure, *axes)
    return figure


def curvature_verdict() -> Text:
    """How many directions are steep in the laboratory, and whether LB has the larger eigenvalues."""
    lines = []
    for network in LABS:
        of = curved(network)
        if len(of["SB"]["share"]) and len(of["LB"]["share"]):
            first, tenth = (ratio(of["SB"][key], of["LB"][key]) for key in ("largest", "tenth"))
            strict = ratio(of["SB"]["largest"], of["LB"]["tenth"])
            below = -100 * float(np.mean(of["LB"]["smallest"] / of["LB"]["largest"]))
            lines.append(
                f"- {network}: f rises steeply along {number(of['LB']['share'].mean())} % of the directions at LB and"
                f" along {number(of['SB']['share'].mean())} % at SB (means of {len(of['LB']['share'])} trials). LB's"
                f" largest eigenvalue is {number(first.value, 1)} times SB's ({interval(first.interval, 1)}), its tenth"
                f" {number(tenth.value, 1)} times SB's tenth ({interval(tenth.interval, 1)}), but only"
                f" {number(strict.value)} times SB's largest, where the claim as registered wants more than once."
                f" LB's most negative eigenvalue is {number(below, 1)} % of its largest in size: under 10 % is no"
                " saddle by our rule."
            )
    return Text("\n".join(lines)) if lines else NOT_YET


def metric_and_curvature(networks=LABS) -> Text:
    """Whether Metric 2.1 ranks the minimisers of one network as their largest eigenvalue does."""
    lines = []
    for network in networks:
        runs = [of for both in arrays.pairs(network).values() for of in both]
        sharp = arrays.sharpness(runs, 5e-4)
        top = np.array([np.nan if r is None else r["top"][0] for r in arrays.each(units.spectrum, runs)], float)
        there = ~np.isnan(sharp * top)
        rho = correlation(sharp[there], top[there])
        if not np.isnan(rho.value):
            lines.append(
                f"- {network}: rank correlation {number(rho.value)} ({interval(rho.interval)}; {rho.n} minimisers)"
            )
    return Text("\n".join(lines)) if lines else NOT_YET


# -- the batch or the rate --------------------------------------------------------------------------------------------


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


def rates(network: str = "mlp") -> Rates | None:
    """Test accuracy and sharpness at every rate and batch size, and the rate chosen by the validation split, or None
    until all of a choice is measured."""
    lrs, sizes, measured = experiments.LABORATORY_RATES, scales.scale().laboratory, _measured(network)
    make = lambda lr, b, validation=False: [
        experiments.laboratory_rate(network, b, t, lr, validation) for t in measured
    ]
    if not measured:
        return None
    chosen = [best({k: make(lr, b, True) for k, lr in enumerate(lrs)}) for b in sizes]
    if None in chosen:
        return None
    table = lambda what: np.array([[what(make(lr, b)) for b in sizes] for lr in lrs])
    return Rates(lrs, sizes, table(arrays.final), table(SHARP), table(LOSS["training loss"]), tuple(chosen))


def _measured(network) -> list[int]:
    """The trials of which every rate and size is trained."""
    whole = lambda t: all(
        arrays.document(units.train(experiments.laboratory_rate(network, b, t, lr, validation)))
        for lr in experiments.LABORATORY_RATES
        for b in scales.scale().laboratory
        for validation in (False, True)
    )
    return [t for t in _trials() if whole(t)]


def rates_figure(network: str = "mlp"):
    """Test accuracy and sharpness against the batch size: at the paper's rate, and at the rate chosen for each size."""
    found = rates(network)
    if not found:
        return NOT_YET
    figure, axes = _axes(2)
    for ax, key, words in zip(axes, ("accuracy", "sharpness"), ("test accuracy (%)", "sharpness, epsilon 1e-3")):
        values, usual = getattr(found, key), found.rates.index(1e-3)
        tuned = np.stack([values[k, i] for i, k in enumerate(found.chosen)])
        for of, name, arm in ((values[usual], "rate 1e-3", "LB"), (tuned, "rate chosen for each size", "SB")):
            ax.plot(found.sizes, of, ".", color=COLOR[arm], ms=4, alpha=0.5)
            ax.plot(found.sizes, np.nanmean(of, 1), **look(arm, ms=None), label=name)
        ax.set(title=f"{network}, {words}", xlabel="batch size", xscale="log")
    axes[1].set_yscale("log")
    _legend(figure, *axes)
    return figure


def rates_and_sharpness(network: str = "mlp") -> Text:
    """How far sharpness and accuracy go over all rates and batch sizes that came to the loss, and together or not."""
    found = rates(network)
    if not found:
        return NOT_YET
    goal = experiments.laboratory_rate(network, found.sizes[0], 0, found.rates[0]).stop_f
    sharp, accuracy = (of.mean(2) for of in (found.sharpness, found.accuracy))
    there = _arrived(network, found) & (sharp > 0)
    if not there.any():
        return Text(f"None of {there.size} pairs of rate and batch size came to f < {goal:g}.")
    rho = correlation(sharp[there], accuracy[there])
    late = [f"batch {found.sizes[i]:,} at {found.rates[k]:g}" for k, i in zip(*np.nonzero(~there))]
    return Text(
        f"Of {there.size} pairs of rate and batch size {there.sum()} came to f < {goal:g}. Over these, sharpness goes"
        f" from {number(sharp[there].min())} to {number(sharp[there].max(), 1)}, test accuracy from"
        f" {number(accuracy[there].min(), 1)} to {number(accuracy[there].max(), 1)} %; their rank correlation is"
        f" {number(rho.value)}. Not there: {', '.join(late) or 'none'}."
    )


def rates_verdict(network: str = "mlp") -> Text:
    """Whether the smallest batch is still ahead of the largest once each has its own rate."""
    found = rates(network)
    if not found:
        return NOT_YET
    usual, last = found.rates.index(1e-3), len(found.sizes) - 1
    names, said = [f"batch {found.sizes[k]:,}" for k in (0, last)], []
    own = found.chosen[0], found.chosen[last]
    for words, picks in (("At one rate, 1e-3", (usual, usual)), ("Each at its own rate", own)):
        tests, sharp = ([of[k, i] for k, i in zip(picks, (0, last))] for of in (found.accuracy, found.sharpness))
        said.append(
            f"**{words}**, {ahead(contrast(*tests), *names)}, and {sharper(ratio(*sharp), names[1], names[0])}."
        )
    own = ", ".join(f"{b:,}: {found.rates[k]:g}" for b, k in zip(found.sizes, found.chosen))
    arrived = _arrived(network, found)
    late = [f"{b:,}" for i, (b, k) in enumerate(zip(found.sizes, found.chosen)) if not arrived[k, i]]
    told = f" At its chosen rate batch {' and '.join(late)} did not come to the loss." if late else ""
    return Text(
        f"{' '.join(said)} The validation split chose, by batch size, {own}. {found.accuracy.shape[2]} trials.{told}"
    )


def _arrived(network, found) -> np.ndarray:
    """At which rates and sizes f came below the laboratory's goal in every trial (rates, sizes)."""
    return (found.f < experiments.laboratory_rate(network, found.sizes[0], 0, found.rates[0]).stop_f).all(2)
