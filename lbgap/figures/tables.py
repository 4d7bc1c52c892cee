"""Tables 2 to 4 and the paper's claims in words, ours beside the paper's, each with its verdict."""

from __future__ import annotations

import functools

import numpy as np

from .. import claims, paper
from ..campaign import experiments, order, scales, units
from ..campaign.scales import PAPER
from ..results import arrays
from .statistics import (
    ahead,
    best_and_last,
    difference,
    gap,
    holm,
    lost,
    paper_gap,
    paper_ratio,
    ratio,
    rises,
    sharper,
    trials_gone,
)
from .words import (
    ARMS,
    PENDING,
    Networks,
    Text,
    by_network,
    collapsed,
    dots,
    interval,
    known,
    names,
    note,
    number,
    percent,
    plural,
    points,
    spread,
    table,
)

KEY = {1e-3: "1e-3", 5e-4: "5e-4"}  # of the paper's tables
CLAIM = {
    ("table3", "1e-3"): "sharper",
    ("table3", "5e-4"): "sharper-half-box",
    ("table4", "1e-3"): "sharper-subspace",
    ("table4", "5e-4"): "sharper-subspace-half-box",
}
MODES = {  # of batch norm in evaluation
    "recalibrated": "recalibrated on the training set",
    "batch": "the test batch's own statistics",
    "frozen": "running averages from training",
}
ALIKE = 1.25  # two sides are called as steep as each other where the interval of their ratio lies within this factor


# -- words for verdicts -----------------------------------------------------------------------------------------------


def counted(of: int, n: int, gone=0) -> str:
    """How many of `of` trials there are, how many are `gone` for good, and whether others are pending."""
    said = plural(n) + ("" if n >= of else f" of {of}")
    if gone:
        said += f", {gone} diverged or without a value"
    return said + (", the others pending" if n + gone < of else "")


def sized(verdict: claims.Verdict, theirs: claims.Contrast, network: str, unit: str, digits: int = 2) -> str:
    """The paper's value, and whether ours has its size, in sentences."""
    on = ", on TIMIT," if arrays.stand_in(network) else ""
    said = (
        f"The paper has{on} {number(theirs.value, digits)} {unit} ({interval(theirs.interval, digits)}, "
        "from its means and deviations)"
    )
    if arrays.stand_in(network):
        return f"{said}; ours is another data set, so sizes are not compared."
    if verdict.quotient is None:
        return f"{said}. Size: {verdict.size}, one trial gives no interval."
    low, high = (number(v, 1) for v in verdict.quotient)
    quotient = verdict.value / theirs.value
    times = "of the other sign" if quotient <= 0 else f"{number(quotient, 1)} times the paper's"
    return f"{said}. Size: {verdict.size}; ours is {times} (95 % interval {low} to {high})."


def theirs_for(network: str, theirs: claims.Contrast) -> claims.Contrast | None:
    """The paper's contrast where ours is of the same data, so that sizes can be compared."""
    return None if arrays.stand_in(network) else theirs


def marked(words: str, gone: int) -> str:
    """A cell of a table, and how many of its runs diverged or have no value."""
    said = f"{gone} diverged or without a value"
    return words if not gone else said if words == PENDING else f"{words} ({said})"


def _clause(direction: str) -> str:
    """A verdict's word as the end of a clause that begins with "that ..."."""
    return f"is {direction}" if direction == claims.UNDECIDED else direction


# -- Table 2 and Fig. 2
# -------------------------------------------------------------------------------------------------


def table2(networks: Networks = PAPER) -> Text:
    """Table 2: train and test accuracy, SB against LB: ours (recalibrated batch norm) beside the paper's."""
    rows = []
    for network in names(networks):
        runs = arrays.pairs(network)
        for split in ("train", "test"):
            cells = []
            for arm in ARMS:
                mean, sd = paper.cell("table2", network)[split][arm]
                values = arrays.final(runs[arm], split)
                cells += [marked(percent(values), lost(runs[arm], values).sum()), f"{mean:.2f} ± {sd:.2f} %"]
            rows.append([network, split, *cells])
    return table("network | accuracy | SB, ours | SB, paper | LB, ours | LB, paper", rows, networks)


def verdict2(networks: Networks = PAPER) -> Text:
    """What our Table 2 says of the paper's gap, in words, with intervals."""
    return by_network(networks, _verdict2)


def _verdict2(network):
    runs = arrays.pairs(network)
    small, large = (arrays.final(runs[arm]) for arm in ARMS)
    ours, theirs = gap(runs["SB"], runs["LB"]), paper_gap(paper.cell("table2", network)["test"])
    found = claims.get("gap").verdict(ours, theirs_for(network, theirs))
    if found.direction == claims.UNMEASURED:
        return None
    count = counted(len(small), found.n, trials_gone(runs, small, large))
    if np.isnan(ours.value):
        return f"**Verdict: {found.direction}{elsewhere(network)}.** {network}: no gap can be had, {count}."
    return (
        f"**Verdict: {found.direction}{elsewhere(network)}.** {network}: {ahead(ours)} of test accuracy, {ours.how};"
        f" {count}. {sized(found, theirs, network, 'points')} All trials, SB: {points(small)}; LB: {points(large)}."
    )


def elsewhere(network: str) -> str:
    """ ", on a stand-in for TIMIT" for a network on other data than the paper's, else nothing."""
    return f", on {arrays.stand_in(network)}" if arrays.stand_in(network) else ""


def peaks(networks: Networks = PAPER) -> Text:
    """Fig. 2: the gap of the best epochs, which early stopping would leave, and how far test accuracy falls from
    them."""

    def sentence(network):
        runs = arrays.pairs(network)
        (best, last), (large_best, large_last) = best_and_last(runs).values()
        found, end = claims.contrast(best, large_best), claims.contrast(last, large_last).value
        verdict = claims.get("early-stopping").verdict(found)
        if verdict.direction == claims.UNMEASURED:
            return None
        return (
            f"**Verdict: {verdict.direction}.** {network}: stopped at its best epoch, chosen on the test set itself,"
            f" {ahead(found)}; at the end, {'SB' if end >= 0 else 'LB'} by {number(abs(end))}. From its best epoch to"
            f" its last, test accuracy falls by {spread(best - last)} points for SB and by"
            f" {spread(large_best - large_last)} for LB."
        )

    return by_network(networks, sentence)


def modes2(networks: Networks = PAPER) -> Text:
    """Test accuracy under each way to normalise in evaluation."""
    rows = []
    for network in names(networks):
        runs = arrays.pairs(network)
        for mode, words in MODES.items():
            small, large = (arrays.final(runs[arm], "test", mode) for arm in ARMS)
            value = difference(small, large)[0]
            rows.append([network, words, percent(small), percent(large), PENDING if np.isnan(value) else number(value)])
    return table("network | batch norm in evaluation | SB | LB | gap, points", collapsed(rows), networks)


def distances(networks: Networks = PAPER) -> Text:
    """Section 3: how far SB and LB went from their common start, and the null of a random walk."""

    def sentence(network):
        runs = arrays.pairs(network)
        small, large = (arrays.distance(runs[arm]) for arm in ARMS)
        missing = trials_gone(runs, small, large)
        quotient, walk = small / large, (arrays.updates(runs["SB"]) / arrays.updates(runs["LB"])) ** 0.5
        both = quotient, quotient / walk
        found, beyond = (claims.contrast(q, scale="ratio", diverged=missing) for q in both)
        said, nearer = claims.get("distance-3-10").verdict(found), claims.get("closest-minimiser").verdict(beyond)
        if said.direction == claims.UNMEASURED:
            return None
        where = {claims.HOLDS: "inside the paper's range", claims.FAILS: "outside the paper's range"}.get(
            said.direction, "in or out of the paper's range, that is not settled"
        )
        return (
            f"**Verdict: {said.direction}.** {network}: SB ends {number(found.value)} times as far from the start as LB"
            f" ({interval(found.interval)}; {counted(len(small), found.n, missing)}), {where}, 3 to 10. SB ends"
            f" {dots(small, 1)} from the start, LB {dots(large, 1)}. A random walk of as many steps would give"
            f" {number(np.nanmean(walk), 1)} times. That LB stays nearer than its fewer steps explain (conjecture iii)"
            f" {_clause(nearer.direction)}: {number(beyond.value)} times as near ({interval(beyond.interval)})."
        )

    return by_network(networks, sentence)


# -- Tables 3 and 4 ---------------------------------------------------------------------------------------------------


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
    head = "network | epsilon |  | ours, `best` | ours, `literal` | paper | of `best`, gradient alone"
    return table(head + (" | `best`, with the other's filter norms" if norms else ""), rows, networks)


def _sharpness_cell(runs, epsilon, what="value", to=None, **settings) -> str:
    values = arrays.sharpness(runs, epsilon, what, to, **settings)
    partner = dict(zip(runs, to)) if to else {}
    measure = lambda of: units.sharpness(of, **settings, **({"to": partner[of]} if to else {}))
    return marked(spread(values), int(lost(runs, values, measure).sum()))


def table3(networks: Networks = PAPER) -> Text:
    """Table 3: sharpness in the full space; and of the same functions, each with the other's filter norms."""
    return _sharpness_table("table3", networks, norms=True)


def table4(networks: Networks = PAPER) -> Text:
    """Table 4: sharpness in random subspaces of dimension 100."""
    return _sharpness_table("table4", networks, subspace=100)


def verdict3(networks: Networks = PAPER, table="table3", **settings) -> Text:
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
            cells[network, key] = found, ours, theirs, both, counted(len(both[0]), found.n, int(gone.any(0).sum()))
    adjusted = dict(zip(cells, holm([ours.p for _, ours, *_ in cells.values()])))
    measured = {cell: found for cell, (found, *_) in cells.items() if found.direction != claims.UNMEASURED}
    for network, key in measured:
        found, ours, theirs, (small, large), count = cells[network, key]
        if np.isnan(ours.value):
            lines.append(f"- {network} at epsilon {key}: no ratio can be had, {count}: {found.direction}.")
            continue
        fallen = found.direction == claims.HOLDS and adjusted[network, key] >= 0.05
        holm_too = ", but not after Holm's correction over the table" if fallen else ""
        lines.append(
            f"- {network} at epsilon {key}: {sharper(ours)}, {count}. Direction: {found.direction}{holm_too}. "
            f"{sized(found, theirs, network, 'times', 1)} SB: {points(small)}; LB: {points(large)}."
        )
    missing = dict.fromkeys(network for network, key in cells if (network, key) not in measured)
    lines += [f"\nPending: {', '.join(missing)}."] if missing else []
    return Text("\n".join([_together(measured, len(cells), names(networks)) + "\n", *lines]) + note(networks))


def _together(measured: dict, cells: int, networks: tuple) -> str:
    """What the measured cells {(network, epsilon): verdict} say together of "LB is sharper than SB", and of its
    size."""
    if not measured:
        return f"**Verdict: {PENDING}.** No pair is measured yet."
    least, said = min(len(networks), claims.get("sharper").test.least), [found.direction for found in measured.values()]
    whole = claims.combined(((network, found) for (network, _), found in measured.items()), least).direction
    tally = lambda words, of: ", ".join(f"{word} in {of.count(word)}" for word in words if word in of)
    alone = ", all of one network" if whole == claims.PART and set(said) == {claims.HOLDS} else ""
    sizes = tally(claims.SIZES, [found.size for found in measured.values()]) or "not compared, on other data"
    more = f" ({cells} in the table)" if cells > len(said) else ""
    return (
        f"**Verdict: {whole}.** LB sharper than SB: {tally(claims.DIRECTIONS, said)} of {len(said)} measured"
        f" cells{alone}{more}. Size: {sizes}."
    )


def growth(networks: Networks = PAPER) -> Text:
    """How sharpness grows with the box, where it saturates, and where f has risen by 0.1: what cannot saturate."""
    rows = []
    for network in names(networks):
        runs, numbers = arrays.pairs(network), paper.cell("table3", network)
        at_rise = epsilon_at_rise(network)
        for arm in ARMS:
            large, small = (arrays.sharpness(runs[arm], e) for e in KEY)
            with np.errstate(divide="ignore", invalid="ignore"):
                exponent = np.log2(large / small)
            accuracy = percent(arrays.sharpness(runs[arm], 1e-3, "accuracy_at_maximizer"))
            theirs = number(np.log2(numbers["1e-3"][arm][0] / numbers["5e-4"][arm][0]))
            rows.append([network, arm, accuracy, dots(exponent), theirs, dots(at_rise[arm], 5)])
    head = (
        "network |  | train accuracy at the maximiser, epsilon 1e-3 | exponent, 5e-4 to 1e-3 | the same, paper |"
        " epsilon at which f rises by 0.1"
    )
    return Text(f"{table(head, rows, networks)}\n\nAn exponent of 1 is the gradient's, of 2 the curvature's.")


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


def crossing(x, y, level: float) -> float:
    """The x at which y first reaches a level from below or above, on straight lines between the logarithms; NaN if it
    never does."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    x, y = np.log(x[y > 0]), np.log(y[y > 0]) - np.log(level)
    for a, b, at, to in zip(x, x[1:], y, y[1:]):
        if at * to <= 0 and at != to:
            return float(np.exp(a - at * (b - a) / (to - at)))
    return float("nan")


# -- the solver --------------------------------------------------------------------------------------------------------


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
    return table("start | SB | LB", rows, network)


def solver_verdict(networks: Networks = "F1", epsilon: float = 1e-3) -> Text:
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
        word = {claims.HOLDS: "the ranking survives", claims.FAILS: "the literal metric turns the ranking round"}.get(
            claims.verdict(ours, 1).direction, "the ranking is not settled"
        )
        return (
            f"**Verdict: {word}.** {network}: at epsilon {epsilon:g}, ten iterations as they stand find that"
            f" {sharper(ours) if ours.value > 0 else 'no ratio can be had'}; LB comes out flatter than SB in"
            f" {int(flips.sum())} of {len(flips)}. They reach {spread(share['SB'])} % of what `best` finds for SB and"
            f" {spread(share['LB'], 3)} % for LB"
            f" ({counted(len(best['SB']), len(flips), int((gone['SB'] | gone['LB']).sum()))})."
        )

    return by_network(networks, sentence)


# -- paths, the laboratory, and what is done
# ------------------------------------------------------------------------------


def path_verdict(networks: Networks = "F1", step: float = 0.5) -> Text:
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


def laboratory_verdict(network: str, small_batch: int | None = None) -> Text:
    """A small against the largest batch of the one-minute laboratory: accuracy and sharpness with intervals, and
    epochs."""
    sizes = scales.scale().laboratory
    small, large = (
        [scales.laboratory(network, b, t) for t in scales.scale().trials] for b in (small_batch or sizes[0], sizes[-1])
    )
    both = [arrays.sharpness(runs, 1e-3) for runs in (small, large)]
    gone = sum(lost(runs, values, units.sharpness).sum() for runs, values in zip((small, large), both))
    tests, steep = gap(small, large), ratio(*both, diverged=int(gone))
    if tests.interval is None or steep.interval is None:
        return Text(f"**Verdict: {PENDING if not (tests.diverged or gone) else claims.UNDECIDED}** for {network}.")
    first, second = f"batch {small[0].batch_size:,}", f"batch {large[0].batch_size:,}"
    said = claims.verdict(tests, 0).direction, claims.verdict(steep, 1).direction
    finals = arrays.final(small) * arrays.final(large)
    return Text(
        f"**Verdict, `{network}`: that the small batch tests better {_clause(said[0])}; that the large batch is sharper"
        f" {_clause(said[1])}.** {_capital(ahead(tests, first, second))}, and {sharper(steep, second, first)};"
        f" {counted(len(small), len(known(finals)), int(np.isnan(finals).sum()) if tests.diverged else 0)}. They took"
        f" {spread(arrays.epochs(small), 0)} and {spread(arrays.epochs(large), 0)} epochs, and ended at a training loss"
        f" of {' and of '.join(spread(arrays.final(runs, 'train', 'batch', 'loss'), 4) for runs in (small, large))}."
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def progress(networks: Networks = order.CPU) -> Text:
    """Which experiments are done, and which are pending."""
    rows, networks = [], [network for network in names(networks) if not arrays.waiting(network)]
    for name, experiment in experiments.EXPERIMENTS.items():
        wanted = order.wanted([name], networks)
        done = sum(arrays.document(unit) is not None for unit in wanted)
        if wanted:
            rows.append([experiment.title, f"{done} of {len(wanted)}", "done" if done == len(wanted) else PENDING])
    return table(f"experiment, {', '.join(networks)} | measurements | ", rows)
