"""A unit: what to measure, and on which runs. Its hash names its document in the store.

A unit is a plain dict, {"kind": ..., "run": spec or "runs": [spec, spec], settings}. A setting that has its default is
left out, as in `Run.spec`, so that a setting added later leaves every id as it was.
"""

from __future__ import annotations

import dataclasses
import math
import os

from .training import Run

EPSILONS = (1e-3, 5e-4)  # section 2.2.2
SOLVER = (
    2  # the revision of `best`: a changed solver measures something else under one name, so its units say which it is
)
GRID = tuple(float(f"{m}e{k}") for k in range(-5, -1) for m in (1, 2, 5))  # 1e-5 ... 5e-2
PAPER = ("F1", "F2", "C1", "C2", "C3", "C4")  # Table 1
LABS = ("mlp", "mlp-bn")  # the one-minute laboratory
SPOKEN = (*PAPER, "F2-lj")  # and F2 on one human voice
PRINTED = (*PAPER, "C1-text")  # and C1 as printed, which two cores can do whole
SHOWN = (*SPOKEN, "C1-text")
BENCHES = {
    "F1-5k": "F1",
    "C1-text": "C1",
    "wide": "wide",
    "F2-lj": "F2",
    "F2-timit": "F2",
}  # a network of Table 1, or another, as two cores can train it often
STAND_INS = {
    "speech": "a synthetic stand-in for TIMIT (`speech`)",
    "speech-lj": "one human voice (`speech-lj`)",
}  # in place of TIMIT
SETTLED = {"stop_epochs": 3}  # with batch norm f jumps between epochs, so one epoch below the goal is no end
USUAL = {  # how runs differ from the paper's where no experiment says so: mostly, by ending at one training loss, by f
    "mlp": {"stop_f": 5e-3, "epochs": 600},
    "mlp-bn": {"stop_f": 5e-3, "epochs": 600, **SETTLED},
    "F1-5k": {"stop_f": 1e-3, "epochs": 200, **SETTLED},
    "F2-lj": {"patience": 10, "epochs": 60},
    "C1-text": {"variant": "text"},
}


@dataclasses.dataclass(frozen=True)
class Scale:
    """The sizes of every experiment.

    datasets: network -> data set; a network that is not there cannot be run at this scale yet. small, large: the
    batch sizes of Table 2; smaller: SB where it is another. sweep: of Fig. 4, by network; whole: those that need more than 24 GB. epochs: the most any
    run may take. iterates: epochs at which Fig. 6 looks. warm: epochs of Fig. 5, the ten most telling first. grid: of
    epsilon. laboratory: batch sizes. shrink: of every network. devices: on which a step is timed.
    settings: more of a unit, by kind.
    """

    datasets: dict
    small: int
    large: dict
    sweep: dict
    whole: dict
    iterates: tuple
    warm: tuple
    laboratory: tuple
    trials: range = range(5)
    grid: tuple = GRID
    epochs: float = math.inf
    shrink: int = 1
    devices: tuple = ("cpu", "cuda")
    smaller: dict = dataclasses.field(default_factory=dict)
    settings: dict = dataclasses.field(default_factory=dict)


_CIFAR = (64, 128, 512, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500)  # with 256 and 5000 13 sizes
_CONVOLUTIONAL = ("C1", "C2", "C3", "C4")
_FRAMES = ("F2", "F2-timit")
_EARLY = (1, 2, 3, 5, 8, 13, 20, 35, 60, 100)  # of Fig. 5, whose point is the first few
SCALES = {
    "full": Scale(
        datasets={
            "F1": "mnist",
            "F2": "speech",
            "C1": "cifar10",
            "C2": "cifar10",
            "C3": "cifar100",
            "C4": "cifar100",
            "F2-lj": "speech-lj",
            "F2-timit": "timit",
            "mlp": "mnist-1k",
            "mlp-bn": "mnist-1k",
            "F1-5k": "mnist-5k",
            "C1-text": "cifar10",
            "wide": "mnist-5k",
        },
        small=256,
        smaller=dict.fromkeys((*LABS, "F1-5k", "wide"), 32),
        large={
            "F1": 6000,
            "F2": 72133,
            "F2-timit": 72133,
            "F2-lj": 4644,
            **dict.fromkeys((*_CONVOLUTIONAL, "C1-text"), 5000),  # 10 % of the training set
            "F1-5k": 400,
            "wide": 400,
            **dict.fromkeys(LABS, 1000),
        },
        sweep={
            "C1-text": _CIFAR,
            "F1": (32, 64, 128, 512, 1024, 2048, 4096, 15000, 30000, 60000),
            **dict.fromkeys(_CONVOLUTIONAL, _CIFAR),
            **dict.fromkeys(_FRAMES, (64, 128, 512, 1024, 2048, 4096, 8192, 16384, 32768, 144266)),
        },  # with 256 and 72133 12
        whole={**dict.fromkeys(_CONVOLUTIONAL, (10000, 25000, 50000)), **dict.fromkeys(_FRAMES, (360665, 721329))},
        iterates=(1, 2, 4, 8, 15, 30, 60, 100),
        warm=(*_EARLY, *(k for k in range(1, 101) if k not in _EARLY)),
        laboratory=(8, 16, 32, 64, 128, 256, 512, 1000),
        settings={"spectrum": {"steps": 64, "probes": 2}},  # so many until the most negative eigenvalue has settled
    ),
    # Everything through the same code, in seconds: for tests, and to see what an experiment does. Its numbers mean nothing.
    "tiny": Scale(
        datasets={
            "F1": "tiny-mnist",
            "F2": "tiny-timit",
            "C1": "tiny-cifar10",
            "C2": "tiny-cifar10",
            "C3": "tiny-cifar100",
            "C4": "tiny-cifar100",
            "mlp": "tiny-mnist",
            "mlp-bn": "tiny-mnist",
            "F1-5k": "tiny-mnist",
            "C1-text": "tiny-cifar10",
            "wide": "tiny-mnist",
        },
        small=32,
        large=dict.fromkeys((*PAPER, *LABS, *BENCHES), 128),
        sweep=dict.fromkeys(PAPER, (64,)),
        whole=dict.fromkeys(_CONVOLUTIONAL, (256,)),
        iterates=(1, 2),
        warm=(1, 2),
        laboratory=(32, 128),
        trials=range(2),
        grid=GRID[3:10:3],
        epochs=2,
        shrink=8,
        devices=("cpu",),
        settings={
            "sharpness": {"iterations": 1, "random_starts": 0},
            "path": {"points": 4},
            "directions": {"count": 3, "steps": 3},
            "spectrum": {"steps": 4, "top": 2, "probes": 1},
            "edge": {"steps": 3},
            "throughput": {"seconds": 0.01},
        },
    ),
}


def scale() -> Scale:
    """The scale in use: LBGAP_SCALE, "full" by default, or "tiny". ValueError for another word."""
    name = os.environ.get("LBGAP_SCALE") or "full"
    if name not in SCALES:
        raise ValueError(f"scale {name!r} is unknown (LBGAP_SCALE or --scale); expected one of {', '.join(SCALES)}")
    return SCALES[name]


# -- runs -------------------------------------------------------------------------------------------------------------


def run(network: str, batch_size: int, trial: int, **settings) -> Run:
    """The paper's run of a network, or of a bench, at a batch size; SB and LB of one trial start at one x0."""
    s = scale()
    if network not in s.datasets:
        raise ValueError(f"network {network!r} has no data set at this scale; expected one of {', '.join(s.datasets)}")
    settings = {"dataset": s.datasets[network], **USUAL.get(network, {}), **settings}
    settings["epochs"] = min(settings.get("epochs", 100), s.epochs)
    return Run(BENCHES.get(network, network), batch_size=batch_size, seed=trial, shrink=s.shrink, **settings)


def sizes(network: str) -> tuple[int, int]:
    """The batch sizes of SB and LB."""
    s = scale()
    return s.smaller.get(network, s.small), s.large[network]


def pair(network: str, trial: int, **settings) -> tuple[Run, Run]:
    """(SB, LB) of one trial."""
    small, large = sizes(network)
    return run(network, small, trial, **settings), run(network, large, trial, **settings)


def iterate(of: Run, epoch: int) -> Run:
    """The run up to an epoch, no further than it goes."""
    return of.until(min(epoch, of.epochs))


def laboratory(network: str, batch_size: int, trial: int) -> Run:
    """A run of the one-minute laboratory: "mlp" or "mlp-bn" on 1,000 images, until f is below 5e-3."""
    return run(network, batch_size, trial)


# -- units ------------------------------------------------------------------------------------------------------------


def _unit(kind: str, /, **content) -> dict:
    return {"kind": kind, **content, **{k: v for k, v in scale().settings.get(kind, {}).items() if k not in content}}


def train(of: Run) -> dict:
    """The unit that trains: history, accuracies in all batch-norm modes, distance from the start."""
    return _unit("train", run=of.spec)


def sharpness(of: Run, epsilons=EPSILONS, *, to: Run | None = None, **settings) -> dict:
    """The unit that measures Metric 2.1.

    settings: those of `metric.sharpness`, and of `Objective` (split, batch_size, dtype "float64"); neighbours=True
    starts each epsilon from its neighbours' solutions too; match="norms" or "loss" with `to`, another run, measures the
    same function with filter norms, or the same decisions with the loss (where that is higher), of that run; twin=c measures
    the same function at other weights; see `rescaling`. offset=0.0 takes the adaptive box in place of the paper's.
    """
    revision = {"revision": SOLVER} if settings.get("solver", "best") == "best" else {}
    return _unit(
        "sharpness", run=of.spec, epsilons=list(epsilons), **({"to": to.spec} if to else {}), **{**settings, **revision}
    )


def grid(of: Run, **settings) -> dict:
    """The unit that measures Metric 2.1 from epsilon 1e-5 to 5e-2; `best` starts each from its neighbour too."""
    return sharpness(
        of, scale().grid, **({} if settings.get("solver") == "literal" else {"neighbours": True}), **settings
    )


def path(small: Run, large: Run, kind: str, **settings) -> dict:
    """The unit that measures a path, "linear" or "curvilinear", on the training and the test set.

    match="norms": from `small` to the same function as `large` with the filter norms of `small`.
    """
    return _unit("path", runs=[small.spec, large.spec], path=kind, **settings)


def spectrum(of: Run) -> dict:
    """The unit that measures the Hessian: both ends, density, and Metric 2.1 in the space of its top eigenvectors."""
    return _unit("spectrum", run=of.spec)


def directions(of: Run, epsilon: float = 1e-3) -> dict:
    """The unit that measures how f rises along random and along Hessian directions as long as the box's half-diagonal."""
    return _unit("directions", run=of.spec, epsilon=epsilon)


def noise(of: Run) -> dict:
    """The unit that measures the gradient noise scale where a run ended, in mini-batches of SB's size for SB and LB alike.

    With batch norm the noise depends on the mini-batch, so one size serves all.
    """
    return _unit("noise", run=of.spec, batch_size=scale().small)


def edge(of: Run) -> dict:
    """The unit that measures the top eigenvalue of the Hessian, and of Adam's preconditioned Hessian, where a run ended."""
    return _unit("edge", run=of.spec)


def throughput(of: Run, device: str = "cpu") -> dict:
    """The unit that times a training step of a run on a kind of device, "cpu" or "cuda"; it is computed on no other."""
    return _unit("throughput", run=of.spec, device=device)


def runs_of(unit: dict) -> list[Run]:
    """The runs whose minimisers a unit needs: what it measures first, what it is matched `to` last; none where a step is timed."""
    return [] if unit["kind"] == "throughput" else subjects(unit)


def subjects(unit: dict) -> list[Run]:
    """The runs that a unit is about, in the order of `runs_of`, whether they are to be trained or not."""
    return [Run(**spec) for spec in unit.get("runs", [unit.get("run")]) + ([unit["to"]] if "to" in unit else [])]


def describe(unit: dict) -> str:
    """A unit in a line of words."""
    runs = subjects(unit)
    settings = {k: v for k, v in unit.items() if k not in ("kind", "run", "runs", "to", "revision")}
    usual = ("network", "dataset", "batch_size", "init_seed", "order_seed", "start")
    settings |= {k: v for k, v in runs[0].spec.items() if k not in usual}
    if runs[0].start:
        settings["from"] = f"batch {runs[0].start.batch_size} epoch {runs[0].start.epochs}"
    who = f"{runs[0].network} batch {' and '.join(str(r.batch_size) for r in runs)} seed {runs[0].init_seed}"
    return " ".join([unit["kind"], who, *(f"{k}={v}" for k, v in settings.items() if k != "epsilons" or len(v) != 2)])
