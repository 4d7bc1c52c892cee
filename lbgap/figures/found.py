"""What we found: every claim of the paper with its verdict, from the stored results, by the rules of `claims`."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from scipy import stats

from .. import claims, data, paper, performance_model, results
from ..campaign import experiments, scales, treatments, units
from ..claims import Claim, Contrast, contrast
from ..results import arrays
from . import causal
from .remedies import paper_gain, treated
from .statistics import best_and_last, gap, lost, paper_gap, paper_ratio, ratio, rises, trials_gone
from .words import ARMS, Text, known

EPSILON = {"1e-3": 1e-3, "5e-4": 5e-4}


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
class Found:
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


def found() -> dict[str, Found]:
    """Every claim by its id, in the paper's order, judged by what the store holds now."""
    folders = [folder for folder in results.Store().folders if folder.exists()]
    rooms = [room for folder in folders for room in (folder, *sorted(folder.iterdir())) if room.is_dir()]
    return _found(repr(scales.scale()), tuple((room, room.stat().st_mtime_ns) for room in rooms))


@functools.lru_cache(maxsize=1)
def _found(scale, state) -> dict[str, Found]:
    """`found`, remembered for as long as no document comes or goes: a page asks several times."""
    cells, before = {}, {}
    for claim in claims.load():
        every = _across(claim) if claim.test.measure is None else _by_network(claim)
        cells[claim.id] = tuple(c for c in every if c.said.direction != claims.UNMEASURED)
        before[claim.id] = claims.combined(((c.network, c.said) for c in cells[claim.id]), claim.test.least)
    after = claims.corrected(before)
    return {claim.id: Found(claim, cells[claim.id], after[claim.id], before[claim.id].p) for claim in claims.load()}


def _by_network(claim) -> list[Cell]:
    name, _, options = claim.test.measure.partition("@")
    name, _, form = name.partition("/")
    options, _, form = (options or "").partition("/") if options else ("", "", form)
    measure, out = MEASURES[name], []
    for network in claim.test.networks or ("",):
        if network and arrays.waiting(network):
            continue
        for setting, runs in _settings(claim, network).items():
            ours = measure(network, runs, *filter(None, (options, form)))
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


# -- what is measured: (network, {"SB": runs, "LB": runs}, ...) -> Contrast ------------------------------------------


def _accuracy_gap(network, runs):
    return gap(runs["SB"], runs["LB"])


def _lower_training_accuracy(network, runs):
    both = [arrays.final(runs[arm], "train") for arm in ARMS]
    return contrast(np.minimum(*both), diverged=trials_gone(runs, *both))


def _training_loss_difference(network, runs):
    both = [arrays.final(runs[arm], "train", "batch", "loss") for arm in ARMS]
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
    small = arrays.sharpness(runs["SB"], EPSILON[epsilon], **settings)
    with_norms = {"match": "norms", "to": runs["SB"]} if form == "norms" else {}
    large = arrays.sharpness(runs["LB"], EPSILON[epsilon], **settings, **with_norms)
    measured = functools.partial(units.sharpness, **settings)
    gone = lost(runs["SB"], small, measured)
    gone = gone | lost(runs["LB"], large, None if with_norms else measured)
    return ratio(small, large, diverged=int(gone.sum()))


def _box_growth(network, runs, arm):
    return contrast(*(arrays.sharpness(runs[arm], e) for e in EPSILON.values()), scale="ratio")


def _path_rise_ratio(network, runs, kind, step=0.5):
    p = arrays.paths(*runs.values()).get(kind)
    if p is None:
        return contrast([])
    rise = rises(p, step)
    return ratio(rise["SB"], rise["LB"])


def _of_spectrum(runs, arm, what):
    """what(document) of each run's spectrum (T,), NaN where there is none."""
    return np.array([np.nan if r is None else what(r) for r in arrays.each(units.spectrum, runs[arm])], float)


def _tenth_to_first_eigenvalue(network, runs):
    small, large = _of_spectrum(runs, "SB", lambda r: r["top"][0]), _of_spectrum(runs, "LB", lambda r: r["top"][-1])
    return ratio(small, large)


def _negative_share(network, runs):
    return contrast(_of_spectrum(runs, "LB", lambda r: max(0.0, -r["bottom"]) / r["top"][0]))


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


def _slopes(network, values):
    """Growth per doubling of the batch (T,), below and above the threshold, by least squares."""
    sizes, found = arrays.sweep(values, network, tuple(scales.scale().trials))
    threshold = THRESHOLD.get(paper.column(network))
    runs = arrays.pairs(network, (0,))["SB"]
    threshold = threshold or data.examples(runs[0].dataset)[0] / 100
    out = []
    for trial in found.T:
        there = ~np.isnan(trial)
        x, y = np.log2(np.array(sizes, float))[there], trial[there]
        sides = [x <= math.log2(threshold), x >= math.log2(threshold)]
        enough = all(side.sum() > 1 for side in sides)
        out.append([np.polyfit(x[side], y[side], 1)[0] if enough else np.nan for side in sides])
    return np.array(out, float).reshape(-1, 2).T


def _threshold_accuracy(network, runs):
    below, above = _slopes(network, arrays.final)
    return contrast(below - above)  # a loss is a fall: -above less -below


def _threshold_sharpness(network, runs):
    with np.errstate(divide="ignore", invalid="ignore"):
        below, above = _slopes(network, lambda of: np.log(arrays.sharpness(of, 1e-3)))
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


def at_one_f(of: dict, pick) -> list[float]:
    """Sharpness at the largest f (pick=max), or the smallest (min), that all ways down pass, between measured points.

    Args:
        of: {arm: (f, sharpness)} along training, as `arrays.descent` gives it.
        pick: max or min.
    """
    f = {max: min, min: max}[pick](pick(f) for f, _ in of.values())
    return [float(np.exp(np.interp(np.log(f), *(np.log(v[np.argsort(fs)]) for v in (fs, s))))) for fs, s in of.values()]


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


def _escape(network, runs):
    at, found = arrays.warm(network, lambda of: arrays.sharpness(of, 1e-3))
    started = found.get("reverse", np.array([]))  # from LB's last iterate that has controls
    return contrast(arrays.sharpness(runs["LB"], 1e-3), known(started)[-1:], scale="ratio", seeds="independent")


def _grid(network):
    """Test accuracy and sharpness (T,) of the causal grid's cells, NaN where a run did not come to the loss."""
    grid, out = causal.cells(network), {}
    for cell, runs in grid.items():
        there = np.array([causal.complete([of]) and causal.arrived([of]) for of in runs], bool)
        out[cell] = [np.where(there, values, np.nan) for values in (arrays.final(runs), causal.sharpness(runs))]
    return out


def _noise_flattens(network, runs):
    grid = _grid(network)
    return ratio(grid[treatments.NOISE[2], "as it is"][1], grid["LB", "as it is"][1])


def _flattening_gain(network, runs):
    grid = _grid(network)
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


MEASURES = {
    "accuracy_gap": _accuracy_gap,
    "lower_training_accuracy": _lower_training_accuracy,
    "training_loss_difference": _training_loss_difference,
    "gap_less_fall": _gap_less_fall,
    "gap_at_best_epoch": _gap_at_best_epoch,
    "sharpness_ratio": _sharpness_ratio,
    "box_growth": _box_growth,
    "path_rise_ratio": _path_rise_ratio,
    "tenth_to_first_eigenvalue": _tenth_to_first_eigenvalue,
    "negative_share": _negative_share,
    "steep_share": _steep_share,
    "distance_ratio": _distance_ratio,
    "threshold_accuracy": _threshold_accuracy,
    "threshold_sharpness": _threshold_sharpness,
    "warm_early_gain": _warm_early_gain,
    "warm_late_gain": _warm_late_gain,
    "warm_late_flatness": _warm_late_flatness,
    "descent_ratio": _descent_ratio,
    "descent_growth": functools.partial(_descent, first=-1, last=0),
    "descent_fall": functools.partial(_descent, first=0, last=-1),
    "escape": _escape,
    "noise_flattens": _noise_flattens,
    "flattening_gain": _flattening_gain,
    "gap_closed": _gap_closed,
    "accuracy_gain": _accuracy_gain,
    "gain_less_half_gap": _gain_less_half_gap,
    "break_even": _break_even,
}


# -- claims over networks or minimisers: a rank correlation -----------------------------------------------------------


def _across(claim) -> list[Cell]:
    x, y = {"correlated": _gaps_and_ratios, "metric-spectrum": _metrics_and_eigenvalues}[claim.id](claim)
    ours = correlation(x, y)
    return [Cell("", f"{len(x)} {claim.test.seeds}", ours, claim.verdict(ours))]


def correlation(x, y, least: int = 5) -> Contrast:
    """Spearman's rank correlation with its interval by Fisher's z; no value with fewer than `least` pairs."""
    n = len(x)
    if n < least:
        return contrast([])
    rho = float(stats.spearmanr(x, y).statistic)
    z, error = math.atanh(min(max(rho, -1 + 1e-12), 1 - 1e-12)), 1 / math.sqrt(n - 3)
    ends = [math.tanh(z + side * stats.norm.ppf((1 + claims.LEVEL) / 2) * error) for side in (-1, 1)]
    p = 2 * float(stats.norm.sf(abs(z) / error))
    return Contrast(rho, tuple(ends), "Fisher's z", p, n, error=error, df=math.inf)


def _gaps_and_ratios(claim):
    both = []
    for network in claim.test.networks:
        if not arrays.waiting(network):
            runs = arrays.pairs(network)
            both.append((gap(*runs.values()).value, math.log(_sharpness_ratio(network, runs, "1e-3").value)))
    return _columns(pair for pair in both if not any(map(math.isnan, pair)))


def _columns(pairs):
    """Two lists of the firsts and the seconds."""
    pairs = list(pairs)
    return [x for x, _ in pairs], [y for _, y in pairs]


def _metrics_and_eigenvalues(claim):
    out = []
    for network in claim.test.networks:
        for runs in () if arrays.waiting(network) else arrays.pairs(network).values():
            for of, sharp in zip(runs, arrays.sharpness(runs, 5e-4)):
                end = scales.iterate(of, max(scales.scale().iterates))
                ended = arrays.epochs([of])[0] <= end.epochs  # a run that ended before is at its minimiser there
                whole, edge = arrays.result(units.spectrum(of)), arrays.result(units.edge(end)) if ended else None
                top = whole["top"][0] if whole else edge["plain"] if edge else math.nan
                out += [] if math.isnan(sharp * top) else [(sharp, top)]
    return _columns(out)


# -- in words ---------------------------------------------------------------------------------------------------------

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
    "tables_and_figures": (*("starts", "correlated", "threshold", "threshold-sharpness", "threshold-others"),),
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
    claims.UNDECIDED: "Undecided: our interval allows both",
}
CELL = {claims.HOLDS: "yes", claims.PART: "in part", claims.FAILS: "no", claims.UNDECIDED: "open"}


def page_of(id: str) -> str:
    """The page of the book that tests a claim."""
    return next(page for page, ids in PAGES.items() if id in ids)


def where(of: Found) -> str:
    """On which networks a claim holds: "yes on F1, C1-text; no on F2-lj"."""
    said = {}
    for cell in of.cells:
        said.setdefault(CELL[cell.said.direction], []).append(_who(cell))
    named = [(word, [name for name in said[word] if name]) for word in CELL.values() if word in said]
    return "; ".join(f"{word} on {', '.join(networks)}" for word, networks in named if networks)


def line(of: Found) -> str:
    """A claim, where it holds, and the page that tests it, in a line."""
    there = where(of)
    corrected = claims.combined(((c.network, c.said) for c in of.cells), of.claim.test.least).direction != of.direction
    more = ", but that does not stand Holm's correction" if corrected and of.cells else ""
    told = f" *{there[0].upper()}{there[1:]}{more}.*" if there else ""
    return f"{of.claim.says}{told} [Look]({page_of(of.claim.id)}.ipynb)"


QUESTIONS = {  # the paper's argument in three steps, each with the claim that answers it
    "Does the small batch (SB) test better than the large batch (LB)?": "gap",
    "Is the minimum where LB ends the sharper one?": "sharper",
    "Is that why it tests worse?": "cause",
}


def short(value: float) -> str:
    """A number with two significant digits."""
    return f"{float(f'{value:.2g}'):,.10g}"


def headline() -> Text:
    """The paper's argument in three questions, each answered network by network."""
    every = found()
    lines = [f"- **{question}** {_answer(every[id])}" for question, id in QUESTIONS.items()]
    return Text("\n".join(lines))


def _answer(of: Found) -> str:
    if not of.cells:
        return "Not measured yet."
    if of.claim.id == "cause":
        told = [
            f"on {c.network}, SAM makes LB flatter and wins back {_half(c.network, c.ours)} of the gap"
            for c in of.cells
        ]
    elif all(math.isnan(c.ours.value) for c in of.cells):
        told = ["no value can be had"]
    elif of.claim.id == "gap":
        told = [
            f"on {c.network} {'SB' if c.ours.value > 0 else 'LB'} is ahead by {short(abs(c.ours.value))} points"
            for c in of.cells
            if not math.isnan(c.ours.value)
        ]
    else:
        told = [
            f"on {c.network} {short(c.ours.value)} times as sharp" for c in of.cells if not math.isnan(c.ours.value)
        ]
    once = [c.network for c in of.cells if c.ours.n == 1]
    more = f" ({', '.join(once)}: one trial so far)" if once else ""
    said = f"{'; '.join(told)}{more}. Over all: **{of.direction}**."
    return said[0].upper() + said[1:]


def _half(network: str, ours: Contrast) -> str:
    """How much of the gap a gain is, in words. ours: the gain less half of the gap."""
    grid = _grid(network)
    lead = np.nanmean(grid[causal.SB][0]) - np.nanmean(grid[causal.LB][0])
    side = (
        "the interval allows either side of half" if ours.interval and ours.interval[0] < 0 < ours.interval[1] else ""
    )
    return f"{short(ours.value + lead / 2)} of {short(lead)} points" + (f" ({side})" if side else "")


def what_we_found() -> Text:
    """Every measured claim in a line, by verdict, and what was not measured."""
    every, parts = found(), []
    for direction, head in TOLD.items():
        mine = [of for of in every.values() if of.direction == direction]
        if mine:
            parts.append(f"**{head}** ({len(mine)})\n\n" + "\n".join(f"- {line(of)}" for of in mine))
    left = sum(of.direction == claims.UNMEASURED for of in every.values())
    parts.append(f"**Not measured yet:** {left} of the paper's {len(every)} claims. {_measured()}")
    return Text("\n\n".join(parts))


def _measured() -> str:
    """Which of the paper's networks have a pair, and on what hardware."""
    trained = {}
    for network in scales.SHOWN:
        if not arrays.waiting(network):
            n = len(known(np.minimum(*map(arrays.final, arrays.pairs(network).values()))))
            trained[network] = n
    some = ", ".join(f"{name} ({n} trial{'' if n == 1 else 's'})" for name, n in trained.items() if n)
    none = ", ".join(name for name, n in trained.items() if not n)
    return (
        f"Of the paper's networks we have trained {some or 'none'}; not yet {none}. All of it on processors, none on a"
        " GPU."
    )


def verdicts() -> Text:
    """Every measured claim with its verdict, by page, and folded under it the numbers and the test."""
    every, parts = found(), []
    for page, ids in PAGES.items():
        lines = [
            f"- **{every[id].direction}** · {line(every[id])}\n  {_folded(every[id])}" for id in ids if every[id].cells
        ]
        if lines:
            name = page.replace("_", " ")
            parts.append(f"**{name[0].upper()}{name[1:]}**\n\n" + "\n".join(lines))
    left = sum(not of.cells for of in every.values())
    return Text("\n\n".join([*parts, f"Not measured yet: {left} of the paper's {len(every)} claims."]))


def _folded(of: Found) -> str:
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
        f"Refuted if {test.refuted}.{p} Section {of.claim.section}, {of.claim.element}.</p></details>"
    )


def _who(cell: Cell) -> str:
    return ", ".join(filter(None, (cell.network, cell.setting)))


def _interval(ours: Contrast) -> str:
    if ours.interval is None:
        return "no interval"
    return f"95 % interval {short(ours.interval[0])} to {short(ours.interval[1])}"


def _value(ours: Contrast, test) -> str:
    if math.isnan(ours.value):
        return f"no value, {ours.diverged} diverged or without one"
    trials = (
        f"{ours.n} trial{'' if ours.n == 1 else 's'}" if test.seeds in ("paired", "independent") else f"n = {ours.n}"
    )
    gone = f", {ours.diverged} diverged or without a value" if ours.diverged else ""
    times = " times" if ours.scale == "ratio" else ""
    return f"{short(ours.value)}{times} ({_interval(ours)}; {trials}{gone})"


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
            "direction": of.direction,
            "p": None if math.isnan(of.p) else of.p,
            "cells": [_plain(cell) for cell in of.cells],
        }
        for id, of in found().items()
    }
