"""Fig. 4's question: does the batch size have a threshold, or only a slope?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..campaign import scales
from ..campaign.scales import LABS, SHOWN
from ..claims import Contrast, contrast, holm
from ..results import arrays
from .comparisons import sharpness_of
from .measures import judged_claims, slopes, threshold_of
from .panels import Picture, against_batch, canvas, each, look
from .words import NOT_YET, Networks, Text, by_network, known, names, number, plural, short, table

WHAT = {  # what is read at each batch size, and how it is called
    "test accuracy (%)": arrays.final,
    "log2 of sharpness": lambda runs: np.log2(sharpness_of(runs)),
}


def _trials(network, what):
    """The laboratory's sizes (K,), and what(runs) there of each trial that has them all (T, K)."""
    values = arrays.laboratory(what, [network])[0].T
    return scales.scale().laboratory, values[~np.isnan(values).any(1)]


def slope(network: str, what: Callable) -> Contrast:
    """How much what(runs) changes with each doubling of the batch, over all sizes of the laboratory, by least
    squares."""
    sizes, values = _trials(network, what)
    return contrast([np.polyfit(np.log2(sizes), trial, 1)[0] for trial in values])


def bends(network: str, what: Callable) -> dict[int, Contrast]:
    """How much more what(runs) changes with each doubling up to a batch size than from it on, at each size between."""
    sizes, values = _trials(network, what)
    x = np.log2(sizes)
    steep = lambda trial, part: np.polyfit(x[part], trial[part], 1)[0]
    return {
        sizes[k]: contrast([steep(trial, slice(k + 1)) - steep(trial, slice(k, None)) for trial in values])
        for k in range(1, len(sizes) - 1)
    }


def bends_figure(networks: Networks = LABS) -> Picture:
    """The bend of each curve at each batch size where a threshold might lie, with its 95 % interval."""
    figure, axes = canvas(len(WHAT) * len(networks), height=2.2)
    for k, ax in enumerate(axes):
        network, (words, what) = networks[k // len(WHAT)], list(WHAT.items())[k % len(WHAT)]
        at = {size: of for size, of in bends(network, what).items() if of.interval}
        ends = np.array([of.interval for of in at.values()]).reshape(-1, 2).T
        ax.vlines(list(at), *ends, color=look("LB")["color"])
        ax.plot(list(at), [of.value for of in at.values()], **look("LB", ls=""))
        ax.axhline(0, color="k", lw=0.8)
        ax.set(title=f"{network}: {words}", xscale="log", xlabel="threshold, if there were one" if k >= 2 else None)
        ax.set_xticks(list(at), [str(size) for size in at], minor=False)
        ax.set_xticks([], minor=True)
    for ax in axes[:: len(WHAT)]:
        ax.set_ylabel("slope below\nminus slope above")
    return figure


def told(networks: Networks = LABS) -> Text:
    """How steep the laboratory's curves are, and at how many batch sizes they surely bend as the paper says."""
    lines = []
    for network in networks:
        accuracy, sharpness = (slope(network, what) for what in WHAT.values())
        if accuracy.interval is None or sharpness.interval is None:
            continue
        found = [bends(network, what).values() for what in WHAT.values()]
        sure = [sum(p < 0.05 and of.value > 0 for p, of in zip(holm([of.p for of in at]), at)) for at in found]
        lines.append(
            f"- `{network}`, {plural(accuracy.n)}: with each doubling of the batch test accuracy"
            f" {_change(accuracy, lambda v: v, 'points', 2)}, and sharpness"
            f" {_change(sharpness, lambda v: 100 * (2**v - 1), '%', 0)}. Of {len(found[0])} batch sizes at which a"
            f" threshold might lie, accuracy surely falls faster above than below at {sure[0] or 'none'}, and"
            f" sharpness surely grows slower at {sure[1] or 'none'} (Holm's correction over the {len(found[0])})."
        )
    return Text("\n".join(lines)) if lines else NOT_YET


def _change(of: Contrast, scale, unit: str, digits: int) -> str:
    """By how much something changes with a doubling, or that this is not settled."""
    ends, said = [scale(v) for v in of.interval], "neither surely rises nor falls"
    if of.side(0):
        ends = sorted(map(abs, ends))
        said = f"{'rises' if of.value > 0 else 'falls'} by {number(abs(scale(of.value)), digits)} {unit}"
    return f"{said} (95 % interval {number(ends[0], digits)} to {number(ends[1], digits)} {unit})"


def two_axes(network: str = "mlp") -> Picture:
    """One curve, sharpness against the batch size, on a linear and on a logarithmic axis of the batch size."""
    sizes, values = _trials(network, sharpness_of)
    figure, axes = canvas(2)
    for ax, kind in zip(axes, ("linear", "log")):
        ax.plot(np.tile(sizes, len(values)), values.ravel(), ".", color=look("LB")["color"], ms=4, alpha=0.5)
        ax.plot(sizes, values.mean(0), **look("LB"))
        ax.set(xlabel=f"batch size, {kind} axis", ylabel="sharpness" if kind == "linear" else None, xscale=kind)
    return figure


def fig4(networks: Networks = SHOWN) -> Picture:
    """Fig. 4: test accuracy (left axis) and sharpness (right) against the batch size; dots are trials, lines their
    means."""

    def draw(ax, network):
        return against_batch(ax, network, lambda what: arrays.sweep(what, network, scales.scale().trials))

    return each(names(networks), draw)


def of_the_paper(networks: Networks = scales.PRINTED) -> Picture:
    """Fig. 4 of the paper's networks that are measured at more than their two usual sizes."""
    more = lambda network: len(arrays.sweep(arrays.final, network, scales.scale().trials)[0]) > 2
    shown = tuple(filter(more, networks))
    return fig4(shown) if shown else Text("None of the paper's networks is measured at a third batch size yet.")


def on_either_side() -> Picture:
    """f over the training set along training, at the batch sizes on either side of F1's leap."""

    def draw(ax, size):
        for epochs, f in arrays.curves_of([scales.run("F1", size, 0)], "train_loss"):
            ax.plot(epochs, f, **look("SB" if size == scales.LEAP[0] else "LB", ms=3))
            ax.set(title=f"F1, batch {size:,}", yscale="log", ylim=(5e-7, 1), xlabel="epoch", ylabel="f")

    return each(scales.LEAP, draw)


def leap() -> Text:
    """Sharpness on either side of F1's leap, each end also with the other's filter norms: how much of it is scale?"""
    one, other = ([scales.run("F1", b, trial) for trial in arrays.trials("leap")] for b in scales.LEAP)
    own = [arrays.sharpness(runs, 1e-3) for runs in (one, other)]
    short_one, long_other = (
        arrays.sharpness(runs, 1e-3, to=to, match="norms") for runs, to in ((one, other), (other, one))
    )
    below, above = (f"{b:,}" for b in scales.LEAP)
    sides = {
        "each as it is": own,
        f"both with the short filters of {above}": (short_one, own[1]),
        f"both with the long filters of {below}": (own[0], long_other),
    }
    told = lambda values: " and ".join(map(short, known(values)))
    rows = [["F1", words, told(a), told(b), told(b / a)] for words, (a, b) in sides.items()]
    return table(f"network | filters | sharpness at {below} | at {above} | times as sharp", rows)


def read_of_the_paper(networks: Networks = scales.PRINTED) -> Text:
    """Fig. 4 of the paper's networks in words: how steep the curves are below and above the threshold, and which
    networks had not learned their examples."""

    def sentence(network):
        accuracy, sharpness = (slopes(network, what) for what in WHAT.values())
        sizes, learned = arrays.sweep(lambda of: arrays.final(of, "train"), network, scales.scale().trials)
        n = int((~np.isnan(accuracy).any(0)).sum())
        if not n:
            return None
        lost, grown = ([np.nanmean(side) for side in of] for of in (-accuracy, sharpness))
        few = [f"{size:,} ({np.nanmean(of):.1f} %)" for size, of in zip(sizes, learned) if np.nanmean(of) < 99]
        return (
            f"{network}, {plural(n)}: with each doubling of the batch up to {threshold_of(network):,.0f} test accuracy"
            f" falls by {number(lost[0])} points, and beyond by {number(lost[1])}; sharpness is multiplied by"
            f" {number(2 ** grown[0])} up to there, and by {number(2 ** grown[1])} beyond. Under 99 % of the training"
            f" examples are learned at {', '.join(few) or 'no size'}."
        )

    return by_network(networks, sentence)


def verdicts() -> Text:
    """The paper's claims of a threshold, each with its verdict on the paper's networks."""
    every = judged_claims()
    ids = "threshold", "threshold-sharpness", "threshold-others"
    return Text("\n".join(f"- {every[id].claim.says} *Verdict: {every[id].direction}.*" for id in ids))
