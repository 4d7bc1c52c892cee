"""The generalisation gap: Table 2 and Fig. 2, ours beside the paper's, and what the evaluator has to do with it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from scipy import stats

from .. import claims, data, paper
from ..campaign import scales
from ..campaign.experiments import EXPERIMENTS
from ..campaign.scales import SHOWN
from ..networks import form
from ..results import arrays
from .comparisons import EPOCHS, UPDATES, compare, row, training_loss
from .panels import COLOR, DASH, Picture, each, look, named
from .scores import BOARD
from .statistics import ahead, best_and_last, elsewhere, gap, lost, paper_gap, sized, theirs_for, trials_gone
from .words import (
    ARMS,
    Networks,
    Text,
    by_network,
    by_side,
    capital,
    counted,
    folded,
    interval,
    known,
    marked,
    names,
    number,
    plural,
    points,
    short,
    spread,
    table,
    trials,
    with_interval,
)

MODES = {  # of batch norm in evaluation
    "recalibrated": "recalibrated on the training set",
    "batch": "the test batch's own statistics",
    "frozen": "running averages from training",
}


def table2(networks: Networks = SHOWN) -> Text:
    """Table 2: train and test accuracy, SB against LB: ours (recalibrated batch norm) beside the paper's."""
    rows, counts = [], {}
    for network in names(networks):
        runs = arrays.pairs(network)
        counts[network] = [len(known(arrays.final(runs[arm]))) for arm in ARMS]
        for split in ("train", "test"):  # and below these f, by which one sees how far each was trained
            cells = []
            for arm in ARMS:
                mean, sd = paper.cell("table2", network)[split][arm]
                values = arrays.final(runs[arm], split)
                cells += [marked(spread(values), lost(runs[arm], values).sum()), f"{mean:.2f} ± {sd:.2f}"]
            rows.append([network, split, *cells])
        f = [spread(training_loss(runs[arm]), 4) for arm in ARMS]
        rows.append([network, "(f, training loss)", f[0], "", f[1], ""])
    told = ", ".join(f"{network} {small} and {large}" for network, (small, large) in counts.items() if small + large)
    below = f"Mean ± standard deviation over trials, SB and LB: {told}; the paper's five."
    return table("network | accuracy (%) | SB, ours | SB, paper | LB, ours | LB, paper", rows, (2, 4), below)


def verdict2(networks: Networks = SHOWN) -> Text:
    """What our Table 2 says of the paper's gap: who leads and by how much, and folded under it how sure."""

    def sentence(network):
        runs = arrays.pairs(network)
        small, large = (arrays.final(runs[arm]) for arm in ARMS)
        ours, theirs = gap(runs["SB"], runs["LB"]), paper_gap(paper.cell("table2", network)["test"])
        found = claims.get("gap").verdict(ours, theirs_for(network, theirs))
        if found.direction == claims.UNMEASURED:
            return None
        count = counted(found.n, trials_gone(runs, small, large))
        head = f"**Verdict: {found.direction}{elsewhere(network)}.** {network}:"
        if np.isnan(ours.value):
            return f"{head} no gap can be had, {count}."
        return folded(
            f"{head} {ahead(ours, brief=True)} of test accuracy.",
            f"{ahead(ours)}, {ours.how}; {count}. {sized(found, theirs, network, 'points')} All"
            f" trials, SB: {points(small)}; LB: {points(large)}.",
        )

    return by_network(networks, sentence)


def peaks(networks: Networks = SHOWN) -> Text:
    """Fig. 2: the gap of the best epochs, which early stopping would leave, and how far test accuracy falls from
    them."""

    def sentence(network):
        runs = arrays.pairs(network)
        (best, last), (large_best, large_last) = best_and_last(runs).values()
        found, end = claims.contrast(best, large_best), claims.contrast(last, large_last).value
        verdict = claims.get("early-stopping").verdict(found)
        if verdict.direction == claims.UNMEASURED:
            return None
        return folded(
            f"**Verdict: {verdict.direction}.** {network}: stopped at its best epoch {ahead(found, brief=True)}; at the"
            f" end {'SB' if end >= 0 else 'LB'} by {short(abs(end))}.",
            f"Stopped at its best epoch, chosen on the test set itself, {ahead(found)}; at the end,"
            f" {'SB' if end >= 0 else 'LB'} by {number(abs(end))}. From its best epoch to its last, test accuracy falls"
            f" by {spread(best - last)} points for SB and by {spread(large_best - large_last)} for LB.",
        )

    return by_network(networks, sentence)


def modes2(networks: Networks = SHOWN) -> Text:
    """Test accuracy under each way to normalise in evaluation."""
    rows = []
    for network in names(networks):
        runs = arrays.pairs(network)
        for mode, words in MODES.items():
            small, large = (arrays.final(runs[arm], "test", mode) for arm in ARMS)
            value = claims.contrast(small, large).value
            rows.append([network, words, spread(small), spread(large), "" if np.isnan(value) else number(value)])
    return table("network | batch norm in evaluation | SB (%) | LB (%) | gap, points", rows)


def loss2(networks: Networks = SHOWN) -> Text:
    """Table 2 by the mean loss of a test example, which also counts how sure a network was."""
    rows = []
    for network in names(networks):
        small, large = (arrays.final(runs, what="loss") for runs in arrays.pairs(network).values())
        lead = claims.contrast(small, large)
        lower = by_side(lead, 0, "LB", "SB", "not told apart")
        rows.append([network, spread(small, 3), spread(large, 3), with_interval(lead), lower])
    return table("network | test loss, SB | LB | SB less LB | the lower", rows, ours=(2, 3))


def evaluator(networks: Networks = SHOWN) -> Text:
    """How much of the gap is the evaluator's doing: what another way to normalise adds to the gap, on the same trained
    pairs.

    The interval is of the mean over pairs by Student's t, since both numbers come from one pair of networks.
    """

    def sentence(network):
        runs, told, most = arrays.pairs(network), [], 0.0
        by = {mode: arrays.final(runs["SB"], "test", mode) - arrays.final(runs["LB"], "test", mode) for mode in MODES}
        for mode, words in (("batch", "the test batch's own statistics"), ("frozen", "running averages")):
            more = known(by[mode] - by["recalibrated"])
            if len(more):
                most = max(most, abs(more.mean()))
                word, more = ("wider", more) if more.mean() >= 0 else ("narrower", -more)
                pair = stats.ttest_1samp(more, 0).confidence_interval() if len(more) > 1 else None
                told.append(f"{words} make it {word} by {number(more.mean())} points ({interval(pair)})")
        lead = known(by["recalibrated"])
        if not told:
            return None
        return folded(
            f"{network}: SB's lead is {short(lead.mean())} points; another way to evaluate moves it by {short(most)} at"
            " most.",
            f"{plural(len(lead), 'pair')}: recalibrated, SB's lead is {number(lead.mean())} points; {'; '.join(told)}."
            " Where an interval holds 0, the evaluator may have no part in it.",
        )

    return by_network(networks, sentence)


def fig2(networks: Networks = SHOWN, **settings: Any) -> Picture:
    """Fig. 2's curves: train and test accuracy by epoch, every trial thin, the mean thick. settings: those of the runs.

    The first tenth of the epochs may lie below the picture.
    """

    def draw(left, right, network):
        runs = arrays.pairs(network, **settings)
        for ax, split in ((left, "train"), (right, "test")):
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
            ax.set(title=f"{named(network)}, {split}", xlabel="epoch", ylabel="accuracy (%)")
            if late:
                low, high = min(map(np.nanmin, late)), max(map(np.nanmax, late))
                room = 0.05 * (high - low) or 0.1
                ax.set_ylim(low - room, high + room)
                ax.legend(fontsize=8)

    return each(names(networks), draw, per=2, told=False)


def benches() -> Text:
    """Plain SB and LB of the benches, on which remedies can be tried often."""
    words = {n: f"{form(n).network} on {scales.scale().datasets[n]}" for n in EXPERIMENTS["benches"].networks}
    return compare([row(n, said, arrays.pairs(n)) for n, said in words.items()], extra=EPOCHS | UPDATES)


def bench_gaps(networks: Networks = BOARD) -> Text:
    """Whether there is a gap for remedies to close: SB against LB of each bench, and how much of the training set LB
    is."""

    def sentence(network):
        runs = arrays.pairs(network)
        lead = gap(*runs.values())
        if np.isnan(lead.value):
            return None
        small, large = scales.sizes(network)
        count = data.examples(runs["LB"][0].dataset)[0]
        share = f"{number(100 * large / count, 0)} % of the" if large < count else "the whole"
        word = by_side(lead, 0, "a gap", "no gap: LB is the better", "no gap that the trials can tell")
        return folded(
            f"**{network}: {word}.** {capital(ahead(lead, brief=True))}.",
            f"Batch {small:,} against {large:,}, which is {share} training set;"
            f" {trials(*map(arrays.final, runs.values()))}: {ahead(lead)}.",
        )

    return by_network(networks, sentence)
