"""The paper's tables and figures as lists of units: which runs to train, and what to measure at their ends.

A unit is a specification, a plain dict: {"kind": "train" | "sharpness" | "path", "run" or "runs": ..., settings}.
Its hash names its document in the store. A setting that has its default is left out, as in `Run.spec`.
"""

from __future__ import annotations

from .training import Run

EPSILONS = (1e-3, 5e-4)  # section 2.2.2
SMALL = 256
LARGE = {"F1": 6000, "F2": 72133, "C1": 5000, "C2": 5000, "C3": 5000, "C4": 5000}  # 10 % of the training set
DATASET = {"F1": "mnist", "C1": "cifar10", "C2": "cifar10", "C3": "cifar100", "C4": "cifar100",
           "mlp": "mnist-1k", "mlp-bn": "mnist-1k"}
TRIALS = range(5)
SWEEP = (32, 64, 128, 512, 1024, 2048, 4096, 15000, 30000, 60000)  # beside 256 and 6000, for MNIST
LABORATORY = (8, 16, 32, 64, 128, 256, 512, 1000)  # batch sizes; all stop at one training loss
GRID = tuple(float(f"{m}e{k}") for k in range(-5, -1) for m in (1, 2, 5))  # 1e-5 ... 5e-2


def run(network: str, batch_size: int, trial: int, **settings) -> Run:
    """The paper's run of a network at a batch size; SB and LB of one trial start at one x0."""
    return Run(network, DATASET[network], batch_size, seed=trial, **settings)


def pair(network: str, trial: int, **settings) -> tuple[Run, Run]:
    """(SB, LB) of one trial."""
    return run(network, SMALL, trial, **settings), run(network, LARGE[network], trial, **settings)


def train(of: Run) -> dict:
    """The unit that trains: history, accuracies in all batch-norm modes, distance from the start."""
    return {"kind": "train", "run": of.spec}


def sharpness(of: Run, epsilons=EPSILONS, **settings) -> dict:
    """The unit that measures Metric 2.1. settings: those of `metric.sharpness`, and of `Objective` (split, batch_size,
    dtype "float64"), and neighbours=True to start each epsilon from its neighbours' solutions too."""
    return {"kind": "sharpness", "run": of.spec, "epsilons": list(epsilons), **settings}


def path(small: Run, large: Run, kind: str) -> dict:
    """The unit that measures a path, "linear" or "curvilinear", on the training and the test set."""
    return {"kind": "path", "runs": [small.spec, large.spec], "path": kind}


def laboratory(network: str, batch_size: int, trial: int) -> Run:
    """A run of the one-minute laboratory: "mlp" or "mlp-bn" on 1,000 images, to a mean running loss of 5e-3."""
    return run(network, batch_size, trial, stop_loss=5e-3, epochs=600)


def _laboratory(network, trial):
    runs = [laboratory(network, b, trial) for b in LABORATORY]
    return [unit for of in runs for unit in (train(of), sharpness(of))] + [
        path(runs[0], runs[-1], kind) for kind in ("linear", "curvilinear")] + [
        grid(of, **settings) for of in (runs[0], runs[-1]) for settings in ({}, {"solver": "literal"}, {"subspace": 100})]


def _each(units):
    return lambda network, trial: [unit for of in pair(network, trial) for unit in units(of)]


def grid(of: Run, **settings) -> dict:
    """The unit that measures Metric 2.1 from epsilon 1e-5 to 5e-2; `best` starts each from its neighbour too."""
    return sharpness(of, GRID, **({} if settings.get("solver") == "literal" else {"neighbours": True}), **settings)


# For each experiment: (network, trial) -> units. The order is the order of value.
TABLES = {
    "laboratory": _laboratory,
    "table2": _each(lambda of: [train(of)]),
    "table3": _each(lambda of: [sharpness(of)]),
    "fig3": lambda network, trial: [path(*pair(network, trial), "linear")],
    "fig7": lambda network, trial: [path(*pair(network, trial), "curvilinear")],
    "literal": _each(lambda of: [sharpness(of, solver="literal")]),
    "table4": _each(lambda of: [sharpness(of, subspace=100)]),
    "sweep": lambda network, trial: [
        unit for b in SWEEP if trial == 0 for unit in (train(run(network, b, 0)), sharpness(run(network, b, 0)))],
    "epsilon_grid": lambda network, trial: _each(lambda of: [grid(of)])(network, trial) if trial < 2 else [],
    "scales": lambda network, trial: _each(
        lambda of: [sharpness(of, solver="literal", scale=s) for s in ("metric", 1e4)])(network, trial) if trial < 2 else [],
    "table4_matrices": _each(lambda of: [sharpness(of, subspace=100, seed=s) for s in (1, 2)]),
    "float64": lambda network, trial: _each(
        lambda of: [sharpness(of, dtype="float64")])(network, trial) if trial == 0 else [],
    "evaluation_batch": lambda network, trial: _each(
        lambda of: [sharpness(of, batch_size=b) for b in (256, 1000, 60000)])(network, trial) if trial == 0 else [],
    "patience": lambda network, trial: [
        unit for of in pair(network, trial, epochs=300, patience=10) if trial == 0
        for unit in (train(of), sharpness(of))],
}
CORE = ("laboratory", "table2", "table3", "fig3", "fig7", "literal")  # one whole trial of these is worth more than five of the first
LABS = ("mlp", "mlp-bn")
NETWORKS = {name: tuple(n for n in DATASET if n not in LABS) for name in TABLES} | {
    "laboratory": LABS, "sweep": ("F1",), "evaluation_batch": ("F1",)}  # which networks an experiment is for


def units(names=None, networks=("F1", *LABS), trials=TRIALS) -> list[dict]:
    """The units of the named experiments (all by default), most valuable first, none twice.

    First the experiments of CORE, trial by trial, then the others, each trial by trial. Raises ValueError for an unknown experiment or network.
    """
    for name in names or ():
        if name not in TABLES:
            raise ValueError(f"experiment {name!r} is unknown; expected one of {', '.join(TABLES)}")
    for network in networks:
        if network not in DATASET:
            raise ValueError(f"network {network!r} has no experiments yet; expected one of {', '.join(DATASET)}")
    names, found = list(names or TABLES), {}
    stages = [[name for name in names if name in CORE]] + [[name] for name in names if name not in CORE]
    for stage in stages:
        for trial in trials:
            for name in stage:
                for network in (n for n in networks if n in NETWORKS[name]):
                    found.update({repr(unit): unit for unit in TABLES[name](network, trial)})
    return list(found.values())
