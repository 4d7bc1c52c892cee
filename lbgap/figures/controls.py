"""What could mislead us: each control as a table beside the paper's setting."""

from __future__ import annotations

import numpy as np

from .. import paper
from ..campaign import experiments, treatments
from ..campaign.scales import SHOWN
from ..results import arrays
from .comparisons import (
    EPOCHS,
    LOSS,
    Row,
    compare,
    each_trial,
    in_words,
    labelled,
    matched_ways,
    measured,
    networks_of,
    row,
    run_settings,
    sharpness_settings,
    trained,
    training_loss,
)
from .statistics import ahead, gap
from .words import ARMS, Networks, Text, by_network, ended, folded, joined, known, number, plural, spread, table


def initialisations(networks: Networks = None) -> Text:
    """Section 2.2: "other initialization strategies, activation functions ... showed similar behavior"."""
    return trained("initialisations", networks, labels=labelled(experiments.INITIALISATIONS))


def text_variant(networks: Networks = None) -> Text:
    """C1-C4 as the code has them, in float32 and in bf16, and as the paper's text prints them, and which is nearest to
    the paper's accuracy."""
    ways = {"the code's": {}, "the code's, in bf16": {"precision": "bf16"}, "the text's": {"variant": "text"}}

    def nearest(network):
        cell, off = paper.cell("table2", network)["test"], {}
        for words, settings in ways.items():
            found = {arm: known(arrays.final(runs)) for arm, runs in arrays.pairs(network, **settings).items()}
            if all(map(len, found.values())):
                off[words] = sum(abs(found[arm].mean() - cell[arm][0]) for arm in ARMS) / 2
        if len(off) < 2:
            return None
        told = ", ".join(f"{words} by {number(off[words])}" for words in sorted(off, key=off.get))
        theirs = " and ".join(str(cell[arm][0]) for arm in ARMS)
        return f"{network}: how far SB and LB lie off the paper's {theirs} %, their mean, nearest first: {told} points."

    chosen = networks_of("text_variant", networks)
    rows = [row(n, words, arrays.pairs(n, **settings)) for n in chosen for words, settings in ways.items()]
    return joined(compare(rows), by_network(chosen, nearest))


def no_dropout(networks: Networks = None) -> Text:
    """Dropout means that C1-C4 do not minimise f: a pair without."""
    return trained("no_dropout", networks, LOSS)


def matched_loss(networks: Networks = None) -> Text:
    """Both arms trained to one goal in the loss, and whether f ended at one training loss."""

    words = lambda settings: f"both until f is below {settings['stop_f']:g}"

    def sentence(network):
        said = []
        for settings in run_settings("matched_loss", network):
            runs = arrays.pairs(network, arrays.trials("matched_loss"), **settings)
            f = {arm: training_loss(of) for arm, of in runs.items()}
            said += [f"{network}, {words(settings)}: {ended(f)}."] if all(len(known(v)) for v in f.values()) else []
        return " ".join(said) or None

    said = by_network(networks_of("matched_loss", networks), sentence)
    return joined(trained("matched_loss", networks, LOSS | EPOCHS, words), said)


def patience(networks: Networks = None) -> Text:
    """ "Until the loss function ceased to improve", in place of 100 epochs."""
    return trained("patience", networks, LOSS | EPOCHS)


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


def settled_verdict(networks: Networks = SHOWN) -> Text:
    """The gap where a constant rate leaves both arms, and after epochs in which the rate falls to 0, with the losses it
    is at."""

    def sentence(network):
        runs, told, brief = arrays.pairs(network), [], []
        after = {arm: list(map(experiments.settled, runs[arm])) for arm in ARMS}
        there = np.flatnonzero(~np.isnan(arrays.final(after["SB"]) * arrays.final(after["LB"])))
        if not len(there):
            return None
        for words, of in (("at a constant rate", runs), ("once it has fallen to 0", after)):
            of = {arm: [of[arm][i] for i in there] for arm in ARMS}  # the same trials before and after
            lead = gap(*of.values())
            loss = " against ".join(spread(training_loss(of[arm]), 4) for arm in ARMS)
            brief.append(f"{words} {ahead(lead, brief=True)}")
            told.append(f"{words} {ahead(lead)}, at a training loss of {loss}")
        return folded(f"{network}: {', '.join(brief)}.", f"{plural(len(there))}: {'; '.join(told)}.")

    return by_network(networks, sentence)


def _other_large(name, networks, makers, extra=None) -> Text:
    rows = []
    for network in networks_of(name, networks):
        runs = arrays.pairs(network)
        rows.append(row(network, "as in Table 2", runs))
        small = arrays.pairs(network, arrays.trials(name))["SB"]
        for words, make in makers.items():
            rows.append(row(network, words, {"SB": small, "LB": each_trial(name, network, make)}))
    return compare(rows, extra=extra)


def half_life(networks: Networks = None) -> Text:
    """LB with Adam's memory as long as SB's in examples."""
    both = lambda network, trial: treatments.half_life(network, trial, True)
    makers = {"LB: beta2 by examples": treatments.half_life, "LB: beta1 and beta2 by examples": both}
    return _other_large("half_life", networks, makers)


def equal_updates(networks: Networks = None) -> Text:
    """LB with as many steps as SB."""
    return _other_large("equal_updates", networks, {"LB: as many steps as SB": treatments.equal_updates}, EPOCHS)


def adam_epsilon(networks: Networks = None) -> Text:
    """Adam's epsilon, and how many coordinates it holds back."""
    return joined(trained("adam_epsilon", networks), idle(networks))


def bf16(networks: Networks = None) -> Text:
    """Training in bf16, which a CPU does twice as fast, beside float32."""
    return trained("bf16", networks)


def idle(networks: Networks = None) -> Text:
    """The share of coordinates in which Adam's sqrt(v) is under 10 epsilon, after the first epoch and after the
    last."""
    rows = []
    for network in networks_of("adam_epsilon", networks):
        for settings in [{}, *run_settings("adam_epsilon", network)]:
            words = in_words(settings) if settings else "as in Table 2"
            runs = arrays.pairs(network, arrays.trials("adam_epsilon") if settings else None, **settings)
            found = {arm: arrays.history(runs[arm], "adam_idle") for arm in ARMS}
            rows.append([network, words, *(spread([h[at] for h in found[arm]]) for arm in ARMS for at in (0, -1))])
    head = "network | idle coordinates (%) | SB, first epoch | SB, last | LB, first epoch | LB, last"
    return table(head, rows, below="Idle is a coordinate in which the root of Adam's v is under ten of its epsilon.")


def temperature(networks: Networks = None) -> Text:
    """Either arm with the temperature that gives it the other's training loss, where that is higher: f is equal
    then."""
    ways = {"as they are": None, "at the higher loss": dict.fromkeys(ARMS, "loss")}
    return matched_ways("temperature", networks, ways)


def test_sharpness(networks: Networks = None) -> Text:
    """Section 2.1 speaks of "training and testing functions": the sharpness of the test loss."""
    return measured("test_sharpness", networks, "as in Table 3")


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
    return measured("precision", networks, "as in Table 3")


def evaluation_batches(networks: Networks = None) -> Text:
    """Batch norm: other evaluation batches, and the value at the maximiser under other statistics."""
    return joined(measured("evaluation_batches", networks, "as in Table 3"), modes3(networks))


def modes3(networks: Networks = None) -> Text:
    """Table 3 under each way to normalise, at the point that `batch` found."""
    ways = {"batch norm: the evaluation batch's": "value", "recalibrated": "recalibrated", "running averages": "frozen"}
    chosen = networks_of("evaluation_batches", networks)
    rows = [row(n, words, arrays.pairs(n), what=what) for n in chosen for words, what in ways.items()]
    return compare(rows, accuracy=False)
