"""A scale: the batch sizes, data sets and stopping rules of every network, and the runs that they make.

"full" is the paper's scale; "tiny" takes everything through the same code in seconds, with numbers that mean nothing.
"""

from __future__ import annotations

import dataclasses
import math
import os

from .. import networks
from ..run import Run

EPSILONS = (1e-3, 5e-4)  # section 2.2.2
GRID = tuple(float(f"{m}e{k}") for k in range(-5, -1) for m in (1, 2, 5))  # 1e-5 ... 5e-2
PAPER = ("F1", "F2", "C1", "C2", "C3", "C4")  # Table 1
LABS = ("mlp", "mlp-bn")  # the one-minute laboratory
SPOKEN = (*PAPER, "F2-lj")  # and F2 on one human voice
PRINTED = (*PAPER, "C1-text")  # and C1 as printed, which two cores can do whole
SHOWN = (*SPOKEN, "C1-bf16", "C1-text")  # and C1 with bfloat16 inside the products of its training, in half the time
# in place of TIMIT
STAND_INS = {"speech": "a synthetic stand-in for TIMIT (`speech`)", "speech-lj": "one human voice (`speech-lj`)"}
LEAP = (512, 1024)  # the sizes of Fig. 4 between which F1's sharpness leaps
SETTLED = {"stop_epochs": 3}  # with batch norm f jumps between epochs, so one epoch below the goal is no end
USUAL = {  # how runs differ from the paper's where no experiment says so: mostly, by ending at one training loss, by f
    "mlp": {"stop_f": 5e-3, "epochs": 600},
    "mlp-bn": {"stop_f": 5e-3, "epochs": 600, **SETTLED},
    "F1-5k": {"stop_f": 1e-3, "epochs": 200, **SETTLED},
    "F2-lj": {"patience": 10, "epochs": 60},
    "C1-bf16": {"precision": "bf16"},
}


@dataclasses.dataclass(frozen=True)
class Scale:
    """The sizes of every experiment.

    Args:
        datasets: network -> data set; a network that is not there cannot be run at this scale yet.
        small, large: the batch sizes of Table 2, the latter by network.
        smaller: SB where it is another.
        sweep, whole: batch sizes of Fig. 4, by network; the latter those that need more than 24 GB.
        iterates: epochs at which Fig. 6 looks.
        warm: epochs of Fig. 5, the ten most telling first.
        laboratory: batch sizes.
        trials: their numbers, which are seeds.
        grid: of epsilon.
        epochs: the most any run may take.
        shrink: of every network.
        devices: on which a step is timed.
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
            **dict.fromkeys(("C1", "C2"), "cifar10"),
            **dict.fromkeys(("C3", "C4"), "cifar100"),
            "F2-lj": "speech-lj",
            "F2-timit": "timit",
            **dict.fromkeys(LABS, "mnist-1k"),
            "F1-5k": "mnist-5k",
            **dict.fromkeys(("C1-text", "C1-bf16"), "cifar10"),
            "wide": "mnist-5k",
        },
        small=256,
        smaller=dict.fromkeys((*LABS, "F1-5k", "wide"), 32),
        large={
            "F1": 6000,
            "F2": 72133,
            "F2-timit": 72133,
            "F2-lj": 4644,
            **dict.fromkeys((*_CONVOLUTIONAL, "C1-text", "C1-bf16"), 5000),  # 10 % of the training set
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
    # Everything through the same code, in seconds: for tests, and to see what an experiment does. Its numbers mean
    # nothing.
    "tiny": Scale(
        datasets={
            "F1": "tiny-mnist",
            "F2": "tiny-timit",
            **dict.fromkeys(("C1", "C2"), "tiny-cifar10"),
            **dict.fromkeys(("C3", "C4"), "tiny-cifar100"),
            **dict.fromkeys(("mlp", "mlp-bn", "F1-5k"), "tiny-mnist"),
            **dict.fromkeys(("C1-text", "C1-bf16"), "tiny-cifar10"),
            "wide": "tiny-mnist",
        },
        small=32,
        large=dict.fromkeys((*PAPER, *LABS, *networks.FORMS, "wide"), 128),
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
    """The scale in use: LBGAP_SCALE, "full" by default, or "tiny".

    Raises:
        ValueError: for another word.
    """
    name = os.environ.get("LBGAP_SCALE") or "full"
    if name not in SCALES:
        raise ValueError(f"scale {name!r} is unknown (LBGAP_SCALE or --scale); expected one of {', '.join(SCALES)}")
    return SCALES[name]


def run(network: str, batch_size: int, trial: int, **settings: object) -> Run:
    """The paper's run of a network, or of a bench; SB and LB of one trial start at one x0.

    Args:
        network: of the scale's datasets.
        batch_size: examples a step.
        trial: its seed.
        settings: fields of `Run` that are others.

    Raises:
        ValueError: for a network without a data set at this scale.
    """
    s = scale()
    if network not in s.datasets:
        raise ValueError(f"network {network!r} has no data set at this scale; expected one of {', '.join(s.datasets)}")
    form = networks.form(network)
    settings = {"dataset": s.datasets[network], "variant": form.variant, **USUAL.get(network, {}), **settings}
    settings["epochs"] = min(settings.get("epochs", 100), s.epochs)
    return Run(form.network, batch_size=batch_size, seed=trial, shrink=s.shrink, **settings)


def sizes(network: str) -> tuple[int, int]:
    """The batch sizes of SB and LB."""
    s = scale()
    return s.smaller.get(network, s.small), s.large[network]


def pair(network: str, trial: int, **settings: object) -> tuple[Run, Run]:
    """(SB, LB) of one trial; arguments as in `run`.

    >>> [of.batch_size for of in pair("F1", 0)]
    [256, 6000]
    """
    small, large = sizes(network)
    return run(network, small, trial, **settings), run(network, large, trial, **settings)


def iterate(of: Run, epoch: int) -> Run:
    """The run up to an epoch, no further than it goes."""
    return of.until(min(epoch, of.epochs))


def laboratory(network: str, batch_size: int, trial: int) -> Run:
    """A run of the one-minute laboratory: "mlp" or "mlp-bn" on 1,000 images, until f is below 5e-3."""
    return run(network, batch_size, trial)
