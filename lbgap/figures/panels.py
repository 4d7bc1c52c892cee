"""Panels, axes, marks and legends: shape and dash as well as colour, on opaque white."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import machine
from ..campaign import scales
from ..results import arrays
from .words import NOT_YET, Text

if TYPE_CHECKING:  # matplotlib is loaded when the first figure is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture: TypeAlias = "Figure | Text"  # a sentence where nothing is measured

COLOR = {"SB": "#123f73", "LB": "#c1440e"}
MARK = {"SB": "o", "LB": "s"}  # shape as well as colour
DASH = {"train": "-", "test": "--"}
LOSS_COLOR, ACCURACY_COLOR = "#222222", "#9a5fb5"
LINE = {"SB": "-", "LB": "--"}
STYLE = {1e-3: "-", 5e-4: "--"}
FILL = {1e-3: None, 5e-4: "white"}


def look(arm: str, **more: Any) -> dict:
    """How an arm's line is drawn, as keywords of `plot`: its colour, mark and line; `more` goes over these."""
    return {"color": COLOR[arm], "marker": MARK[arm], "ls": LINE[arm], "ms": 4, **more}


def canvas(count: int, columns: int = 2, height: float = 2.7) -> tuple[Figure, list[Axes]]:
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


def legend(figure: Figure, *axes: Axes) -> None:
    """One legend below the panels, each label once."""
    found = {}
    for ax in axes:
        found |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels()) if label not in found}
    if found:
        columns = max(1, min(4, 75 // (max(map(len, found)) + 8)))
        columns = math.ceil(len(found) / math.ceil(len(found) / columns))  # as few as the rows need
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns, fontsize=8)


def named(network: str) -> str:
    """A network in a title: what it is trained on, too, where that is not the paper's data."""
    return network + (f", on {scales.scale().datasets[network]}" if arrays.stand_in(network) else "")


def each(items: Iterable, draw: Callable, per: int = 1, told: bool = True, **layout: Any) -> Picture:
    """A figure of what is measured, with one legend; a sentence where nothing is.

    Args:
        items: networks, or whatever draw takes.
        draw: draw(*axes, item) draws an item on its `per` panels, and nothing where nothing is measured: a panel
            without data is left out. It may return a second axis, of which the legend is to tell too.
        per: panels of an item.
        told: whether there is a legend.
        layout: see `canvas`.
    """
    items = list(items)
    if not items:
        return NOT_YET
    figure, axes = canvas(per * len(items), **layout)
    groups = list(zip(*[iter(axes)] * per))
    right = [draw(*group, item) for group, item in zip(groups, items)]
    shown = lambda group, second: any(ax.has_data() for ax in (*group, second) if ax)
    there = [item for item, group, second in zip(items, groups, right) if shown(group, second)]
    if len(there) < len(items):
        return each(there, draw, per, told, **layout)
    for ax in axes:
        ax.set_title(ax.get_title(), fontsize=10)
        if ax.get_xscale() == "log":
            ax.xaxis.set_minor_formatter("")
        if not ax.has_data() and per > 1:
            ax.remove()
    if told:
        legend(figure, *axes, *filter(None, right))
    return figure


def along_path(ax: Axes, found: dict, what: str, color: str) -> None:
    """One of `arrays.paths`, "loss" or "accuracy", every pair: train solid, test dashed."""
    for split in DASH:
        for i, curve in enumerate(found[f"{split}_{what}"]):
            label = f"{what}, {split}" if i == 0 else None
            ax.plot(found["alpha"], curve, DASH[split], color=color, lw=1, alpha=0.8, label=label)


def mark_ends(ax: Axes, ends: tuple[str, str]) -> None:
    """Where a path's two minimisers lie, by name, on the side where the curves leave room."""
    for alpha, (name, side) in enumerate(zip(ends, ("left", "right"))):
        ax.axvline(alpha, color=COLOR[name[:2]], lw=1, ls=":" if name[:2] == "LB" else "-")
        style = {"color": COLOR[name[:2]], "ha": side, "va": "top", "fontsize": 8}
        ax.text(alpha, 0.9, f" {name} ", transform=ax.get_xaxis_transform(), **style)


def paths(panels: list[tuple], columns: int = 2) -> Picture:
    """A panel each as the paper has it: loss on the left axis, accuracy on the right; train solid, test dashed, all
    pairs.

    panels: (title, runs at alpha 0, runs at alpha 1, kind, settings of the unit, names of the ends).
    """
    shown = [p for p in panels if p[3] in arrays.paths(*p[1:3], **p[4])]

    def draw(ax, panel):
        title, small, large, kind, settings, ends = panel
        found, right, k = arrays.paths(small, large, **settings)[kind], ax.twinx(), shown.index(panel)
        along_path(ax, found, "loss", LOSS_COLOR)
        along_path(right, found, "accuracy", ACCURACY_COLOR)
        mark_ends(ax, ends)
        ax.set(title=title, xlabel="alpha" if k + columns >= len(shown) else None, xlim=(-1, 2))
        ax.set_ylabel("cross-entropy" if k % columns == 0 else None)
        ax.set_ylim(bottom=0)
        right.set(ylim=(0, 102), ylabel="accuracy (%)" if k % columns == columns - 1 else None)
        right.tick_params(colors=ACCURACY_COLOR)
        return right

    return each(shown, draw, columns=columns)


def against_batch(ax: Axes, network: str, measured: Callable) -> Axes:
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
    ax.set(title=named(network), xlabel="batch size", ylabel=None if last else "test accuracy (%)")
    right.set_ylabel("sharpness" if last or len(ax.figure.axes) == 2 else None)  # the second column, or a panel alone
    return right
