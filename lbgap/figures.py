"""The paper's tables and figures from the stored results, beside the paper's own numbers, each with its verdict."""

from __future__ import annotations

import numpy as np
from scipy import stats

from . import experiments, paper, stored, units

ARMS = ("SB", "LB")
COLOR = {"SB": "#1f6fb4", "LB": "#c1440e"}
MARK = {"SB": "o", "LB": "s"}  # shape as well as colour
DASH = {"train": "-", "test": "--"}
KEY = {1e-3: "1e-3", 5e-4: "5e-4"}  # of the paper's tables


class Text:
    """Markdown that shows itself in a notebook and prints itself elsewhere."""

    def __init__(self, text: str):
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


# -- statistics (controls.md of the project: intervals and all points, never p alone) ---------------------------------


def known(values) -> np.ndarray:
    """The values that are not NaN."""
    values = np.asarray(values, float)
    return values[~np.isnan(values)]


def spread(values, digits=2) -> str:
    """mean ± standard deviation (ddof 1) in words; "pending" with no value, no deviation with one."""
    values = known(values)
    if not len(values):
        return "pending"
    deviation = f" ± {number(values.std(ddof=1), digits)}" if len(values) > 1 else ""
    return number(values.mean(), digits) + deviation


def percent(values) -> str:
    """`spread` with a percent sign, where there is a value."""
    return spread(values) + (" %" if len(known(values)) else "")


def number(value: float, digits: int = 2) -> str:
    """A number with so many decimals, or three significant digits where that would show none."""
    return f"{value:,.{digits}f}" if abs(value) >= 10.0**-digits or value == 0 else f"{value:.2g}"


def welch(mean_a, sd_a, n_a, mean_b, sd_b, n_b, level=0.95) -> tuple[float, float]:
    """The confidence interval of mean_a - mean_b by Welch's t, from summaries, as the paper gives them."""
    a, b = sd_a**2 / n_a, sd_b**2 / n_b
    if a + b == 0:
        return mean_a - mean_b, mean_a - mean_b
    df = (a + b) ** 2 / (a**2 / (n_a - 1) + b**2 / (n_b - 1))
    half = stats.t.ppf((1 + level) / 2, df) * (a + b) ** 0.5
    return mean_a - mean_b - half, mean_a - mean_b + half


def difference(a, b) -> tuple[float, tuple[float, float] | None]:
    """mean a - mean b and its 95 % interval by Welch's t; no interval when either has fewer than two values."""
    a, b = known(a), known(b)
    if min(len(a), len(b)) < 2:
        return (a.mean() - b.mean() if len(a) and len(b) else np.nan), None
    return a.mean() - b.mean(), welch(a.mean(), a.std(ddof=1), len(a), b.mean(), b.std(ddof=1), len(b))


def _interval(low, high, digits=2):
    return f"95 % interval {number(low, digits)} to {number(high, digits)}"


def _trials(*arrays):
    n = min(len(known(a)) for a in arrays)
    return f"{n} trial{'' if n == 1 else 's'}" + ("" if n >= 5 else f" of {len(arrays[0])}, the others pending")


def _table(head, rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# -- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(networks=("F1",)) -> Text:
    """Table 2: train and test accuracy, SB against LB: ours (recalibrated batch norm) beside the paper's."""
    rows = []
    for network in networks:
        runs = stored.pairs(network)
        for split in ("train", "test"):
            cells = []
            for arm in ARMS:
                mean, sd = paper.numbers()["table2"][network][split][arm]
                cells += [percent(stored.final(runs[arm], split)), f"{mean} ± {sd} %"]
            rows.append([network, split, *cells])
    return Text(_table(["network", "accuracy", "SB, ours", "SB, paper", "LB, ours", "LB, paper"], rows))


def verdict2(network="F1") -> Text:
    """What our Table 2 says of the paper's gap, in words, with intervals."""
    small, large = (stored.final(stored.pairs(network)[arm]) for arm in ARMS)
    gap, interval = difference(small, large)
    table = paper.numbers()["table2"][network]["test"]
    theirs = table["SB"][0] - table["LB"][0]
    their_interval = welch(*table["SB"], 5, *table["LB"], 5)
    if np.isnan(gap):
        return Text(f"**Verdict: pending.** No pair of {network} is stored yet.")
    said = f"{_trials(small, large)}: the small batch is ahead by {number(gap)} points of test accuracy"
    if interval is None:
        return Text(f"**Verdict: open.** {said}; the paper has {number(theirs)}. One trial gives no interval.")
    low, high = interval
    word = "reproduced" if low > 0 else "reversed" if high < 0 else "not settled"
    meets = low <= their_interval[1] and their_interval[0] <= high
    return Text(
        f"**Verdict: the gap is {word}.** {said} ({_interval(low, high)}). The paper has {number(theirs)} "
        f"({_interval(*their_interval)}, from its means and deviations): the two intervals {'meet' if meets else 'do not meet'}. "
        f"All trials, SB: {_points(small)}; LB: {_points(large)}.")


def _points(values, digits=2):
    return ", ".join(number(v, digits) for v in known(values)) or "none"


def modes2(network="F1") -> Text:
    """Test accuracy under each way to normalise in evaluation."""
    runs, rows = stored.pairs(network), []
    for mode, words in (("recalibrated", "recalibrated on the training set"), ("batch", "the test batch's own statistics"),
                        ("frozen", "running averages from training")):
        small, large = (stored.final(runs[arm], "test", mode) for arm in ARMS)
        gap = difference(small, large)[0]
        rows.append([words, percent(small), percent(large), "pending" if np.isnan(gap) else number(gap)])
    return Text(_table(["batch norm in evaluation", "SB", "LB", "gap, points"], rows))


def distances(network="F1") -> Text:
    """Section 3: how far SB and LB went from their common start, and the null of a random walk."""
    runs = stored.pairs(network)
    small, large = (stored.distance(runs[arm]) for arm in ARMS)
    if not len(known(small * large)):
        return Text(f"**Verdict: pending.** No pair of {network} is stored yet.")
    ratio = known(small / large)
    walk = (units.scale().large[network] / units.scale().small) ** 0.5
    null = f" A random walk that takes as many steps would give {number(walk, 1)}."
    inside = bool(((ratio >= 3) & (ratio <= 10)).all())
    return Text(
        f"**Verdict: {'inside' if inside else 'outside'} the paper's range.** SB ends {spread(small, 1)} from the start, "
        f"LB {spread(large, 1)} ({_trials(small, large)}): a ratio of {spread(ratio)}. The paper says 3 to 10.{null}")


# -- Tables 3 and 4 ---------------------------------------------------------------------------------------------------


def _sharpness_table(table, network, **settings):
    rows, runs = [], stored.pairs(network)
    for epsilon, key in KEY.items():
        for arm in ARMS:
            mean, sd = paper.numbers()[table][network][key][arm]
            best = stored.sharpness(runs[arm], epsilon, **settings)
            literal = stored.sharpness(runs[arm], epsilon, solver="literal", **settings)
            first = stored.sharpness(runs[arm], epsilon, "first_order", **settings)
            rows.append([network, key, arm, spread(best), spread(literal), f"{mean} ± {sd}", spread(first)])
    head = ["network", "epsilon", "", "ours, `best`", "ours, `literal`", "paper", "of `best`, gradient alone"]
    return Text(_table(head, rows))


def table3(network="F1") -> Text:
    """Table 3: sharpness in the full space."""
    return _sharpness_table("table3", network)


def table4(network="F1") -> Text:
    """Table 4: sharpness in random subspaces of dimension 100."""
    return _sharpness_table("table4", network, subspace=100)


def verdict3(network="F1", table="table3", **settings) -> Text:
    """What our Table 3 (or 4) says of the paper's claim, on a log scale, Holm-corrected over its two cells."""
    runs, lines, settled, p_values = stored.pairs(network), [], [], []
    for epsilon, key in KEY.items():
        small, large = (stored.sharpness(runs[arm], epsilon, **settings) for arm in ARMS)
        theirs = paper.numbers()[table][network][key]
        their_ratio = theirs["LB"][0] / theirs["SB"][0]
        if not len(known(small)) or not len(known(large)):
            lines.append(f"At epsilon {key}: pending (the paper's ratio of means is {number(their_ratio, 1)}).")
            continue
        log, interval = difference(np.log(known(large)), np.log(known(small)))
        text = f"At epsilon {key}, LB is {number(np.exp(log), 1)} times as sharp as SB"
        if interval:
            text += f" ({_interval(*np.exp(interval), 1)})"
            settled.append(interval[0] > 0)
            p_values.append(stats.ttest_ind(np.log(known(large)), np.log(known(small)), equal_var=False).pvalue)
        lines.append(f"{text}; in the paper, {number(their_ratio, 1)} times. SB: {_points(small)}; LB: {_points(large)}.")
    holm = all(p * (len(p_values) - i) < 0.05 for i, p in enumerate(sorted(p_values)))
    if not settled:
        word = "open"
    elif all(settled):
        word = "reproduced" if holm else "reproduced in each cell, but not after Holm's correction"
    else:
        word = "not reproduced"
    small, large = (stored.sharpness(runs[arm], 1e-3, **settings) for arm in ARMS)
    return Text(f"**Verdict: {word}** ({_trials(small, large)}; {len(KEY)} comparisons). " + " ".join(lines))


def solvers(network="F1", epsilon=1e-3) -> Text:
    """The solver story: what SciPy's ten iterations find, at three scalings, beside `best`."""
    runs, rows = stored.pairs(network), []
    for name, settings in (("`best`", {}), ("`literal`, scale 1", {"solver": "literal"}),
                           ("`literal`, the metric itself", {"solver": "literal", "scale": "metric"}),
                           ("`literal`, scale 10,000", {"solver": "literal", "scale": 1e4})):
        small, large = (stored.sharpness(runs[arm], epsilon, **settings) for arm in ARMS)
        ratio = known(large / small)
        rows.append([name, spread(small), spread(large),
                     f"{number(np.exp(np.log(ratio).mean()), 1)} times" if len(ratio) and (ratio > 0).all() else "pending",
                     str(min(len(known(small)), len(known(large))))])
    return Text(_table(["solver", "SB", "LB", "LB / SB", "trials"], rows))


def starts(network="F1", epsilon=1e-3) -> Text:
    """How far `best` comes from each of its starts, before the best one goes on; mean over the trials."""
    runs, rows = stored.pairs(network), []
    found = {arm: [e["by_start"] for of in runs[arm] if (e := stored.entry(of, epsilon))] for arm in ARMS}
    for name, words in (("zero", "the centre, along the gradient"), ("sign", "the corner the gradient points to"),
                        ("random 0", "a random position"), ("wide", "down from boxes 8, 4 and 2 times as wide")):
        rows.append([words, *(spread([by[name] for by in found[arm]]) for arm in ARMS)])
    best = {arm: stored.sharpness(runs[arm], epsilon) for arm in ARMS}
    rows.append(["**the best of them, gone on**", *(spread(best[arm]) for arm in ARMS)])
    return Text(_table(["start", "SB", "LB"], rows))


def solver_verdict(network="F1", epsilon=1e-3) -> Text:
    """How much of the sharpness that `best` finds SciPy's ten iterations reach, and whether the ranking survives."""
    runs = stored.pairs(network)
    best = {arm: stored.sharpness(runs[arm], epsilon) for arm in ARMS}
    literal = {arm: stored.sharpness(runs[arm], epsilon, solver="literal") for arm in ARMS}
    share = {arm: known(100 * literal[arm] / best[arm]) for arm in ARMS}
    if not all(map(len, share.values())):
        return Text("**Verdict: pending.** The `literal` solves are not stored yet.")
    flips = known((literal["LB"] < literal["SB"]).astype(float)[~np.isnan(literal["LB"] * literal["SB"])])
    return Text(
        f"**Verdict: {'the literal metric turns the ranking round' if flips.all() else 'the ranking survives'}"
        f"{'' if flips.all() or not flips.any() else ' in some trials only'}.** At epsilon {epsilon:g}, ten iterations as they stand reach "
        f"{spread(share['SB'])} % of what `best` finds for SB and {spread(share['LB'], 3)} % for LB "
        f"({_trials(best['LB'], literal['LB'])}); LB comes out flatter than SB in {int(flips.sum())} of {len(flips)}.")


# -- matplotlib -------------------------------------------------------------------------------------------------------


def _axes(columns=1, height=3.4):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, columns, figsize=(6.4, height), facecolor="white", layout="constrained", squeeze=False)
    for ax in axes[0]:
        ax.set_facecolor("white")  # opaque, so that it reads in dark mode
        ax.grid(alpha=0.3)
    plt.close(figure)  # a notebook shows what a cell returns, and would show an open figure a second time
    return figure, axes[0]


def fig1():
    """Fig. 1: a flat and a sharp minimum of one curve; the test curve is the same, a little to the side."""
    f = lambda x: 1 - np.exp(-((x + 2) ** 2) / 2.4) - 0.99 * np.exp(-((x - 2.6) ** 2) / 0.09)
    x = np.linspace(-5, 5, 800)
    figure, (ax,) = _axes()
    shift = 0.35
    ax.plot(x, f(x), "k-", label="training function f")
    ax.plot(x, f(x - shift), "k--", label="testing function, shifted")
    for arm, at, name in (("SB", -2.0, "flat minimum"), ("LB", 2.6, "sharp minimum")):
        ax.plot([at, at], [f(at), f(at - shift)], color=COLOR[arm], lw=3)
        ax.plot(at, f(at), MARK[arm], color=COLOR[arm])
        ax.text(at, -0.08, f"{name}: rises by {f(at - shift) - f(at):.2f}", ha="center", va="top", color=COLOR[arm])
    ax.set(xlabel="x, one variable", ylabel="loss", title="Fig. 1, computed: the same shift, two prices",
           ylim=(-0.25, 1.3))
    ax.legend(loc="upper center", ncols=2, fontsize=8)
    return figure


def fig2(network="F1"):
    """Fig. 2's curves for a network: train and test accuracy by epoch, every trial thin, the mean thick."""
    figure, axes = _axes(2)
    runs = stored.pairs(network)
    for ax, split in zip(axes, ("train", "test")):
        for arm in ARMS:
            curves = stored.history(runs[arm], f"{split}_accuracy")
            for c in curves:
                ax.plot(np.arange(1, len(c) + 1), c, DASH[split], color=COLOR[arm], alpha=0.25, lw=0.7)
            if curves:
                mean = np.mean([c[: min(map(len, curves))] for c in curves], 0)
                ax.plot(np.arange(1, len(mean) + 1), mean, DASH[split], color=COLOR[arm], marker=MARK[arm],
                        markevery=20, label=f"{arm}, {len(curves)} trials")
        ax.set(title=f"{network}, {split}", xlabel="epoch", ylabel="accuracy (%)", ylim=(95, 100.1))
        if ax.get_legend_handles_labels()[1]:
            ax.legend(fontsize=8)
    return figure


def path(kind="linear", network="F1"):
    """Figs. 3 and 7: loss (left axis) and accuracy (right axis) along a path; train solid, test dashed, all trials."""
    figure, axes = _axes(2)
    found = stored.paths(*stored.pairs(network).values()).get(kind)
    for ax, what, label in zip(axes, ("loss", "accuracy"), ("cross-entropy", "accuracy (%)")):
        for split, color in (("train", "#333333"), ("test", "#8e44ad")):
            for curve in found[f"{split}_{what}"] if found else ():
                ax.plot(found["alpha"], curve, DASH[split], color=color, lw=1, label=split)
        for alpha, arm in ((0, "SB"), (1, "LB")):
            ax.axvline(alpha, color=COLOR[arm], lw=1)
            ax.text(alpha, 1.0, f" {arm}", color=COLOR[arm], transform=ax.get_xaxis_transform(), va="top")
        ax.set(xlabel="alpha", ylabel=label, title=f"{network}, {kind}, {what}")
        handles = dict(zip(*reversed(ax.get_legend_handles_labels())))
        if handles:
            ax.legend(handles.values(), handles.keys(), fontsize=8)
    return figure


def path_verdict(network="F1", step=0.5) -> Text:
    """How much f rises from either end, going outwards and inwards by `step` in alpha."""
    found = stored.paths(*stored.pairs(network).values())
    if not found:
        return Text(f"**Verdict: pending.** No path of {network} is stored yet.")
    lines, sharper = [], []
    for kind, p in found.items():
        at = lambda a: p["train_loss"][:, int(np.abs(p["alpha"] - a).argmin())]
        rise = {arm: (at(end - step) + at(end + step)) / 2 - at(end) for arm, end in (("SB", 0), ("LB", 1))}
        sharper.append(bool((rise["LB"] > rise["SB"]).all()))
        lines.append(f"{kind}: f rises by {spread(rise['SB'], 3)} round SB and by {spread(rise['LB'], 3)} round LB "
                     f"(mean of both sides, {step:g} away; {len(rise['SB'])} pair{'' if len(rise['SB']) == 1 else 's'})")
    word = "reproduced" if all(sharper) else "not reproduced on every path" if any(sharper) else "not reproduced"
    if min(len(p["train_loss"]) for p in found.values()) < 2:
        word = "open, with one pair"
    return Text(f"**Verdict: {word}.** " + "; ".join(lines) + ".")


# -- the laboratory, and what is done ---------------------------------------------------------------------------------


def laboratory_verdict(network: str, small_batch: int | None = None) -> Text:
    """A small against the largest batch of the one-minute laboratory: accuracy and sharpness with intervals, and epochs."""
    sizes = units.scale().laboratory
    small, large = ([units.laboratory(network, b, t) for t in units.scale().trials] for b in (small_batch or sizes[0], sizes[-1]))
    gap, interval = difference(stored.final(small), stored.final(large))
    log, log_interval = difference(*(np.log(stored.sharpness(runs, 1e-3)) for runs in (large, small)))
    if interval is None or log_interval is None:
        return Text(f"**Verdict: pending** for {network}.")
    low, high = interval
    gap_word = "a gap" if low > 0 else "a gap the other way" if high < 0 else "no gap that five trials can tell"
    sharp_word = "sharper" if log_interval[0] > 0 else "flatter" if log_interval[1] < 0 else "no sharper, as far as five trials tell"
    return Text(
        f"**Verdict, `{network}`: {gap_word}; the large batch is {sharp_word}.** Batch {small[0].batch_size:,} is ahead of batch "
        f"{large[0].batch_size:,} by {number(gap)} points ({_interval(low, high)}), and the large batch is {number(np.exp(log), 1)} times as "
        f"sharp ({_interval(*np.exp(log_interval), 1)}); {_trials(stored.final(small), stored.final(large))}. To reach the same loss "
        f"they took {spread(list(map(len, stored.history(small, 'distance'))), 0)} and "
        f"{spread(list(map(len, stored.history(large, 'distance'))), 0)} epochs.")


def progress(networks=experiments.CPU) -> Text:
    """Which experiments are done, and which are pending."""
    from .results import Store

    store, rows = Store(), []
    for name, experiment in experiments.EXPERIMENTS.items():
        wanted = experiments.wanted([name], networks)
        done = sum(unit in store for unit in wanted)
        if wanted:
            rows.append([experiment.title, f"{done} of {len(wanted)}", "done" if done == len(wanted) else "pending"])
    return Text(_table(["experiment, F1 and laboratory", "measurements", ""], rows))
