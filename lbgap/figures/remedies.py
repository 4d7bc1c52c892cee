"""Remedies of the paper: Tables 6 and 7, and E.3 with its plots."""

from __future__ import annotations

import numpy as np

from .. import paper
from ..campaign import treatments
from ..campaign.experiments import EXPERIMENTS
from ..campaign.scales import PAPER
from ..campaign.treatments import CHEAP, TREATMENTS
from ..claims import holm
from ..results import arrays
from .comparisons import EPSILON, KEY, LOSS, UPDATES, compare, row, times
from .panels import Picture, paths
from .scores import BOARD, family, judgements, ratio_cell, scores, treated
from .statistics import ahead, gap, paper_gain, ratio
from .words import (
    ARMS,
    NOT_YET,
    Networks,
    Text,
    by_network,
    by_side,
    capital,
    dots,
    folded,
    interval,
    joined,
    names,
    number,
    points,
    spread,
    table,
    trials,
)

NOT_THERE = "not in the paper"
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
        both = (c for arm in ARMS for c in (spread(arrays.final(runs[arm])), _theirs(cell[arm])))
        accuracy.append([network, *both])
        for epsilon, key in KEY.items():
            for words, settings in SETS.items():
                both = (dots(arrays.sharpness(runs[arm], epsilon, **settings)) for arm in ARMS)
                sharp.append([network, key, words, *both, _theirs(cell["sharpness_LB"][key])])
    text = " C1-text is C1 with stride 2, as the paper's text prints it; it stands beside the paper's C1."
    rule = "The paper gives no sharpness of SB, and does not say on which set it measured."
    rule += text if "C1-text" in chosen else ""
    return joined(
        table("test accuracy (%), augmented | SB, ours | SB, paper | LB, ours | LB, paper", accuracy, (1, 3)),
        table("sharpness | epsilon | training set | SB | LB | LB, paper", sharp, (3, 4), rule),
    )


def verdict6(networks: Networks = None) -> Text:
    """E.1's two claims: LB with augmentation comes near to SB with it, and is still the sharper."""

    def sentence(network):
        runs, plain = treated("augmentation", network), arrays.pairs(network)
        left, before = gap(runs["SB"], runs["LB"]), gap(plain["SB"], plain["LB"])
        if np.isnan(left.value):
            return None
        word = by_side(left, 0, "a gap remains", "LB is ahead", "no gap that the trials can tell")
        steep = {
            words: ratio(*(arrays.sharpness(runs[arm], EPSILON, **settings) for arm in ARMS))
            for words, settings in SETS.items()
        }
        told = [f"on the training set {words} {times(of)}" for words, of in steep.items() if not np.isnan(of.value)]
        rest = [f"Without augmentation {ahead(before)}."] if not np.isnan(before.value) else []
        rest += [f"LB's sharpness over SB's at epsilon {EPSILON:g}: {'; '.join(told)}."] if told else []
        both = trials(*(arrays.final(runs[arm]) for arm in ARMS))
        return folded(
            f"**Verdict: {word}.** {network}: both augmented, {ahead(left, brief=True)}.",
            " ".join([f"{both}: both augmented, {ahead(left)}.", *rest]),
        )

    return by_network(networks or treatments.IMAGES, sentence)


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
    below = "sharpness | epsilon | LB | conservative LB | conservative, Table 7 | LB, Table 3"
    return joined(table(head, accuracy, (5,)), table(below, sharp, (3,)))


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
        folded(
            f"**Verdict: by its own numbers the paper's improvement is significant for {', '.join(better)}:"
            f" {len(better)} of {len(PAPER)} networks.** Conservative LB is worse than plain LB for"
            f" {', '.join(worse) or 'none'}, and sharper at epsilon 1e-3 for {', '.join(sharper) or 'none'}.",
            "Conservative LB (Table 7) less plain LB (Table 2), Welch from means, deviations and five trials each,"
            f" {len(PAPER)} comparisons:\n\n" + "\n".join(lines),
        )
    )


def verdict7(networks: Networks = None) -> Text:
    """The same with our runs: what conservative training gains over plain LB, what is left to SB, and what becomes of
    sharpness."""
    chosen = names(networks or (*PAPER, *CHEAP))
    found = {network: judgements(network) for network in chosen}

    def sentence(network):
        (s,) = scores(network, "conservative")
        if np.isnan(s.gain.value):
            return None
        word = found[network][s.title, "gain"]
        word = {"gains": "an improvement", "loses": "a loss"}.get(word, word)
        plain = points(arrays.final(arrays.pairs(network)["LB"]))
        every = f", {s.gain.how}; conservative: {points(s.accuracy)}; plain: {plain}"
        who = "conservative LB", "plain LB"
        left = "" if np.isnan(s.left.value) else f" {capital(ahead(s.left, 'SB', 'conservative LB'))}."
        return folded(
            f"**Verdict: {word}.** {network}: {ahead(s.gain, *who, brief=True)}.",
            f"{trials(s.accuracy)}: {ahead(s.gain, *who, every)}.{left} Its sharpness over plain LB's:"
            f" {ratio_cell(s.ratio) or 'not measured'}.",
        )

    return by_network(chosen, sentence, family(found))


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
        who = "half the pull", "the whole"
        return folded(
            f"**lambda / 2 in place of lambda: {word}.** {network}: {ahead(gain, *who, brief=True)}.",
            f"{trials(arrays.final(half), arrays.final(whole))}: {ahead(gain, *who)}; its sharpness is {times(sharp)}"
            " that with the whole.",
        )

    return by_network(networks or TREATMENTS["conservative_half"].networks, sentence)


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
    lines, differ, tested, found = [], 0, 0, {network: judgements(network) for network in names(networks)}
    for network, words in found.items():
        for name, s in zip(ROBUST, scores(network, ROBUST)):
            for arm, gain, sharp in (("SB", "small", "small_ratio"), ("LB", "gain", "ratio")):
                of, by = getattr(s, gain), getattr(s, sharp)
                if np.isnan(of.value):
                    continue
                pair = [words[s.title, what] for what in (gain, sharp)]
                differ += len({"gains", "loses", "sharper", "flatter"} & set(pair))
                tested += sum(each.interval is not None for each in (of, by))
                better = {"gains": "better", "loses": "worse"}.get(pair[0], pair[0])
                steep = "" if np.isnan(by.value) else f"; sharpness {times(by)} that of plain {arm}, {pair[1]}"
                lines.append(
                    f"- {network}, {trials(arrays.final(treated(name, network)[arm]))}:"
                    f" {ahead(of, f'{arm} with {s.title}', f'plain {arm}')}, {better}{steep}."
                )
    if not lines:
        return NOT_YET
    word = f"{differ} of {tested} comparisons differ from the baseline" if tested else "open"
    rule = "What does not differ is not proven similar, and its interval says how far it may be off."
    return Text(folded(f"**Verdict: {word}.**", "\n".join([*lines, f"\n{rule} {family(found)}"])))


def remedy_paths(name: str, networks: Networks = BOARD) -> Picture:
    """Fig. 3 of plain SB and LB, and of both with a remedy, of each network that has the latter."""
    panels = []
    for network in names(networks):
        both = {"plain": arrays.pairs(network), TREATMENTS[name].title: treated(name, network)}
        panel = lambda words: (f"{network}, {words}", *(both[words][arm] for arm in ARMS), "linear", {}, ARMS)
        panels += map(panel, both) if arrays.paths(*(treated(name, network)[arm] for arm in ARMS)) else []
    return paths(panels)
