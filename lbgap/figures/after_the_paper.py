"""After the paper: how remedies were tuned, and one scoreboard of them all."""

from __future__ import annotations

import numpy as np

from ..campaign import treatments
from ..campaign.experiments import EXPERIMENTS
from ..campaign.treatments import TREATMENTS
from ..results import arrays
from .comparisons import EPSILON, best, training_loss
from .panels import COLOR, MARK, canvas, legend, mark, wanted_of
from .scores import BOARD, Score, family, gain_cell, judgements, ratio_cell, score, scores
from .statistics import gap
from .words import (
    ARMS,
    FACTOR,
    PENDING,
    Networks,
    Text,
    by_network,
    ended,
    known,
    leads,
    matched,
    names,
    note,
    number,
    spread,
    table,
)


def validated(network: str) -> dict[tuple[str, str], dict[float, list]]:
    """{(remedy, arm): {number: its validation runs of all trials}}."""
    out = {}
    for trial in arrays.trials("tuning"):
        for (name, arm, value), of in treatments.candidates(network, trial).items():
            out.setdefault((name, arm), {}).setdefault(value, []).append(of)
    return out


def chosen_numbers(network: str) -> dict[tuple[str, str], float | None]:
    """{(remedy, arm): the number that does best on the validation split, None while runs are pending}."""
    return {which: best(found) for which, found in validated(network).items()}


def tuning(networks: Networks = None) -> Text:
    """Validation accuracy of every number tried for a remedy, in either arm alike, and which one is chosen."""
    rows = []
    for network in names(networks or EXPERIMENTS["tuning"].networks):
        chosen = chosen_numbers(network)
        for (name, arm), found in validated(network).items():
            cells = (f"{value:g}: {spread(arrays.final(runs))}" for value, runs in found.items())
            at = chosen[name, arm]
            numbers = f"**{at:g}**" if at else PENDING, f"{treatments.TUNED[name][network][arm]:g}"
            rows.append([network, TREATMENTS[name].title, arm, "; ".join(cells), *numbers])
    return table("network | remedy | arm | number: validation accuracy, % | best | used here", rows)


def _board(networks, which):
    """{network: its scores}, the networks of the remedies named by default, else BOARD."""
    own = dict.fromkeys(n for name in names(which) for n in TREATMENTS[name].networks) if which else BOARD
    return {network: scores(network, which) for network in names(networks or tuple(own))}


def scoreboard(networks: Networks = None, which=None) -> Text:
    """Which remedy gains how many points over plain LB, how far it is from plain SB, and how flat it ends. which:
    remedies' names."""
    board = _board(networks, which)
    words = {network: judgements(network) for network in board}
    rows, pending, fits = [], {}, []
    for network, found in board.items():
        for arm, runs in arrays.pairs(network).items():
            s = score(network, f"*plain {arm}*", "", runs)
            if not s.pending:
                compared = (
                    (gain_cell(s.gain), "", ratio_cell(s.ratio), "") if arm == "SB" else ("", gain_cell(s.left), "", "")
                )
                rows.append(_line(s, compared))
        for s in found:
            if s.pending:
                pending.setdefault(network, []).append(s.title)
            else:
                gains, flat, at_small = (words[network].get((s.title, what), "") for what in ("gain", "ratio", "small"))
                compared = (
                    gain_cell(s.gain, gains),
                    gain_cell(s.left),
                    ratio_cell(s.ratio, flat),
                    gain_cell(s.small, at_small),
                )
                rows.append(_line(s, compared))
        fits += _fits(network, [s for s in found if not s.pending])
    head = (
        "network | remedy at LB | test accuracy, % | points over plain LB | left to plain SB | sharpness |"
        " over plain LB's | f | updates | at SB, points over plain SB | trials"
    )
    missing = ", ".join(f"{network} ({'; '.join(titles)})" for network, titles in pending.items())
    said = [str(table(head, rows))] if rows else []
    said += [f"Still pending: {missing}."] if missing else []
    said += ["\n".join(fits)] if fits else []
    said.append(
        f"Sharpness at epsilon {EPSILON:g}. Intervals of 95 %, one by one. {family(words)} Updates count those of a"
        " run's start too."
    )
    return Text("\n\n".join(said) + note(board))


def _fits(network: str, found: list[Score]) -> list[str]:
    """At which f plain SB and LB ended, and which remedies did not end at plain LB's: a line, or none while either is
    pending."""
    plain = {arm: training_loss(runs) for arm, runs in arrays.pairs(network).items()}
    if not all(len(known(f)) for f in plain.values()):
        return []
    own = {s.title: training_loss(s.runs) for s in found}
    off = [f"{title} ({number(known(f).mean(), 4)})" for title, f in own.items() if not matched(f, plain["LB"])]
    said = f" Every remedy measured ended within a factor of {FACTOR:g} of plain LB's f." if found else ""
    said = f" Not within a factor of {FACTOR:g} of plain LB's f: {'; '.join(off)}." if off else said
    return [f"- {network}, plain: {ended(plain)}.{said}"]


def _line(s: Score, compared) -> list[str]:
    gain, left, sharper, small = compared
    title, count = s.title + (f" ({s.source})" if s.source else ""), f"{len(known(s.accuracy))} of {len(s.runs)}"
    f, updates = (known(what(s.runs)).mean() for what in (training_loss, arrays.updates))
    line = [s.network, title, spread(s.accuracy), gain, left, spread(s.sharp), sharper]
    return [*line, number(f, 4), number(updates, 0), small, count]


def scoreboard_verdict(networks: Networks = None, which=None) -> Text:
    """The scoreboard in words: who gains, who ends flatter, and whether these are the same."""
    board = _board(networks, which)
    words = {network: judgements(network) for network in board}

    def sentence(network):
        found = [s for s in board[network] if not np.isnan(s.gain.value)]
        if not found:
            return None
        own = lambda s: {words[network][s.title, what] for what in ("gain", "ratio")}
        ours = lambda *wanted: [s for s in found if set(wanted) <= own(s)]
        told = lambda of: f"{len(of)} ({'; '.join(s.title for s in of)})" if of else "none"
        before = gap(*(arrays.pairs(network)[arm] for arm in ARMS))
        return (
            f"**Verdict, {network}: {len(ours('gains'))} of {len(found)} remedies measured gain on plain LB.**"
            f" {f'Plain SB against it is {PENDING}' if np.isnan(before.value) else f'Plain: {leads(before)}'}. Gain:"
            f" {told(ours('gains'))}. Lose: {told(ours('loses'))}. End flatter: {told(ours('flatter'))}; flatter and"
            f" gaining: {told(ours('flatter', 'gains'))}. End sharper: {told(ours('sharper'))}; sharper and gaining:"
            f" {told(ours('sharper', 'gains'))}. The rest is not settled with these trials."
        )

    return Text(f"{by_network(tuple(board), sentence)}\n\n{family(words)}")


def scoreboard_figure(networks: Networks = None, which=None):
    """The scoreboard drawn: points over plain LB on the left, sharpness over plain LB's on the right; every trial,
    means, intervals."""
    gain = lambda s: s.gain.value
    board = _board(networks, which)
    board = {n: sorted((s for s in found if not np.isnan(gain(s))), key=gain) for n, found in board.items()}
    figure, axes = canvas(2 * len(board), height=0.8 + 0.17 * max(1, *map(len, board.values())))
    for (network, found), (left, right) in zip(board.items(), zip(axes[::2], axes[1::2])):
        plain = arrays.pairs(network)
        small = score(network, "plain SB", "", plain["SB"])
        accuracy, sharp = known(arrays.final(plain["LB"])), known(arrays.sharpness(plain["LB"], EPSILON))
        middle = np.exp(np.log(sharp).mean()) if len(sharp) and (sharp > 0).all() else np.nan
        for ax, what, null, of, log in (
            (left, lambda s: known(s.accuracy) - accuracy.mean(), 0, "gain", False),
            (right, lambda s: known(s.sharp) / middle, 1, "ratio", True),
        ):
            for y, s in enumerate(found):
                at, values = getattr(s, of), what(s)
                if np.isnan(at.value):
                    continue
                ax.plot(values, np.full(len(values), y), ".", color="0.45", ms=3, label="a trial")
                ax.plot(at.value, y, MARK["LB"], color=COLOR["LB"], ms=4, label="mean, 95 % interval")
                if at.interval:
                    ax.plot(at.interval, (y, y), "-", color=COLOR["LB"], lw=1.4)
                if log:
                    ax.set_xscale("log")
            ax.axvline(null, color=COLOR["LB"], ls="--", lw=1, label="plain LB")
            if found and not np.isnan(getattr(small, of).value):
                ax.axvline(getattr(small, of).value, color=COLOR["SB"], lw=1, label="plain SB")
            ax.set(yticks=range(len(found)), yticklabels=[s.title for s in found] if ax is left else [])
            ax.tick_params(axis="y", labelsize=7)
            ax.set(title=f"{network}, {'points over LB' if ax is left else 'sharpness over LB'}")
            kind, wanted = "train" if ax is left else "sharpness", wanted_of(network, *names(which or TREATMENTS))
            mark(ax, network, [u for u in wanted if u["kind"] == kind])
    legend(figure, *axes)
    return figure


def scoreboard_data(networks: Networks = BOARD, which=None) -> dict:
    """What `explorers.ScoreboardExplorer` takes: the networks of which anything is measured, else the first, plain SB
    among the remedies."""
    board = _board(networks, which)
    some = [network for network, found in board.items() if not all(s.pending for s in found)] or list(board)[:1]
    for network in some:
        board[network].insert(0, score(network, "plain SB", "", arrays.pairs(network)["SB"]))
    titles = tuple(dict.fromkeys(s.title for network in some for s in board[network]))
    by = [[{s.title: s for s in board[network]}.get(title) for title in titles] for network in some]
    keys = "gain", "ratio", "left"
    three = lambda found: [found.value, *(found.interval or (np.nan, np.nan))]
    return {
        "remedies": titles,
        "networks": tuple(some),
        "trials": [[len(known(s.accuracy)) if s else 0 for s in line] for line in by],
        **{key: [[three(getattr(s, key)) if s else [np.nan] * 3 for s in line] for line in by] for key in keys},
    }
