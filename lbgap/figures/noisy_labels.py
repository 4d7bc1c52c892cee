"""The counter-example: on wrong labels the large batch can be the sharper and the better one."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ..campaign import treatments, units
from ..campaign.treatments import ENDS, LABEL_NOISE
from ..claims import contrast
from ..results import arrays
from ..run import Run
from .comparisons import EPSILON, LOSS, UPDATES, arrived, compare, complete, row, sharpness_of, training_loss
from .panels import COLOR, LINE, Picture, each
from .sliders import ACCURACY, SHARPNESS, Slider, slider
from .statistics import ahead, gap, ratio
from .words import ARMS, FACTOR, NOT_YET, Text, ended, folded, interval, known, matched, number, trials

NETWORK, EQUAL = "wide", "equal updates"


def ends(share: float) -> dict[str, dict[str, list]]:
    """{how training ends: {"SB": runs, "LB": runs}} at a share of wrong labels, all trials."""
    all_trials = arrays.trials("noisy_labels")
    made = {end: [treatments.noisy(trial, share, end) for trial in all_trials] for end in ENDS}
    made[EQUAL] = [treatments.noisy_updates(trial, share) for trial in all_trials]
    return {end: dict(zip(ARMS, map(list, zip(*pairs)))) for end, pairs in made.items()}


def memorised(runs: list[Run]) -> np.ndarray:
    """The share of the wrong labels that each run's network gives, in percent (R,)."""
    found = arrays.each(units.train, runs)
    return np.array([np.nan if r is None else r.get("memorised", np.nan) for r in found], float)


def noisy_table() -> Text:
    """SB and LB on wrong labels, by their share and by how training ends; the test labels are right."""
    rows = []
    for share in LABEL_NOISE:
        rows += [row(NETWORK, f"{100 * share:g} % wrong, {end}", runs) for end, runs in ends(share).items()]
    return compare(rows, extra=LOSS | {"wrong labels memorised, %": memorised} | UPDATES)


def noisy_slider() -> Slider:
    """Accuracy, the share memorised and sharpness by how training ends, from LB's fewest updates to its most."""
    ways = "15 epochs", "loss 0.1", "loss 0.01", "60 epochs", EQUAL
    part = lambda held, what: (range(len(ways)), [[what(held[way][arm]) for way in ways] for arm in ARMS])
    measures = arrays.final, memorised, sharpness_of
    found = {f"{100 * share:g} % wrong": [part(ends(share), what) for what in measures] for share in LABEL_NOISE}
    panels = {**ACCURACY, "share memorised": {"percent": True, "label": "Wrong labels memorised (%)"}, **SHARPNESS}
    told = {"label": "How training ends", "place": "{}", "series": ARMS, "offered": "Labels"}
    return slider(found, panels, names=ways, position=0, **told)


def noisy_curves() -> Picture:
    """Test accuracy against the updates taken so far: SB for 60 epochs, and LB for as many updates as SB takes in
    15."""

    def draw(ax, share):
        held = ends(share)
        for arm, runs in (("SB", held["60 epochs"]["SB"]), ("LB", held[EQUAL]["LB"])):
            for of in runs:
                for curve, steps in zip(arrays.history([of], "test_accuracy"), arrays.updates([of])):
                    at = steps / len(curve) * np.arange(1, len(curve) + 1)
                    ax.plot(at, curve, LINE[arm], color=COLOR[arm], lw=1, label=arm)
                    ax.set_xscale("log")
        ax.set(title=f"{100 * share:g} % wrong labels", xlabel="updates", ylabel="test accuracy (%)")

    return each(LABEL_NOISE, draw)


def noisy_verdict() -> Text:
    """Is LB the sharper and the better one, does that survive a matched loss, and does memorisation go with
    accuracy?"""
    said = [words for share in LABEL_NOISE if (words := _verdict(share))]
    return Text("\n\n".join(said)) if said else NOT_YET


def _verdict(share: float) -> str | None:
    lines, both, runs, at_loss = [], {}, ends(share), []
    for end, pair in runs.items():
        lead, sharper = gap(pair["SB"], pair["LB"]), ratio(*(arrays.sharpness(pair[arm], EPSILON) for arm in ARMS))
        more = contrast(memorised(pair["SB"]), memorised(pair["LB"]))
        if lead.interval is None or sharper.interval is None:
            continue
        better = {1: "SB is the better", -1: "LB is the better", 0: "neither is shown to be the better"}[lead.side(0)]
        shape = {1: "LB the sharper", -1: "LB the flatter", 0: "neither is shown to be the sharper"}[sharper.side(1)]
        both[end] = lead.side(0) == -1 and sharper.side(1) == 1
        f = {arm: training_loss(pair[arm]) for arm in ARMS}
        to_loss = "stop_f" in ENDS.get(end, {})
        at_loss += [end] if to_loss and matched(*f.values()) else []
        missed = to_loss and not all(arrived([of]) for arm in ARMS for of in pair[arm] if complete([of]))
        lines.append(
            f"- {end}, {trials(*(arrays.final(pair[arm]) for arm in ARMS))}: {better}: {ahead(lead)}; "
            f"{shape} ({number(sharper.value)} times, {interval(sharper.interval)}); "
            f"{_more(*more[:2])}; {ended(f)}{'; **a run did not come to that loss**' if missed else ''}."
        )
    if not both:
        return None
    found = [end for end, counter in both.items() if counter]
    words = f"shown to be both sharper and better: {', '.join(found)}"
    words = f"LB is {words if found else 'nowhere shown to be both sharper and better'}; "
    if at_loss:
        words += f"at a matched loss it is so in {sum(both[end] for end in at_loss) or 'none'} of {len(at_loss)}"
    elif any("stop_f" in ENDS.get(end, {}) for end in both):
        words += f"trained to one goal, the two did not end within a factor of {FACTOR:g} in f"
    else:
        words += "no matched loss is measured"
    every = [of for pair in runs.values() for arm in ARMS for of in pair[arm]]
    every = list({of.id: of for of in every}.values())  # SB's 15 epochs serve twice
    accuracy = arrays.final(every)
    with_them = {"the share memorised": memorised(every), "sharpness": arrays.sharpness(every, EPSILON)}
    told = [f"with {name} {_rank(values, accuracy)}" for name, values in with_them.items()]
    return folded(
        f"**Verdict, {100 * share:g} % wrong labels: {words}.**",
        f"Over all {len(known(accuracy))} runs the rank correlation of clean test accuracy is {', '.join(told)}.\n\n"
        + "\n".join(lines),
    )


def _more(value: float, pair) -> str:
    """Which arm has memorised more of the wrong labels, and by how many points."""
    arm, value, pair = ("SB", value, pair) if value >= 0 else ("LB", -value, pair and (-pair[1], -pair[0]))
    return f"{arm} has memorised {number(value, 1)} points more of the wrong labels ({interval(pair, 1)})"


def _rank(a, b) -> str:
    """Spearman's rank correlation where both are known, in words."""
    there = ~np.isnan(a * b)
    a, b = a[there], b[there]
    return number(stats.spearmanr(a, b).statistic) if len(np.unique(a)) > 1 < len(np.unique(b)) else "not defined"
