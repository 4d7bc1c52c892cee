"""A remedy as a line of the scoreboard, and the one word that each comparison has in the whole book."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from ..campaign.treatments import CHEAP, TREATMENTS
from ..claims import Contrast, holm
from ..results import arrays
from ..run import Run
from .comparisons import EPSILON, each_trial, times
from .statistics import gap, ratio
from .words import ARMS, judged, names, with_interval

BOARD = (*CHEAP, "F1")  # what two cores can do of every remedy


def treated(name: str, network: str) -> dict[str, list]:
    """A remedy's runs of all trials: {"LB": runs}, and "SB" where it is tried there too; no runs while the network is
    waiting."""
    makers = {"SB": TREATMENTS[name].small, "LB": TREATMENTS[name].run}
    return {arm: each_trial(name, network, make) for arm, make in makers.items() if make}


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
    gain: Contrast
    left: Contrast
    ratio: Contrast
    small: Contrast | None
    small_ratio: Contrast | None


def score(network: str, title: str, source: str, runs: list, small: list[Run] | None = None) -> Score:
    """Any runs as a line of the scoreboard; small: the same at SB."""
    plain = arrays.pairs(network)
    sharp = {arm: arrays.sharpness(plain[arm], EPSILON) for arm in ARMS}
    own, at_small = arrays.sharpness(runs, EPSILON), (None, None)
    if small is not None:
        at_small = gap(small, plain["SB"]), ratio(sharp["SB"], arrays.sharpness(small, EPSILON))
    compared = gap(runs, plain["LB"]), gap(plain["SB"], runs), ratio(sharp["LB"], own), *at_small
    return Score(network, title, source, runs, arrays.final(runs), own, *compared)


def scores(network: str, which: str | Iterable[str] | None = None) -> list[Score]:
    """Every remedy that is tried on a network, or those named, in the order of TREATMENTS."""
    out = []
    for name in TREATMENTS if which is None else names(which):
        if network in TREATMENTS[name].networks:
            runs = treated(name, network)
            out.append(score(network, TREATMENTS[name].title, TREATMENTS[name].source, runs["LB"], runs.get("SB")))
    return out


ACCURACY, SHARPNESS = (0, "gains", "loses"), (1, "sharper", "flatter")
ASKED = {"gain": ACCURACY, "ratio": SHARPNESS, "small": ACCURACY, "small_ratio": SHARPNESS}


def judgements(network: str) -> dict[tuple[str, str], str]:
    """{(title, which of ASKED): its word after Holm's correction, "open" without an interval, "" without a value}.

    One family a network, all its remedies, whichever of them a page shows: so a comparison has one word in the whole
    book.
    """
    asked = {(s.title, what): getattr(s, what) for s in scores(network) for what in ASKED}
    asked, out = {which: found for which, found in asked.items() if found is not None}, {}
    for (which, found), p in zip(asked.items(), holm([found.p for found in asked.values()])):
        out[which] = "" if np.isnan(found.value) else judged(found, p, *ASKED[which[1]])
    return out


def family(words: dict[str, dict]) -> str:
    """Over how many comparisons the words, {network: its judgements}, are corrected."""
    counts = {n: sum(word not in ("", "open") for word in found.values()) for n, found in words.items()}
    told = ", ".join(f"{n} {count}" for n, count in counts.items() if count)
    return (
        "The words are Holm-corrected over all remedies of a network, also those that another page shows; comparisons: "
        f"{told or 'none yet'}."
    )


def gain_cell(found: Contrast | None, word: str = "") -> str:
    """Points in a cell, with their interval and their word."""
    if found is None:
        return "not tried"
    return with_interval(found) + (f", {word}" if word and not np.isnan(found.value) else "")


def ratio_cell(found: Contrast, word: str = "") -> str:
    """A ratio in a cell, with its interval and its word."""
    return "" if np.isnan(found.value) else times(found) + (f", {word}" if word else "")
