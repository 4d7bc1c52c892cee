"""Every table, figure, control and remedy as a list of units, most valuable first.

A control is one row: what could make a result of the paper mean something else, and the units that settle it. So is a
remedy; `treatments` says how it is tried.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from .. import data
from ..run import Run
from . import scales, treatments
from .scales import LABS, LEAP, PAPER, PRINTED, SETTLED, SHOWN, iterate, pair, run, scale
from .treatments import ENDS, LABEL_NOISE, TREATMENTS, candidates, cells, noisy, noisy_updates
from .units import Unit, directions, edge, grid, noise, path, sharpness, spectrum, throughput, train


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What a table, a figure or a control needs.

    Args:
        title: for people.
        units: (network, trial) -> the units of one trial.
        networks: those it is for.
        trials: how many of the scale's trials, None for all; a number above 5 goes on with further seeds.
    """

    title: str
    units: Callable[[str, int], list[Unit]]
    networks: tuple = PAPER
    trials: int | None = None


def _last(of):
    """Metric 2.1 at Table 3's first epsilon alone, where the other tells no more."""
    return sharpness(of, (1e-3,))


def _both(*measures, **settings):
    """Measure SB and LB of each trial: `settings` are those of the runs."""
    return lambda network, trial: [m(of) for of in pair(network, trial, **settings) for m in measures]


def _sharp(*settings):
    """Measure the sharpness of SB and LB of each trial in ways, each the settings of a unit."""
    return _both(*(lambda of, how=how: sharpness(of, **how) for how in settings))


def _path(kind, **settings):
    return lambda network, trial: [path(*pair(network, trial, **settings), kind)]


def _also(*parts):
    return lambda network, trial: [unit for part in parts for unit in part(network, trial)]


def _with_path(**settings):
    return _also(_both(train, sharpness, **settings), _path("linear", **settings))


def _laboratory(network, trial):
    runs = [scales.laboratory(network, b, trial) for b in scale().laboratory]
    ends = runs[0], runs[-1]
    found = [m(of) for of in runs for m in (train, sharpness)]
    found += [path(*ends, kind) for kind in ("linear", "curvilinear")]
    return found + [grid(of, **how) for of in ends for how in ({}, {"solver": "literal"}, {"subspace": 100})]


def _sizes(of_scale):
    """Fig. 4's batch sizes beside SB and LB, whose units are Table 2's and 3's."""
    return lambda network, trial: [
        m(run(network, b, trial)) for b in getattr(scale(), of_scale).get(network, ()) for m in (train, sharpness)
    ]


def _iterates(measure):
    return lambda network, trial: [measure(iterate(of, k)) for of in pair(network, trial) for k in scale().iterates]


def warm(network: str, trial: int, epoch: int, **settings: object) -> Run:
    """Fig. 5: LB, started where SB was; Adam is reset unless carry=True.

    Args:
        network, trial: as in `scales.run`.
        epoch: how many SB had done.
        settings: fields of `Run` that are others.
    """
    small, large = pair(network, trial)
    settings = {"batch_size": large.batch_size, "start": iterate(small, epoch), **settings}
    return run(network, trial=trial, **settings)


def warm_controls(network: str, trial: int, epoch: int) -> dict[str, Run]:
    """Fig. 5's controls at one epoch, by name: Adam's moments carried over, SB simply continued, SB from LB's
    minimiser."""
    small, large = pair(network, trial)
    return {
        "carried": warm(network, trial, epoch, carry=True),
        "continued": warm(network, trial, epoch, batch_size=small.batch_size, carry=True),
        "reverse": warm(network, trial, epoch, batch_size=small.batch_size, start=iterate(large, epoch)),
    }


def _warm(first, last):
    """Fig. 5's warm starts, those of the scale's list from `first` to `last`."""
    chosen = lambda: scale().warm[first:last]
    return lambda network, trial: [m(warm(network, trial, k)) for k in chosen() for m in (train, _last)]


CONVOLUTIONAL = ("C1", "C2", "C3", "C4")
KINDS = ("F1", "F2", "C1")  # one dense, one deep, one convolutional network
THREE = (*KINDS, "F2-lj", "C1-text")  # and their forms
CONTROLLED = (1, 8, 60)  # the epochs of Fig. 5 that have controls


def _warm_controls(network, trial):
    controls = [warm_controls(network, trial, k) for k in scale().warm if k in CONTROLLED]
    return [m(of) for named in controls for of in named.values() for m in (train, _last)]


RATES = (1e-4, 3e-4, 3e-3, 1e-2)  # beside the paper's own, 1e-3
OPTIMIZERS = {  # section 2.2 names ADAGRAD, SGD and adaQN without a setting; the rates are ours
    "SGD with momentum": {"optimizer": "sgd", "lr": 0.01},
    "ADAGRAD": {"optimizer": "adagrad", "lr": 0.01},
}
NOT_REBUILT = {
    "adaQN": (
        "a stochastic quasi-Newton method of the authors' group for recurrent networks; neither its settings here nor "
        "an implementation that runs today were published, so a number of ours would not speak of theirs"
    )
}
INITIALISATIONS = {"He": {"init": "he"}, "orthogonal": {"init": "orthogonal"}, "tanh": {"activation": "tanh"}}


def _each_of(table):
    """Train and measure SB and LB with each of a table's settings."""
    return _also(*(_both(train, sharpness, **settings) for settings in table.values()))


def _rates(network, trial):
    validation = {"dataset": f"{scale().datasets[network]}-val"}
    found = [unit for lr in RATES for unit in _both(train, sharpness, lr=lr)(network, trial)]
    return found + [unit for lr in (1e-3, *RATES) for unit in _both(train, **validation, lr=lr)(network, trial)]


LABORATORY_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


def laboratory_rate(network: str, batch_size: int, trial: int, lr: float, validation: bool = False) -> Run:
    """A run of the laboratory at a learning rate.

    Args:
        network, batch_size, trial: as in `scales.run`.
        lr: the rate.
        validation: on the validation split, for the choice of the rate.
    """
    dataset = scale().datasets[network] + ("-val" if validation else "")
    batch_size = min(batch_size, data.examples(dataset)[0])
    return run(network, batch_size, trial, dataset=dataset, lr=lr)


def _laboratory_rates(network, trial):
    found = []
    for lr in LABORATORY_RATES:
        for b in scale().laboratory:
            of = laboratory_rate(network, b, trial, lr)
            found += [train(laboratory_rate(network, b, trial, lr, True)), train(of), sharpness(of, (1e-3,))]
    return found


def settled(of: Run) -> Run:
    """Five epochs more, the rate falling to 0: away from the noisy point where a constant rate leaves it."""
    return dataclasses.replace(of, start=of, carry=True, epochs=min(5, scale().epochs), lr_end=0.0)


_settled = _both(lambda of: train(settled(of)), lambda of: sharpness(settled(of)))


def _matched_loss(network, trial):
    """Both arms until f is below what either reaches: with dropout C1 is near 0.02 (SB) and 0.04 (LB) after 100
    epochs."""
    goal = 1e-3 if network in ("F1", "F2") else 0.05
    return _both(train, sharpness, stop_f=goal, epochs=300, **SETTLED)(network, trial)


def sisters(network: str, trial: int) -> dict[str, tuple[Run, Run]]:
    """Pairs of one batch size: (run, another) from another x0, the next trial's, and from the same x0 in another
    order."""
    out = {}
    for arm, (of, other) in {"SB": (0, 0), "LB": (1, 1)}.items():
        mine = pair(network, trial)[of]
        out[f"{arm}, other start"] = mine, pair(network, trial + 1)[other]
        out[f"{arm}, same start"] = mine, dataclasses.replace(mine, order_seed=100 + trial)
    return out


def _sisters(network, trial):
    return [path(*both, "linear") for both in sisters(network, trial).values()]


def _more_seeds(network, trial):
    return _both(train, sharpness)(network, trial) if trial >= len(scale().trials) else []


def _known_voices(network, trial):
    return _both(train, sharpness, dataset=f"{scale().datasets[network]}-val")(network, trial)


def _exchanged(small, large):
    return [sharpness(of, match="norms", to=to) for of, to in ((large, small), (small, large))]


def _norm_matched(network, trial):
    both = pair(network, trial)
    return [*_exchanged(*both), path(*both, "linear", match="norms")]


def _leap(network, trial):
    """The two sizes between which F1's sharpness leaps in Fig. 4."""
    if {*LEAP} <= {*scale().sweep[network]}:
        return _exchanged(*(run(network, b, trial) for b in LEAP))
    return _exchanged(*pair(network, trial))  # in a smaller experiment than the paper's, its own two


def _throughput(network, trial):
    """Appendix C: a step's speed from 32 examples to LB, SB among them, on every kind of device."""
    largest = scale().large[network]
    sizes = [*(b for b in (2**k for k in range(5, 17)) if b < largest), largest]
    return [throughput(run(network, b, trial), device) for device in scale().devices for b in sizes]


def _temperature(network, trial):
    small, large = pair(network, trial)
    return [sharpness(of, match="loss", to=to) for of, to in ((small, large), (large, small))]


def _weight_decay(network, trial):
    """Fig. 3 with weight decay, as it is and with norms matched."""
    both = pair(network, trial, weight_decay=5e-4)
    return [*map(train, both), path(*both, "linear"), path(*both, "linear", match="norms")]


def _runs_of(treatment, network, trial):
    return [make(network, trial) for make in (treatment.run, treatment.small) if make]


def _treat(treatment):
    """What a remedy's runs are measured for: accuracy, sharpness, and where the paper speaks of plots, the path from SB
    to LB."""

    def wanted(network, trial):
        runs = _runs_of(treatment, network, trial)
        found = [m(of) for of in runs for m in (train, sharpness)]
        return [*found, path(*reversed(runs), "linear")] if treatment.plots else found

    return wanted


def _tuning(network, trial):
    return [train(of) for of in candidates(network, trial).values()]


def _augmented_loss(network, trial):
    return [sharpness(of, augmented=True) for of in _runs_of(TREATMENTS["augmentation"], network, trial)]


def _causal_grid(network, trial):
    return [m(of) for of in cells(network, trial).values() for m in (train, _last)]


def _noisy(network, trial):
    pairs = [noisy(trial, share, end) for share in LABEL_NOISE for end in ENDS]
    pairs += [noisy_updates(trial, share) for share in LABEL_NOISE]
    return [m(of) for both in pairs for of in both for m in (train, _last)]


# powers of 2 round nothing
TWINS = {**dict.fromkeys(LABS, tuple(2.0**k for k in range(-3, 4))), "F1": (1 / 4, 1.0, 4.0)}


def ends(network: str, trial: int) -> tuple[Run, Run]:
    """(SB, LB) of one trial; of the laboratory, its smallest and its largest batch."""
    if network not in LABS:
        return pair(network, trial)
    sizes = scale().laboratory
    return tuple(scales.laboratory(network, b, trial) for b in (sizes[0], sizes[-1]))


def _twins(network, trial):
    """Metric 2.1 and the adaptive one of both ends' twins, all of one training; in the laboratory the adaptive one at
    every epsilon."""
    if trial and network not in LABS:
        return []
    both, boxes = ends(network, trial), ({}, {"offset": 0.0})
    found = [sharpness(of, (1e-3,), twin=c, **box) for of in both for c in TWINS[network] for box in boxes]
    return found + [grid(of, offset=0.0) for of in both if network in LABS]


EXPERIMENTS = {
    # -- the paper's ------------------------------------------------------------------------------------------------
    "laboratory": Experiment("the one-minute laboratory", _laboratory, LABS),
    "table2": Experiment("Table 2, Fig. 2, distances", _both(train), SHOWN),
    "table3": Experiment("Table 3", _both(sharpness), SHOWN),
    "fig3": Experiment("Fig. 3", _path("linear"), SHOWN),
    "fig7": Experiment("Fig. 7", _path("curvilinear"), SHOWN),
    "literal": Experiment("Table 3 as SciPy finds it", _sharp({"solver": "literal"}), SHOWN),
    "table4": Experiment("Table 4", _sharp({"subspace": 100}), SHOWN),
    "fig4": Experiment("Fig. 4", _sizes("sweep"), PRINTED),
    "fig6": Experiment("Fig. 6", _iterates(sharpness), SHOWN),
    "fig5": Experiment("Fig. 5, ten of its epochs", _warm(0, 10), SHOWN, 1),
    "optimizers": Experiment("2.2: SGD, ADAGRAD", _each_of(OPTIMIZERS), THREE),
    "directions": Experiment("2.2.2: 5 % of the directions", _both(directions), SHOWN, 1),
    "spectrum": Experiment("Hessian: ends, density, Ritz values", _both(spectrum), SHOWN, 1),
    "laboratory_way": Experiment("Figs. 5, 6 in the laboratory", _also(_iterates(sharpness), _warm(0, 6)), LABS),
    "laboratory_hessian": Experiment("Hessian in the laboratory", _both(spectrum, directions), LABS),
    "laboratory_rates": Experiment("six rates by eight batch sizes", _laboratory_rates, LABS),
    # -- controls ---------------------------------------------------------------------------------------------------
    "norm_matched": Experiment("filter norms exchanged", _norm_matched, SHOWN),
    "leap": Experiment("filter norms exchanged across F1's leap", _leap, ("F1",), 2),
    "twins": Experiment("same function, other weights", _twins, (*LABS, "F1")),
    "text_variant": Experiment("as printed: stride 2, dropout once", _with_path(variant="text"), CONVOLUTIONAL),
    "sisters": Experiment("paths SB to SB', LB to LB'", _sisters, KINDS, 2),
    "more_seeds": Experiment("trials 6 to 10", _more_seeds, ("F1",), 10),
    "settled": Experiment("five epochs with the rate falling to 0", _settled, SHOWN),
    "temperature": Experiment("both at the higher loss, by temperature", _temperature),
    "test_sharpness": Experiment("sharpness of the test loss", _sharp({"split": "test"}), SHOWN),
    "matched_loss": Experiment("both ended by f, at one goal", _matched_loss, PRINTED),
    "patience": Experiment(
        "patience in place of 100 epochs", _both(train, sharpness, patience=10, epochs=300), ("F1", "C1"), 1
    ),
    "epsilon_grid": Experiment("every epsilon", _both(grid), trials=2),
    "solvers": Experiment(
        "SciPy at other scalings", _sharp(*({"solver": "literal", "scale": s} for s in ("metric", 1e4))), PRINTED, 2
    ),
    "matrices": Experiment("Table 4, two more matrices", _sharp(*({"subspace": 100, "seed": s} for s in (1, 2)))),
    "bf16": Experiment("in training, bf16", _both(train, sharpness, precision="bf16"), ("C1", "C1-text"), 1),
    "precision": Experiment("in double precision", _sharp({"dtype": "float64"}), KINDS, 1),
    "evaluation_batches": Experiment(
        "batch norm: evaluation batches", _sharp(*({"batch_size": b} for b in (256, 1000, 60000))), ("F1", "C1"), 1
    ),
    "adam_epsilon": Experiment("Adam's epsilon 1e-12", _both(train, sharpness, adam_epsilon=1e-12), KINDS, 1),
    "weight_decay": Experiment("Fig. 3 with weight decay 5e-4", _weight_decay, ("F1", "C1", "C2"), 1),
    "no_dropout": Experiment("without dropout", _with_path(dropout=False), CONVOLUTIONAL, 1),
    "initialisations": Experiment("other starts, tanh", _each_of(INITIALISATIONS), THREE),
    "learning_rates": Experiment("learning rates at fixed batch", _rates, ("F1", "C1"), 1),
    "noise_scale": Experiment("gradient noise scale along training", _iterates(noise), KINDS, 1),
    "fig5_controls": Experiment("Fig. 5: carried, continued, reverse", _warm_controls, THREE, 1),
    "known_voices": Experiment("tested on voices of the training set", _known_voices, ("F2",), 3),
    "throughput": Experiment("App. C: examples a second by batch size", _throughput, trials=1),
    "fig5_all": Experiment("Fig. 5, the other ninety epochs", _warm(10, 100), trials=1),
    "fig4_whole": Experiment("Fig. 4 to the whole set, over 24 GB", _sizes("whole"), ("F2", *CONVOLUTIONAL)),
    # -- remedies, and what they teach --------------------------------------------------------------------------------
    "benches": Experiment("SB and LB of the benches", _both(train, sharpness), ("F1-5k", "C1-text", *LABS)),
    "bench_paths": Experiment("Fig. 3 of the benches", _path("linear"), ("F1-5k", "mlp", "C1-text")),
    "tuning": Experiment("remedies' numbers, on a validation split", _tuning, treatments.CHEAP),
    **{name: Experiment(t.title, _treat(t), t.networks) for name, t in TREATMENTS.items()},
    "augmented_loss": Experiment("sharpness of the augmented loss", _augmented_loss, treatments.IMAGES),
    "edge": Experiment("the edge of stability", _iterates(edge), ("mlp", "F1-5k", "F1"), 2),
    "causal_grid": Experiment("noise crossed with sharpness", _causal_grid, ("mlp", "F1-5k", "F1")),
    "noisy_labels": Experiment("SB and LB on wrong labels", _noisy, ("wide",)),
}


def trials_of(name: str, trials: Iterable[int] | None = None) -> set[int]:
    """The trials that an experiment has at this scale, those of `trials` among them if given."""
    own, most = scale().trials, EXPERIMENTS[name].trials
    if most and most > 5:  # twice as many seeds
        own = range(2 * len(own))
    elif most:
        own = own[:most]
    return set(own if trials is None else trials) & set(own)
