"""Same function, other sharpness: each minimiser's twins in the paper's box and in the adaptive one, and what is left
of Table 3."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..campaign import experiments
from ..claims import holm
from ..results import arrays
from .comparisons import EPSILON, matched_ways, networks_of, row
from .sliders import Slider, slider
from .statistics import ratio, sharper
from .words import ARMS, Networks, Text, by_network, by_side, dots, folded, interval, number, plural, short

BOXES = {"Metric 2.1": {}, "adaptive": {"offset": 0.0}}


def ends(network: str) -> dict[str, list]:
    """{"SB": runs, "LB": runs} of the trials whose twins are wanted."""
    wanted = experiments.EXPERIMENTS["twins"].units
    found = [experiments.ends(network, trial) for trial in arrays.trials("twins") if wanted(network, trial)]
    return dict(zip(ARMS, map(list, zip(*found))))


def along(
    network: str, box: str = "Metric 2.1", what: str = "value"
) -> tuple[tuple[float, ...], dict[str, np.ndarray]]:
    """The factors (C,), 1 among them, and what each end's twins have there: {"SB": (C, T), "LB": (C, T)}."""
    factors, runs = experiments.TWINS[network], ends(network)
    of = lambda runs: np.array([arrays.sharpness(runs, EPSILON, what, twin=c, **BOXES[box]) for c in factors])
    return factors, {arm: of(runs[arm]) for arm in ARMS}


def twins_slider(networks: Networks = None) -> Slider:
    """Metric 2.1 and the adaptive one of either end's twins by their factor."""
    both = lambda network: [(at, [*of.values()]) for at, of in (along(network, box) for box in BOXES)]
    found = {network: both(network) for network in networks_of("twins", networks)}
    factors = sorted({c for network in found for c in experiments.TWINS[network]})
    told = {"names": [str(Fraction(c)) for c in factors], "position": factors.index(1.0), "log": True, "series": ARMS}
    panels = dict.fromkeys(("Metric 2.1", "adaptive sharpness"), {"log": True})
    return slider(found, panels, label="Factor of the twin", place="factor {}", **told)


def twins_verdict(networks: Networks = None) -> Text:
    """How far Metric 2.1 moves while the function stays, whether that turns the ranking round, and how far the adaptive
    one moves."""
    return by_network(networks_of("twins", networks), _verdict)


def _verdict(network):
    factors, paper = along(network)
    adaptive, f = along(network, "adaptive")[1], along(network, what="f0")[1]
    # trials of which every twin is measured
    whole = ~np.isnan(sum(found[arm].sum(0) for found in (paper, adaptive) for arm in ARMS))
    if not whole.any():
        return None
    paper, adaptive, f = ({arm: found[arm][:, whole] for arm in ARMS} for found in (paper, adaptive, f))
    one = factors.index(1.0)
    moved = lambda found: max(np.abs(found[arm] / found[arm][one] - 1).max() for arm in ARMS)
    sharper = paper["LB"][one] > paper["SB"][one]
    high, low = (np.array([getattr(paper[arm], side)(0) for arm in ARMS]) for side in ("max", "min"))
    over = np.where(sharper, high[0] / low[1], high[1] / low[0])  # how far twins put the other end ahead
    turned = int((over > 1).sum())
    some = "" if turned == len(over) else f" in {turned} of {len(over)} trials"
    word = f"can be turned round{some}" if turned else "survives"
    most = " to ".join(dict.fromkeys(number(v, 1) for v in (over.min(), over.max())))
    found = ratio(*(adaptive[arm][one] for arm in ARMS))
    orders = "LB is the sharper there", "LB is the flatter there", "the trials do not settle an order"
    ranges = "; ".join(
        f"{arm} from {number(paper[arm].min())} to {number(paper[arm].max())}, {dots(paper[arm][one])} as found"
        for arm in ARMS
    )
    return folded(
        f"**Verdict: Metric 2.1's ranking {word}.** {network}: with a twin chosen for each, a trial's flatter end"
        f" comes out {short(np.exp(np.log(over).mean()))} times as sharp, in the geometric mean; f stays where it is.",
        f"{plural(len(over))}. Metric 2.1 of the twins from factor {Fraction(factors[0])} to {Fraction(factors[-1])}:"
        f" {ranges}. As found, LB is the sharper in {sharper.sum()} of {len(over)}; with a twin chosen for each,"
        f" the flatter end comes out {most} times as sharp. All the while f moves by {100 * moved(f):.2g} % at most,"
        f" and the adaptive metric by {100 * moved(adaptive):.2g} %: SB {dots(adaptive['SB'][one], 4)}, LB"
        f" {dots(adaptive['LB'][one], 4)}, LB / SB {number(found.value)} ({interval(found.interval)}):"
        f" {by_side(found, 1, *orders, 'one trial tells no order')}.",
    )


def norm_matched(networks: Networks = None) -> Text:
    """Filter norms exchanged, which leaves the functions as they are: is LB sharper, or are its weights only
    smaller?"""
    ways = {"as they are": None, "LB with SB's norms": {"LB": "norms"}, "SB with LB's norms": {"SB": "norms"}}
    return matched_ways("norm_matched", networks, ways)


def norms_verdict(networks: Networks = None) -> Text:
    """What Table 3 does and does not prove, from the table of exchanged filter norms: three contrasts of the same two
    functions, Holm-corrected."""

    def sentence(network):
        runs = arrays.pairs(network)
        rows = [row(network, "", runs, match=match) for match in (None, {"LB": "norms"}, {"SB": "norms"})]
        both = ~np.isnan(sum(r.sharp[arm] for r in rows for arm in ARMS))
        plain, small, large = (ratio(*(r.sharp[arm][both] for arm in ARMS)) for r in rows)
        if np.isnan(plain.value * small.value * large.value):
            return None
        adjusted = holm([found.p for found in (plain, small, large)])[1:]
        sides = [found.side(1) if p < 0.05 else 0 for found, p in zip((small, large), adjusted)]
        word = "open, with one trial"
        if plain.interval:
            words = {
                1: "LB is the sharper at either length",
                0: "at one length or both, LB is not told from SB",
                -1: "at one length or both, LB is the flatter",
            }
            word = words[min(sides)]
        told = lambda found: sharper(found).removeprefix("LB is ")
        return folded(
            f"**{network}, at epsilon {EPSILON:g}: as found LB is {short(plain.value)} times as sharp as SB;"
            f" with the filters of both as long as SB's {short(small.value)} times, with both as long as LB's"
            f" {short(large.value)} times. Verdict: {word}.**",
            f"{plural(both.sum())}: as they were found, LB is {told(plain)}; with both at SB's filter norms,"
            f" {told(small)}; with both at LB's, {told(large)}. So the scale of the weights alone makes a factor of"
            f" {short(plain.value / small.value)} or {short(plain.value / large.value)}, and Metric 2.1 gives"
            " the same two functions three contrasts.",
        )

    return by_network(networks_of("norm_matched", networks), sentence)
