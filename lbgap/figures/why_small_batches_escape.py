"""Why small batches escape: warm starts, the way down and distances, in the laboratory and on the paper's networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import claims
from ..campaign import experiments, scales
from ..campaign.scales import LABS, SHOWN
from ..claims import contrast
from ..results import arrays
from .comparisons import EPSILON, Row, compare, networks_of, sharpness_of
from .panels import COLOR, FILL, STYLE, Picture, each, look, named
from .sliders import ACCURACY, LOSS, SHARPNESS, Slider, slider
from .statistics import ahead, at_one_f, crossing, ratio, sharper, trials_gone
from .words import (
    ARMS,
    NOT_YET,
    Networks,
    Text,
    by_network,
    capital,
    clause,
    counted,
    dots,
    folded,
    interval,
    known,
    names,
    number,
    plural,
    short,
    spread,
)

WARM, COLD = "the warm-started LB", "LB from the start"


def warm_slider(networks: Networks = LABS) -> Slider:
    """Fig. 5 in the laboratory: LB, started where SB was after some epochs, beside SB and LB from the start."""

    def part(network, what):
        at, values = warm_values(network, what)
        level = [np.tile(what(runs), (len(at), 1)) for runs in arrays.pairs(network).values()]
        return at, [*level, values.T]

    found = {network: [part(network, what) for what in (arrays.final, sharpness_of)] for network in names(networks)}
    told = {"label": "Epochs of SB before", "place": "after epoch {} of SB", "series": (*ARMS, "warm LB"), "log": True}
    return slider(found, ACCURACY | SHARPNESS, **told)


def warm_values(network: str, what: Callable) -> tuple[np.ndarray, np.ndarray]:
    """Fig. 5's epochs that are measured in the laboratory (K,), and what(runs) of LB from there (T, K)."""
    at = sorted(scales.scale().warm[:6])
    runs = [[experiments.warm(network, trial, k) for k in at] for trial in scales.scale().trials]
    values = np.array([what(of) for of in runs])
    there = ~np.isnan(values).all(0)
    return np.array(at)[there], values[:, there]


def warm_verdict(network: str = "mlp") -> Text:
    """What warm starts do in the laboratory, first against last epoch."""
    (at, accuracy), (_, sharp) = (warm_values(network, what) for what in (arrays.final, sharpness_of))
    if len(at) < 2:
        return NOT_YET
    runs, said = arrays.pairs(network), {True: [], False: []}
    whole = " and ".join(f"{spread(arrays.epochs(of), 0)} for {arm}" for arm, of in runs.items())
    for k in (0, -1):
        gain, steep = contrast(accuracy[:, k], arrays.final(runs["LB"])), ratio(sharp[:, k], sharpness_of(runs["LB"]))
        for brief, lines in said.items():
            lines.append(
                f"- After {plural(at[k], 'epoch')} of SB, {ahead(gain, WARM, COLD, brief=brief)}, and"
                f" {sharper(steep, COLD, WARM, brief)}."
            )
    return Text(
        folded("\n".join(said[True]), "\n".join([f"From the start a whole run takes {whole} epochs.\n", *said[False]]))
    )


def way_slider(networks: Networks = LABS) -> Slider:
    """Fig. 6 in the laboratory by the epoch: f and the sharpness of SB and LB on their way."""

    def part(network, what):
        along = lambda of: arrays.iterates(of, lambda runs: arrays.sharpness(runs, EPSILON, what))
        both = [list(map(along, runs)) for runs in arrays.pairs(network).values()]
        return both[0][0][0], np.array([[values for _, values in arm] for arm in both]).swapaxes(1, 2)

    found = {network: [part(network, what) for what in ("f0", "value")] for network in names(networks)}
    return slider(found, LOSS | SHARPNESS, label="Epoch", place="after epoch {}", series=ARMS, log=True)


def way_down_verdict(networks: Networks = LABS) -> Text:
    """How SB and LB compare near the start and the end, at one f each, and whether LB grows sharper all the way."""

    def sentence(network):
        both = zip(*arrays.pairs(network).values())
        found = [{arm: arrays.descent(of, 1e-3) for arm, of in zip(ARMS, pair)} for pair in both]
        found = [of for of in found if min(len(f) for f, _ in of.values()) > 1]
        if not found:
            return None
        at = {"start": max, "end": min}
        at = {words: ratio(*np.array([at_one_f(of, pick) for of in found]).T) for words, pick in at.items()}
        told = lambda brief: "; ".join(f"near the {w}, at one f, {sharper(of, brief=brief)}" for w, of in at.items())
        last = {arm: contrast([of[arm][1][-1] / of[arm][1][0] for of in found], scale="ratio") for arm in ARMS}
        peak = spread([of["LB"][1].max() / of["LB"][1][-1] for of in found], 1)
        end = "; ".join(
            f"last measured, {arm} is {number(of.value, 2)} times as sharp as after one epoch ({interval(of.interval)})"
            for arm, of in last.items()
        )
        more = f"On its way LB was up to {peak} times as sharp as where last measured."
        return folded(f"{network}: {told(True)}.", f"{capital(told(False))}. {end}. {more}")

    return by_network(networks, sentence)


FIG5 = {
    "restarted": ("LB from there", "s-", COLOR["LB"]),
    "carried": ("LB, Adam's moments carried", "^", "#e08a3c"),
    "continued": ("SB continued", "D", "#2f9e8f"),
    "reverse": ("SB from LB's epoch", "v", "#555555"),
}


def fig5(networks: Networks = SHOWN, trial: int = 0) -> Picture:
    """Fig. 5: LB continued from SB's epochs, its test accuracy and its sharpness; and the controls, as single marks."""

    def draw(left, right, network):
        for ax, what in ((left, arrays.final), (right, lambda runs: arrays.sharpness(runs, 1e-3))):
            at, found = arrays.warm(network, what, trial)
            for name, values in found.items():
                there = ~np.isnan(values)
                words, style, color = FIG5[name]
                if there.any():
                    ax.plot(np.array(at)[there], values[there], style, color=color, ms=4, lw=1, label=words)
                    ax.set_yscale("log" if ax is right else "linear")
            what = "test accuracy (%)" if ax is left else "sharpness"
            ax.set(xlabel="epochs of SB before", title=f"{named(network)}, {what}")
        itself = arrays.pairs(network, (trial,))["SB"] if left.has_data() else []
        for epochs, curve in arrays.curves_of(itself, "test_accuracy"):
            left.plot(epochs, curve, "-", color=COLOR["SB"], lw=1, label="SB itself")

    return each(names(networks), draw, per=2)


def fig6(networks: Networks = SHOWN) -> Picture:
    """Fig. 6: sharpness against loss along training, all trials; it goes from the right to the left."""

    def draw(ax, network):
        for arm, runs in arrays.pairs(network).items():
            for epsilon, style in STYLE.items():
                for of in runs:
                    f, s = arrays.descent(of, epsilon)
                    if len(f) > 1:  # an end alone is no way down
                        label = f"{arm}, epsilon {epsilon:g}"
                        ax.plot(f, s, **look(arm, ls=style, lw=0.9, mfc=FILL[epsilon]), label=label)
                        ax.set(xscale="log", yscale="log")
        ax.set(title=named(network), xlabel="f (training goes left)", ylabel="sharpness")

    return each(names(networks), draw)


def fig6_read(networks: Networks = None, losses: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4)) -> Text:
    """Fig. 6 read at equal loss: sharpness where f first passes each value, between the logarithms of the stored
    iterates."""
    rows = []
    for network in networks_of("fig6", networks):
        runs = arrays.pairs(network)
        along = {arm: [arrays.descent(of, EPSILON) for of in runs[arm]] for arm in ARMS}
        for loss in losses:
            sharp = {arm: np.array([at_loss(*pair, loss) for pair in along[arm]]) for arm in ARMS}
            rows.append(Row(network, f"f {loss:g}", runs, sharp))
    return compare(rows, accuracy=False)


def at_loss(f: np.ndarray, s: np.ndarray, loss: float) -> float:
    """The sharpness s (K,) where f (K,) first passes a loss, on straight lines between the logarithms; NaN if it never
    does."""
    there = ~np.isnan(f * s) & (f > 0) & (s > 0)
    index = np.arange(there.sum())
    at = np.log(crossing(np.exp(index), f[there], loss))  # which iterate, and how far to the next
    return float("nan") if np.isnan(at) else float(np.exp(np.interp(at, index, np.log(s[there]))))


def distances(networks: Networks = SHOWN) -> Text:
    """Section 3: how far SB and LB went from their common start, and the null of a random walk."""

    def sentence(network):
        runs = arrays.pairs(network)
        small, large = (arrays.distance(runs[arm]) for arm in ARMS)
        missing = trials_gone(runs, small, large)
        quotient, walk = small / large, (arrays.updates(runs["SB"]) / arrays.updates(runs["LB"])) ** 0.5
        both = quotient, quotient / walk
        found, beyond = (claims.contrast(q, scale="ratio", diverged=missing) for q in both)
        said, nearer = claims.get("distance-3-10").verdict(found), claims.get("closest-minimiser").verdict(beyond)
        if said.direction == claims.UNMEASURED:
            return None
        steps = number(np.nanmean(walk), 1)
        more = ": farther than that" if said.direction == claims.FAILS and found.value > 10 else ""
        return folded(
            f"**Verdict, 3 to 10 times as far: {said.direction}{more}.** {network}: SB ends"
            f" {short(found.value)} times as far from the start as LB; the paper has 3 to 10, a random walk of as many"
            f" steps {steps}.",
            f"{number(found.value)} times ({interval(found.interval)}; {counted(found.n, missing)}). SB ends"
            f" {dots(small, 1)} from the start, LB {dots(large, 1)}. That LB stays nearer than its fewer steps explain"
            f" (conjecture iii) {clause(nearer.direction)}: SB's distance is {number(beyond.value)} times what its"
            f" extra steps alone would make of LB's ({interval(beyond.interval)}).",
        )

    return by_network(networks, sentence)


def noise_scale(networks: Networks = None) -> Picture:
    """The gradient noise scale along training (McCandlish et al. 2018), with either batch size as a line."""

    def draw(ax, network):
        for arm, runs in arrays.pairs(network, arrays.trials("noise_scale")).items():
            for of in runs:
                at, values = arrays.iterates(of, arrays.noise)
                if len(known(values)):
                    ax.plot(at, values, **look(arm), label=arm)
                    ax.axhline(of.batch_size, color=COLOR[arm], lw=0.8, ls=":", label=f"batch size, {arm}")
                    ax.set(xscale="log", yscale="log")
        ax.set(title=named(network), xlabel="epoch", ylabel="gradient noise scale (examples)")

    return each(networks_of("noise_scale", networks), draw)
