"""Measuring sharpness: Metric 2.1 as in Tables 3 and 4, ours beside the paper's, its box, and its solver."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import claims, paper
from ..campaign import experiments, scales, units
from ..campaign.scales import SHOWN
from ..claims import holm
from ..results import arrays
from .comparisons import EPSILON, KEY, compare, networks_of, row, sharpness_settings
from .panels import COLOR, MARK, Picture, each, look, named
from .statistics import crossing, lost, paper_ratio, ratio, sharper, sized, theirs_for
from .words import (
    ARMS,
    NOT_YET,
    Networks,
    Text,
    by_network,
    counted,
    dots,
    folded,
    known,
    marked,
    names,
    number,
    plural,
    points,
    short,
    spread,
    table,
)

CLAIM = {
    ("table3", "1e-3"): "sharper",
    ("table3", "5e-4"): "sharper-half-box",
    ("table4", "1e-3"): "sharper-subspace",
    ("table4", "5e-4"): "sharper-subspace-half-box",
}


def _sharpness_table(of, networks, norms=False, **settings):
    rows = []
    for network in names(networks):
        runs = arrays.pairs(network)
        for epsilon, key in KEY.items():
            for arm, other in (ARMS, ARMS[::-1]):
                cell = functools.partial(_sharpness_cell, runs[arm], epsilon, **settings)
                mean, sd = paper.cell(of, network)[key][arm]
                line = [network, key, arm, cell(), cell(solver="literal"), f"{mean:.2f} ± {sd:.2f}"]
                matched = [cell(to=runs[other], match="norms")] if norms else []
                rows.append([*line, cell("first_order"), *matched])
    head = "network | epsilon |  | ours, `best` | ours, `literal` | paper | `best`, from the gradient alone"
    head += " | `best`, with the other's filter norms" if norms else ""
    return table(head, rows, (3, 4, *range(6, 7 + norms)), shown=(0, 1, 2, 3, 5))


def _sharpness_cell(runs, epsilon, what="value", to=None, **settings) -> str:
    values = arrays.sharpness(runs, epsilon, what, to, **settings)
    partner = dict(zip(runs, to)) if to else {}
    measure = lambda of: units.sharpness(of, **settings, **({"to": partner[of]} if to else {}))
    return marked(spread(values), int(lost(runs, values, measure).sum()))


def table3(networks: Networks = SHOWN) -> Text:
    """Table 3: sharpness in the full space; and of the same functions, each with the other's filter norms."""
    return _sharpness_table("table3", networks, norms=True)


def table4(networks: Networks = SHOWN) -> Text:
    """Table 4: sharpness in random subspaces of dimension 100."""
    return _sharpness_table("table4", networks, subspace=100)


def verdict3(networks: Networks = SHOWN, table: str = "table3", **settings: Any) -> Text:
    """What our Table 3 (or 4) says of the paper's claims: direction and size of each cell, and what they say
    together."""
    cells, lines = {}, []
    for network in names(networks):
        runs = arrays.pairs(network)
        for epsilon, key in KEY.items():
            both = [arrays.sharpness(runs[arm], epsilon, **settings) for arm in ARMS]
            measure = functools.partial(units.sharpness, **settings)
            gone = np.array([lost(runs[arm], values, measure) for arm, values in zip(ARMS, both)])
            ours, theirs = ratio(*both, diverged=int(gone.sum())), paper_ratio(paper.cell(table, network)[key])
            found = claims.get(CLAIM[table, key]).verdict(ours, theirs_for(network, theirs))
            cells[network, key] = found, ours, theirs, both, counted(found.n, int(gone.any(0).sum()))
    measured = {cell: found for cell, (found, *_) in cells.items() if found.direction != claims.UNMEASURED}
    named = [cell for cell in measured if cell[0] in claims.get(CLAIM[table, cell[1]]).test.networks] or list(measured)
    adjusted = dict(zip(named, holm([cells[cell][1].p for cell in named])))
    for network, key in measured:
        found, ours, theirs, (small, large), count = cells[network, key]
        apart = "" if (network, key) in named else " Not counted above: the claim's test does not name this network."
        if np.isnan(ours.value):
            lines.append(f"- {network} at epsilon {key}: no ratio can be had, {count}: {found.direction}.")
            continue
        fallen = found.direction == claims.HOLDS and adjusted.get((network, key), 0.0) >= 0.05
        holm_too = " by itself, but not after Holm's correction over the table: undecided" if fallen else ""
        if fallen:
            measured[network, key] = found._replace(direction=claims.UNDECIDED)
        lines.append(
            f"- {network} at epsilon {key}: {sharper(ours)}, {count}. Direction: {found.direction}{holm_too}. "
            f"{sized(found, theirs, network, 'times', 1)} SB: {points(small)}; LB: {points(large)}.{apart}"
        )
    if not measured:
        return NOT_YET
    together = {cell: measured[cell] for cell in named}
    return Text(folded(_together(together, names(networks)), "\n".join(lines), "Each network and epsilon"))


def _together(measured: dict, networks: tuple) -> str:
    """What the measured cells {(network, epsilon): verdict} say together of "LB is sharper than SB", and of its
    size."""
    least, said = min(len(networks), claims.get("sharper").test.least), [found.direction for found in measured.values()]
    whole = claims.combined(((network, found) for (network, _), found in measured.items()), least).direction
    tally = lambda words, of: ", ".join(f"{word} in {of.count(word)}" for word in words if word in of)
    alone = ", all of one network" if whole == claims.PART and set(said) == {claims.HOLDS} else ""
    sizes = tally(claims.SIZES, [found.size for found in measured.values()]) or "not compared, on other data"
    return (
        f"**Verdict: {whole}.** LB sharper than SB: {tally(claims.DIRECTIONS, said)} of {len(said)} measured"
        f" cells{alone}. Size: {sizes}."
    )


def growth(networks: Networks = SHOWN) -> Text:
    """How sharpness grows with the box, where it saturates, and where f has risen by 0.1: what cannot saturate."""
    rows = []
    for network in names(networks):
        runs, numbers = arrays.pairs(network), paper.cell("table3", network)
        at_rise = epsilon_at_rise(network)
        for arm in ARMS:
            large, small = (arrays.sharpness(runs[arm], e) for e in KEY)
            with np.errstate(divide="ignore", invalid="ignore"):
                exponent = np.log2(large / small)
            accuracy = spread(arrays.sharpness(runs[arm], 1e-3, "accuracy_at_maximizer"))
            theirs = number(np.log2(numbers["1e-3"][arm][0] / numbers["5e-4"][arm][0]))
            rows.append([network, arm, accuracy, dots(exponent), theirs, dots(at_rise[arm], 5)])
    head = (
        "network |  | train accuracy (%) at the maximiser, epsilon 1e-3 | exponent, 5e-4 to 1e-3 | the same, paper |"
        " epsilon at which f rises by 0.1"
    )
    return table(head, rows, (2, 3, 5), "An exponent of 1 is the gradient's, of 2 the curvature's.")


def epsilon_at_rise(network: str, rise: float = 0.1) -> dict[str, np.ndarray]:
    """{"SB": (T,), "LB": (T,)}: the epsilon at which the greatest f in the box is f + rise, NaN where the grid does not
    hold it.

    Interpolated between the logarithms of the stored grid, at the first crossing.
    """
    runs, out = arrays.pairs(network), {}
    for arm in ARMS:
        found = [arrays.entries(of, grid_first=True) for of in runs[arm]]
        out[arm] = np.array([crossing(list(e), [v["fmax"] - v["f0"] for v in e.values()], rise) for e in found], float)
    return out


def epsilon_grid(networks: Networks = None, rise: float = 0.1) -> Picture:
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
        ax.set(title=named(network), xlabel="epsilon", ylabel="greatest rise of f in the box")

    return each(networks_of("epsilon_grid", networks), draw)


def at_every_epsilon(runs: dict[str, list], **settings: Any) -> Text:
    """At which epsilons of the grid LB comes out sharper, flatter or neither, and what the gradient alone makes there.

    runs: {"SB": runs, "LB": runs}; settings: of the sharpness units.
    """
    words = {-1: "LB is the flatter", 0: "the two are not told apart", 1: "LB is the sharper"}
    stretches: list[list] = []  # [side, its first epsilon, its last], in the grid's order
    alone = {}
    for epsilon in sorted(scales.scale().grid):
        both = [arrays.sharpness(of, epsilon, **settings) for of in runs.values()]
        found = ratio(*both)
        if found.interval:
            slope = [arrays.sharpness(of, epsilon, "first_order", **settings) for of in runs.values()]
            alone[epsilon] = 100 * np.nanmean(np.divide(slope, both))
            if stretches and stretches[-1][0] == found.side(1):
                stretches[-1][2] = epsilon
            else:
                stretches.append([found.side(1), epsilon, epsilon])
    if not alone:
        return NOT_YET
    at = lambda first, last: f"at {first:g}" if first == last else f"from {first:g} to {last:g}"
    told = "; ".join(f"{at(first, last)} {words[side]}" for side, first, last in stretches)
    shown = [e for e in dict.fromkeys((min(alone), EPSILON, max(alone))) if e in alone]
    share = ", ".join(f"{short(alone[e])} % at {e:g}" for e in shown)
    return Text(
        f"**By epsilon: {told}.** Of the rise the leftover gradient alone would be {share} (mean of both ends)."
    )


STARTS = {
    "zero": "along the gradient",
    "sign": "the corner that the gradient points to",
    "random 0": "a random place in the box",
    "wide": "where an ascent in a box three times as wide ends",
}


def solver_starts(network: str = "mlp", epsilon: float = 1e-3) -> Text:
    """How high a few evaluations lead from each start of `best`, and the end of the highest; mean over the trials."""
    runs, rows = arrays.pairs(network), []
    found = {arm: [e["by_start"] for of in runs[arm] if (e := arrays.entry(of, epsilon))] for arm in ARMS}
    for name, words in STARTS.items():
        rows.append([words, *(spread([by[name] for by in found[arm] if name in by]) for arm in ARMS)])
    rows.append(["**the highest of them, gone on**", *(spread(arrays.sharpness(runs[arm], epsilon)) for arm in ARMS)])
    return table("start | SB | LB", rows, (1, 2))


def solver_verdict(networks: Networks = SHOWN, epsilon: float = 1e-3) -> Text:
    """How much of the sharpness that `best` finds SciPy's ten iterations reach, and whether the ranking survives."""

    def sentence(network):
        runs = arrays.pairs(network)
        best = {arm: arrays.sharpness(runs[arm], epsilon) for arm in ARMS}
        literal = {arm: arrays.sharpness(runs[arm], epsilon, solver="literal") for arm in ARMS}
        gone = {arm: lost(runs[arm], literal[arm], lambda of: units.sharpness(of, solver="literal")) for arm in ARMS}
        share = {arm: known(100 * literal[arm] / best[arm]) for arm in ARMS}
        flips = (literal["LB"] < literal["SB"])[~np.isnan(literal["LB"] * literal["SB"])]
        if not (all(map(len, share.values())) and len(flips)):
            return None
        ours = ratio(literal["SB"], literal["LB"], diverged=int(sum(map(sum, gone.values()))))
        words = {claims.HOLDS: "the ranking survives", claims.FAILS: "the literal metric turns the ranking round"}
        word = words.get(claims.verdict(ours, 1).direction, "the ranking is not settled")
        said = [sharper(ours, brief=brief) if ours.value > 0 else "no ratio can be had" for brief in (True, False)]
        return folded(
            f"**Verdict: {word}.** {network}: by ten iterations {said[0]}.",
            f"At epsilon {epsilon:g}, ten iterations as they stand find that {said[1]}; LB comes out flatter than SB in"
            f" {int(flips.sum())} of {len(flips)}. They reach {spread(share['SB'])} % of what `best` finds for SB and"
            f" {spread(share['LB'], 3)} % for LB ({counted(len(flips), int((gone['SB'] | gone['LB']).sum()))}).",
        )

    return by_network(networks, sentence)


def literal_ranking(networks: Networks = (*SHOWN, *scales.LABS)) -> Text:
    """Network by network: does `literal` rank SB and LB as `best` does? Of the laboratory its smallest and its largest
    batch."""

    def sentence(network):
        runs = [] if arrays.waiting(network) else [experiments.ends(network, trial) for trial in scales.scale().trials]
        found = {
            solver: np.array([arrays.sharpness(pair, EPSILON, **settings) for pair in runs]).reshape(-1, 2)
            for solver, settings in (("best", {}), ("literal", {"solver": "literal"}))
        }
        there = ~np.isnan(found["best"] + found["literal"]).any(1)
        if not there.any():
            return None
        sharper = {solver: values[there][:, 1] > values[there][:, 0] for solver, values in found.items()}
        same = sharper["best"] == sharper["literal"]
        some = f" in {(~same).sum()} of {len(same)} trials" if same.any() else ""
        word = "ranks them as `best` does" if same.all() else f"turns the ranking of `best` round{some}"
        small, large = (of.batch_size for of in runs[0])
        return folded(
            f"{network}: `literal` {word}.",
            f"Of batch {small:,} and {large:,}, `literal` finds the large one the sharper in"
            f" {sharper['literal'].sum()} of {plural(there.sum())}, `best` in {sharper['best'].sum()}.",
        )

    return by_network(networks, sentence)


def solvers(networks: Networks = SHOWN) -> Text:
    """The solver story: what SciPy's ten iterations find, at three units of the objective, beside `best`."""
    rows = []
    for network in names(networks):
        for settings in [{}, {"solver": "literal"}, *sharpness_settings("solvers", network)]:
            words = f"`{settings.get('solver', 'best')}`" + (f", scale {settings.get('scale', 1)}" if settings else "")
            rows.append(row(network, words, arrays.pairs(network), **settings))
    return compare(rows, accuracy=False)
