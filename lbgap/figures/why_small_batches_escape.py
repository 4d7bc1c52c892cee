"""Why small batches escape: warm starts, the way down and distances, in the laboratory and on the paper's networks."""

from __future__ import annotations

import numpy as np

from .. import claims
from ..campaign import experiments, scales
from ..campaign.scales import LABS, PAPER
from ..claims import contrast
from ..results import arrays
from .comparisons import EPSILON, Row, compare, networks_of, sharpness_of
from .panels import COLOR, FILL, LINE, STYLE, canvas, each_network, legend, look, two_each
from .statistics import ahead, at_one_f, crossing, ratio, sharper, trials_gone
from .words import (
    ARMS,
    NOT_YET,
    Networks,
    Text,
    by_network,
    clause,
    counted,
    dots,
    interval,
    known,
    names,
    number,
    spread,
)


def warm_starts(network: str = "mlp"):
    """Fig. 5 in the laboratory: LB, started where SB was after some epochs; all trials, and their mean."""
    if not len(warm_values(network, sharpness_of)[0]):
        return NOT_YET
    figure, axes = canvas(2)
    for ax, what, words in zip(axes, (arrays.final, sharpness_of), ("test accuracy (%)", "sharpness, epsilon 1e-3")):
        at, values = warm_values(network, what)
        ax.plot(np.repeat(at, values.shape[0]), values.T.ravel(), ".", color=COLOR["LB"], ms=4, alpha=0.5)
        ax.plot(at, np.nanmean(values, 0), **look("LB", ms=None), label="LB from there")
        for arm, runs in arrays.pairs(network).items():
            ax.axhline(known(what(runs)).mean(), ls=LINE[arm], lw=1, color=COLOR[arm], label=f"{arm} from the start")
        ax.set(title=f"{network}, {words}", xlabel="epochs of SB before")
    axes[1].set_yscale("log")
    legend(figure, *axes)
    return figure


def warm_values(network: str, what) -> tuple[np.ndarray, np.ndarray]:
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
    runs = arrays.pairs(network)
    plain, whole = runs["LB"], {arm: spread(arrays.epochs(of), 0) for arm, of in runs.items()}
    lines = [f"- From the start SB's whole run takes {whole['SB']} epochs, LB's {whole['LB']}."]
    for k in (0, -1):
        gain = contrast(accuracy[:, k], arrays.final(plain))
        sharpness = ratio(sharp[:, k], sharpness_of(plain))
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
    figure, axes = canvas(len(networks))
    for ax, network in zip(axes, networks):
        for arm, f, s in found[network]:
            ax.plot(f, s, **look(arm, ms=3, lw=0.8), label=arm)
        ax.set(
            title=network, xlabel="f (training goes left)", ylabel="sharpness, epsilon 1e-3", xscale="log", yscale="log"
        )
    legend(figure, *axes)
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


FIG5 = {
    "restarted": ("LB from there", "s-", COLOR["LB"]),
    "carried": ("LB, Adam's moments carried", "^", "#e08a3c"),
    "continued": ("SB continued", "D", "#2f9e8f"),
    "reverse": ("SB from LB's epoch", "v", "#555555"),
}


def fig5(networks: Networks = PAPER, trial: int = 0):
    """Fig. 5: LB continued from SB's epochs, its test accuracy and its sharpness; and the controls, as single marks."""

    def draw(left, right, network):
        for epochs, curve in arrays.curves_of(arrays.pairs(network, (trial,))["SB"], "test_accuracy"):
            left.plot(epochs, curve, "-", color=COLOR["SB"], lw=1, label="SB itself")
        for ax, what in ((left, arrays.final), (right, lambda runs: arrays.sharpness(runs, 1e-3))):
            at, found = arrays.warm(network, what, trial)
            for name, values in found.items():
                there = ~np.isnan(values)
                words, style, color = FIG5[name]
                if there.any():
                    ax.plot(np.array(at)[there], values[there], style, color=color, ms=4, lw=1, label=words)
                    if ax is right:
                        ax.set_yscale("log")
            what = "test accuracy (%)" if ax is left else "sharpness"
            ax.set(xlabel="epochs of SB before", title=f"{network}, {what}")

    return two_each(names(networks), draw, "fig5", "fig5_controls")


def fig6(networks: Networks = PAPER):
    """Fig. 6: sharpness against loss along training, all trials; it goes from the right to the left."""

    def draw(ax, network):
        for arm, runs in arrays.pairs(network).items():
            for epsilon, style in STYLE.items():
                for of in runs:
                    f, s = arrays.descent(of, epsilon)
                    if len(f):
                        label = f"{arm}, epsilon {epsilon:g}"
                        ax.plot(f, s, **look(arm, ls=style, lw=0.9, mfc=FILL[epsilon]), label=label)
                        ax.set(xscale="log", yscale="log")
        ax.set(title=network, xlabel="f (training goes left)", ylabel="sharpness")

    return each_network(names(networks), draw, "fig6")


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


def at_loss(f, s, loss: float) -> float:
    """The sharpness s (K,) where f (K,) first passes a loss, on straight lines between the logarithms; NaN if it never
    does."""
    there = ~np.isnan(f * s) & (f > 0) & (s > 0)
    index = np.arange(there.sum())
    at = np.log(crossing(np.exp(index), f[there], loss))  # which iterate, and how far to the next
    return float("nan") if np.isnan(at) else float(np.exp(np.interp(at, index, np.log(s[there]))))


def distances(networks: Networks = PAPER) -> Text:
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
        where = {claims.HOLDS: "inside the paper's range", claims.FAILS: "outside the paper's range"}.get(
            said.direction, "in or out of the paper's range, that is not settled"
        )
        return (
            f"**Verdict: {said.direction}.** {network}: SB ends {number(found.value)} times as far from the start as LB"
            f" ({interval(found.interval)}; {counted(len(small), found.n, missing)}), {where}, 3 to 10. SB ends"
            f" {dots(small, 1)} from the start, LB {dots(large, 1)}. A random walk of as many steps would give"
            f" {number(np.nanmean(walk), 1)} times. That LB stays nearer than its fewer steps explain (conjecture iii)"
            f" {clause(nearer.direction)}: {number(beyond.value)} times as near ({interval(beyond.interval)})."
        )

    return by_network(networks, sentence)


def noise_scale(networks: Networks = None):
    """The gradient noise scale along training (McCandlish et al. 2018), with either batch size as a line."""

    def draw(ax, network):
        for arm, runs in arrays.pairs(network, arrays.trials("noise_scale")).items():
            for of in runs:
                at, values = arrays.iterates(of, arrays.noise)
                if len(known(values)):
                    ax.plot(at, values, **look(arm), label=arm)
                    ax.axhline(of.batch_size, color=COLOR[arm], lw=0.8, ls=":", label=f"batch size, {arm}")
                    ax.set(xscale="log", yscale="log")
        ax.set(title=network, xlabel="epoch", ylabel="gradient noise scale (examples)")

    return each_network(networks_of("noise_scale", networks), draw, "noise_scale")
