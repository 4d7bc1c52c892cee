"""The causal grid: gradient noise crossed with sharpness, trained to one goal in the loss, and what it says by rules
fixed beforehand."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import claims
from ..campaign import treatments
from ..campaign.treatments import NOISE, SHAPE
from ..claims import Contrast, holm
from ..results import arrays
from .comparisons import EPSILON, arrived, complete, networks_of, sharpness_of, times, training_loss
from .panels import Picture, each
from .sliders import ACCURACY, LOSS, SHARPNESS, Slider, slider
from .statistics import gap, ratio
from .words import Networks, Text, by_network, ended, folded, interval, known, number, spread, table

COLOR = dict(zip(NOISE, ("#123f73", "#c1440e", "#2f9e8f", "#9a5fb5")))
MARK = dict(zip(NOISE, "osD^"))
FILL = dict(zip(SHAPE, ("none", "left", "full")))  # hollow, half, full: the fuller, the sharper
SB, LB = (NOISE[0], "as it is"), (NOISE[1], "as it is")
FLOOR = 0.5  # points: the margin is half of SB's lead over LB, or this where no lead is shown


def cells(network: str) -> dict[tuple[str, str], list]:
    """{(noise, shape): the runs of all trials}, none while the network is waiting."""
    found = {}
    for trial in () if arrays.waiting(network) else arrays.trials("causal_grid"):
        for cell, of in treatments.cells(network, trial).items():
            found.setdefault(cell, []).append(of)
    return found


def fitted(network: str) -> dict[str, np.ndarray]:
    """{cell: f where its runs ended (T,)} of the cells that may take part in an answer."""
    return {", ".join(k): training_loss(of) for k, of in cells(network).items() if complete(of) and arrived(of)}


def causal_table(networks: Networks = None) -> Text:
    """Every cell: accuracy and how far SB as it is is ahead of it, sharpness and its ratio to SB's, f and updates."""
    chosen, lines = networks_of("causal_grid", networks), []
    for network in chosen:
        grid = cells(network)
        for (noise, shape), runs in grid.items():
            accuracy, sharp, base = arrays.final(runs), sharpness_of(runs), grid[SB]
            behind, quotient = gap(base, runs), ratio(sharpness_of(base), sharp)
            lead, over = f"{number(behind.value)} ({interval(behind.interval)})", times(quotient)
            if (noise, shape) == SB:
                lead, over = "0", "1"
            line = [network, f"{noise}, {shape}", spread(accuracy), spread(sharp)]
            line += ["" if np.isnan(behind.value) else lead]
            line += [over if len(known(sharp)) and quotient.how else ""]
            line += [spread(training_loss(runs), 4), spread(arrays.updates(runs), 0)]
            lines.append([*line, "yes" if arrived(runs) else "**no**" if complete(runs) else ""])
    said = "".join(
        f"\n\n{network}, {len(there)} cells that came to the loss: {ended(there)}."
        for network in chosen
        if (there := fitted(network))
    )
    head = (
        f"network | noise, shape | test accuracy | sharpness at {EPSILON:g} | SB as it is is ahead by, points |"
        " sharpness / SB's | f at the end | updates | came to the loss"
    )
    rule = "Mean ± standard deviation; the figure has all trials. 95 % intervals over seeds, paired; the ratio on a log"
    return table(head, lines, range(2, 8), f"{rule} scale.{said}", shown=(0, 1, 4, 5))


def causal_figure(networks: Networks = None) -> Picture:
    """Sharpness against test accuracy, a mark a trial: noise by colour and marker, shape by how full the marker is."""

    def draw(ax, network):
        for (noise, shape), runs in cells(network).items():
            x, y = sharpness_of(runs), arrays.final(runs)
            there = ~np.isnan(x * y) & (x > 0)
            if there.any():
                style = dict(color=COLOR[noise], fillstyle=FILL[shape], ms=6, label=f"{noise}, {shape}")
                ax.plot(x[there], y[there], MARK[noise], **style)
                ax.set_xscale("log")
        ax.set(title=network, xlabel=f"sharpness at epsilon {EPSILON:g}", ylabel="test accuracy (%)")

    return each(networks_of("causal_grid", networks), draw, columns=1, height=3.2)


def causal_slider(network: str = "mlp") -> Slider:
    """Every cell's accuracy, sharpness and f: the slider turns one handle, the choice the other, beside SB."""
    grid, measures = cells(network), (arrays.final, sharpness_of, training_loss)
    part = lambda noise, what: (range(len(SHAPE)), [[what(grid[n, shape]) for shape in SHAPE] for n in (SB[0], noise)])
    found = {noise: [part(noise, what) for what in measures] for noise in NOISE[1:] if (noise, SHAPE[0]) in grid}
    told = {"label": "What training seeks", "place": "{}", "series": ("SB", "LB"), "offered": "The large batch"}
    return slider(found, ACCURACY | SHARPNESS | LOSS, names=SHAPE, position=1, title=network, **told)


@dataclasses.dataclass
class Check:
    """A manipulation check: sharpness of the bent cell over that of the same noise as it is; passed: None while it is
    not measured."""

    ratio: Contrast
    p: float
    passed: bool | None


def checks(network: str) -> dict[tuple[str, str], Check]:
    """Whether SAM lowered Metric 2.1 and its reverse raised it, by noise: a Holm-corrected test, one family a
    network."""
    grid = cells(network)
    plain = {noise: sharpness_of(runs) for (noise, shape), runs in grid.items() if shape == "as it is"}
    bent = {cell: ratio(plain[cell[0]], sharpness_of(runs)) for cell, runs in grid.items() if cell[1] != "as it is"}
    out = {}
    for (cell, found), p in zip(bent.items(), holm([found.p for found in bent.values()])):
        there = complete(grid[cell]) and complete(grid[cell[0], "as it is"])
        side = {"flatter": -1, "sharper": 1}[cell[1]]
        out[cell] = Check(found, p, bool(found.side(1) == side and p < 0.05) if there else None)
    return out


def causal_checks(networks: Networks = None) -> Text:
    """The manipulation checks in words."""

    def sentence(network):
        found = checks(network)
        if all(check.passed is None for check in found.values()):
            return None
        words = {True: "passed", False: "**failed**", None: claims.UNMEASURED}
        factor = lambda check: "" if check.passed is None else f" ({times(check.ratio)} as sharp)"
        told = (f"- {', '.join(cell)}: {words[check.passed]}{factor(check)}" for cell, check in found.items())
        passed = sum(check.passed is True for check in found.values())
        return folded(f"{network}: {passed} of {len(found)} passed.", "\n".join(told), "Each check")

    return by_network(networks_of("causal_grid", networks), sentence)


def margin(lead: Contrast) -> float:
    """Half of SB's lead where one is shown, else FLOOR: an effect whose whole interval lies within it counts as
    none."""
    return lead.value / 2 if lead.side(0) == 1 else FLOOR


def gains(gain: Contrast, left: Contrast, lead: Contrast) -> str:
    """What a change to LB did. gain: its accuracy over LB's; left: SB's over its; lead: SB's over LB's."""
    if gain.side(0) == -1:
        return "hurts"
    if lead.side(0) < 1:  # there is no gap
        if gain.side(0):
            return "raises accuracy, though there is no gap"
        return "does nothing" if gain.interval[1] < FLOOR else "not settled"
    if gain.side(0) == 1:
        return "closes the gap" if left.interval[1] < margin(lead) else "narrows the gap"
    return "does nothing" if gain.interval[1] < margin(lead) else "not settled"


def costs(loss: Contrast, lead: Contrast) -> str:
    """What sharpening did to SB. loss: its accuracy below SB's; lead: SB's over LB's."""
    if loss.side(0):
        return "loses" if loss.side(0) == 1 else "gains"
    return "keeps" if max(map(abs, loss.interval)) < margin(lead) else "not settled"


def _void(network, grid, involved, needs=()) -> str | None:
    """Why a question gets no answer, or None."""
    if not all(complete(grid[cell]) for cell in involved):
        return claims.UNMEASURED
    if missed := [", ".join(cell) for cell in involved if not arrived(grid[cell])]:
        return f"no answer: {'; '.join(missed)} did not come to the training loss"
    found = checks(network)
    if failed := [", ".join(cell) for cell in needs if not found[cell].passed]:
        return f"no answer: the manipulation check failed ({'; '.join(failed)})"
    return None


def _points(what, found) -> str:
    return f"{what} {number(found.value)} points ({interval(found.interval)})"


def answers(network: str) -> dict[str, tuple[str, str]]:
    """{question: (answer, evidence)} by the registered rules."""
    grid, out = cells(network), {}
    lead = gap(grid[SB], grid[LB])
    out["0. Is there a gap?"] = (
        _void(network, grid, (SB, LB)) or {1: "yes", 0: "none shown", -1: "reversed"}[lead.side(0)],
        _points("SB ahead by", lead),
    )

    ahead = lambda first, second: gap(grid[first], grid[second])
    quotient = lambda first, second: ratio(sharpness_of(grid[second]), sharpness_of(grid[first]))
    flat, sharp = (NOISE[1], "flatter"), (NOISE[0], "sharper")
    word = _void(network, grid, (SB, LB, flat), (flat,))
    to_small = quotient(flat, SB)
    if not word:
        word = gains(ahead(flat, LB), ahead(SB, flat), lead)
        if word in ("does nothing", "narrows the gap") and to_small.side(1) == 1:
            word += ", but it is not as flat as SB"
    both = f"{_points('gains', ahead(flat, LB))}; {_points('SB still ahead by', ahead(SB, flat))}"
    out["1. LB made flatter"] = word, f"{both}; sharpness over SB's: {times(to_small)}"
    word = _void(network, grid, (SB, LB, sharp), (sharp,))
    to_large = quotient(sharp, LB)
    if not word:
        word = costs(ahead(SB, sharp), lead)
        if word == "keeps" and to_large.side(1) == -1:
            word += ", but it is not as sharp as LB"
    out["2. SB made sharper"] = word, f"{_points('loses', ahead(SB, sharp))}; sharpness over LB's: {times(to_large)}"
    for noise in NOISE[2:]:
        cell = noise, "as it is"
        if cell in grid:
            word, against = _void(network, grid, (SB, LB, cell)), quotient(cell, LB)
            if not word:
                flatter = {-1: "and flattens", 1: "and sharpens", 0: "without a change of sharpness shown"}
                word = f"{gains(ahead(cell, LB), ahead(SB, cell), lead)}, {flatter[against.side(1)]}"
            out[f"3. {noise}"] = word, f"{_points('gains', ahead(cell, LB))}; sharpness over LB's: {times(against)}"
    small, large = (NOISE[0], "flatter"), (NOISE[1], "flatter")
    rest = ahead(small, large)
    out["4. Both made flatter"] = (
        _void(network, grid, (small, large), (small, large))
        or {1: "SB is still ahead", 0: "no lead shown", -1: "LB is ahead"}[rest.side(0)],
        f"{_points('SB ahead by', rest)}; sharpness LB / SB: {times(quotient(large, small))}",
    )
    return out


def causal_verdict(networks: Networks = None) -> Text:
    """Every question's answer by the registered rules, and folded under it its evidence."""

    def sentence(network):
        found = answers(network) if cells(network) else {}
        found = {question: told for question, told in found.items() if told[0] != claims.UNMEASURED}
        said = "; ".join(f"{question[3:]} **{word}**" for question, (word, _) in found.items())
        evidence = "\n".join(f"- {question} {told}." for question, (_, told) in found.items())
        return folded(f"{network}: {said}.", evidence, "Evidence") if found else None

    return by_network(networks_of("causal_grid", networks), sentence)
