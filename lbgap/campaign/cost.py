"""What a unit costs: floating-point operations, counted by PyTorch, and the time they take on a device."""

from __future__ import annotations

import collections
import functools
import math
import time
from collections.abc import Callable, Collection, Iterable

import torch

from .. import data, machine, metric, networks, performance_model
from ..results import Store
from .scales import EPSILONS
from .units import Unit, runs_of, subjects

# Passes over the set, f and its gradient, for one epsilon where `best` does not go by parts, means over `mlp` and
# `mlp-bn`: `best` 37, in a subspace 22; `literal`: of 248 stored values 14, of F1 alone 16. By parts it is 7.61.
PASSES = {"best": 37, "literal": 15, "subspace": 22}
BY_PARTS = 8
# a Hessian-vector product, in gradients: 2 by its operations; F1's takes as long as 2.6, C1's on a CPU as 6
PRODUCT = 3
EFFICIENCY = 0.75  # of a matrix product's speed, what training F1 and C1 at 256 reaches at least, beside other load
EPOCH = (1, 1)  # forward passes over the training and the test set whenever training looks where it is (`Run.looks`)
FINAL = (6, 4)  # by a unit that trains: three batch-norm modes, two of them passes more, and the hits
SEARCH = 20  # evaluations that find the temperature of match="loss"


@functools.cache
def flops(
    network: str, variant: str = "code", shrink: int = 1, classes: int | None = None, *, gradient: bool = False
) -> float:
    """Floating-point operations of one example's forward pass, or of that and the backward pass.

    Counted by PyTorch on a network without memory (two for a multiply-add, padding included; matrix products and
    convolutions only), so a new network needs nothing.

    Args:
        network, variant, shrink, classes: as in `networks.build`.
        gradient: with the backward pass.

    >>> flops("mlp")  # two for each of its 784 * 128 + 128 * 128 + 128 * 10 weights
    236032.0
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = networks.build(network, variant, shrink=shrink, classes=classes)
        inputs = torch.zeros(2, *networks.input_shape(network))
    with FlopCounterMode(display=False) as counter:
        loss = model(inputs).sum()
        if gradient:
            loss.backward()
    return counter.get_total_flops() / len(inputs)


def _flops(of, **settings) -> float:
    """`flops` of a run's network, with the classes of its data set."""
    return flops(of.network, of.variant, of.shrink, data.classes(of.dataset), **settings)


def work(unit: Unit, there: Collection[str] = frozenset()) -> float:
    """Floating-point operations of a unit: the training of its runs, and what it measures on them.

    A run with a stopping rule counts with its cap, so a unit of it may cost much less. In float64 an operation counts
    twice.

    Args:
        unit: what is computed.
        there: ids of runs whose checkpoints are there, so that they are not trained again.
    """
    return sum(_parts([unit], there).values())


def projected(wanted: Iterable[Unit], rate: float | Callable, store: Store) -> float:
    """Seconds that the units which the store lacks take, one after another.

    Runs that differ in `epochs` only count once, up to the furthest; so does a run that others start from. A stored run
    whose checkpoint is not in the store's work/ is trained again where another unit needs it; a checkpoint that is
    there counts as finished.

    Args:
        wanted: the units.
        rate: FLOP/s, as `rate` measures, or a function of (network, batch size) that gives it; batch size None is a
            measurement.
        store: where they are looked for.
    """
    missing = [unit for unit in wanted if unit not in store]
    there = {path.stem for path in (store.folder / "work").glob("*.pt")}
    speed = rate if callable(rate) else lambda network, batch_size: rate
    timed = sum(unit.get("seconds", performance_model.SECONDS) for unit in missing if unit["kind"] == "throughput")
    return timed + sum(operations / speed(*who) for who, operations in _parts(missing, there).items())


def rate(device: str | torch.device = "cpu", seconds: float = 0.3) -> float:
    """FLOP/s that training is likely to reach on a device, from float32 matrix products of F1's size.

    A guess within a factor of two on a CPU, with the threads that PyTorch has now. On a GPU small batches wait for
    launches, and F1 at 256 may reach a tenth of it; benchmarks/gpu.py measures each network there.

    Args:
        device: where.
        seconds: how long it takes, about.
    """
    cuda = torch.device(device).type == "cuda"
    wait = (lambda: torch.cuda.synchronize(device)) if cuda else lambda: None
    with machine.plain(), torch.no_grad():
        inputs, weights = torch.randn(5000, 512, device=device), torch.randn(512, 512, device=device)
        inputs @ weights  # the first warms up
        wait()
        count, spent, each = 0, 0.0, 100 if cuda else 1  # as many between two looks at the clock
        while spent < seconds:
            started = time.perf_counter()
            for _ in range(each):
                inputs @ weights
            wait()
            spent += time.perf_counter() - started
            count += each
    return EFFICIENCY * count * 2 * 5000 * 512 * 512 / spent


def clock(seconds: float) -> str:
    """A duration in words.

    >>> [clock(seconds) for seconds in (12, 2100, 15120, 259200)]
    ['12 s', '35 min', '4.2 h', '3 days']
    """
    for unit, size, until in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 36 * 3600)):
        if seconds < until:
            return f"{seconds / size:.{int(unit == 'h' and seconds < 36000)}f} {unit}"
    return f"{seconds / 86400:,.0f} days"


# -- parts ------------------------------------------------------------------------------------------------------------


def _parts(units, there) -> collections.Counter:
    """{(network, batch size of the training, or None for what is measured): operations} of units, shared trajectories
    once."""
    parts = collections.Counter()
    runs = set()
    for unit in units:
        of = subjects(unit)
        runs.update(runs_of(unit))
        parts[of[0].network, None] += _measuring(unit, of[0])
    for of, epochs in _epochs(runs, there):
        parts[of.network, of.batch_size] += epochs * _epoch(of)
    return parts


def _epochs(runs, there):
    """(run, epochs to train) of every trajectory that the runs need."""
    trajectories = collections.defaultdict(dict)  # {(trajectory, its end where that matters): {epochs: run}}
    waiting, seen = list(runs), set()
    while waiting:
        of = waiting.pop()
        if of not in seen:
            seen.add(of)
            # where the rate falls towards the last epoch, another last epoch is another trajectory
            trajectories[of.trajectory, of.lr_end is not None and of.epochs][of.epochs] = of
            if of.start and of.id not in there:
                waiting.append(of.start)
    for stops in trajectories.values():
        done = 0
        for epochs, of in sorted(stops.items()):
            if of.id not in there:
                yield of, epochs - done
            done = epochs


def _passes(of, train: float, test: float) -> float:
    """Operations of so many forward passes over the training and the test set."""
    sizes = data.examples(of.dataset)
    return (train * sizes[0] + test * sizes[1]) * _flops(of)


def _gradient(of, split="train") -> float:
    """Operations of f and its gradient once."""
    return data.examples(of.dataset)[split == "test"] * _flops(of, gradient=True)


def _solve(solver, of, split="train") -> float:
    """Operations of one epsilon."""
    quick = solver != "literal" and metric.by_parts(data.examples(of.dataset)[split == "test"])
    return (BY_PARTS if quick else PASSES[solver]) * _gradient(of, split)


def _epoch(of) -> float:
    # every fifth, the few more of the beginning left out
    looks = 1 if of.looks(3, data.examples(of.dataset)[0]) else 1 / 5
    return math.prod(remedy.cost for remedy in of.remedies) * _gradient(of) + looks * _passes(of, *EPOCH)


def _measuring(unit, of) -> float:
    """Operations of a unit whose runs are trained."""
    if unit["kind"] not in MEASURING:
        raise ValueError(f"kind {unit['kind']!r} has no cost; expected one of {', '.join(MEASURING)}")
    return MEASURING[unit["kind"]](unit, of)


def _matching(unit, of) -> float:
    """Of matching one network to another, or of making its twin."""
    passes = {"norms": 2, "loss": 3 + SEARCH}.get(unit.get("match"), 2 * ("twin" in unit))
    return _passes(of, passes, 0)


def _sharpness(unit, of) -> float:
    solver = "subspace" if unit.get("subspace") else unit.get("solver", "best")
    split = unit.get("split", "train")
    # the accuracy at the maximiser; f at both ends in the other two modes, of which one passes over the training set
    once = _solve(solver, of, split) + (_passes(of, 2, 5) if split == "test" else _passes(of, 7, 0))
    return (2 if unit.get("dtype") == "float64" else 1) * len(unit["epsilons"]) * once + _matching(unit, of)


def _path(unit, of) -> float:
    points = unit.get("points", 25)
    return _passes(of, points, points) + _matching(unit, of)


def _products(unit, of, steps: int) -> float:
    """Of so many Hessian-vector products a step of the unit."""
    return unit.get("steps", steps) * PRODUCT * _gradient(of) * _share(unit, of)


def _share(unit, of) -> float:
    """Of the training examples that the Hessian is over."""
    return min(1.0, unit.get("examples", math.inf) / data.examples(of.dataset)[0])


def _spectrum(unit, of) -> float:
    ritz = len(EPSILONS) * (_solve("subspace", of) + _gradient(of))
    return unit.get("probes", 4) * _products(unit, of, 32) + ritz * _share(unit, of)


def _directions(unit, of) -> float:
    along = unit.get("count", 100) + min(10, unit.get("steps", 48)) + 1
    return _products(unit, of, 48) + _passes(of, 2 * along, 0)


def _throughput(unit, of) -> float:
    # the steps that it takes at least; `projected` adds its seconds
    return (performance_model.WARM + performance_model.LEAST) * of.batch_size * _flops(of, gradient=True)


MEASURING = {
    "train": lambda unit, of: _passes(of, *FINAL),
    "sharpness": _sharpness,
    "path": _path,
    "spectrum": _spectrum,
    "directions": _directions,
    "noise": lambda unit, of: 2 * _gradient(of) + _passes(of, 1, 0),
    "edge": lambda unit, of: 2 * _products(unit, of, 16) + _passes(of, 1, 0),
    "throughput": _throughput,
}
