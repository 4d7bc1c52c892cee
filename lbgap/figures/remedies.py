"""Remedies beside plain SB and LB: Tables 6 and 7, E.3 and its plots, the tuning, and one scoreboard of them all."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import data, paper
from ..campaign import scales, treatments
from ..campaign.experiments import EXPERIMENTS
from ..campaign.scales import PAPER
from ..campaign.treatments import CHEAP, TREATMENTS
from ..networks import form
from ..results import arrays
from .controls import EPOCHS, EPSILON, LOSS, UPDATES, best, compare, each_trial, row, times
from .plots import COLOR, MARK, _axes, _legend, _mark, _wanted, paths
from .statistics import Compared, gap, holm, ratio, welch, welch_p
from .tables import KEY
from .words import (
    ARMS,
    FACTOR,
    PENDING,
    Networks,
    Text,
    ahead,
    by_network,
    by_side,
    dots,
    ended,
    interval,
    judged,
    known,
    matched,
    names,
    note,
    number,
    percent,
    points,
    spread,
    table,
    trials,
    with_interval,
)

BOARD = (*CHEAP, "F1")  # what two cores can do of every remedy
NOT_THERE = "not in the paper"


def treated(name: str, network: str) -> dict[str, list]:
    """A remedy's runs of all trials: {"LB": runs}, and "SB" where it is tried there too; no runs while the network is
    waiting."""
    makers = {"SB": TREATMENTS[name].small, "LB": TREATMENTS[name].run}
    return {arm: each_trial(name, network, make) for arm, make in makers.items() if make}


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
        share = f"{number(100 * large / count, 0)} %" if large < count else "the whole"
        share += " of the training set" if large < count else " training set"
        word = by_side(lead, 0, "a gap", "no gap: LB is the better", "no gap that the trials can tell")
        return (
            f"**{network}: {word}.** Batch {small:,} against {large:,}, which is {share}; "
            f"{trials(*map(arrays.final, runs.values()))}: {ahead(lead)}."
        )

    return by_network(networks, sentence)


# -- E.1, Table 6 ------------------------------------------------------------------------------------------------------

SETS = {"as it is": {}, "augmented": {"augmented": True}}  # which training set, and the settings of its sharpness


def _theirs(pair) -> str:
    return f"{pair[0]:.2f} ± {pair[1]:.2f}" if pair else NOT_THERE


def table6(networks: Networks = None) -> Text:
    """Table 6: both arms augmented: test accuracy, and sharpness on the training set as it is and on it augmented
    once."""
    chosen = names(networks or treatments.IMAGES)
    accuracy, sharp = [], []
    for network in chosen:
        runs, cell = treated("augmentation", network), paper.cell("table6_augmentation", network)
        both = (c for arm in ARMS for c in (percent(arrays.final(runs[arm])), f"{_theirs(cell[arm])} %"))
        accuracy.append([network, *both])
        for epsilon, key in KEY.items():
            for words, settings in SETS.items():
                both = (dots(arrays.sharpness(runs[arm], epsilon, **settings)) for arm in ARMS)
                sharp.append([network, key, words, *both, _theirs(cell["sharpness_LB"][key])])
    text = "\n\nC1-text is C1 with stride 2, as the paper's text prints it; it stands beside the paper's C1."
    return Text(
        f"{table('test accuracy, augmented | SB, ours | SB, paper | LB, ours | LB, paper', accuracy)}\n\n"
        f"{table('sharpness | epsilon | training set | SB | LB | LB, paper', sharp)}\n\n"
        "The paper gives no sharpness of SB, and does not say on which set it measured."
        f"{text if 'C1-text' in chosen else ''}{note(chosen)}"
    )


def verdict6(networks: Networks = None) -> Text:
    """E.1's two claims: LB with augmentation comes near to SB with it, and is still the sharper."""

    def sentence(network):
        runs, plain = treated("augmentation", network), arrays.pairs(network)
        left, before = gap(runs["SB"], runs["LB"]), gap(plain["SB"], plain["LB"])
        if np.isnan(left.value):
            return None
        word, told = by_side(left, 0, "a gap remains", "LB is ahead", "no gap that the trials can tell"), []
        for words, settings in SETS.items():
            sharper = ratio(*(arrays.sharpness(runs[arm], EPSILON, **settings) for arm in ARMS))
            told += [] if np.isnan(sharper.value) else [f"on the training set {words} {times(sharper)}"]
        return (
            f"**Verdict: {word}.** {network}, {trials(*(arrays.final(runs[arm]) for arm in ARMS))}: both augmented,"
            f" {ahead(left)}; without augmentation {PENDING if np.isnan(before.value) else ahead(before)}. LB's"
            f" sharpness over SB's at epsilon {EPSILON:g}: {'; '.join(told) or PENDING}."
        )

    return by_network(networks or treatments.IMAGES, sentence)


# -- E.2, Table 7 ------------------------------------------------------------------------------------------------------


def table7(networks: Networks = None) -> Text:
    """Table 7: plain SB and LB and conservative LB: test accuracy, and the sharpness of conservative LB."""
    chosen = names(networks or (*PAPER, *CHEAP))
    accuracy, sharp = [], []
    for network in chosen:
        plain, runs = arrays.pairs(network), treated("conservative", network)["LB"]
        theirs, before = (paper.cell(name, network) for name in ("table7_conservative", "table3"))
        sides = (plain["SB"], theirs.get("SB")), (plain["LB"], paper.cell("table2", network).get("test", {}).get("LB"))
        sides = *sides, (runs, theirs.get("LB"))
        accuracy.append([network, *(c for of, cell in sides for c in (spread(arrays.final(of)), _theirs(cell)))])
        for epsilon, key in KEY.items():
            ours = (dots(arrays.sharpness(of, epsilon)) for of in (plain["LB"], runs))
            cells = theirs.get("sharpness_LB", {}).get(key), before.get(key, {}).get("LB")
            sharp.append([network, key, *ours, *map(_theirs, cells)])
    head = (
        "test accuracy, % | SB, ours | SB, Table 7 | LB, ours | LB, Table 2 | conservative LB, ours |"
        " conservative LB, Table 7"
    )
    return Text(
        f"{table(head, accuracy)}\n\n"
        f"{table('sharpness | epsilon | LB | conservative LB | conservative, Table 7 | LB, Table 3', sharp)}"
        f"{note(chosen)}"
    )


def paper_gain(network: str) -> Compared:
    """What conservative training gains over plain LB by the paper's own means and deviations, Table 7 against Table
    2."""
    after, before = paper.cell("table7_conservative", network)["LB"], paper.cell("table2", network)["test"]["LB"]
    five = *after, 5, *before, 5
    return Compared(after[0] - before[0], welch(*five), "Welch from means and deviations", welch_p(*five))


def verdict7_paper() -> Text:
    """E.2's "statistically significant improvement", tested with the paper's own numbers."""
    found = {network: paper_gain(network) for network in PAPER}
    adjusted = dict(zip(PAPER, holm([of.p for of in found.values()])))
    lines = [
        f"- {network}: {number(of.value)} points ({interval(of.interval)}; p after Holm {adjusted[network]:.2g})"
        for network, of in found.items()
    ]
    better = [network for network in PAPER if found[network].side(0) > 0 and adjusted[network] < 0.05]
    worse, sharper = [], []
    for network in PAPER:
        after, plain = paper.cell("table7_conservative", network), paper.cell("table2", network)["test"]["LB"]
        worse += [f"{network} ({after['LB'][0]} < {plain[0]})"] if found[network].value < 0 else []
        steeper = after["sharpness_LB"]["1e-3"] > paper.cell("table3", network)["1e-3"]["LB"]
        sharper += [network] if steeper else []
    return Text(
        f"**Verdict: by its own numbers the paper's improvement is significant for {', '.join(better)}: {len(better)}"
        f" of {len(PAPER)} networks.** Conservative LB is worse than plain LB for {', '.join(worse) or 'none'}, and"
        f" sharper at epsilon 1e-3 for {', '.join(sharper) or 'none'}. Conservative LB (Table 7) less plain LB (Table"
        f" 2), Welch from means, deviations and five trials each, {len(PAPER)} comparisons:\n\n" + "\n".join(lines)
    )


def verdict7(networks: Networks = None) -> Text:
    """The same with our runs: what conservative training gains over plain LB, what is left to SB, and what becomes of
    sharpness."""
    chosen = names(networks or (*PAPER, *CHEAP))
    found = {network: judgements(network) for network in chosen}

    def sentence(network):
        (s,) = scores(network, "conservative")
        if s.pending or np.isnan(s.gain.value):
            return None
        word = found[network][s.title, "gain"]
        word = {"gains": "an improvement", "loses": "a loss"}.get(word, word)
        plain = points(arrays.final(arrays.pairs(network)["LB"]))
        every = f", {s.gain.how}; conservative: {points(s.accuracy)}; plain: {plain}"
        return (
            f"**Verdict: {word}.** {network}, {trials(s.accuracy)}:"
            f" {ahead(s.gain, 'conservative LB', 'plain LB', every)};"
            f" {f'SB against it is {PENDING}' if np.isnan(s.left.value) else ahead(s.left, 'SB', 'conservative LB')}."
            f" Its sharpness over plain LB's: {_ratio(s.ratio)}."
        )

    return Text(f"{by_network(chosen, sentence)}\n\n{_family(found)}")


def moments(networks: Networks = None) -> Text:
    """What Adam's moments do between sub-problems: conservative LB with the moments kept, and reset at each."""
    rows = []
    for network in names(networks or EXPERIMENTS["conservative_reset"].networks):
        plain = arrays.pairs(network)
        rows.append(row(network, "plain LB", plain))
        for words, name in (("kept", "conservative"), ("reset", "conservative_reset")):
            rows.append(row(network, f"conservative LB, moments {words}", plain | treated(name, network)))
    return compare(rows, extra=UPDATES | LOSS)


def half_pull(networks: Networks = None) -> Text:
    """Whether it matters that Eq. 5 may have meant lambda / 2: conservative LB with half the pull against it with the
    whole."""

    def sentence(network):
        half, whole = (treated(name, network)["LB"] for name in ("conservative_half", "conservative"))
        gain, sharp = gap(half, whole), ratio(*(arrays.sharpness(of, EPSILON) for of in (whole, half)))
        if np.isnan(gain.value):
            return None
        told = gain.side(0) or sharp.side(1)
        word = "it makes a difference" if told else "no difference that the trials can tell"
        word = "open" if gain.interval is None or sharp.interval is None else word
        return (
            f"**lambda / 2 in place of lambda: {word}.** {network}, {trials(arrays.final(half), arrays.final(whole))}: "
            f"{ahead(gain, 'half the pull', 'the whole')}; its sharpness is {times(sharp)} that with the whole."
        )

    return by_network(networks or TREATMENTS["conservative_half"].networks, sentence)


# -- E.3 ---------------------------------------------------------------------------------------------------------------

ROBUST = ("adversarial", "stability")


def robust(networks: Networks = BOARD) -> Text:
    """E.3, which the paper reports without a number: both arms plain, trained adversarially, and for stability."""
    rows = []
    for network in names(networks):
        rows.append(row(network, "plain", arrays.pairs(network)))
        rows += [row(network, TREATMENTS[name].title, treated(name, network)) for name in ROBUST]
    return compare(rows)


def robust_verdict(networks: Networks = BOARD) -> Text:
    """E.3's "similar to the unmodified (baseline) case": accuracy and sharpness of either arm against the same arm
    without."""
    lines, differ, tested, found = {}, 0, 0, {network: judgements(network) for network in names(networks)}
    for network, words in found.items():
        for name, s in zip(ROBUST, scores(network, ROBUST)):
            for arm, gain, sharp in (("SB", "small", "small_ratio"), ("LB", "gain", "ratio")):
                of, by = getattr(s, gain), getattr(s, sharp)
                if not np.isnan(of.value):
                    pair = [words[s.title, what] for what in (gain, sharp)]
                    differ += len({"gains", "loses", "sharper", "flatter"} & set(pair))
                    tested += sum(each.interval is not None for each in (of, by))
                    better = {"gains": "better", "loses": "worse"}.get(pair[0], pair[0])
                    lines.setdefault(network, []).append(
                        f"- {network}, {s.title}, {arm}, {trials(arrays.final(treated(name, network)[arm]))}:"
                        f" {number(of.value)} points ({interval(of.interval)}), {better}; sharpness"
                        f" {PENDING if np.isnan(by.value) else f'{times(by)} that of plain {arm}, {pair[1]}'}."
                    )
    missing = [n for n in names(networks) if n not in lines]
    word = f"{differ} of {tested} comparisons differ from the baseline" if tested else "open" if lines else PENDING
    said = "\n".join(line for of in lines.values() for line in of)
    return Text(
        f"**Verdict: {word}** (what does not differ is not proven similar, and its interval says how far it may be "
        f"off).\n\n{said}\n\n{_family(found)}"
        + (f"\n\nPending: {', '.join(missing)}." if missing else "")
        + note(networks)
    )


def remedy_paths(name: str, networks: Networks = BOARD):
    """Fig. 3 of plain SB and LB, and of both with a remedy."""
    panels = []
    for network in names(networks):
        for words, runs in (("plain", arrays.pairs(network)), (TREATMENTS[name].title, treated(name, network))):
            panels.append((f"{network}, {words}", network, *(runs[arm] for arm in ARMS), "linear", {}, ARMS))
    return paths(panels)


# -- tuning ------------------------------------------------------------------------------------------------------------


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


# -- the scoreboard ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Score:
    """A remedy on one network: its runs, their test accuracy and sharpness (T,), and what it makes of plain LB.

    gain: points over plain LB; left: of plain SB over it; ratio: its sharpness over plain LB's; small, small_ratio: the
    same two at SB against plain SB, None where it is not tried there.
    """

    network: str
    title: str
    source: str
    runs: list
    accuracy: np.ndarray
    sharp: np.ndarray
    gain: Compared
    left: Compared
    ratio: Compared
    small: Compared | None
    small_ratio: Compared | None

    @property
    def pending(self) -> bool:
        return not len(known(self.accuracy))


def score(network: str, title: str, source: str, runs: list, small=None) -> Score:
    """Any runs as a line of the scoreboard; small: the same at SB."""
    plain = arrays.pairs(network)
    sharp = {arm: arrays.sharpness(plain[arm], EPSILON) for arm in ARMS}
    own, at_small = arrays.sharpness(runs, EPSILON), (None, None)
    if small is not None:
        at_small = gap(small, plain["SB"]), ratio(sharp["SB"], arrays.sharpness(small, EPSILON))
    compared = gap(runs, plain["LB"]), gap(plain["SB"], runs), ratio(sharp["LB"], own), *at_small
    return Score(network, title, source, runs, arrays.final(runs), own, *compared)


def scores(network: str, which=None) -> list[Score]:
    """Every remedy that is tried on a network, or those named, in the order of TREATMENTS."""
    out = []
    for name in TREATMENTS if which is None else names(which):
        if network in TREATMENTS[name].networks:
            runs = treated(name, network)
            out.append(score(network, TREATMENTS[name].title, TREATMENTS[name].source, runs["LB"], runs.get("SB")))
    return out


def _board(networks, which):
    """{network: its scores}, the networks of the remedies named by default, else BOARD."""
    own = dict.fromkeys(n for name in names(which) for n in TREATMENTS[name].networks) if which else BOARD
    return {network: scores(network, which) for network in names(networks or tuple(own))}


ACCURACY, SHARPNESS = (0, "gains", "loses"), (1, "sharper", "flatter")
ASKED = {"gain": ACCURACY, "ratio": SHARPNESS, "small": ACCURACY, "small_ratio": SHARPNESS}


def judgements(network: str) -> dict[tuple[str, str], str]:
    """{(title, which of ASKED): its word after Holm's correction, "open" without an interval, or "pending"}.

    One family a network, all its remedies, whichever of them a page shows: so a comparison has one word in the whole
    book.
    """
    asked = {(s.title, what): getattr(s, what) for s in scores(network) for what in ASKED}
    asked, out = {which: found for which, found in asked.items() if found is not None}, {}
    for (which, found), p in zip(asked.items(), holm([found.p for found in asked.values()])):
        out[which] = PENDING if np.isnan(found.value) else judged(found, p, *ASKED[which[1]])
    return out


def _family(words: dict[str, dict]) -> str:
    """Over how many comparisons the words, {network: its judgements}, are corrected."""
    counts = {n: sum(word not in (PENDING, "open") for word in found.values()) for n, found in words.items()}
    told = ", ".join(f"{n} {count}" for n, count in counts.items() if count)
    return (
        "The words are Holm-corrected over all remedies of a network, also those that another page shows; comparisons: "
        f"{told or 'none yet'}."
    )


def _gain(found: Compared | None, word="") -> str:
    if found is None:
        return "not tried"
    return with_interval(found) + (f", {word}" if word and not np.isnan(found.value) else "")


def _ratio(found: Compared, word="") -> str:
    return PENDING if np.isnan(found.value) else times(found) + (f", {word}" if word else "")


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
                compared = (_gain(s.gain), "", _ratio(s.ratio), "") if arm == "SB" else ("", _gain(s.left), "", "")
                rows.append(_line(s, compared))
        for s in found:
            if s.pending:
                pending.setdefault(network, []).append(s.title)
            else:
                gains, flat, at_small = (words[network].get((s.title, what), "") for what in ("gain", "ratio", "small"))
                compared = _gain(s.gain, gains), _gain(s.left), _ratio(s.ratio, flat), _gain(s.small, at_small)
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
        f"Sharpness at epsilon {EPSILON:g}. Intervals of 95 %, one by one. {_family(words)} Updates count those of a"
        " run's start too."
    )
    return Text("\n\n".join(said) + note(board))


def _fits(network: str, found: list[Score]) -> list[str]:
    """At which f plain SB and LB ended, and which remedies did not end at plain LB's: a line, or none while either is
    pending."""
    plain = {arm: LOSS["training loss"](runs) for arm, runs in arrays.pairs(network).items()}
    if not all(len(known(f)) for f in plain.values()):
        return []
    own = {s.title: LOSS["training loss"](s.runs) for s in found}
    off = [f"{title} ({number(known(f).mean(), 4)})" for title, f in own.items() if not matched(f, plain["LB"])]
    said = f" Every remedy measured ended within a factor of {FACTOR:g} of plain LB's f." if found else ""
    said = f" Not within a factor of {FACTOR:g} of plain LB's f: {'; '.join(off)}." if off else said
    return [f"- {network}, plain: {ended(plain)}.{said}"]


def _line(s: Score, compared) -> list[str]:
    gain, left, sharper, small = compared
    title, count = s.title + (f" ({s.source})" if s.source else ""), f"{len(known(s.accuracy))} of {len(s.runs)}"
    f, updates = (known(what(s.runs)).mean() for what in (LOSS["training loss"], arrays.updates))
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
            f" {f'Plain SB against it is {PENDING}' if np.isnan(before.value) else f'Plain: {ahead(before)}'}. Gain:"
            f" {told(ours('gains'))}. Lose: {told(ours('loses'))}. End flatter: {told(ours('flatter'))}; flatter and"
            f" gaining: {told(ours('flatter', 'gains'))}. End sharper: {told(ours('sharper'))}; sharper and gaining:"
            f" {told(ours('sharper', 'gains'))}. The rest is not settled with these trials."
        )

    return Text(f"{by_network(tuple(board), sentence)}\n\n{_family(words)}")


def scoreboard_figure(networks: Networks = None, which=None):
    """The scoreboard drawn: points over plain LB on the left, sharpness over plain LB's on the right; every trial,
    means, intervals."""
    gain = lambda s: s.gain.value
    board = _board(networks, which)
    board = {n: sorted((s for s in found if not np.isnan(gain(s))), key=gain) for n, found in board.items()}
    figure, axes = _axes(2 * len(board), height=0.8 + 0.17 * max(1, *map(len, board.values())))
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
            kind, wanted = "train" if ax is left else "sharpness", _wanted(network, *names(which or TREATMENTS))
            _mark(ax, network, [u for u in wanted if u["kind"] == kind])
    _legend(figure, *axes)
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
