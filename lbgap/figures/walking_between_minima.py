"""Walking between two minima: Figs. 3 and 7, and the same between other pairs."""

from __future__ import annotations

import numpy as np

from .. import claims
from ..campaign import experiments, units
from ..campaign.scales import PAPER
from ..results import arrays
from .comparisons import each_trial, networks_of
from .panels import ACCURACY_COLOR, LOSS_COLOR, along_path, canvas, legend, mark, mark_ends, paths
from .statistics import ratio, rises
from .words import ARMS, Networks, Text, by_network, counted, interval, names, number, spread

ALIKE = 1.25  # two sides are called as steep as each other where the interval of their ratio lies within this factor


def path(kind: str = "linear", network: str = "F1"):
    """Figs. 3 and 7 for one network, loss and accuracy in a panel each; train solid, test dashed, all trials."""
    figure, axes = canvas(2, height=3.0)
    runs = arrays.pairs(network)
    found = arrays.paths(*runs.values()).get(kind)
    for ax, what, label in zip(axes, ("loss", "accuracy"), ("cross-entropy", "accuracy (%)")):
        along_path(ax, found, what, LOSS_COLOR if what == "loss" else ACCURACY_COLOR)
        mark_ends(ax, ARMS)
        ax.set(xlabel="alpha", ylabel=label, title=f"{network}, {kind}, {what}")
        mark(ax, network, [units.path(*pair, kind) for pair in zip(*runs.values())])
    legend(figure, *axes)
    return figure


def fig3(networks: Networks = PAPER, kind: str = "linear", trials=None, **settings):
    """Fig. 3: f and accuracy on the line through SB and LB. settings: those of the runs, variant="text", dropout=False,
    ..."""
    runs = {network: arrays.pairs(network, trials, **settings).values() for network in names(networks)}
    return paths([(network, network, *pair, kind, {}, ARMS) for network, pair in runs.items()])


def fig7(networks: Networks = PAPER):
    """Fig. 7: the same on the curve sin(alpha pi/2) x_LB + cos(alpha pi/2) x_SB."""
    return fig3(networks, "curvilinear")


def path_verdict(networks: Networks = PAPER, step: float = 0.5) -> Text:
    """How much f rises `step` in alpha away from either end, mean of both sides, and whether LB is as much steeper as a
    plot shows."""

    def sentence(network):
        words, lines = [], []
        for kind, p in arrays.paths(*arrays.pairs(network).values()).items():
            rise = rises(p, step)
            ours = ratio(rise["SB"], rise["LB"])
            found = claims.get({"linear": "linear-path", "curvilinear": "curved-path"}[kind]).verdict(ours)
            words.append(f"{kind} path, {found.direction}")
            count = counted(len(rise["SB"]), ours.n, ours.diverged).replace("trial", "pair")
            lines.append(
                f"On the {kind} path f rises by {spread(rise['SB'])} round SB and by {spread(rise['LB'])} round LB "
                f"({_steeper(ours)}; {count})."
            )
        if not lines:
            return None
        return (
            f"**Verdict: {'; '.join(words)}.** {network}: {' '.join(lines)} Rises are means of both sides, {step:g}"
            " away; the claim is of twice as much at least, since less is not seen in a plot."
        )

    return by_network(networks, sentence)


def _steeper(ours: claims.Contrast) -> str:
    """How much steeper LB is than SB, in words."""
    if np.isnan(ours.value):
        return "no ratio can be had, since f does not rise round both"
    digits = 0 if ours.value > 10 else 2
    said = f"{number(ours.value, digits)} times as much round LB, {interval(ours.interval, digits)}"
    alike = ours.interval and 1 / ALIKE < ours.interval[0] and ours.interval[1] < ALIKE
    return f"SB is as steep as LB: {said}" if alike else said


def norm_matched_paths(networks: Networks = None, experiment="norm_matched", **settings):
    """Fig. 3 as it is, and to the same function as LB with SB's filter norms."""
    panels = []
    for network in networks_of(experiment, networks):
        runs = arrays.pairs(network, arrays.trials(experiment), **settings).values()
        panels += [
            (f"{network}, as it is", network, *runs, "linear", {}, ARMS),
            (f"{network}, SB's norms", network, *runs, "linear", {"match": "norms"}, ("SB", "LB")),
        ]
    return paths(panels)


def weight_decay(networks: Networks = None):
    """Fig. 3 with weight decay 5e-4, as it is and with norms matched: Li et al. 2018 saw the picture turn round."""
    return norm_matched_paths(networks, "weight_decay", weight_decay=5e-4)


def sisters(networks: Networks = None):
    """Fig. 3 between two minimisers of one batch size: is its hill any two minima's?"""
    panels = []
    for network in networks_of("sisters", networks):
        found = each_trial("sisters", network, experiments.sisters)
        for name in found[0] if found else (f"{arm}, {which} start" for arm in ARMS for which in ("other", "same")):
            pairs = [f[name] for f in found]
            small, large = [a for a, _ in pairs], [b for _, b in pairs]
            panels.append((f"{network}: {name}", network, small, large, "linear", {}, (name[:2], f"{name[:2]}'")))
    return paths(panels)
