"""Tables 2 to 4 and the paper's claims in words, ours beside the paper's, each with its verdict."""

from __future__ import annotations

import numpy as np

from .. import experiments, paper, results, stored, units
from ..units import PAPER
from .statistics import difference, gap, holm, meet, paper_gap, paper_ratio, ratio
from .words import (ARMS, PENDING, Text, by_network, collapsed, dots, interval, known, names, note, number, percent, points, spread,
                    table, trials)

KEY = {1e-3: "1e-3", 5e-4: "5e-4"}  # of the paper's tables


# -- Table 2 and Fig. 2 -------------------------------------------------------------------------------------------------


def table2(networks=PAPER) -> Text:
    """Table 2: train and test accuracy, SB against LB: ours (recalibrated batch norm) beside the paper's."""
    rows = []
    for network in names(networks):
        runs = stored.pairs(network)
        for split in ("train", "test"):
            cells = []
            for arm in ARMS:
                mean, sd = paper.cell("table2", network)[split][arm]
                cells += [percent(stored.final(runs[arm], split)), f"{mean:.2f} ± {sd:.2f} %"]
            rows.append([network, split, *cells])
    return table(["network", "accuracy", "SB, ours", "SB, paper", "LB, ours", "LB, paper"], rows, networks)


def verdict2(networks=PAPER) -> Text:
    """What our Table 2 says of the paper's gap, in words, with intervals."""
    return by_network(networks, _verdict2)


def _verdict2(network):
    runs = stored.pairs(network)
    small, large = (stored.final(runs[arm]) for arm in ARMS)
    ours, theirs = gap(runs["SB"], runs["LB"]), paper_gap(paper.cell("table2", network)["test"])
    if np.isnan(ours.value):
        return None
    said = f"{network}, {trials(small, large)}: the small batch is ahead by {number(ours.value)} points of test accuracy"
    if ours.interval is None:
        return f"**Verdict: open.** {said}; the paper has {number(theirs.value)}. One trial gives no interval."
    word = {1: "reproduced", -1: "reversed", 0: "not settled"}[ours.side(0)]
    return (f"**Verdict: the gap is {word}{elsewhere(network)}.** {said} ({interval(ours.interval)}, {ours.how}). The paper has{', on TIMIT,' if stored.stand_in(network) else ''} {number(theirs.value)} "
            f"({interval(theirs.interval)}, from its means and deviations): {beside(network, ours.interval, theirs.interval)}. "
            f"All trials, SB: {points(small)}; LB: {points(large)}.")


def elsewhere(network: str) -> str:
    """", on a stand-in for TIMIT" for a network on other data than the paper's, else nothing."""
    return f", on {stored.stand_in(network)}" if stored.stand_in(network) else ""


def beside(network: str, ours, theirs) -> str:
    """Whether our interval and the paper's meet, which means something on the paper's data only."""
    if stored.stand_in(network):
        return "another data set, so the two intervals need not meet"
    return f"the two intervals {'meet' if meet(ours, theirs) else 'do not meet'}"


def peaks(networks=PAPER) -> Text:
    """Fig. 2's claim that the gap is no over-fitting: how far test accuracy falls from its best epoch, and the gap of the best epochs."""
    def sentence(network):
        runs = stored.pairs(network)
        curves = {arm: stored.history(runs[arm], "test_accuracy") for arm in ARMS}
        if not all(curves.values()):
            return None
        best = {arm: [c.max() for c in curves[arm]] for arm in ARMS}
        fall = {arm: [c.max() - c[-1] for c in curves[arm]] for arm in ARMS}
        value, pair = difference(best["SB"], best["LB"])
        last, _ = difference(*([c[-1] for c in curves[arm]] for arm in ARMS))
        return (f"{network}: from its best epoch to its last, test accuracy falls by {spread(fall['SB'])} points for SB and by "
                f"{spread(fall['LB'])} for LB. Stopped at its best epoch, chosen on the test set itself, SB is ahead by {number(value)} "
                f"points ({interval(pair)}); at the end, by {number(last)}.")
    return by_network(networks, sentence)


def modes2(networks=PAPER) -> Text:
    """Test accuracy under each way to normalise in evaluation."""
    rows = []
    for network in names(networks):
        runs = stored.pairs(network)
        for mode, words in (("recalibrated", "recalibrated on the training set"), ("batch", "the test batch's own statistics"),
                            ("frozen", "running averages from training")):
            small, large = (stored.final(runs[arm], "test", mode) for arm in ARMS)
            value = difference(small, large)[0]
            rows.append([network, words, percent(small), percent(large), PENDING if np.isnan(value) else number(value)])
    return table(["network", "batch norm in evaluation", "SB", "LB", "gap, points"], collapsed(rows), networks)


def distances(networks=PAPER) -> Text:
    """Section 3: how far SB and LB went from their common start, and the null of a random walk."""
    def sentence(network):
        runs = stored.pairs(network)
        small, large = (stored.distance(runs[arm]) for arm in ARMS)
        if not len(known(small * large)):
            return None
        quotient = known(small / large)
        walk = np.nanmean(stored.updates(runs["SB"]) / stored.updates(runs["LB"])) ** 0.5
        inside = bool(((quotient >= 3) & (quotient <= 10)).all())
        return (f"**Verdict: {'inside' if inside else 'outside'} the paper's range.** {network}: SB ends {dots(small, 1)} from the start, "
                f"LB {dots(large, 1)} ({trials(small, large)}): a ratio of {dots(quotient)}. The paper says 3 to 10. "
                f"A random walk that takes as many steps would give {number(walk, 1)}.")
    return by_network(networks, sentence)


# -- Tables 3 and 4 ---------------------------------------------------------------------------------------------------


def _sharpness_table(of, networks, **settings):
    rows = []
    for network in names(networks):
        runs = stored.pairs(network)
        for epsilon, key in KEY.items():
            for arm in ARMS:
                mean, sd = paper.cell(of, network)[key][arm]
                best = stored.sharpness(runs[arm], epsilon, **settings)
                literal = stored.sharpness(runs[arm], epsilon, solver="literal", **settings)
                first = stored.sharpness(runs[arm], epsilon, "first_order", **settings)
                rows.append([network, key, arm, spread(best), spread(literal), f"{mean:.2f} ± {sd:.2f}", spread(first)])
    head = ["network", "epsilon", "", "ours, `best`", "ours, `literal`", "paper", "of `best`, gradient alone"]
    return table(head, rows, networks)


def table3(networks=PAPER) -> Text:
    """Table 3: sharpness in the full space."""
    return _sharpness_table("table3", networks)


def table4(networks=PAPER) -> Text:
    """Table 4: sharpness in random subspaces of dimension 100."""
    return _sharpness_table("table4", networks, subspace=100)


def verdict3(networks=PAPER, table="table3", **settings) -> Text:
    """What our Table 3 (or 4) says of the paper's claim, on a log scale, Holm-corrected over all its cells."""
    cells = {}
    for network in names(networks):
        runs = stored.pairs(network)
        for epsilon, key in KEY.items():
            both = [stored.sharpness(runs[arm], epsilon, **settings) for arm in ARMS]
            cells[network, key] = *both, ratio(*both), paper_ratio(paper.cell(table, network)[key])
    adjusted = dict(zip(cells, holm([ours.p for *_, ours, _ in cells.values()])))
    lines = []
    for (network, key), (small, large, ours, theirs) in cells.items():
        if np.isnan(ours.value):
            continue
        text = f"{network} at epsilon {key} ({trials(small, large)}): LB is {number(ours.value, 1)} times as sharp as SB"
        if ours.interval:
            text += f" ({interval(ours.interval, 1)}{', not after Holm' if ours.side(1) and adjusted[network, key] >= 0.05 else ''})"
        text += f"; in the paper{', on TIMIT' if stored.stand_in(network) else ''}, {number(theirs.value, 1)} times ({interval(theirs.interval, 1)}, from its means and deviations)"
        if ours.interval:
            text += f": {beside(network, ours.interval, theirs.interval)}"
        lines.append(f"- {text}. SB: {points(small)}; LB: {points(large)}.")
    tested = [cell for cell in cells if cells[cell][2].interval]
    above, below = ([cell for cell in tested if cells[cell][2].side(1) == side] for side in (1, -1))
    if not tested:
        word = "open" if lines else PENDING
    elif below:
        word = f"not reproduced, LB is flatter in {len(below)} of {len(tested)} cells"
    elif len(above) < len(tested):
        word = f"not settled in {len(tested) - len(above)} of {len(tested)} cells"
    elif any(adjusted[cell] >= 0.05 for cell in above):
        word = "reproduced in each cell, but not after Holm's correction"
    else:
        word = "reproduced" + (f" in the {len(tested)} of {len(cells)} cells that are measured" if len(tested) < len(cells) else "")
    missing = dict.fromkeys(network for network, key in cells if np.isnan(cells[network, key][2].value))
    lines += [f"\nPending: {', '.join(missing)}."] if missing else []
    return Text("\n".join([f"**Verdict: {word}** (LB sharper than SB; {len(tested)} comparisons).\n", *lines]) + note(networks))


def growth(networks=PAPER) -> Text:
    """How sharpness grows with the box, where it saturates, and where f has risen by 0.1: what cannot saturate."""
    rows = []
    for network in names(networks):
        runs, numbers = stored.pairs(network), paper.cell("table3", network)
        at_rise = epsilon_at_rise(network)
        for arm in ARMS:
            large, small = (stored.sharpness(runs[arm], e) for e in KEY)
            with np.errstate(divide="ignore", invalid="ignore"):
                exponent = np.log2(large / small)
            rows.append([network, arm, percent(stored.sharpness(runs[arm], 1e-3, "accuracy_at_maximizer")), dots(exponent),
                         number(np.log2(numbers["1e-3"][arm][0] / numbers["5e-4"][arm][0])), dots(at_rise[arm], 5)])
    out = table(["network", "", "train accuracy at the maximiser, epsilon 1e-3", "exponent, 5e-4 to 1e-3", "the same, paper",
                 "epsilon at which f rises by 0.1"], rows, networks)
    return Text(f"{out}\n\nAn exponent of 1 is the gradient's, of 2 the curvature's.")


def epsilon_at_rise(network: str, rise: float = 0.1) -> dict[str, np.ndarray]:
    """{"SB": (T,), "LB": (T,)}: the epsilon at which the greatest f in the box is f + rise, NaN where the grid does not hold it.

    Interpolated between the logarithms of the stored grid, at the first crossing.
    """
    runs, out = stored.pairs(network), {}
    for arm in ARMS:
        found = [stored.entries(of, grid_first=True) for of in runs[arm]]
        out[arm] = np.array([crossing(list(e), [v["fmax"] - v["f0"] for v in e.values()], rise) for e in found], float)
    return out


def crossing(x, y, level: float) -> float:
    """The x at which y first reaches a level from below or above, on straight lines between the logarithms; NaN if it never does."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    x, y = np.log(x[y > 0]), np.log(y[y > 0]) - np.log(level)
    for a, b, at, to in zip(x, x[1:], y, y[1:]):
        if at * to <= 0 and at != to:
            return float(np.exp(a - at * (b - a) / (to - at)))
    return float("nan")


# -- the solver ---------------------------------------------------------------------------------------------------------


def starts(network="F1", epsilon=1e-3) -> Text:
    """How high the starts of `best` over the whole set are, and how far the higher one climbs; mean over the trials."""
    runs, rows = stored.pairs(network), []
    found = {arm: [e["by_start"] for of in runs[arm] if (e := stored.entry(of, epsilon)) and "coarse" in e["by_start"]] for arm in ARMS}
    for name, words in (("sign", "the corner that the gradient points to"), ("coarse", "the best that was found on a part of the images")):
        rows.append([words, *(spread([by[name] for by in found[arm]]) for arm in ARMS)])
    rows.append(["**the higher of them, gone on**", *(spread(stored.sharpness(runs[arm], epsilon)) for arm in ARMS)])
    return table(["start", "SB", "LB"], rows, network)


def solver_verdict(networks="F1", epsilon=1e-3) -> Text:
    """How much of the sharpness that `best` finds SciPy's ten iterations reach, and whether the ranking survives."""
    def sentence(network):
        runs = stored.pairs(network)
        best = {arm: stored.sharpness(runs[arm], epsilon) for arm in ARMS}
        literal = {arm: stored.sharpness(runs[arm], epsilon, solver="literal") for arm in ARMS}
        share = {arm: known(100 * literal[arm] / best[arm]) for arm in ARMS}
        flips = (literal["LB"] < literal["SB"])[~np.isnan(literal["LB"] * literal["SB"])]
        if not (all(map(len, share.values())) and len(flips)):
            return None
        return (f"**Verdict: {'the literal metric turns the ranking round' if flips.all() else 'the ranking survives'}"
                f"{'' if flips.all() or not flips.any() else ' in some trials only'}.** {network}: at epsilon {epsilon:g}, ten iterations "
                f"as they stand reach {spread(share['SB'])} % of what `best` finds for SB and {spread(share['LB'], 3)} % for LB "
                f"({trials(best['LB'], literal['LB'])}); LB comes out flatter than SB in {int(flips.sum())} of {len(flips)}.")
    return by_network(networks, sentence)


# -- paths, the laboratory, and what is done ------------------------------------------------------------------------------


def path_verdict(networks="F1", step=0.5) -> Text:
    """How much f rises from either end, going outwards and inwards by `step` in alpha."""
    def sentence(network):
        found, lines, sharper = stored.paths(*stored.pairs(network).values()), [], []
        for kind, p in found.items():
            at = lambda a: p["train_loss"][:, int(np.abs(p["alpha"] - a).argmin())]
            rise = {arm: (at(end - step) + at(end + step)) / 2 - at(end) for arm, end in (("SB", 0), ("LB", 1))}
            sharper.append(bool((rise["LB"] > rise["SB"]).all()))
            lines.append(f"{kind}: f rises by {spread(rise['SB'], 3)} round SB and by {spread(rise['LB'], 3)} round LB "
                         f"(mean of both sides, {step:g} away; {len(rise['SB'])} pair{'' if len(rise['SB']) == 1 else 's'})")
        if not found:
            return None
        word = "reproduced" if all(sharper) else "not reproduced on every path" if any(sharper) else "not reproduced"
        if min(len(p["train_loss"]) for p in found.values()) < 2:
            word = "open, with one pair"
        return f"**Verdict: {word}.** {network}: " + "; ".join(lines) + "."
    return by_network(networks, sentence)


def laboratory_verdict(network: str, small_batch: int | None = None) -> Text:
    """A small against the largest batch of the one-minute laboratory: accuracy and sharpness with intervals, and epochs."""
    sizes = units.scale().laboratory
    small, large = ([units.laboratory(network, b, t) for t in units.scale().trials] for b in (small_batch or sizes[0], sizes[-1]))
    ahead, sharper = gap(small, large), ratio(*(stored.sharpness(runs, 1e-3) for runs in (small, large)))
    if ahead.interval is None or sharper.interval is None:
        return Text(f"**Verdict: pending** for {network}.")
    gap_word = {1: "a gap", -1: "a gap the other way", 0: f"no gap that {len(small)} trials can tell"}[ahead.side(0)]
    sharp_word = {1: "sharper", -1: "flatter", 0: f"no sharper, as far as {len(small)} trials tell"}[sharper.side(1)]
    return Text(
        f"**Verdict, `{network}`: {gap_word}; the large batch is {sharp_word}.** Batch {small[0].batch_size:,} is ahead of batch "
        f"{large[0].batch_size:,} by {number(ahead.value)} points ({interval(ahead.interval)}, {ahead.how}), and the large batch is "
        f"{number(sharper.value, 1)} times as sharp ({interval(sharper.interval, 1)}); {trials(stored.final(small), stored.final(large))}. "
        f"To reach the same loss they took {spread(stored.epochs(small), 0)} and {spread(stored.epochs(large), 0)} epochs.")


def progress(networks=experiments.CPU) -> Text:
    """Which experiments are done, and which are pending."""
    store, rows, networks = results.Store(), [], [network for network in names(networks) if not stored.waiting(network)]
    for name, experiment in experiments.EXPERIMENTS.items():
        wanted = experiments.wanted([name], networks)
        done = sum(unit in store for unit in wanted)
        if wanted:
            rows.append([experiment.title, f"{done} of {len(wanted)}", "done" if done == len(wanted) else PENDING])
    return table([f"experiment, {', '.join(networks)}", "measurements", ""], rows)
