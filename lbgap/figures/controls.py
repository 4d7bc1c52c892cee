"""The controls as tables of one shape: what was changed, and what became of the gap and of the ratio of sharpness."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import stats

from .. import paper
from ..campaign import experiments, scales, treatments, units
from ..campaign.experiments import EXPERIMENTS
from ..results import arrays
from .statistics import Compared, gap, holm, ratio
from .tables import crossing
from .words import (
    ARMS,
    PENDING,
    Networks,
    Text,
    ahead,
    by_network,
    collapsed,
    dots,
    ended,
    interval,
    judged,
    known,
    names,
    note,
    number,
    percent,
    plural,
    spread,
    table,
    with_interval,
)

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


def row(network: str, setting: str, runs: dict, match=None, what="value", **settings) -> Row:
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


def compare(rows: list[Row], accuracy=True, extra=None) -> Text:
    """One line a row: accuracy and its gap, sharpness and its ratio, with intervals and all points, and a verdict of
    the ratio.

    accuracy=False where the rows are the same networks, measured another way. extra: {words: runs -> (R,)}, more
    columns.
    """
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
        there, of = min(len(known(v)) for v in measured), len(r.runs["SB"])
        count = (f"{there}" if there >= of else f"{there} of {of}") + (f"; {r.lost} without a value" if r.lost else "")
        compared = [PENDING, PENDING]
        if all(len(known(r.sharp[arm])) for arm in ARMS):
            compared = [times(found), judged(found, p, 1, "LB sharper", "LB flatter")]
        any_there = r.lost or any(len(known(v)) for v in measured)
        lines.append([*line, *(dots(r.sharp[arm]) for arm in ARMS), *compared, count if any_there else PENDING])
    head = "network | setting" + (" | test accuracy, SB | LB | gap, points" if accuracy else "")
    head += "".join(f" | {words}, {arm}" for words in extra or {} for arm in ARMS)
    head += " | sharpness, SB | LB | LB / SB |  | trials"
    tested = sum(found.interval is not None for found in ratios)
    said = (
        f"Sharpness at epsilon {EPSILON:g}; mean ± standard deviation (all trials); 95 % intervals, of the ratio on a"
        f" log scale; its verdict is Holm-corrected, comparisons: {tested}."
    )
    if accuracy:
        said += " The gap's interval: over seeds, paired where SB and LB share them, else Welch's."
    return Text(f"{table(head, collapsed(lines))}\n\n{said}{note(dict.fromkeys(r.network for r in rows))}")


def times(found: Compared) -> str:
    """A ratio and its interval in a cell."""
    if np.isnan(found.value):
        return "none: a value is not above 0"
    return with_interval(found, 1, " times")


# -- what an experiment varies, read off its own units
# ------------------------------------------------------------------


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


def _trained(name, networks, extra=None, labels=None) -> Text:
    """The paper's runs, all trials, and those of an experiment that trains both arms with other settings."""
    rows = []
    for network in networks_of(name, networks):
        rows.append(row(network, "as in Table 2", arrays.pairs(network)))
        for settings in run_settings(name, network):
            runs = arrays.pairs(network, arrays.trials(name), **settings)
            rows.append(row(network, (labels or in_words)(settings), runs))
    return compare(rows, extra=extra)


def _measured(name, networks, words, **base) -> Text:
    """The paper's minimisers, measured with `base` and with the settings of an experiment."""
    rows = []
    for network in networks_of(name, networks):
        rows.append(row(network, words, arrays.pairs(network), **base))
        for settings in sharpness_settings(name, network):
            rows.append(row(network, in_words(settings), arrays.pairs(network, arrays.trials(name)), **settings))
    return compare(rows, accuracy=False)


def each_trial(name: str, network: str, make) -> list:
    """make(network, trial) of an experiment's trials, none while the network is waiting."""
    return [] if arrays.waiting(network) else [make(network, trial) for trial in arrays.trials(name)]


def _named(table):
    named = lambda settings: (name for name, own in table.items() if own.items() <= settings.items())
    return lambda settings: next(named(settings), in_words(settings))


EPOCHS = {"epochs": arrays.epochs}
UPDATES = {"updates": arrays.updates}
LOSS = {"training loss": lambda runs: arrays.final(runs, "train", "batch", "loss")}


# -- training otherwise
# -------------------------------------------------------------------------------------------------


def optimizers(networks: Networks = None) -> Text:
    """Section 2.2: "other optimizers ... led to similar results"; and those that are not rebuilt, with the reason."""
    missing = "\n\n".join(f"**{name} is not rebuilt:** {why}." for name, why in experiments.NOT_REBUILT.items())
    return Text(f"{_trained('optimizers', networks, labels=_named(experiments.OPTIMIZERS))}\n\n{missing}")


def initialisations(networks: Networks = None) -> Text:
    """Section 2.2: "other initialization strategies, activation functions ... showed similar behavior"."""
    return _trained("initialisations", networks, labels=_named(experiments.INITIALISATIONS))


def text_variant(networks: Networks = None) -> Text:
    """C1-C4 as the paper's text prints them beside the code's, and which of the two is nearer to the paper's
    accuracy."""

    def nearer(network):
        cell, off = paper.cell("table2", network)["test"], {}
        for words, settings in (("the code's", {}), ("the text's", run_settings("text_variant", network)[0])):
            runs = arrays.pairs(network, **settings)
            found = {arm: known(arrays.final(runs[arm])) for arm in ARMS}
            if not all(map(len, found.values())):
                return None
            off[words] = sum(abs(found[arm].mean() - cell[arm][0]) for arm in ARMS) / 2
        first, second = sorted(off, key=off.get)
        return (
            f"{network}: {first} variant is nearer to the paper's {cell['SB'][0]} and {cell['LB'][0]} %,"
            f" {number(off[first])} points off in the mean of the two, {second} {number(off[second])}."
        )

    chosen = networks_of("text_variant", networks)
    return Text(f"{_trained('text_variant', networks, labels=lambda _: 'as printed')}\n\n{by_network(chosen, nearer)}")


def no_dropout(networks: Networks = None) -> Text:
    """Dropout means that C1-C4 do not minimise f: a pair without."""
    return _trained("no_dropout", networks, LOSS)


def matched_loss(networks: Networks = None) -> Text:
    """Both arms trained to one goal in the loss, and whether f ended at one training loss."""

    def sentence(network):
        said = []
        for settings in run_settings("matched_loss", network):
            runs = arrays.pairs(network, arrays.trials("matched_loss"), **settings)
            f = {arm: LOSS["training loss"](of) for arm, of in runs.items()}
            said += [f"{network}, {in_words(settings)}: {ended(f)}."] if all(len(known(v)) for v in f.values()) else []
        return " ".join(said) or None

    said = by_network(networks_of("matched_loss", networks), sentence)
    return Text(f"{_trained('matched_loss', networks, LOSS | EPOCHS)}\n\n{said}")


def patience(networks: Networks = None) -> Text:
    """ "Until the loss function ceased to improve", in place of 100 epochs."""
    return _trained("patience", networks, LOSS | EPOCHS)


def more_seeds(networks: Networks = None) -> Text:
    """The scale's own trials, and twice as many."""
    chosen = networks_of("more_seeds", networks)
    seeds = {"as in Table 2": None, "with further seeds": arrays.trials("more_seeds")}
    return compare([row(n, words, arrays.pairs(n, which)) for n in chosen for words, which in seeds.items()])


def settled(networks: Networks = None) -> Text:
    """Both after epochs more in which the rate falls to 0."""
    rows = []
    for network in networks_of("settled", networks):
        runs = arrays.pairs(network)
        after = {arm: list(map(experiments.settled, runs[arm])) for arm in ARMS}
        rows += [row(network, "as in Table 2", runs), row(network, "the rate falling to 0", after)]
    return compare(rows, extra=LOSS)


def settled_verdict(networks: Networks = "F1") -> Text:
    """The gap where a constant rate leaves both arms, and after epochs in which the rate falls to 0, with the losses it
    is at."""

    def sentence(network):
        runs, told = arrays.pairs(network), []
        after = {arm: list(map(experiments.settled, runs[arm])) for arm in ARMS}
        there = np.flatnonzero(~np.isnan(arrays.final(after["SB"]) * arrays.final(after["LB"])))
        if not len(there):
            return None
        for words, of in (("at a constant rate", runs), ("once it has fallen to 0", after)):
            of = {arm: [of[arm][i] for i in there] for arm in ARMS}  # the same trials before and after
            lead = gap(*of.values())
            loss = " against ".join(spread(arrays.final(of[arm], "train", "batch", "loss"), 4) for arm in ARMS)
            told.append(f"{words} {ahead(lead)}, at a training loss of {loss}")
        return f"{network}, {plural(len(there))}: {'; '.join(told)}."

    return by_network(networks, sentence)


def _other_large(name, networks, makers, extra=None) -> Text:
    rows = []
    for network in networks_of(name, networks):
        runs = arrays.pairs(network)
        rows.append(row(network, "as in Table 2", runs))
        small = arrays.pairs(network, arrays.trials(name))["SB"]
        rows += [
            row(network, words, {"SB": small, "LB": each_trial(name, network, make)}) for words, make in makers.items()
        ]
    return compare(rows, extra=extra)


def half_life(networks: Networks = None) -> Text:
    """LB with Adam's memory as long as SB's in examples."""
    both = lambda network, trial: treatments.half_life(network, trial, True)
    makers = {"LB: beta2 by examples": treatments.half_life, "LB: beta1 and beta2 by examples": both}
    return _other_large("half_life", networks, makers)


def equal_updates(networks: Networks = None) -> Text:
    """LB with as many steps as SB."""
    return _other_large("equal_updates", networks, {"LB: as many steps as SB": treatments.equal_updates}, EPOCHS)


def known_voices(networks: Networks = None) -> Text:
    """F2 tested on other sentences of the voices that it was trained on: is the gap one between batches or between
    voices?"""
    words = "a sixth of the training utterances held out, to test on"
    return _trained("known_voices", networks, labels=lambda _: words)


def adam_epsilon(networks: Networks = None) -> Text:
    """Adam's epsilon, and how many coordinates it holds back."""
    return Text(f"{_trained('adam_epsilon', networks)}\n\n{idle(networks)}")


def bf16(networks: Networks = None) -> Text:
    """Training in bf16, which a CPU does twice as fast, beside float32."""
    return _trained("bf16", networks)


def idle(networks: Networks = None) -> Text:
    """The share of coordinates in which Adam's sqrt(v) is under 10 epsilon, after the first epoch and after the
    last."""
    rows = []
    for network in networks_of("adam_epsilon", networks):
        for settings in [{}, *run_settings("adam_epsilon", network)]:
            words = in_words(settings) if settings else "as in Table 2"
            runs = arrays.pairs(network, arrays.trials("adam_epsilon") if settings else None, **settings)
            found = {arm: arrays.history(runs[arm], "adam_idle") for arm in ARMS}
            rows.append([network, words, *(percent([h[at] for h in found[arm]]) for arm in ARMS for at in (0, -1))])
    head = "network | idle coordinates | SB, first epoch | SB, last | LB, first epoch | LB, last"
    return table(head, collapsed(rows))


def learning_rate_table(networks: Networks = None) -> Text:
    """Every learning rate for either arm, and each arm at the rate chosen for it on the validation split."""
    rows, said = [], []
    for network in networks_of("learning_rates", networks):
        at, chosen = rate_runs(network), chosen_rates(network)
        rows += [row(network, f"learning rate {lr:g}", runs) for lr, runs in at.items()]
        if chosen:
            best = {arm: at[chosen[arm]][arm] for arm in ARMS}
            rows.append(row(network, f"**chosen: SB {chosen['SB']:g}, LB {chosen['LB']:g}**", best))
        else:
            said.append(f"{network}: no choice yet, validation runs are pending.")
    table = compare(rows, extra={"validation accuracy": lambda runs: arrays.final(on_validation(runs))})
    return Text("\n\n".join([str(table), *said]))


def rate_runs(network: str) -> dict[float, dict]:
    """The runs of either arm by learning rate, ascending, the paper's own among them."""
    rates = sorted({1e-3, *experiments.RATES})
    return {lr: arrays.pairs(network, arrays.trials("learning_rates"), lr=lr) for lr in rates}


def on_validation(runs) -> list:
    """The same runs on the rest of the training set, whose test set is the validation split."""
    return [dataclasses.replace(of, dataset=f"{of.dataset}-val") for of in runs]


def chosen_rates(network: str) -> dict[str, float] | None:
    """The rate of either arm that does best on the validation split, once all are measured."""
    chosen = {arm: best({lr: on_validation(runs[arm]) for lr, runs in rate_runs(network).items()}) for arm in ARMS}
    return None if None in chosen.values() else chosen


def best(found: dict[float, list]) -> float | None:
    """The number, {number: runs}, whose runs end most accurate, None until all are measured; a run that diverged counts
    as 0."""
    accuracy = {value: arrays.final(runs) for value, runs in found.items()}
    if any(len(known(accuracy[value])) + arrays.diverged(runs) < max(1, len(runs)) for value, runs in found.items()):
        return None
    return max(accuracy, key=lambda value: np.nan_to_num(accuracy[value], nan=0.0).mean())


# -- the same minimisers, measured otherwise
# ----------------------------------------------------------------------------


def _matched(name, networks, ways) -> Text:
    """The paper's minimisers, each arm matched to the other in these ways, {words: `match` of `row`}."""
    chosen = networks_of(name, networks)
    rows = [row(n, words, arrays.pairs(n), match) for n in chosen for words, match in ways.items()]
    return compare(rows, accuracy=False)


def norm_matched(networks: Networks = None) -> Text:
    """Filter norms exchanged, which leaves the functions as they are: is LB sharper, or are its weights only
    smaller?"""
    ways = {"as they are": None, "LB with SB's norms": {"LB": "norms"}, "SB with LB's norms": {"SB": "norms"}}
    return _matched("norm_matched", networks, ways)


def temperature(networks: Networks = None) -> Text:
    """Either arm with the temperature that gives it the other's training loss, where that is higher: f is equal
    then."""
    ways = {"as they are": None, "at the higher loss": dict.fromkeys(ARMS, "loss")}
    return _matched("temperature", networks, ways)


def test_sharpness(networks: Networks = None) -> Text:
    """Section 2.1 speaks of "training and testing functions": the sharpness of the test loss."""
    return _measured("test_sharpness", networks, "as in Table 3")


def literal_ranking(networks: Networks = (*scales.SPOKEN, *scales.LABS)) -> Text:
    """Network by network: does `literal` rank SB and LB as `best` does? Of the laboratory its smallest and its largest
    batch."""

    def sentence(network):
        runs = [] if arrays.waiting(network) else [experiments.ends(network, trial) for trial in scales.scale().trials]
        found = {
            solver: np.array([arrays.sharpness(pair, EPSILON, **settings) for pair in runs]).reshape(-1, 2)
            for solver, settings in (("best", {}), ("literal", {"solver": "literal"}))
        }
        there = ~np.isnan(found["best"] + found["literal"]).any(1)
        if not there.any():
            return None
        sharper = {solver: values[there][:, 1] > values[there][:, 0] for solver, values in found.items()}
        same = sharper["best"] == sharper["literal"]
        some = f" in {(~same).sum()} of {len(same)} trials" if same.any() else ""
        word = "ranks them as `best` does" if same.all() else f"turns the ranking of `best` round{some}"
        small, large = (of.batch_size for of in runs[0])
        return (
            f"{network}, batch {small:,} and {large:,}: `literal` {word}. It finds the large batch the sharper in "
            f"{sharper['literal'].sum()} of {there.sum()} trials, `best` in {sharper['best'].sum()}."
        )

    return by_network(networks, sentence)


def evaluator(networks: Networks = scales.PAPER) -> Text:
    """How much of the gap is the evaluator's doing: what another way to normalise adds to the gap, on the same trained
    pairs.

    The interval is of the mean over pairs by Student's t, since both numbers come from one pair of networks.
    """

    def sentence(network):
        runs, told = arrays.pairs(network), []
        by = {
            mode: arrays.final(runs["SB"], "test", mode) - arrays.final(runs["LB"], "test", mode)
            for mode in ("recalibrated", "batch", "frozen")
        }
        for mode, words in (("batch", "the test batch's own statistics"), ("frozen", "running averages")):
            more = known(by[mode] - by["recalibrated"])
            if len(more):
                word, more = ("wider", more) if more.mean() >= 0 else ("narrower", -more)
                pair = stats.ttest_1samp(more, 0).confidence_interval() if len(more) > 1 else None
                told.append(f"{words} make it {word} by {number(more.mean())} points ({interval(pair)})")
        lead = known(by["recalibrated"])
        if not told:
            return None
        return (
            f"{network}, {plural(len(lead), 'pair')}: recalibrated, SB's lead is"
            f" {number(lead.mean())} points; {'; '.join(told)}. Where an interval holds 0, the evaluator may have no"
            " part in it."
        )

    return by_network(networks, sentence)


def solvers(networks: Networks = "F1") -> Text:
    """The solver story: what SciPy's ten iterations find, at three units of the objective, beside `best`."""
    rows = []
    for network in names(networks):
        for settings in [{}, {"solver": "literal"}, *sharpness_settings("solvers", network)]:
            words = f"`{settings.get('solver', 'best')}`" + (f", scale {settings.get('scale', 1)}" if settings else "")
            rows.append(row(network, words, arrays.pairs(network), **settings))
    return compare(rows, accuracy=False)


def matrices(networks: Networks = None) -> Text:
    """Table 4 with three matrices a model, and a model's geometric mean over them."""
    rows = []
    for network in networks_of("matrices", networks):
        runs = arrays.pairs(network)
        every = [{"subspace": 100}, *sharpness_settings("matrices", network)]
        mine = [row(network, in_words(s), runs, **s) for s in every]
        mean = {arm: np.exp(np.mean([np.log(r.sharp[arm]) for r in mine], 0)) for arm in ARMS}
        rows += [*mine, Row(network, f"mean of the {len(mine)} matrices", runs, mean)]
    return compare(rows, accuracy=False)


def precision(networks: Networks = None) -> Text:
    """The same in double precision."""
    return _measured("precision", networks, "as in Table 3")


def evaluation_batches(networks: Networks = None) -> Text:
    """Batch norm: other evaluation batches, and the value at the maximiser under other statistics."""
    return Text(f"{_measured('evaluation_batches', networks, 'as in Table 3')}\n\n{modes3(networks)}")


def modes3(networks: Networks = None) -> Text:
    """Table 3 under each way to normalise, at the point that `batch` found."""
    modes = {
        "batch norm: the evaluation batch's": "value",
        "recalibrated": "recalibrated",
        "running averages": "frozen",
    }
    chosen = networks_of("evaluation_batches", networks)
    rows = [row(n, words, arrays.pairs(n), what=what) for n in chosen for words, what in modes.items()]
    return compare(rows, accuracy=False)


def fig6_read(networks: Networks = None, losses: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4)) -> Text:
    """Fig. 6 read at equal loss: sharpness where f first passes each value, between the logarithms of the stored
    iterates."""
    rows = []
    for network in networks_of("fig6", networks):
        runs = arrays.pairs(network)
        along = {arm: [arrays.descent(of, EPSILON) for of in runs[arm]] for arm in ARMS}
        for loss in losses:
            sharp = {arm: np.array([at_loss(*pair, loss) for pair in along[arm]]) for arm in ARMS}
            rows.append(Row(network, f"f {loss:g}", runs, sharp))
    return compare(rows, accuracy=False)


def at_loss(f, s, loss: float) -> float:
    """The sharpness s (K,) where f (K,) first passes a loss, on straight lines between the logarithms; NaN if it never
    does."""
    there = ~np.isnan(f * s) & (f > 0) & (s > 0)
    index = np.arange(there.sum())
    at = np.log(crossing(np.exp(index), f[there], loss))  # which iterate, and how far to the next
    return float("nan") if np.isnan(at) else float(np.exp(np.interp(at, index, np.log(s[there]))))


def top_space(networks: Networks = None) -> Text:
    """Section 2.2.2: what the Hessian's largest eigenvalues predict of Metric 2.1, against what is measured there.

    And the most negative eigenvalue: conjecture (ii) of Section 2.1 is that LB ends at saddle points.
    """
    chosen, rows, ends = networks_of("spectrum", networks), [], []
    for network in chosen:
        runs = arrays.pairs(network, arrays.trials("spectrum"))
        for arm in ARMS:
            found = [r for r in arrays.each(units.spectrum, runs[arm]) if r]
            for k, epsilon in enumerate(scales.EPSILONS):
                there = [r["in_top_space"][k] for r in found]
                both = (dots([t[what] for t in there]) for what in ("predicted", "measured"))
                rows.append([network, f"{arm}, {epsilon:g}", *both, dots(arrays.sharpness(runs[arm], epsilon))])
            for r in found:
                low, off = r["bottom"], r["bottom_residual"]
                word = "negative" if low < -off else "not told from 0"
                ends.append(
                    f"{network} {arm}: from {number(low, 4)} (± {number(off, 4)}, {word}) to {number(r['top'][0])} "
                    f"(± {number(r['top_residuals'][0], 4)})"
                )
    reach = f"The Hessian's eigenvalues reach, by network and arm, {'; '.join(ends)}."
    said = reach if ends else "The Hessians are pending."
    head = "network | arm, epsilon | in the top eigenvectors, predicted | measured | in the full space"
    return Text(f"{table(head, collapsed(rows))}\n\n{said}{note(chosen)}")


def steep_share(networks: Networks = None, share: float = 0.05) -> Text:
    """The end of Section 2.2.2: LB "rises steeply only along a small dimensional subspace (e.g. 5% of the whole
    space)"."""

    def sentence(network):
        lines = []
        for arm, of in arrays.pairs(network, arrays.trials("directions")).items():
            for r in filter(None, arrays.each(units.directions, of)):
                random, hessian = np.array(r["random"], float), np.array(r["hessian"], float)
                most = np.nanmax([*random, *hessian])
                lines.append(
                    f"{arm}: {100 * (random > share * most).mean():.0f} % of {len(random)} random directions rise by"
                    f" more than {100 * share:.0f} % of the largest rise, {number(most)}, and"
                    f" {(hessian > share * most).sum()} of {len(hessian)} of the Hessian's"
                )
        return f"{network}, {'; '.join(lines)}. The paper says: e.g. 5 % of the space." if lines else None

    return by_network(networks_of("directions", networks), sentence)
