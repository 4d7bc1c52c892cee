"""What is measured for each of the paper's claims, and the verdict on it by the rules of `claims`."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable

import numpy as np

from .. import claims, data, paper, performance_model, results
from ..campaign import experiments, scales, treatments, units
from ..claims import Claim, Contrast, contrast
from ..results import arrays
from . import causal_grid as causal
from .comparisons import KEY, arrived, complete, sharpness_of, training_loss
from .few_steep_directions import metric_and_eigenvalue
from .scores import treated
from .statistics import (
    at_one_f,
    best_and_last,
    correlation,
    gap,
    lost,
    paper_gain,
    paper_gap,
    paper_ratio,
    ratio,
    rises,
    trials_gone,
)
from .words import ARMS, known

EPSILONS = {key: epsilon for epsilon, key in KEY.items()}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One network in one setting.

    Args:
        network: which.
        setting: what is special about the runs, in words, or "".
        ours: our contrast.
        said: the verdict on it.
    """

    network: str
    setting: str
    ours: Contrast
    said: claims.Verdict


@dataclasses.dataclass(frozen=True)
class Judged:
    """What became of a claim.

    Args:
        claim: which.
        cells: those that are measured.
        direction: one of `claims.DIRECTIONS`, after Holm's correction over all claims.
        p: before it.
    """

    claim: Claim
    cells: tuple[Cell, ...]
    direction: str
    p: float


def judged_claims() -> dict[str, Judged]:
    """Every claim by its id, in the paper's order, judged by what the store holds now."""
    folders = [folder for folder in results.Store().folders if folder.exists()]
    rooms = [room for folder in folders for room in (folder, *sorted(folder.iterdir())) if room.is_dir()]
    return _judged(repr(scales.scale()), tuple((room, room.stat().st_mtime_ns) for room in rooms))


@functools.lru_cache(maxsize=1)
def _judged(scale, state) -> dict[str, Judged]:
    """`judged_claims`, remembered for as long as no document comes or goes: a page asks several times."""
    cells, before = {}, {}
    for claim in claims.load():
        every = _across(claim) if claim.test.measure is None else _by_network(claim)
        cells[claim.id] = tuple(c for c in every if c.said.direction != claims.UNMEASURED)
        before[claim.id] = claims.combined(((c.network, c.said) for c in cells[claim.id]), claim.test.least)
    after = claims.corrected(before)
    return {claim.id: Judged(claim, cells[claim.id], after[claim.id], before[claim.id].p) for claim in claims.load()}


def _by_network(claim) -> list[Cell]:
    name, *options = re.split("[@/]", claim.test.measure)
    measure, out = globals()[f"_{name}"], []  # the function of that name, below
    for network in claim.test.networks or ("",):
        if network and arrays.waiting(network):
            continue
        for setting, runs in _settings(claim, network).items():
            ours = measure(network, runs, *options)
            theirs = None if not claim.paper or arrays.stand_in(network) else _theirs(claim, network)
            out.append(Cell(network, setting, ours, claim.verdict(ours, theirs)))
    return out


def _settings(claim, network) -> dict[str, dict]:
    """{setting in words: {"SB": runs, "LB": runs}} of a claim's cells on a network."""
    if claim.id in ("optimizers", "starts"):
        name, every = ("optimizers", experiments.OPTIMIZERS), ("initialisations", experiments.INITIALISATIONS)
        name, every = name if claim.id == "optimizers" else every
        return {words: arrays.pairs(network, arrays.trials(name), **more) for words, more in every.items()}
    if not network:
        return {"": {}}
    plain = arrays.pairs(network)
    if claim.id == "augmentation-sharp":
        return {"": treated("augmentation", network)}
    if claim.id in ("augmentation", "conservative", "adversarial", "stability", "dynamic-sampling"):
        name = "growth" if claim.id == "dynamic-sampling" else claim.id
        with_it = treated(name, network)
        return {"": plain | {f"{arm}, treated": runs for arm, runs in with_it.items()}}
    if claim.id == "conservative-sharp":
        return {"": {"SB": plain["SB"], "LB": treated("conservative", network)["LB"]}}
    if claim.id == "robust-sharp":
        names = {"adversarial training": "adversarial", "stability training": "stability"}
        return {words: {"SB": plain["LB"], "LB": treated(name, network)["LB"]} for words, name in names.items()}
    return {"": plain}


def _theirs(claim, network) -> Contrast | None:
    """The paper's contrast, on our scale."""
    table, _, key = claim.paper.partition("/")
    cell = paper.cell(table, network)
    if not cell:
        return None
    if table == "table2":
        return paper_gap(cell["test"])
    if claim.id == "box-growth":
        return claims.summarised(cell["1e-3"]["LB"], cell["5e-4"]["LB"], scale="ratio")
    if claim.id == "augmentation":
        sides = paper.cell("table2", network)["test"], cell
        return claims.summarised(*([s["SB"][0] - s["LB"][0], math.hypot(s["SB"][1], s["LB"][1])] for s in sides))
    if claim.id == "conservative":
        return paper_gain(network)
    if claim.id == "conservative-sharp":
        small = paper.cell("table3", network)[key]["SB"]
        return claims.summarised(cell["sharpness_LB"][key], small, scale="ratio")
    return paper_ratio(cell[key])


def _accuracy_gap(network, runs):
    return gap(runs["SB"], runs["LB"])


def _lower_training_accuracy(network, runs):
    both = [arrays.final(runs[arm], "train") for arm in ARMS]
    return contrast(np.minimum(*both), diverged=trials_gone(runs, *both))


def _training_loss_difference(network, runs):
    both = [training_loss(runs[arm]) for arm in ARMS]
    chance = math.log(data.classes(scales.scale().datasets[network]))
    return contrast(both[1] / chance, both[0] / chance, diverged=trials_gone(runs, *both))


def _gap_less_fall(network, runs):
    of = best_and_last(runs)
    return contrast(of["SB"][1] - of["LB"][1], of["LB"][0] - of["LB"][1])


def _gap_at_best_epoch(network, runs):
    of = best_and_last(runs)
    return contrast(of["SB"][0], of["LB"][0])


def _sharpness_ratio(network, runs, epsilon, form=""):
    settings = {"": {}, "test": {"split": "test"}, "subspace": {"subspace": 100}, "norms": {}}[form]
    small = arrays.sharpness(runs["SB"], EPSILONS[epsilon], **settings)
    with_norms = {"match": "norms", "to": runs["SB"]} if form == "norms" else {}
    large = arrays.sharpness(runs["LB"], EPSILONS[epsilon], **settings, **with_norms)
    measured = functools.partial(units.sharpness, **settings)
    gone = lost(runs["SB"], small, measured)
    gone = gone | lost(runs["LB"], large, None if with_norms else measured)
    return ratio(small, large, diverged=int(gone.sum()))


def _box_growth(network, runs, arm):
    return contrast(*(arrays.sharpness(runs[arm], e) for e in EPSILONS.values()), scale="ratio")


def _path_rise_ratio(network, runs, kind, step="0.5"):
    p = arrays.paths(*runs.values()).get(kind)
    if p is None:
        return contrast([])
    rise = rises(p, float(step))
    return ratio(rise["SB"], rise["LB"])


def _tenth_to_first_eigenvalue(network, runs):
    return ratio(*(arrays.spectra(runs[arm], lambda r: r["top"][k]) for arm, k in (("SB", 0), ("LB", -1))))


def _negative_share(network, runs):
    return contrast(arrays.spectra(runs["LB"], lambda r: max(0.0, -r["bottom"]) / r["top"][0]))


def _steep_share(network, runs):
    def share(r):
        random, hessian = (np.array(r[key], float) for key in ("random", "hessian"))
        return 100 * (random > 0.05 * np.nanmax([*random, *hessian])).mean()

    return contrast([np.nan if r is None else share(r) for r in arrays.each(units.directions, runs["LB"])])


def _distance_ratio(network, runs, form=""):
    small, large = (arrays.distance(runs[arm]) for arm in ARMS)
    walk = (arrays.updates(runs["SB"]) / arrays.updates(runs["LB"])) ** 0.5 if form == "walk" else 1.0
    return contrast(small / large / walk, scale="ratio", diverged=trials_gone(runs, small, large))


THRESHOLD = {"C1": 500, "F2": 15_000}


def threshold_of(network: str) -> float:
    """The paper's threshold of the batch size, 1 % of the training set where it names none."""
    runs = arrays.pairs(network, (0,))["SB"]
    return THRESHOLD.get(paper.column(network)) or data.examples(runs[0].dataset)[0] / 100


def slopes(network: str, values: Callable) -> np.ndarray:
    """How much values(runs) grow with each doubling of the batch, below and above the threshold, by least squares:
    (2, T). A trial at less than half of the sizes, such as SB and LB and a few between, is no sweep: NaN."""
    sizes, found = arrays.sweep(values, network, tuple(scales.scale().trials))
    threshold, out = threshold_of(network), []
    for trial in found.T:
        there = ~np.isnan(trial)
        x, y = np.log2(np.array(sizes, float))[there], trial[there]
        sides = [x <= math.log2(threshold), x >= math.log2(threshold)]
        enough = 2 * there.sum() > len(there) and all(side.sum() > 1 for side in sides)
        out.append([np.polyfit(x[side], y[side], 1)[0] if enough else np.nan for side in sides])
    return np.array(out, float).reshape(-1, 2).T


def _threshold_accuracy(network, runs):
    below, above = slopes(network, arrays.final)
    return contrast(below - above)  # a loss is a fall: -above less -below


def _threshold_sharpness(network, runs):
    with np.errstate(divide="ignore", invalid="ignore"):
        below, above = slopes(network, lambda of: np.log(arrays.sharpness(of, 1e-3)))
    return contrast(below - above)


def _warm(network, what):
    """{"early", "middle", "late"}: what(runs) of LB warm-started after at most 10, at most 20, and 60 to 100 epochs."""
    at, values = arrays.warm(network, what)
    at, values = np.array(at), values["restarted"]
    # in a smaller experiment than the paper's, its first and its last epochs
    last = min(60, at.max(initial=0))
    ranges = {"early": at <= 10, "middle": at <= 20, "late": at >= last}
    return {name: values[there] for name, there in ranges.items()}


def _warm_early_gain(network, runs):
    lead, scratch = gap(runs["SB"], runs["LB"]), known(arrays.final(runs["LB"]))
    start = scratch.mean() if len(scratch) else np.nan
    return contrast(_warm(network, arrays.final)["early"] - start - lead.value / 2)


def _warm_late_gain(network, runs):
    values = _warm(network, arrays.final)
    return contrast(values["late"], values["middle"], seeds="independent")


def _warm_late_flatness(network, runs):
    values = _warm(network, lambda of: arrays.sharpness(of, 1e-3))
    return contrast(values["middle"], values["late"], scale="ratio", seeds="independent")


def _descent_ratio(network, runs, where):
    out = []
    for both in zip(runs["SB"], runs["LB"]):
        of = {arm: arrays.descent(run, 1e-3) for arm, run in zip(ARMS, both)}
        small, large = at_one_f(of, max) if min(len(f) for f, _ in of.values()) > 1 else (np.nan, np.nan)
        out.append(large / small)
    return contrast(out, scale="ratio")


def _descent(network, runs, arm, first, last):
    found = [arrays.descent(of, 1e-3)[1] for of in runs[arm]]
    return contrast([s[first] / s[last] if len(s) > 1 else np.nan for s in found], scale="ratio")


_descent_growth = functools.partial(_descent, first=-1, last=0)
_descent_fall = functools.partial(_descent, first=0, last=-1)


def _escape(network, runs):
    at, found = arrays.warm(network, lambda of: arrays.sharpness(of, 1e-3))
    started = found.get("reverse", np.array([]))  # from LB's last iterate that has controls
    return contrast(arrays.sharpness(runs["LB"], 1e-3), known(started)[-1:], scale="ratio", seeds="independent")


def grid_values(network: str) -> dict:
    """Test accuracy and sharpness (T,) of the causal grid's cells, NaN where a run did not come to the loss."""
    grid, out = causal.cells(network), {}
    for cell, runs in grid.items():
        there = np.array([complete([of]) and arrived([of]) for of in runs], bool)
        out[cell] = [np.where(there, values, np.nan) for values in (arrays.final(runs), sharpness_of(runs))]
    return out


def _noise_flattens(network, runs):
    grid = grid_values(network)
    return ratio(grid[treatments.NOISE[2], "as it is"][1], grid["LB", "as it is"][1])


def _flattening_gain(network, runs):
    grid = grid_values(network)
    small, large, flat = (grid[cell][0] for cell in (causal.SB, causal.LB, ("LB", "flatter")))
    return contrast(flat - large - (small - large) / 2)


def _gap_closed(network, runs):
    before, after = (arrays.final(runs[f"SB{t}"]) - arrays.final(runs[f"LB{t}"]) for t in ("", ", treated"))
    return contrast(before, after)


def _accuracy_gain(network, runs):
    return gap(runs["LB, treated"], runs["LB"])


def _gain_less_half_gap(network, runs):
    small, large, other = (arrays.final(runs[key]) for key in ("SB", "LB", "LB, treated"))
    return contrast(other - large - (small - large) / 2)


def _break_even(network, runs):
    value = performance_model.break_even(0.2, 0.1)
    return Contrast(value, (value, value), "arithmetic", n=1)


def _across(claim) -> list[Cell]:
    """The one claim that goes over networks: a gap against a ratio of sharpness."""
    both = []
    for network in claim.test.networks:
        if not arrays.waiting(network):
            runs = arrays.pairs(network)
            both.append((gap(*runs.values()).value, math.log(_sharpness_ratio(network, runs, "1e-3").value)))
    both = np.array(both, float).reshape(-1, 2)
    ours = correlation(*both[~np.isnan(both).any(1)].T)
    return [Cell("", f"{ours.n} {claim.test.seeds}", ours, claim.verdict(ours))]


def _metric_and_eigenvalue(network, runs):
    return metric_and_eigenvalue(runs["SB"] + runs["LB"])
