"""Few steep directions: the Hessian's eigenvalues where SB and LB ended, and the end of Section 2.2.2."""

from __future__ import annotations

import math

import numpy as np

from ..campaign import scales, units
from ..campaign.scales import LABS
from ..claims import Contrast
from ..results import arrays
from .comparisons import networks_of
from .panels import COLOR, LINE, MARK, Picture, each, look
from .statistics import correlation, ratio
from .words import ARMS, Networks, Text, by_network, dots, folded, interval, names, number, short, table, with_interval


def curved(network: str) -> dict[str, dict[str, np.ndarray]]:
    """Of each arm's minimisers (T,), NaN where there is none: the Hessian's largest, tenth and smallest eigenvalue, and
    the share in percent of all eigenvalues, by its density, along which f rises by 1 % or more of the largest rise."""
    share = lambda r: 100 * np.array(r["weights"])[np.array(r["nodes"]) >= 0.01 * r["top"][0]].sum()
    ends = {"largest": lambda r: r["top"][0], "tenth": lambda r: r["top"][-1], "smallest": lambda r: r["bottom"]}
    what = {**ends, "share": share}
    pairs = arrays.pairs(network).items()
    return {arm: {key: arrays.spectra(runs, value) for key, value in what.items()} for arm, runs in pairs}


def curvature(networks: Networks = LABS) -> Picture:
    """The ten largest eigenvalues of the Hessian where SB and LB ended, all trials."""

    def draw(ax, network):
        for arm, runs in arrays.pairs(network).items():
            for r in filter(None, arrays.each(units.spectrum, runs)):
                ax.plot(range(1, len(r["top"]) + 1), r["top"], **look(arm, ms=3, lw=0.8), label=arm)
        ax.set(title=network, xlabel="rank", ylabel="eigenvalue of the Hessian", yscale="log")

    return each(names(networks), draw)


def curvature_verdict(networks: Networks = LABS) -> Text:
    """How many directions are steep, and whether LB has the larger eigenvalues."""

    def sentence(network):
        of = curved(network)
        shares, first, tenth = (ratio(of["SB"][key], of["LB"][key]) for key in ("share", "largest", "tenth"))
        if not shares.n:
            return None
        strict = ratio(of["SB"]["largest"], of["LB"]["tenth"])
        below = -100 * float(np.nanmean(of["LB"]["smallest"] / of["LB"]["largest"]))
        small, large = scales.sizes(network)
        whose = f"LB's largest eigenvalue is {short(first.value)} times SB's"
        if first.interval and not first.side(1):
            whose = "the largest eigenvalues of the two are not told apart"
        share = {arm: short(np.nanmean(of[arm]["share"])) for arm in ARMS}
        return folded(
            f"{network} (SB {small:,}, LB {large:,}): f rises steeply along {share['SB']} % of the directions at SB and"
            f" along {share['LB']} % at LB; {whose}.",
            f"Trials: {shares.n}. LB's share is {with_interval(shares)} times SB's. LB's"
            f" largest eigenvalue is {number(first.value, 1)}"
            f" times SB's ({interval(first.interval, 1)}), its tenth {number(tenth.value, 1)} times SB's tenth"
            f" ({interval(tenth.interval, 1)}), and {number(strict.value)} times SB's largest, where the claim as"
            f" registered wants more than once. LB's most negative eigenvalue is {number(below, 1)} % of its largest in"
            " size: under 10 % is no saddle by our rule.",
        )

    return by_network(networks, sentence)


def metric_and_eigenvalue(runs: arrays.Runs) -> Contrast:
    """The rank correlation over minimisers of Metric 2.1 at epsilon 5e-4 with the Hessian's largest eigenvalue."""
    top = arrays.spectra(runs, lambda r: r["top"][0])
    for k in np.flatnonzero(np.isnan(top)):
        end = scales.iterate(runs[k], max(scales.scale().iterates))
        if arrays.epochs([runs[k]])[0] <= end.epochs:  # a run that ended before is at its minimiser there
            top[k] = (arrays.result(units.edge(end)) or {"plain": np.nan})["plain"]
    sharp = arrays.sharpness(runs, 5e-4)
    there = ~np.isnan(sharp * top)
    return correlation(sharp[there], top[there])


def metric_and_curvature(networks: Networks = LABS) -> Text:
    """Whether Metric 2.1 ranks the minimisers of one network as their largest eigenvalue does."""

    def sentence(network):
        runs = arrays.pairs(network)
        rho = metric_and_eigenvalue(runs["SB"] + runs["LB"])
        alone = ", ".join(f"{arm} {number(metric_and_eigenvalue(runs[arm]).value)}" for arm in ARMS)
        said = f"{network}: rank correlation {number(rho.value)} ({interval(rho.interval)}; {rho.n} minimisers)"
        return None if np.isnan(rho.value) else f"{said}; among those of one batch size alone, {alone}"

    return by_network(networks, sentence)


def spectrum(networks: Networks = None, width: float = 0.15) -> Picture:
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

    return each(networks_of("spectrum", networks), draw, told=False, columns=1, height=2.4)


def smoothed(nodes: np.ndarray, weights: np.ndarray, width: float, points: int = 200) -> np.ndarray:
    """A density (points,) over a grid u (points,): Gaussians of one width at the nodes, of mass their weights."""
    u = np.linspace(nodes.min() - 4 * width, nodes.max() + 4 * width, points)
    bells = np.exp(-(((u[:, None] - nodes) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
    return u, bells @ weights


def directions(networks: Networks = None) -> Picture:
    """The end of Section 2.2.2: the rise of f along random and along the Hessian's directions, sorted, and 5 % of the
    largest."""

    def draw(ax, network):
        for arm, runs in arrays.pairs(network, arrays.trials("directions")).items():
            for r in filter(None, arrays.each(units.directions, runs)):
                largest = max(v for what in ("random", "hessian") for v in r[what])
                for what, style, every in (("hessian", "-", 1), ("random", "--", 20)):
                    rises = np.sort(r[what])[::-1]
                    at = np.arange(1, len(rises) + 1)
                    ax.plot(at, rises, **look(arm, ls=style, ms=3, lw=1, markevery=every), label=f"{arm}, {what}")
                ax.axhline(0.05 * largest, color=COLOR[arm], lw=0.8, ls=":", label=f"{arm}, 5 % of the largest")
                ax.set_yscale("symlog", linthresh=0.01)
        ax.set(title=network, xlabel="direction, by its rise", ylabel="rise, as Metric 2.1")

    return each(networks_of("directions", networks), draw)


def top_space(networks: Networks = None) -> Text:
    """Section 2.2.2: what the Hessian's largest eigenvalues predict of Metric 2.1, against what is measured there.

    And the most negative eigenvalue: conjecture (ii) of Section 2.1 is that LB ends at saddle points.
    """
    chosen, rows, ends = networks_of("spectrum", networks), [], []
    for network in chosen:
        runs = arrays.pairs(network, arrays.trials("spectrum"))
        for arm in ARMS:
            found = [r for r in arrays.each(units.spectrum, runs[arm]) if r]
            for k, epsilon in enumerate(scales.EPSILONS):
                there = [r["in_top_space"][k] for r in found]
                both = (dots([t[what] for t in there]) for what in ("predicted", "measured"))
                rows.append([network, f"{arm}, {epsilon:g}", *both, dots(arrays.sharpness(runs[arm], epsilon))])
            for r in found:
                low, off = r["bottom"], r["bottom_residual"]
                word = "negative" if low < -off else "not told from 0"
                ends.append(
                    f"{network} {arm}: from {number(low, 4)} (± {number(off, 4)}, {word}) to {short(r['top'][0])} "
                    f"(± {number(r['top_residuals'][0], 4)})"
                )
    reach = (
        "The box in the eigenvectors has few directions, so its values do not compare with those of the full box."
        " Where half the box has half the value, that is the slope, and no curvature is seen. The Hessian's eigenvalues"
        f" reach, by network and arm, {'; '.join(ends)}."
    )
    head = "network | arm, epsilon | in the top eigenvectors, predicted | measured | in the full space"
    return table(head, rows, (2, 3), reach)


def steep_share(networks: Networks = None, share: float = 0.05) -> Text:
    """The end of Section 2.2.2: LB "rises steeply only along a small dimensional subspace (e.g. 5% of the whole
    space)"."""

    def sentence(network):
        lines = []
        for arm, of in arrays.pairs(network, arrays.trials("directions")).items():
            for r in filter(None, arrays.each(units.directions, of)):
                random, hessian = np.array(r["random"], float), np.array(r["hessian"], float)
                most = np.nanmax([*random, *hessian])
                lines.append(
                    f"{arm}: {100 * (random > share * most).mean():.0f} % of {len(random)} random directions rise by"
                    f" more than {100 * share:.0f} % of the largest rise, {number(most)}, and"
                    f" {(hessian > share * most).sum()} of {len(hessian)} of the Hessian's"
                )
        return f"{network}, {'; '.join(lines)}. The paper says: e.g. 5 % of the space." if lines else None

    return by_network(networks_of("directions", networks), sentence)
