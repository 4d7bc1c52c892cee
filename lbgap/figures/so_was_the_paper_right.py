"""So, was the paper right? Every claim of the paper with its verdict, from the stored results."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from .. import claims
from ..campaign import experiments, scales
from ..claims import Contrast
from ..results import arrays
from . import causal_grid as causal
from .comparisons import times, training_loss
from .measures import Cell, Judged, grid_values, judged_claims
from .scores import scores
from .statistics import ahead, gap, ratio
from .words import Text, capital, folded, known, number, plural, short, told, with_interval

LEARNED = 99  # % of the training examples: with fewer an arm is not trained to its end

PAGES = {  # which page of the book tests a claim
    "generalisation_gap": ("gap", "training-accuracy", "similar-loss", "not-overfitting", "early-stopping"),
    "walking_between_minima": ("linear-path", "curved-path"),
    "measuring_sharpness": (
        *("sharper", "sharper-half-box", "sharper-subspace", "sharper-subspace-half-box", "orders", "box-growth"),
        "test-function",
    ),
    "few_steep_directions": ("metric-spectrum", "many-large-eigenvalues", "five-percent", "saddle-points"),
    "one_minute_laboratory": ("other-data",),
    "same_function": ("different-minimisers",),
    "causal_grid": ("noise", "cause"),
    "remedies": (
        *("augmentation", "augmentation-sharp", "conservative", "conservative-sharp", "adversarial", "stability"),
        *("robust-sharp", "dynamic-sampling"),
    ),
    "when_it_pays": ("performance-model",),
    "tables_and_figures": ("starts", "correlated"),
    "threshold": ("threshold", "threshold-sharpness", "threshold-others"),
    "batch_or_rate": ("optimizers",),
    "why_small_batches_escape": (
        *("closest-minimiser", "distance-3-10", "warm-early", "warm-late", "warm-late-flat", "start-alike"),
        *("large-sharpens", "small-flattens", "escape"),
    ),
}
TOLD = {  # a direction as the head of a list, best first
    claims.HOLDS: "It holds here",
    claims.PART: "It holds in part: on some networks, or on fewer than the claim asks for",
    claims.FAILS: "It does not hold here",
    claims.UNDECIDED: "Undecided: open, or mixed, or not sure enough for so many claims",
}
CELL = {claims.HOLDS: "yes", claims.PART: "in part", claims.FAILS: "no", "more": "more", claims.UNDECIDED: "open"}


def page_of(id: str) -> str:
    """The page of the book that tests a claim."""
    return next(page for page, ids in PAGES.items() if id in ids)


def title(page: str) -> str:
    """A page's name in words."""
    return capital(page.replace("_", " "))


def where(of: Judged) -> str:
    """On which networks a claim holds: "yes on F1, C1-text; no on F2-lj"; "more", where it exceeds the claim."""
    said = {}
    high = of.claim.test.claimed[1]
    for cell in of.cells:
        more = cell.said.direction == claims.FAILS and high is not None and cell.ours.value > high
        said.setdefault(CELL["more" if more else cell.said.direction], []).append(_who(cell))
    named = [(word, [name for name in said[word] if name]) for word in CELL.values() if word in said]
    return "; ".join(f"{word} on {', '.join(networks)}" for word, networks in named if networks)


def line(of: Judged) -> str:
    """A claim and where it holds, in a line."""
    there = where(of)
    corrected = claims.combined(((c.network, c.said) for c in of.cells), of.claim.test.least).direction != of.direction
    more = ". Not sure enough for one of so many claims" if corrected and of.cells else ""
    if any(cell.ours.how == "arithmetic" for cell in of.cells):
        there = "that is arithmetic, and needs no runs"
    note = _far_apart(of) if of.claim.id == "similar-loss" else ""
    return f"{of.claim.says} *{capital(there)}{more}.*{note}" if there else of.claim.says


def _far_apart(of: Judged) -> str:
    """How far apart losses can be that count as similar beside that of guessing."""
    means = {
        c.network: [known(training_loss(runs)).mean() for runs in arrays.pairs(c.network).values()] for c in of.cells
    }
    most, network = max((max(both) / min(both), name) for name, both in means.items())
    return (
        f" Both are small beside guessing's; yet on {network} one is {short(most)} times the other. Any two networks"
        " that have learned nearly all of their examples pass this test."
    )


QUESTIONS = {  # the paper's argument in three steps, each with the claim that answers it
    "Does the small batch (SB) test better than the large batch (LB)?": "gap",
    "Is the minimum where LB ends the sharper one?": "sharper",
    "Is that why it tests worse?": "cause",
}


def headline() -> Text:
    """The paper's argument in three questions, each answered network by network."""
    every = judged_claims()
    lines = [f"- **{question}** {_answer(every[id])}" for question, id in QUESTIONS.items()]
    return Text("\n".join(lines))


def _answer(of: Judged) -> str:
    if not (cells := of.cells):
        return "Not measured yet."
    valued = [c for c in cells if not math.isnan(c.ours.value)]
    if of.claim.id == "cause":  # one trial can show a gap where five show none
        cells = [c for c in cells if c.ours.interval] or cells
        told = [f"on {c.network}, {_half(c.network, c.ours)}" for c in cells]
    elif not valued:
        told = ["no value can be had"]
    elif of.claim.id == "gap":
        told = [
            f"on {c.network} {'SB' if c.ours.value > 0 else 'LB'} is ahead by {short(abs(c.ours.value))} points"
            f"{_unfinished(c.network)}"
            for c in valued
        ]
    else:
        told = [f"on {c.network} {short(c.ours.value)} times as sharp" for c in valued]
    once = [c.network for c in cells if c.ours.n == 1]
    more = f" ({', '.join(once)}: one trial so far)" if once else ""
    return capital(f"{'; '.join(told)}{more}. Over all: **{of.direction}**.")


def _unfinished(network: str) -> str:
    """Who leads once both arms are trained further, of a network one arm of which has not learned its examples."""
    runs = arrays.pairs(network)
    least = {arm: known(arrays.final(of, "train")).mean() for arm, of in runs.items()}
    arm = min(least, key=least.get)
    after = gap(*(list(map(experiments.settled, of)) for of in runs.values()))
    if least[arm] > LEARNED or not after.interval:
        return ""
    return (
        f", but {arm} has not learned all of its training examples there ({least[arm]:.1f} %): after five more epochs"
        f" of both, with a falling rate, {ahead(after, brief=True)}"
    )


def _half(network: str, ours: Contrast) -> str:
    """How much of the gap SAM's gain is, in words. ours: the gain less half of the gap."""
    grid = grid_values(network)
    small, large, flat = (grid[cell] for cell in (causal.SB, causal.LB, ("LB", "flatter")))
    closed, lead = (number(claims.contrast(of[0], large[0]).value) for of in (flat, small))
    like = times(ratio(small[1], flat[1]))
    told = f"SAM, with which LB ends {like} as sharp as SB, closes {closed} of the {lead} points between SB and LB"
    if ours.interval and ours.interval[0] < 0 < ours.interval[1]:
        told += f"; whether that is more or less than half, {plural(ours.n)} cannot say"
    more = scores(network, ["sam"])  # at its tuned radius
    if more and more[0].left.side(0) > 0:
        flatter, left = times(ratio(small[1], more[0].sharp)), with_interval(more[0].left)
        told += f". A stronger SAM leaves LB {flatter} as sharp as SB, and SB still ahead by {left} points"
    return told


def what_we_found() -> Text:
    """Every measured claim in a line, by verdict, and what was not measured."""
    every, parts = judged_claims(), []
    for direction, head in TOLD.items():
        mine = [of for of in every.values() if of.direction == direction]
        if mine:
            lines = [f"- {line(of)} [{title(page)}]({page}.ipynb)" for of in mine for page in [page_of(of.claim.id)]]
            parts.append(folded("", "\n".join(lines), f"<strong>{head}</strong> ({len(mine)})").strip())
    left = sum(of.direction == claims.UNMEASURED for of in every.values())
    parts.append(f"**Not measured yet:** {left} of the paper's {len(every)} claims. {_measured()}")
    return Text("\n\n".join(parts))


def _measured() -> str:
    """Which of the paper's networks have a pair, and on what hardware."""
    trained = {}
    for network in scales.SHOWN:
        if not arrays.waiting(network):
            trained[network] = len(known(np.minimum(*map(arrays.final, arrays.pairs(network).values()))))
    some = ", ".join(f"{name} ({plural(n, 'pair')})" for name, n in trained.items() if n)
    none = ", ".join(name for name, n in trained.items() if not n)
    return f"Of the paper's networks we have trained {some or 'none'}; not yet {none}. All of it ran on CPUs."


def verdicts() -> Text:
    """Every measured claim with its verdict, by page, and folded under it the numbers and the test."""
    every, parts = judged_claims(), []
    for page, ids in PAGES.items():
        lines = [
            f"- **{every[id].direction}** · {line(every[id])}\n  {_folded(every[id])}" for id in ids if every[id].cells
        ]
        if lines:
            parts.append(f"**[{title(page)}]({page}.ipynb)**\n\n" + "\n".join(lines))
    left = sum(not of.cells for of in every.values())
    return Text("\n\n".join([*parts, f"Not measured yet: {left} of the paper's {len(every)} claims."]))


def _folded(of: Judged) -> str:
    """The numbers and the test of a claim, behind a line to press."""
    test = of.claim.test
    cells = [
        f"<li>{_who(cell) or 'all'}: {_value(cell.ours, test)}: {cell.said.direction}"
        f"{f'; size {cell.said.size}' if cell.said.size else ''}</li>"
        for cell in of.cells
    ]
    p = "" if math.isnan(of.p) else f" p before Holm's correction: {of.p:.2g}."
    return (
        f"<details><summary>numbers and test</summary><ul>{''.join(cells)}</ul><p>Measured: {test.statistic}. "
        f"Refuted if {test.refuted}.{p} Section {of.claim.section}, {of.claim.element}."
        f" {claims.amendments().get(of.claim.id, '')}</p></details>"
    )


def _who(cell: Cell) -> str:
    return ", ".join(filter(None, (cell.network, cell.setting)))


def _value(ours: Contrast, test) -> str:
    if math.isnan(ours.value):
        return f"no value, {ours.diverged} diverged or without one"
    if ours.how == "arithmetic":
        return f"{short(ours.value)}, by arithmetic"
    trials = plural(ours.n) if test.seeds in ("paired", "independent") else f"n = {ours.n}"
    gone = f", {ours.diverged} diverged or without a value" if ours.diverged else ""
    times = " times" if ours.scale == "ratio" else ""
    value, interval = told(ours.value, ours.interval)
    return f"{value}{times} ({interval}; {trials}{gone})"


def _plain(cell: Cell) -> dict:
    finite, ours = lambda v: v if v is not None and math.isfinite(v) else None, cell.ours
    told = {"network": cell.network, "setting": cell.setting, "direction": cell.said.direction, "size": cell.said.size}
    told |= {"value": finite(ours.value), "interval": ours.interval and [finite(v) for v in ours.interval]}
    return told | {"trials": ours.n, "diverged": ours.diverged}


def published() -> dict:
    """All of it as plain data, for the file that the book publishes: {claim: {"says", "direction", "p", "cells"}}."""
    return {
        id: {
            **{key: getattr(of.claim, key) for key in ("says", "section", "element", "page", "seen")},
            "test": dataclasses.asdict(of.claim.test),
            "amended": claims.amendments().get(id),
            "direction": of.direction,
            "p": None if math.isnan(of.p) else of.p,
            "cells": [_plain(cell) for cell in of.cells],
        }
        for id, of in judged_claims().items()
    }
