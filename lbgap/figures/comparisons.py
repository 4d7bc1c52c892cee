"""Tables of one shape: what was changed, and what became of the gap and of the ratio of sharpness."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..campaign import scales, units
from ..campaign.experiments import EXPERIMENTS
from ..claims import Contrast, holm
from ..results import arrays
from ..run import Run
from .statistics import gap, ratio
from .words import ARMS, Networks, Text, apart, dots, judged, known, names, spread, table, with_interval

KEY = {1e-3: "1e-3", 5e-4: "5e-4"}  # of the paper's tables
EPSILON = 1e-3
OTHER = {"SB": "LB", "LB": "SB"}


@dataclasses.dataclass
class Row:
    """One setting of a control: the runs and the sharpness (T,) of either arm, and how many of these have none, though
    measured."""

    network: str
    setting: str
    runs: dict[str, list]
    sharp: dict[str, np.ndarray]
    lost: int = 0


def row(
    network: str, setting: str, runs: dict, match: dict[str, str] | None = None, what: str = "value", **settings: Any
) -> Row:
    """The row of these runs. match: {arm: "norms" or "loss"}, matched to the other arm; settings: of the sharpness
    units."""
    sharp, lost = {}, 0
    for arm in ARMS:
        matched = match and arm in match
        own, to = ({"match": match[arm]}, runs[OTHER[arm]]) if matched else (settings, None)
        sharp[arm] = arrays.sharpness(runs[arm], EPSILON, what, to, **own)
        for i in np.flatnonzero(np.isnan(sharp[arm])):
            lost += arrays.document(units.sharpness(runs[arm][i], **own, **({"to": to[i]} if to else {}))) is not None
    return Row(network, setting, runs, sharp, lost)


def compare(rows: list[Row], accuracy: bool = True, extra: dict | None = None, below: str = "") -> Text:
    """One line a row: accuracy and its gap, sharpness and its ratio, with intervals and all points, and a verdict of
    the ratio.

    accuracy=False where the rows are the same networks, measured another way. extra: {words: runs -> (R,)}, more
    columns.
    """
    settings = {r.network: [s for s in rows if s.network == r.network] for r in rows}
    kept = {n: [r for r in of if _measured(r, accuracy)] for n, of in settings.items()}
    usual = lambda n, r: r is settings[n][0] or (accuracy and not _changed(r))
    # a network's usual setting alone compares nothing
    rows = [r for n, of in kept.items() for r in of if of[1:] or not settings[n][1:] or not usual(n, r)]
    ratios = []
    for r in rows:
        both = ~np.isnan(r.sharp["SB"] * r.sharp["LB"])  # the same trials, where one arm is ahead of the other
        ratios.append(ratio(r.sharp["SB"][both], r.sharp["LB"][both]))
    adjusted, lines = holm([found.p for found in ratios]), []
    for r, found, p in zip(rows, ratios, adjusted):
        line, measured = [r.network, r.setting], list(r.sharp.values())
        if accuracy:
            lead, finals = gap(r.runs["SB"], r.runs["LB"]), [arrays.final(r.runs[arm]) for arm in ARMS]
            measured += finals
            line += [*map(dots, finals), with_interval(lead)]
        for measure in (extra or {}).values():
            line += [spread(measure(r.runs[arm])) for arm in ARMS]
        there = all(len(known(r.sharp[arm])) for arm in ARMS)
        compared = [times(found), judged(found, p, 1, "LB sharper", "LB flatter")] if there else ["", ""]
        count = str(min(len(known(v)) for v in measured)) + (f"; {r.lost} without a value" if r.lost else "")
        lines.append([*line, *(dots(r.sharp[arm]) for arm in ARMS), *compared, count])
    head = "network | setting" + (" | test accuracy, SB | LB | gap, points" if accuracy else "")
    head += "".join(f" | {words}, {arm}" for words in extra or {} for arm in ARMS)
    head += " | sharpness, SB | LB | sharpness, LB / SB |  | trials"
    said = (
        f"Sharpness at epsilon {EPSILON:g}; mean ± standard deviation (all trials); 95 % intervals, of the ratio on"
        f" a log scale; its verdict is Holm-corrected, comparisons: {sum(of.interval is not None for of in ratios)}."
    )
    if accuracy:
        said += " The gap's interval: over seeds, paired where SB and LB share them, else Welch's."
    return table(head, lines, below=f"{said}\n\n{below}".strip(), shown=(0, 1, *([4] if accuracy else []), -3, -2))


def _changed(r: Row) -> list[str]:
    """The arms whose runs are not the network's usual ones."""
    return [arm for arm, of in arrays.pairs(r.network).items() if not {*r.runs[arm]} <= {*of}]


def _measured(r: Row, accuracy: bool) -> bool:
    changed = _changed(r) or ARMS  # the other arm is there anyway
    values = [r.sharp[arm] for arm in changed] + [arrays.final(r.runs[arm]) for arm in changed if accuracy]
    return bool(r.lost) or any(len(known(of)) for of in values)


def times(found: Contrast) -> str:
    """A ratio and its interval in a cell."""
    if np.isnan(found.value):
        return "none: a value is not above 0"
    value, *ends = apart(found.value, *(found.interval or ()))
    return f"{value} times" + (f" ({' to '.join(ends)})" if ends else "")


def run_settings(name: str, network: str) -> list[dict]:
    """How the runs that an experiment trains differ from the paper's, one dict a setting, in its order."""
    if arrays.waiting(network):
        return []
    usual, found = ("batch_size", "init_seed", "order_seed"), []
    plain = scales.pair(network, 0)[0].spec
    for unit in EXPERIMENTS[name].units(network, 0):
        if unit["kind"] == "train" and "start" not in unit["run"]:
            settings = {k: v for k, v in unit["run"].items() if k not in usual and plain.get(k) != v}
            found += [settings] if settings not in found else []
    return found


def sharpness_settings(name: str, network: str) -> list[dict]:
    """The settings of the sharpness that an experiment measures, one dict a setting, in its order."""
    found = []
    for unit in () if arrays.waiting(network) else EXPERIMENTS[name].units(network, 0):
        if unit["kind"] == "sharpness":
            usual = ("kind", "run", "epsilons", "to", "match", "revision")
            settings = {k: v for k, v in unit.items() if k not in usual}
            found += [settings] if settings not in found else []
    return found


def in_words(settings: dict) -> str:
    """Settings as "name value, name value", without those of the scale itself."""
    own = scales.scale().settings.get("sharpness", {})
    return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in settings.items() if own.get(k) != v) or "as it is"


def networks_of(name: str, networks: Networks) -> tuple:
    """The networks asked for, or else those of the experiment."""
    return EXPERIMENTS[name].networks if networks is None else names(networks)


def trained(
    name: str,
    networks: Networks,
    extra: dict[str, Callable] | None = None,
    labels: Callable[[dict], str] | None = None,
    below: str = "",
) -> Text:
    """The paper's runs, all trials, and those of an experiment that trains both arms with other settings."""
    rows = []
    for network in networks_of(name, networks):
        rows.append(row(network, "as in Table 2", arrays.pairs(network)))
        for settings in run_settings(name, network):
            runs = arrays.pairs(network, arrays.trials(name), **settings)
            rows.append(row(network, (labels or in_words)(settings), runs))
    return compare(rows, extra=extra, below=below)


def measured(name: str, networks: Networks, words: str, below: str = "", **base: Any) -> Text:
    """The paper's minimisers, measured with `base` and with the settings of an experiment."""
    rows = []
    for network in networks_of(name, networks):
        rows.append(row(network, words, arrays.pairs(network), **base))
        for settings in sharpness_settings(name, network):
            rows.append(row(network, in_words(settings), arrays.pairs(network, arrays.trials(name)), **settings))
    return compare(rows, accuracy=False, below=below)


def matched_ways(name: str, networks: Networks, ways: dict[str, dict | None]) -> Text:
    """The paper's minimisers, each arm matched to the other in these ways, {words: `match` of `row`}."""
    chosen = networks_of(name, networks)
    rows = [row(n, words, arrays.pairs(n), match) for n in chosen for words, match in ways.items()]
    return compare(rows, accuracy=False)


def each_trial(name: str, network: str, make: Callable[[str, int], Run]) -> list:
    """make(network, trial) of an experiment's trials, none while the network is waiting."""
    return [] if arrays.waiting(network) else [make(network, trial) for trial in arrays.trials(name)]


def labelled(table: dict[str, dict]) -> Callable[[dict], str]:
    """A function of settings -> its words in a table {words: settings}, or the settings themselves in words."""
    named = lambda settings: (name for name, own in table.items() if own.items() <= settings.items())
    return lambda settings: next(named(settings), in_words(settings))


EPOCHS = {"epochs": arrays.epochs}
UPDATES = {"updates": arrays.updates}


def sharpness_of(runs: list) -> np.ndarray:
    """Metric 2.1 at EPSILON of each run (R,)."""
    return arrays.sharpness(runs, EPSILON)


def training_loss(runs: list) -> np.ndarray:
    """f, the loss over the whole training set, where each run ended (R,)."""
    return arrays.final(runs, "train", "batch", "loss")


LOSS = {"training loss": training_loss}


def best(found: dict[float, list]) -> float | None:
    """The number, {number: runs}, whose runs end most accurate, None until all are measured; a run that diverged counts
    as 0."""
    accuracy = {value: arrays.final(runs) for value, runs in found.items()}
    if any(len(known(accuracy[value])) + arrays.diverged(runs) < max(1, len(runs)) for value, runs in found.items()):
        return None
    return max(accuracy, key=lambda value: np.nan_to_num(accuracy[value], nan=0.0).mean())


def complete(runs: list[Run]) -> bool:
    """Whether every run is trained and measured, or diverged: before that nothing is judged."""
    return all(arrays.document(unit) for of in runs for unit in (units.train(of), units.sharpness(of, (EPSILON,))))


def arrived(runs: list[Run]) -> bool:
    """Whether every run's f came below its goal, rather than the run to its last epoch, and none diverged."""
    found = arrays.each(units.train, runs)
    return all(
        r is not None and max(r["history"]["train_loss"][-of.stop_epochs :]) < of.stop_f for of, r in zip(runs, found)
    )
