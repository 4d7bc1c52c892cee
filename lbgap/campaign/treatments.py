"""Every remedy as it is tried here: one row says which run it is, on which networks, and where it comes from."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

from .. import data, remedies
from ..run import Run
from . import scales
from .scales import PAPER, pair, run, sizes

CHEAP = ("F1-5k", "mlp")  # benches on which everything is affordable in five trials
ALL = (*CHEAP, *PAPER)
NORMED = ("F1-5k", "mlp-bn", *PAPER)  # with batch norm
KINDS = (*CHEAP, "F1", "F2", "C1")
IMAGES = ("C1-text", "C1", "C2", "C3", "C4")


@dataclasses.dataclass(frozen=True)
class Treatment:
    """How one remedy is tried.

    Args:
        title, source: for people.
        run: (network, trial) -> the treated run.
        small: the same at SB, or None.
        networks: those it is tried on.
        plots: whether the paper speaks of its parametric plots.
    """

    title: str
    source: str
    run: Callable[[str, int], Run]
    small: Callable[[str, int], Run] | None = None
    networks: tuple = ALL
    plots: bool = False


def _treated(title, source, remedy, networks=ALL, both=False, plots=False):
    """LB with a remedy, or with remedy(network, arm), and SB with it where `both`."""

    def make(network, trial, arm):
        own = remedy if isinstance(remedy, remedies.Remedy) else remedy(network, arm)
        return run(network, sizes(network)[arm == "LB"], trial, remedies=own)

    large, small = (functools.partial(make, arm=arm) for arm in ("LB", "SB"))
    return Treatment(title, source, large, small if both else None, networks, plots)


def ratio(network: str) -> float:
    """B_LB / B_SB."""
    small, large = sizes(network)
    return large / small


# Chosen for each arm on the validation split (experiment "tuning"), where that is affordable; elsewhere as published.
TUNED = {
    "sam": {"mlp": {"SB": 0.4, "LB": 0.4}, "F1-5k": {"SB": 0.05, "LB": 0.05}},
    "penalty": {"mlp": {"SB": 0.1, "LB": 0.01}, "F1-5k": {"SB": 0.01, "LB": 0.01}},
}
CANDIDATES = {"sam": (0.05, 0.1, 0.2, 0.4, 0.8), "penalty": (0.003, 0.01, 0.03, 0.1, 0.3)}
TUNABLE = {"sam": remedies.SAM, "penalty": remedies.GradientPenalty}  # their number is the first argument


def tuned(name: str, network: str, arm: str) -> remedies.Remedy:
    """A remedy at the number chosen on the validation split, its default where none was.

    Args:
        name: of TUNED.
        network, arm: for which; "SB" or "LB".
    """
    return TUNABLE[name](TUNED[name][network][arm]) if network in TUNED[name] else TUNABLE[name]()


def _tuned_by_small(name):
    """`tuned`, worked out over SB's batches one by one."""
    return lambda network, arm: dataclasses.replace(tuned(name, network, arm), examples=sizes(network)[0])


def candidates(network: str, trial: int) -> dict[tuple[str, str, float], Run]:
    """{(remedy, arm, number): the run on the validation split that says how good the number is}."""
    validation = f"{scales.scale().datasets[network]}-val"
    batches = {arm: min(batch, data.examples(validation)[0]) for arm, batch in zip(("SB", "LB"), sizes(network))}
    return {
        (name, arm, value): run(network, batch, trial, dataset=validation, remedies=TUNABLE[name](value))
        for name, values in CANDIDATES.items()
        for value in values
        for arm, batch in batches.items()
    }


def _adversarial(network, arm):
    # Goodfellow et al. give 0.25 for MNIST and 0.1 for CIFAR-10; speech frames are no pixels
    return remedies.Adversarial(0.1 if network.startswith("C") else 0.25, clip=not network.startswith("F2"))


def _every(network):
    """Epochs between two growths, and of a switch: a tenth of 100, or of what a bench takes."""
    return 3 if network in CHEAP else 10


def _grown(remedy):
    return lambda network, trial: run(network, sizes(network)[0], trial, remedies=remedy(network))


_doubled = lambda network: remedies.Growth(2.0, _every(network), sizes(network)[1])
_tested = lambda network: remedies.VarianceTest(most=sizes(network)[1])
_halved = lambda network: remedies.Schedule(factor=0.5, every=_every(network))


def _switched(network, trial):
    """SB first, then LB with Adam's moments carried over: Fig. 5 as a remedy."""
    small, large = pair(network, trial)
    at = 2 * _every(network)
    start, left = scales.iterate(small, at), max(1, large.epochs - at)
    return run(network, large.batch_size, trial, start=start, carry=True, epochs=left)


def _scaled(power):
    """The rate times (B_LB / B_SB) to a power, with five epochs of warm-up (Hoffer et al. 1/2, Goyal et al. 1)."""
    rate = lambda network: 1e-3 * ratio(network) ** power
    slow = remedies.Schedule(warmup=5)
    return lambda network, trial: run(network, sizes(network)[1], trial, lr=rate(network), remedies=slow)


LONG = {"F1-5k": {"epochs": 200, "stop_f": None, "stop_epochs": 1}, "mlp": {"epochs": 600, "stop_f": None}}


def equal_updates(network: str, trial: int) -> Run:
    """LB with about as many updates as SB takes, and far beyond the loss where a bench ends.

    Args:
        network, trial: as in `scales.run`; B_LB / B_SB times 100 epochs.
    """
    settings = LONG.get(network) or {"epochs": round(100 * ratio(network))}
    return run(network, sizes(network)[1], trial, **settings)


def half_life(network: str, trial: int, both: bool = False) -> Run:
    """LB with Adam's memory as long as SB's in *examples*: beta to the power B_LB / B_SB.

    Args:
        network, trial: as in `scales.run`.
        both: beta1 too, not beta2 alone.

    Source: Marek et al. 2025.
    """
    power = ratio(network)
    betas = {"beta2": 0.999**power, **({"beta1": 0.9**power} if both else {})}
    return run(network, sizes(network)[1], trial, **betas)


TREATMENTS = {
    # Appendix E and section 4
    "conservative": _treated("conservative training", "E.2, Table 7", remedies.Conservative(), (*ALL, "C1-text")),
    "conservative_reset": _treated(
        "conservative, moments reset", "E.2", remedies.Conservative(moments="reset"), (*CHEAP, "F1")
    ),
    "conservative_half": _treated(
        "conservative, half the pull", "Eq. 5 with lambda / 2", remedies.Conservative(strength=5e-4), ("mlp",)
    ),
    "augmentation": _treated("augmentation", "E.1, Table 6", remedies.Augmentation(), IMAGES, both=True, plots=True),
    "adversarial": _treated("adversarial training", "E.3", _adversarial, both=True, plots=True),
    "stability": _treated("stability training", "E.3", remedies.Stability(), both=True, plots=True),
    "growth": Treatment("batch doubles", "section 4", _grown(_doubled)),
    "variance_test": Treatment("batch by variance test", "section 4", _grown(_tested)),
    "switch": Treatment("SB, then LB", "section 4, Fig. 5", _switched),
    # what came after
    "ghost": _treated(
        "ghost batch norm", "Hoffer et al. 2017", lambda network, arm: remedies.Ghost(sizes(network)[0]), NORMED
    ),
    "sqrt_rate": Treatment("rate times sqrt of B ratio", "Hoffer et al. 2017", _scaled(0.5)),
    "linear_rate": Treatment("rate times B ratio", "Goyal et al. 2017", _scaled(1.0)),
    "equal_updates": Treatment("longer training", "Hoffer et al. 2017", equal_updates, networks=KINDS),
    "decay": Treatment("SB, rate halves (growth's twin)", "Smith et al. 2018", _grown(_halved)),
    "injected": _treated(
        "SB's gradient noise injected", "Wu et al. 2020", lambda network, arm: remedies.Injected(sizes(network)[0])
    ),
    "sam": _treated("SAM", "Foret et al. 2021", functools.partial(tuned, "sam"), both=True),
    "sam_m": _treated("SAM, perturbed SB by SB", "Foret et al. 2021", _tuned_by_small("sam")),
    "asam": _treated("ASAM", "Kwon et al. 2021", remedies.SAM(0.5, adaptive=True), both=True),
    "penalty": _treated("gradient penalty", "Barrett and Dherin 2021", functools.partial(tuned, "penalty"), both=True),
    "penalty_m": _treated("gradient penalty, SB by SB", "Geiping et al. 2022", _tuned_by_small("penalty")),
    "half_life": Treatment("Adam's beta2 by examples", "Marek et al. 2025", half_life, networks=KINDS),
    "half_life_both": Treatment(
        "Adam's betas by examples", "Marek et al. 2025", functools.partial(half_life, both=True), networks=KINDS
    ),
}

# -- the causal grid ---------------------------------------------------------------------------------------------------

NOISE = ("SB", "LB", "LB, noise injected", "LB, ghosts")
SHAPE = ("flatter", "as it is", "sharper")


def cells(network: str, trial: int) -> dict[tuple[str, str], Run]:
    """{(noise, shape): run}: every source of noise with SAM, as it is, and with its reverse, all until f is below one
    goal."""
    small, large = sizes(network)
    noise = {"SB": (small, []), "LB": (large, []), "LB, noise injected": (large, [remedies.Injected(small)])}
    if network != "mlp":  # which has no batch norm
        noise["LB, ghosts"] = large, [remedies.Ghost(small)]
    shape = {"flatter": [remedies.SAM(0.2)], "as it is": [], "sharper": [remedies.Sharpen()]}
    stop = {} if network in scales.USUAL else {"stop_f": 1e-3, "epochs": 300, **scales.SETTLED}
    return {
        (n, s): run(network, batch, trial, remedies=[*own, *bent], **stop)
        for n, (batch, own) in noise.items()
        for s, bent in shape.items()
    }


# -- the counter-example -----------------------------------------------------------------------------------------------

LABEL_NOISE = (0.2, 0.4)
ENDS = {  # how training ends, SB and LB alike unless named
    "15 epochs": {"epochs": 15},
    "60 epochs": {"epochs": 60},
    "loss 0.1": {"stop_f": 0.1, "epochs": 300, **scales.SETTLED},
    "loss 0.01": {"stop_f": 0.01, "epochs": 300, **scales.SETTLED},
}


def noisy(trial: int, share: float, end: str) -> tuple[Run, Run]:
    """(SB, LB) on mnist-5k with wrong labels, others in each trial.

    Args:
        trial: a seed.
        share: of the labels that are changed.
        end: of ENDS.
    """
    return pair("wide", trial, label_noise=share, noise_seed=trial, **ENDS[end])


def noisy_updates(trial: int, share: float) -> tuple[Run, Run]:
    """(SB, LB) after as many updates: SB after 15 epochs, LB after B_LB / B_SB times as many."""
    (small, _), epochs = noisy(trial, share, "15 epochs"), math.ceil(15 * ratio("wide"))
    return small, pair("wide", trial, label_noise=share, noise_seed=trial, epochs=epochs)[1]
