"""Walking between two minima: Figs. 3 and 7, and the same between other pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import claims
from ..campaign import experiments
from ..campaign.scales import SHOWN
from ..results import arrays
from .comparisons import each_trial, networks_of
from .panels import ACCURACY_COLOR, LOSS_COLOR, Picture, along_path, each, mark_ends, named, paths
from .statistics import ratio, rises
from .words import ARMS, Networks, Text, by_network, counted, folded, interval, names, number, short, spread

# in words, the claim, and how far from an end its rise is taken: half a unit along the curve is the other's negative
PATH = {"linear": ("line", "linear-path", 0.5), "curvilinear": ("curve", "curved-path", 0.25)}
ALIKE = 1.25  # two sides are called as steep as each other where the interval of their ratio lies within this factor


def path(kind: str = "linear", network: str = "F1") -> Picture:
    """Figs. 3 and 7 for one network, loss and accuracy in a panel each; train solid, test dashed, all trials."""
    found = arrays.paths(*arrays.pairs(network).values()).get(kind)

    def draw(ax, what):
        along_path(ax, found, what, LOSS_COLOR if what == "loss" else ACCURACY_COLOR)
        mark_ends(ax, ARMS)
        label = "cross-entropy" if what == "loss" else "accuracy (%)"
        ax.set(xlabel="alpha", ylabel=label, title=f"{named(network)}, {kind}, {what}")

    return each(("loss", "accuracy") if found else (), draw, height=3.0)


def fig3(
    networks: Networks = SHOWN, kind: str = "linear", trials: Iterable[int] | None = None, **settings: Any
) -> Picture:
    """Fig. 3: f and accuracy on the line through SB and LB. settings: those of the runs, variant="text", dropout=False,
    ..."""
    runs = {network: arrays.pairs(network, trials, **settings).values() for network in names(networks)}
    return paths([(named(network), *pair, kind, {}, ARMS) for network, pair in runs.items()])


def fig7(networks: Networks = SHOWN) -> Picture:
    """Fig. 7: the same on the curve sin(alpha pi/2) x_LB + cos(alpha pi/2) x_SB."""
    return fig3(networks, "curvilinear")


def path_verdict(networks: Networks = SHOWN, pairs: Callable = arrays.pairs, **settings: Any) -> Text:
    """How much f rises a step in alpha away from either end, mean of both sides, and whether LB is as much steeper as a
    plot shows. pairs(network): {"SB": runs, "LB": runs}; settings: of the paths, match="norms"."""

    def sentence(network):
        said, lines = [], []
        for kind, p in arrays.paths(*pairs(network).values(), **settings).items():
            path, claim, step = PATH[kind]
            rise = rises(p, step)
            ours = ratio(rise["SB"], rise["LB"])
            brief, steeper = _steeper(ours)
            said.append(f"{step:g} away on the {path} {brief}")
            lines.append(
                f"On the {path}, {step:g} away, f rises by {spread(rise['SB'])} round SB and by {spread(rise['LB'])}"
                f" round LB ({steeper}; {counted(ours.n, ours.diverged).replace('trial', 'pair')}). That LB is twice as"
                f" steep at least: {claims.get(claim).verdict(ours).direction}."
            )
        rule = "Rises are means of both sides; less than twice as much is not seen in a plot."
        return folded(f"**{network}: {'; '.join(said)}.**", f"{' '.join(lines)} {rule}") if lines else None

    return by_network(networks, sentence)


def _steeper(ours: claims.Contrast) -> tuple[str, str]:
    """How much steeper LB is than SB, in short and with its interval."""
    if np.isnan(ours.value):
        return ("no ratio can be had, since f does not rise round both",) * 2
    digits, (low, high) = 0 if ours.value > 10 else 2, ours.interval or (ours.value, ours.value)
    said = f"{number(ours.value, digits)} times as much round LB, {interval(ours.interval, digits)}"
    if 1 / ALIKE < low and high < ALIKE:
        return "both are about as steep", f"both are about as steep: {said}"
    steep, flat = ("LB", "SB") if ours.value >= 1 else ("SB", "LB")
    return f"{steep} is {short(max(ours.value, 1 / ours.value))} times as steep as {flat}", said


def norm_matched_paths(networks: Networks = None, experiment: str = "norm_matched", **settings: Any) -> Picture:
    """Fig. 3 as it is, and to the same function as LB with SB's filter norms."""
    panels = []
    for network in networks_of(experiment, networks):
        runs = arrays.pairs(network, arrays.trials(experiment), **settings).values()
        for words, match in (("as it is", {}), ("SB's norms", {"match": "norms"})):
            panels.append((f"{named(network)}, {words}", *runs, "linear", match, ARMS))
    return paths(panels)


def weight_decay(networks: Networks = None) -> Picture:
    """Fig. 3 with weight decay 5e-4, as it is and with norms matched: Li et al. 2018 saw the picture turn round."""
    return norm_matched_paths(networks, "weight_decay", weight_decay=5e-4)


def sisters(networks: Networks = None) -> Picture:
    """Fig. 3 between two minimisers of one batch size: is its hill any two minima's?"""
    panels = []
    for network in networks_of("sisters", networks):
        found = each_trial("sisters", network, experiments.sisters)
        for name in found[0] if found else ():
            small, large = map(list, zip(*(f[name] for f in found)))
            panels.append((f"{named(network)}: {name}", small, large, "linear", {}, (name[:2], f"{name[:2]}'")))
    return paths(panels)
