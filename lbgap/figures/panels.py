"""Panels, axes, marks and legends: shape and dash as well as colour, on opaque white."""

from __future__ import annotations

import math
import textwrap

import numpy as np

from .. import machine
from ..campaign import order, scales, units
from ..results import arrays

COLOR = {"SB": "#123f73", "LB": "#c1440e"}
MARK = {"SB": "o", "LB": "s"}  # shape as well as colour
DASH = {"train": "-", "test": "--"}
LOSS_COLOR, ACCURACY_COLOR = "#222222", "#9a5fb5"
LINE = {"SB": "-", "LB": "--"}
STYLE = {1e-3: "-", 5e-4: "--"}
FILL = {1e-3: None, 5e-4: "white"}


def look(arm: str, **more) -> dict:
    """How an arm's line is drawn, as keywords of `plot`: its colour, mark and line; `more` goes over these."""
    return {"color": COLOR[arm], "marker": MARK[arm], "ls": LINE[arm], "ms": 4, **more}


def canvas(count, columns=2, height=2.7):
    """A figure and its `count` panels, in rows of so many."""
    plt = machine.needs("matplotlib.pyplot", "plots")
    rows = math.ceil(count / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(6.0, height * rows + 0.4), facecolor="white", layout="constrained", squeeze=False
    )
    for ax in axes.flat[count:]:
        ax.remove()
    for ax in axes.flat[:count]:
        ax.set_facecolor("white")  # opaque, so that it reads in dark mode
        ax.grid(alpha=0.3)
    plt.close(figure)  # a notebook shows what a cell returns, and would show an open figure a second time
    return figure, list(axes.flat[:count])


def mark(ax, network, wanted):
    """Say in a panel what of its units is missing, and let the axes' log scales have few enough labels."""
    title = ax.get_title()
    if arrays.stand_in(network):
        title += f", on {scales.scale().datasets[network]}"
    done = sum(arrays.document(unit) is not None for unit in wanted)
    if why := arrays.waiting(network):
        ax.text(
            0.5, 0.5, textwrap.fill(f"waiting: {why}", 30), transform=ax.transAxes, ha="center", va="center", fontsize=8
        )
    elif done < len(wanted):
        title += f"\npending: {done} of {len(wanted)} measured"
    ax.set_title(title, fontsize=10)
    if ax.get_xscale() == "log":
        ax.xaxis.set_minor_formatter("")


def legend(figure, *axes):
    """One legend below the panels, each label once."""
    found = {}
    for ax in axes:
        found |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels()) if label not in found}
    if found:
        columns = max(1, min(4, 75 // (max(map(len, found)) + 8)))
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns, fontsize=8)


def wanted_of(network, *which):
    return [] if arrays.waiting(network) else order.wanted(which, [network])


def each_network(networks, draw, *which, told=True, **layout):
    """A panel for each network, drawn by draw(ax, network), with what is missing of experiments and one legend.

    draw may return a second axis, of which the legend is to tell too. layout: see `canvas`.
    """
    figure, axes = canvas(len(networks), **layout)
    right = []
    for ax, network in zip(axes, networks):
        right.append(draw(ax, network))
        mark(ax, network, wanted_of(network, *which))
    if told:
        legend(figure, *axes, *filter(None, right))
    return figure


def two_each(networks, draw, *which):
    """A panel for what is trained and one for its sharpness of each network, drawn by draw(left, right, network)."""
    figure, axes = canvas(2 * len(networks))
    for network, pair in zip(networks, zip(axes[::2], axes[1::2])):
        draw(*pair, network)
        for ax, kind in zip(pair, ("train", "sharpness")):
            mark(ax, network, [u for u in wanted_of(network, *which) if u["kind"] == kind])
    legend(figure, *axes)
    return figure


def along_path(ax, found, what, color):
    for split in DASH if found else ():
        for i, curve in enumerate(found[f"{split}_{what}"]):
            label = f"{what}, {split}" if i == 0 else None
            ax.plot(found["alpha"], curve, DASH[split], color=color, lw=1, alpha=0.8, label=label)


def mark_ends(ax, ends):
    for alpha, name in enumerate(ends):
        ax.axvline(alpha, color=COLOR[name[:2]], lw=1, ls=":" if name[:2] == "LB" else "-")
        ax.text(alpha, 1.0, f" {name}", color=COLOR[name[:2]], transform=ax.get_xaxis_transform(), va="top", fontsize=8)


def paths(panels, columns: int = 2):
    """A panel each as the paper has it: loss on the left axis, accuracy on the right; train solid, test dashed, all
    pairs.

    panels: (title, network, runs at alpha 0, runs at alpha 1, kind, settings of the unit, names of the ends).
    """
    figure, axes = canvas(len(panels), columns)
    right = []
    for k, (ax, (title, network, small, large, kind, settings, ends)) in enumerate(zip(axes, panels)):
        found = arrays.paths(small, large, **settings).get(kind)
        right.append(ax.twinx())
        along_path(ax, found, "loss", LOSS_COLOR)
        along_path(right[-1], found, "accuracy", ACCURACY_COLOR)
        mark_ends(ax, ends)
        ax.set(title=title, xlabel="alpha" if k + columns >= len(panels) else None, xlim=(-1, 2))
        ax.set_ylabel("cross-entropy" if k % columns == 0 else None)
        ax.set_ylim(bottom=0)
        right[-1].set(ylim=(0, 102), ylabel="accuracy (%)" if k % columns == columns - 1 else None)
        right[-1].tick_params(colors=ACCURACY_COLOR)
        mark(ax, network, [units.path(*pair, kind, **settings) for pair in zip(small, large)])
    legend(figure, *axes, *right)
    return figure


def against_batch(ax, network, measured):
    """Accuracy on the left axis and sharpness on the right against the batch size; a dot a trial.

    measured(what): the sizes (K,), and what(runs) there (K, T).
    """
    right = ax.twinx()
    sizes, accuracy = measured(arrays.final)
    sharpness = {e: measured(lambda runs: arrays.sharpness(runs, e)) for e in STYLE}
    if len(sizes):
        ax.plot(np.repeat(sizes, accuracy.shape[1]), accuracy.ravel(), "o", color=COLOR["SB"], ms=3, alpha=0.6)
        ax.plot(sizes, np.nanmean(accuracy, 1), "-o", color=COLOR["SB"], ms=5, label="test accuracy")
    for epsilon, (at, values) in sharpness.items():
        if len(at):
            right.plot(np.repeat(at, values.shape[1]), values.ravel(), "s", color=COLOR["LB"], ms=2.5, alpha=0.6)
            style = look("LB", ls=STYLE[epsilon], mfc=FILL[epsilon], label=f"sharpness, epsilon {epsilon:g}")
            right.plot(at, np.exp(np.nanmean(np.log(values), 1)), **style)
            right.set_yscale("log")
    if len(sizes) or any(len(at) for at, _ in sharpness.values()):
        ax.set_xscale("log")
    ax.tick_params(axis="y", colors=COLOR["SB"])
    right.tick_params(axis="y", which="both", colors=COLOR["LB"])
    last = ax.get_subplotspec().colspan.start == 1
    ax.set(title=network, xlabel="batch size", ylabel=None if last else "test accuracy (%)")
    right.set_ylabel("sharpness" if last else None)
    return right
