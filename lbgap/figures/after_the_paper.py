"""After the paper: how remedies were tuned, and one scoreboard of them all."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..campaign import treatments
from ..campaign.experiments import EXPERIMENTS
from ..campaign.treatments import TREATMENTS
from ..results import arrays
from .comparisons import EPSILON, best, training_loss
from .panels import COLOR, MARK, Picture, each
from .scores import BOARD, Score, family, gain_cell, judgements, ratio_cell, score, scores
from .statistics import ahead, gap
from .words import ARMS, FACTOR, Networks, Text, by_network, ended, folded, known, matched, names, number, spread, table

FEW = 3  # with fewer remedies a network is no board


def validated(network: str) -> dict[tuple[str, str], dict[float, list]]:
    """{(remedy, arm): {number: its validation runs of all trials}}."""
    out = {}
    for trial in arrays.trials("tuning"):
        for (name, arm, value), of in treatments.candidates(network, trial).items():
            out.setdefault((name, arm), {}).setdefault(value, []).append(of)
    return out


def chosen_numbers(network: str) -> dict[tuple[str, str], float | None]:
    """{(remedy, arm): the number that does best on the validation split, None until all are measured}."""
    return {which: best(found) for which, found in validated(network).items()}


def tuning(networks: Networks = None) -> Text:
    """Validation accuracy of every number tried for a remedy, in either arm alike, and which one is chosen."""
    rows = []
    for network in names(networks or EXPERIMENTS["tuning"].networks):
        chosen = chosen_numbers(network)
        for (name, arm), found in validated(network).items():
            said = {value: spread(arrays.final(runs)) for value, runs in found.items()}
            cells = (f"{value:g}: {words}" for value, words in said.items() if words)
            at = chosen[name, arm]
            numbers = f"**{at:g}**" if at else "", f"{treatments.TUNED[name][network][arm]:g}"
            if any(said.values()):
                rows.append([network, TREATMENTS[name].title, arm, "; ".join(cells), *numbers])
    return table("network | remedy | arm | number: validation accuracy, % | best | used here", rows)


def _board(networks, which, least=0):
    """{network: its scores that are measured}, the networks of the remedies named by default, else BOARD; those with
    `least` scores, unless they or remedies are asked for."""
    own = dict.fromkeys(n for name in names(which) for n in TREATMENTS[name].networks) if which else BOARD
    found = {network: scores(network, which) for network in names(networks or tuple(own))}
    found = {network: [s for s in mine if len(known(s.accuracy))] for network, mine in found.items()}
    return {network: mine for network, mine in found.items() if networks or which or len(mine) >= least}


def scoreboard(networks: Networks = None, which: str | Iterable[str] | None = None) -> Text:
    """Which remedy gains how many points over plain LB, how far it is from plain SB, and how flat it ends. which:
    remedies' names."""
    board = _board(networks, which)
    words = {network: judgements(network) for network in board}
    rows, fits = [], []
    for network, found in board.items():
        for arm, runs in arrays.pairs(network).items():
            s = score(network, f"*plain {arm}*", "", runs)
            over = (gain_cell(s.gain), "", ratio_cell(s.ratio)) if arm == "SB" else ("", gain_cell(s.left), "")
            rows += [_line(s, *over, "")] if len(known(s.accuracy)) else []
        for s in found:
            gains, flat, at_small = (words[network].get((s.title, what), "") for what in ("gain", "ratio", "small"))
            over = gain_cell(s.gain, gains), gain_cell(s.left), ratio_cell(s.ratio, flat)
            rows.append(_line(s, *over, gain_cell(s.small, at_small)))
        fits += _fits(network, found)
    head = (
        "network | remedy at LB | test accuracy, % | points over plain LB | left to plain SB | sharpness |"
        " sharpness over plain LB's | f | updates | at SB, points over plain SB | trials"
    )
    rule = f"Sharpness at epsilon {EPSILON:g}. Intervals of 95 %, one by one. {family(words)} Updates count those of a"
    return table(head, rows, below="\n".join([*fits, f"\n{rule} run's start too."]).strip(), shown=(0, 1, 3, 6))


def _fits(network: str, found: list[Score]) -> list[str]:
    """At which f plain SB and LB ended, and which remedies did not end at plain LB's: a line, or none where either is
    not measured."""
    plain = {arm: training_loss(runs) for arm, runs in arrays.pairs(network).items()}
    if not all(len(known(f)) for f in plain.values()):
        return []
    own = {s.title: training_loss(s.runs) for s in found}
    off = [f"{title} ({number(known(f).mean(), 4)})" for title, f in own.items() if not matched(f, plain["LB"])]
    said = f" Every remedy measured ended within a factor of {FACTOR:g} of plain LB's f." if found else ""
    said = f" Not within a factor of {FACTOR:g} of plain LB's f: {'; '.join(off)}." if off else said
    return [f"- {network}, plain: {ended(plain)}.{said}"]


def _line(s: Score, gain: str, left: str, sharper: str, small: str) -> list[str]:
    title, count = s.title + (f" ({s.source})" if s.source else ""), str(len(known(s.accuracy)))
    f, updates = (known(what(s.runs)).mean() for what in (training_loss, arrays.updates))
    line = [s.network, title, spread(s.accuracy), gain, left, spread(s.sharp), sharper]
    return [*line, number(f, 4), number(updates, 0), small, count]


def scoreboard_verdict(networks: Networks = None, which: str | Iterable[str] | None = None) -> Text:
    """The scoreboard in words: who gains, who ends flatter, and whether these are the same."""
    board = _board(networks, which, FEW)
    words = {network: judgements(network) for network in board}

    def sentence(network):
        found = [s for s in board[network] if not np.isnan(s.gain.value)]
        if not found:
            return None
        own = lambda s: {words[network][s.title, what] for what in ("gain", "ratio")}
        ours = lambda *wanted: [s for s in found if set(wanted) <= own(s)]
        told = lambda of: f"{len(of)} ({'; '.join(s.title for s in of)})" if of else "none"
        before = gap(*(arrays.pairs(network)[arm] for arm in ARMS))
        plain = "" if np.isnan(before.value) else f" Plain: {ahead(before)}."
        kinds = {"Gain": "gains", "Lose": "loses", "End flatter": "flatter", "End sharper": "sharper"}
        kinds = {name: ours(word) for name, word in kinds.items()}
        kinds |= {f"End {word} and gain": ours(word, "gains") for word in ("flatter", "sharper")}
        lists = "".join(f"\n- {name}: {told(of)}" for name, of in kinds.items() if of)
        counts = len(kinds["Gain"]), len(kinds["End flatter"])
        gain, end = ("gains" if counts[0] == 1 else "gain"), ("ends" if counts[1] == 1 else "end")
        return folded(
            f"**{network}: {counts[0]} of {len(found)} remedies measured {gain} on plain LB; {counts[1]} {end}"
            " flatter.**",
            f"{plain.strip()} The rest is not settled with these trials.\n{lists}".strip(),
            "Which ones",
        )

    return by_network(tuple(board), sentence, family(words))


def scoreboard_figure(networks: Networks = None, which: str | Iterable[str] | None = None) -> Picture:
    """The scoreboard drawn: points over plain LB on the left, sharpness over plain LB's on the right; every trial,
    means, intervals."""
    gain = lambda s: s.gain.value
    board = _board(networks, which, FEW)
    board = {n: sorted((s for s in found if not np.isnan(gain(s))), key=gain) for n, found in board.items()}

    def draw(left, right, network):
        plain, found = arrays.pairs(network), board[network]
        small = score(network, "plain SB", "", plain["SB"])
        accuracy, sharp = arrays.final(plain["LB"]), arrays.sharpness(plain["LB"], EPSILON)
        for ax, what, null, of, log in (
            (left, lambda s: _each(s.accuracy, accuracy), 0, "gain", False),
            (right, lambda s: np.exp(_each(np.log(s.sharp), np.log(sharp))), 1, "ratio", True),
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
            if ax.has_data():
                ax.axvline(null, color=COLOR["LB"], ls="--", lw=1, label="plain LB")
                if not np.isnan(getattr(small, of).value):
                    ax.axvline(getattr(small, of).value, color=COLOR["SB"], lw=1, label="plain SB")
            ax.set(yticks=range(len(found)), yticklabels=[s.title for s in found] if ax is left else [])
            ax.tick_params(axis="y", labelsize=7)
            ax.set(title=f"{network}, {'points over LB' if ax is left else 'sharpness over LB'}")

    return each(board, draw, per=2, height=0.8 + 0.17 * max([1, *map(len, board.values())]))


def _each(values: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """How far each trial is from plain LB: seed by seed, as the interval has it, where both have the same seeds."""
    return known(values - (plain if len(values) == len(plain) else known(plain).mean()))


def scoreboard_data(networks: Networks = None, which: str | Iterable[str] | None = None) -> dict:
    """What `explorers.ScoreboardExplorer` takes: the networks of which anything is measured, else the first, plain SB
    among the remedies."""
    board = _board(networks, which, FEW) or {treatments.CHEAP[0]: []}
    some = [network for network, found in board.items() if found] or list(board)[:1]
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
