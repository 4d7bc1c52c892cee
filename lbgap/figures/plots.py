"""The paper's figures, and those of the controls, in matplotlib: shape and dash as well as colour, on opaque white."""

from __future__ import annotations

import functools
import math
import textwrap

import numpy as np

from .. import machine
from ..campaign import experiments, order, scales, units
from ..campaign.scales import LABS, PAPER
from ..results import arrays
from .controls import LOSS as FITTED
from .controls import chosen_rates, each_trial, networks_of, on_validation, rate_runs
from .tables import epsilon_at_rise
from .words import ARMS, Networks, Text, ended, known, names, number, plural

COLOR = {"SB": "#123f73", "LB": "#c1440e"}
MARK = {"SB": "o", "LB": "s"}  # shape as well as colour
DASH = {"train": "-", "test": "--"}
LOSS, ACCURACY = "#222222", "#9a5fb5"
LINE = {"SB": "-", "LB": "--"}
STYLE = {1e-3: "-", 5e-4: "--"}
FILL = {1e-3: None, 5e-4: "white"}


def look(arm: str, **more) -> dict:
    """How an arm's line is drawn, as keywords of `plot`: its colour, mark and line; `more` goes over these."""
    return {"color": COLOR[arm], "marker": MARK[arm], "ls": LINE[arm], "ms": 4, **more}


def _axes(count, columns=2, height=2.7):
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


def _mark(ax, network, wanted):
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


def _legend(figure, *axes):
    """One legend below the panels, each label once."""
    found = {}
    for ax in axes:
        found |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels()) if label not in found}
    if found:
        columns = max(1, min(4, 75 // (max(map(len, found)) + 8)))
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns, fontsize=8)


def _wanted(network, *which):
    return [] if arrays.waiting(network) else order.wanted(which, [network])


def _panels(networks, draw, *which, legend=True, **layout):
    """A panel for each network, drawn by draw(ax, network), with what is missing of experiments and one legend.

    draw may return a second axis, of which the legend is to tell too. layout: see `_axes`.
    """
    figure, axes = _axes(len(networks), **layout)
    right = []
    for ax, network in zip(axes, networks):
        right.append(draw(ax, network))
        _mark(ax, network, _wanted(network, *which))
    if legend:
        _legend(figure, *axes, *filter(None, right))
    return figure


def _two_panels(networks, draw, *which):
    """A panel for what is trained and one for its sharpness of each network, drawn by draw(left, right, network)."""
    figure, axes = _axes(2 * len(networks))
    for network, pair in zip(networks, zip(axes[::2], axes[1::2])):
        draw(*pair, network)
        for ax, kind in zip(pair, ("train", "sharpness")):
            _mark(ax, network, [u for u in _wanted(network, *which) if u["kind"] == kind])
    _legend(figure, *axes)
    return figure


# -- Figs. 1 to 3 and 7
# -------------------------------------------------------------------------------------------------


def fig1():
    """Fig. 1: a flat and a sharp minimum of one curve; the test curve is the same, a little to the side."""
    f = lambda x: 1 - np.exp(-((x + 2) ** 2) / 2.4) - 0.99 * np.exp(-((x - 2.6) ** 2) / 0.09)
    x = np.linspace(-5, 5, 800)
    figure, (ax,) = _axes(1, 1, 3.2)
    shift = 0.35
    ax.plot(x, f(x), "k-", label="training function f")
    ax.plot(x, f(x - shift), "k--", label="testing function, shifted")
    for arm, at, name in (("SB", -2.0, "flat minimum"), ("LB", 2.6, "sharp minimum")):
        ax.plot([at, at], [f(at), f(at - shift)], color=COLOR[arm], lw=3)
        ax.plot(at, f(at), MARK[arm], color=COLOR[arm])
        ax.text(at, -0.08, f"{name}: rises by {f(at - shift) - f(at):.2f}", ha="center", va="top", color=COLOR[arm])
    ax.set(xlabel="x, one variable", ylabel="loss", ylim=(-0.25, 1.3))
    ax.set_title("Fig. 1, computed: the same shift, two prices")
    ax.legend(loc="upper center", ncols=2, fontsize=8)
    return figure


def fig2(networks: Networks = "F1", **settings):
    """Fig. 2's curves: train and test accuracy by epoch, every trial thin, the mean thick. settings: those of the runs.

    The first tenth of the epochs may lie below the picture.
    """
    figure, axes = _axes(2 * len(names(networks)))
    for network, pair in zip(names(networks), zip(axes[::2], axes[1::2])):
        runs = arrays.pairs(network, **settings)
        for ax, split in zip(pair, ("train", "test")):
            late = []
            for arm in ARMS:
                curves = arrays.curves_of(runs[arm], f"{split}_accuracy")
                for at, c in curves:
                    ax.plot(at, c, DASH[split], color=COLOR[arm], alpha=0.25, lw=0.7)
                    late.append(c[at > at[-1] / 10])
                if curves:
                    epochs = functools.reduce(np.intersect1d, [at for at, _ in curves])  # measured in every trial
                    mean = np.mean([c[np.isin(at, epochs)] for at, c in curves], 0)
                    style = look(arm, ls=DASH[split], ms=None, markevery=max(1, len(mean) // 5))
                    ax.plot(epochs, mean, **style, label=f"{arm}, {plural(len(curves))}")
            ax.set(title=f"{network}, {split}", xlabel="epoch", ylabel="accuracy (%)")
            if late:
                low, high = min(map(np.nanmin, late)), max(map(np.nanmax, late))
                room = 0.05 * (high - low) or 0.1
                ax.set_ylim(low - room, high + room)
                ax.legend(fontsize=8)
            _mark(ax, network, [units.train(of) for arm in ARMS for of in runs[arm]])
    return figure


def path(kind: str = "linear", network: str = "F1"):
    """Figs. 3 and 7 for one network, loss and accuracy in a panel each; train solid, test dashed, all trials."""
    figure, axes = _axes(2, height=3.0)
    runs = arrays.pairs(network)
    found = arrays.paths(*runs.values()).get(kind)
    for ax, what, label in zip(axes, ("loss", "accuracy"), ("cross-entropy", "accuracy (%)")):
        _along(ax, found, what, LOSS if what == "loss" else ACCURACY)
        _ends(ax, ARMS)
        ax.set(xlabel="alpha", ylabel=label, title=f"{network}, {kind}, {what}")
        _mark(ax, network, [units.path(*pair, kind) for pair in zip(*runs.values())])
    _legend(figure, *axes)
    return figure


def _along(ax, found, what, color):
    for split in DASH if found else ():
        for i, curve in enumerate(found[f"{split}_{what}"]):
            label = f"{what}, {split}" if i == 0 else None
            ax.plot(found["alpha"], curve, DASH[split], color=color, lw=1, alpha=0.8, label=label)


def _ends(ax, ends):
    for alpha, name in enumerate(ends):
        ax.axvline(alpha, color=COLOR[name[:2]], lw=1, ls=":" if name[:2] == "LB" else "-")
        ax.text(alpha, 1.0, f" {name}", color=COLOR[name[:2]], transform=ax.get_xaxis_transform(), va="top", fontsize=8)


def paths(panels, columns: int = 2):
    """A panel each as the paper has it: loss on the left axis, accuracy on the right; train solid, test dashed, all
    pairs.

    panels: (title, network, runs at alpha 0, runs at alpha 1, kind, settings of the unit, names of the ends).
    """
    figure, axes = _axes(len(panels), columns)
    right = []
    for k, (ax, (title, network, small, large, kind, settings, ends)) in enumerate(zip(axes, panels)):
        found = arrays.paths(small, large, **settings).get(kind)
        right.append(ax.twinx())
        _along(ax, found, "loss", LOSS)
        _along(right[-1], found, "accuracy", ACCURACY)
        _ends(ax, ends)
        ax.set(title=title, xlabel="alpha" if k + columns >= len(panels) else None, xlim=(-1, 2))
        ax.set_ylabel("cross-entropy" if k % columns == 0 else None)
        ax.set_ylim(bottom=0)
        right[-1].set(ylim=(0, 102), ylabel="accuracy (%)" if k % columns == columns - 1 else None)
        right[-1].tick_params(colors=ACCURACY)
        _mark(ax, network, [units.path(*pair, kind, **settings) for pair in zip(small, large)])
    _legend(figure, *axes, *right)
    return figure


def fig3(networks: Networks = PAPER, kind: str = "linear", trials=None, **settings):
    """Fig. 3: f and accuracy on the line through SB and LB. settings: those of the runs, variant="text", dropout=False,
    ..."""
    runs = {network: arrays.pairs(network, trials, **settings).values() for network in names(networks)}
    return paths([(network, network, *pair, kind, {}, ARMS) for network, pair in runs.items()])


def fig7(networks: Networks = PAPER):
    """Fig. 7: the same on the curve sin(alpha pi/2) x_LB + cos(alpha pi/2) x_SB."""
    return fig3(networks, "curvilinear")


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


# -- Figs. 4 to 6 ------------------------------------------------------------------------------------------------------


def _against_batch(ax, network, measured):
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


def fig4(networks: Networks = PAPER):
    """Fig. 4: test accuracy (left axis) and sharpness (right) against the batch size; dots are trials, lines their
    means."""

    def draw(ax, network):
        return _against_batch(ax, network, lambda what: arrays.sweep(what, network, scales.scale().trials))

    return _panels(names(networks), draw, "table2", "table3", "fig4", "fig4_whole")


def laboratory(networks: Networks = LABS):
    """The one-minute laboratory: test accuracy and sharpness against the batch size; dots are trials, lines their
    means."""
    sizes = list(scales.scale().laboratory)

    def draw(ax, network):
        return _against_batch(ax, network, lambda what: arrays.there(sizes, arrays.laboratory(what, [network])[0]))

    return _panels(names(networks), draw, "laboratory")


LANDING = {"mlp": "without batch norm", "mlp-bn": "with batch norm"}


def landing():
    """The landing page's picture, which can be moved: the laboratory's accuracy and sharpness against the batch size.

    `where_ended` is its caption. Redraw the README's from it with
    `pathlib.Path("book/images/phenomenon.png").write_bytes(figures.landing().png())`.
    """
    from ..explorers import BatchSizeExplorer

    return BatchSizeExplorer(
        scales.scale().laboratory,
        arrays.laboratory(arrays.final),
        arrays.laboratory(lambda runs: arrays.sharpness(runs, 1e-3)),
        arms=tuple(LANDING.values()),
        title="A small network on 1,000 digits",
    )


def where_ended(networks: Networks = LABS) -> Text:
    """The landing page's caption: at which f the laboratory's runs ended, and whether that is one training loss."""
    said, s = [], scales.scale()
    for network in names(networks):
        runs = {b: [scales.laboratory(network, b, t) for t in s.trials] for b in s.laboratory}
        f = {f"batch {b:,}": FITTED["training loss"](of) for b, of in runs.items()}
        said.append(f"{LANDING[network]}, {ended(f)}")
    told = ". ".join(words[0].upper() + words[1:] for words in said)
    return Text(f"How far was each batch size trained? f is the loss over the whole training set. {told}.")


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

    return _two_panels(names(networks), draw, "fig5", "fig5_controls")


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

    return _panels(names(networks), draw, "fig6")


# -- what lies behind --------------------------------------------------------------------------------------------------


def spectrum(networks: Networks = None, width: float = 0.15):
    """The Hessian's eigenvalues: their density, smoothed by Gaussians on the axis that is drawn, both ends marked.

    The axis is linear round 0 and logarithmic outside; width: of the Gaussians, in units of arcsinh(value / linear
    part).
    """

    def draw(ax, network):
        runs = arrays.pairs(network, arrays.trials("spectrum"))
        found = {arm: [r for r in arrays.each(units.spectrum, runs[arm]) if r] for arm in ARMS}
        largest = max([r["top"][0] for of in found.values() for r in of], default=1.0)
        linear = abs(largest) / 1e4 or 1.0
        for arm, of in found.items():
            for r in of:
                u, density = smoothed(np.arcsinh(np.array(r["nodes"]) / linear), np.array(r["weights"]), width)
                ax.plot(linear * np.sinh(u), density, LINE[arm], color=COLOR[arm], lw=1.3, label=arm)
                low = "most negative" if r["bottom"] < 0 else "smallest"
                for end, words in ((r["bottom"], low), (r["top"][0], "largest")):
                    label = f"{arm}: {words} {number(end, 3)}"
                    ax.plot(end, 1e-5, MARK[arm], color=COLOR[arm], clip_on=False, zorder=5, label=label)
        ax.set(title=network, xlabel="eigenvalue of the Hessian", ylabel="density", ylim=(1e-5, 10), yscale="log")
        if any(found.values()):
            ax.set_xscale("asinh", linear_width=linear)
            ax.legend(fontsize=8)

    return _panels(networks_of("spectrum", networks), draw, "spectrum", legend=False, columns=1, height=2.4)


def smoothed(nodes, weights, width: float, points=600):
    """A density (points,) over a grid u (points,): Gaussians of one width at the nodes, of mass their weights."""
    u = np.linspace(nodes.min() - 4 * width, nodes.max() + 4 * width, points)
    bells = np.exp(-(((u[:, None] - nodes) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
    return u, bells @ weights


def directions(networks: Networks = None):
    """The end of Section 2.2.2: the rise of f along random and along the Hessian's directions, sorted, and 5 % of the
    largest."""

    def draw(ax, network):
        for arm, runs in arrays.pairs(network, arrays.trials("directions")).items():
            for r in filter(None, arrays.each(units.directions, runs)):
                largest = max(v for what in ("random", "hessian") for v in r[what])
                for what, style in (("hessian", "-"), ("random", "--")):
                    rises = np.sort(r[what])[::-1]
                    at = np.arange(1, len(rises) + 1)
                    ax.plot(at, rises, **look(arm, ls=style, ms=3, lw=1), label=f"{arm}, {what}")
                ax.axhline(0.05 * largest, color=COLOR[arm], lw=0.8, ls=":", label=f"{arm}, 5 % of the largest")
                ax.set_yscale("symlog", linthresh=0.01)
        ax.set(title=network, xlabel="direction, by its rise", ylabel="rise, as Metric 2.1")

    return _panels(networks_of("directions", networks), draw, "directions")


def learning_rates(networks: Networks = None):
    """Accuracy on the validation split and sharpness against the learning rate; the rate chosen on that split is
    ringed."""

    def draw(left, right, network):
        runs = rate_runs(network)
        rates = list(runs)
        chosen = chosen_rates(network) or {}
        for arm in ARMS:
            values = _means(arrays.final(on_validation(runs[lr][arm])) for lr in rates)
            sharp = _means(arrays.sharpness(runs[lr][arm], 1e-3) for lr in rates)
            if len(known(sharp)):
                right.set_yscale("log")
            for ax, y in ((left, values), (right, sharp)):
                ax.plot(rates, y, **look(arm), label=arm)
                if arm in chosen:
                    k = rates.index(chosen[arm])
                    ax.plot(rates[k], y[k], "o", ms=11, mfc="none", color=COLOR[arm])
        for ax, what in ((left, "validation accuracy (%)"), (right, "sharpness")):
            ax.set(xscale="log", title=f"{network}, {what}", xlabel="learning rate")

    return _two_panels(networks_of("learning_rates", networks), draw, "learning_rates")


def _means(arrays):
    return np.array([known(values).mean() if len(known(values)) else np.nan for values in arrays])


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

    return _panels(networks_of("noise_scale", networks), draw, "noise_scale")


def epsilon_grid(networks: Networks = None, rise: float = 0.1):
    """How far f rises in the box by epsilon, every trial, and where it has risen by 0.1; float32 sees nothing in the
    grey."""

    def draw(ax, network):
        at_rise = epsilon_at_rise(network, rise)
        floor = []
        for arm, runs in arrays.pairs(network, arrays.trials("epsilon_grid")).items():
            for i, of in enumerate(runs):
                if held := arrays.entries(of, grid_first=True):
                    rises = [v["fmax"] - v["f0"] for v in held.values()]
                    ax.plot(list(held), rises, **look(arm, ms=3, lw=1), label=arm)
                    ax.plot(at_rise[arm][i], rise, MARK[arm], ms=9, mfc="none", color=COLOR[arm])
                    ax.set(xscale="log", yscale="log")
                    floor += [1e-7 * v["f0"] for v in held.values()]
        if floor:
            low = ax.get_ylim()[0]
            ax.axhline(rise, color="k", lw=0.8, ls=":", label=f"f rises by {rise:g}")
            if max(floor) > low:
                ax.axhspan(low, max(floor), color="0.85", label="float32's floor")
        ax.set(title=network, xlabel="epsilon", ylabel="greatest rise of f in the box")

    return _panels(networks_of("epsilon_grid", networks), draw, "epsilon_grid")
