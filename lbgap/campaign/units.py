"""A unit: what to measure, and on which runs. Its hash names its document in the store.

A unit is a plain dict, {"kind": ..., "run": spec or "runs": [spec, spec], settings}. A setting that has its default is
left out, as in `Run.spec`, so that a setting added later leaves every id as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import data, metric
from ..run import Run
from .scales import EPSILONS, scale

Unit = dict  # {"kind": ..., "run": ..., settings}, as above; JSON throughout
# The revision of `best`: a changed solver measures something else under one name, so its units say which it is.
SOLVER = {"whole": 2, "by parts": 4}
HESSIAN = 10_000  # examples that the Hessian is over, of a larger training set: a product takes three gradients or more


def _unit(kind: str, /, **content) -> dict:
    return {"kind": kind, **content, **{k: v for k, v in scale().settings.get(kind, {}).items() if k not in content}}


def train(of: Run) -> Unit:
    """The unit that trains: history, accuracies in all batch-norm modes, distance from the start."""
    return _unit("train", run=of.spec)


def sharpness(of: Run, epsilons: Sequence[float] = EPSILONS, *, to: Run | None = None, **settings: object) -> Unit:
    """The unit that measures Metric 2.1.

    Args:
        of: the run at whose end.
        epsilons: the sizes of the box.
        to: with match="norms" or "loss", another run: the same function is measured with its filter norms, or the same
            decisions with its loss (where that is higher); see `same_function`.
        settings: those of `metric.sharpness` (offset=0.0 is the adaptive box), and of `Objective` (split, batch_size,
            dtype "float64"); match; twin=c, the same function at other weights; augmented=True, on augmented images;
            neighbours=True, each epsilon starts from its neighbours' solutions too.
    """
    revision = {}
    if settings.get("solver", "best") == "best":
        count = data.examples(of.dataset)[settings.get("split") == "test"]
        revision = {"revision": SOLVER["by parts" if metric.by_parts(count) else "whole"]}
    matched = {"to": to.spec} if to else {}
    return _unit("sharpness", run=of.spec, epsilons=list(epsilons), **matched, **{**settings, **revision})


def grid(of: Run, **settings: object) -> Unit:
    """The unit that measures Metric 2.1 from epsilon 1e-5 to 5e-2; `best` starts each from its neighbour too."""
    from_neighbours = {} if settings.get("solver") == "literal" else {"neighbours": True}
    return sharpness(of, scale().grid, **from_neighbours, **settings)


def path(small: Run, large: Run, kind: str, **settings: object) -> Unit:
    """The unit that measures a path between two runs' ends, on the training and the test set.

    Args:
        small, large: the runs, at alpha 0 and 1.
        kind: "linear" or "curvilinear".
        settings: match="norms", from `small` to the same function as `large` with the filter norms of `small`.
    """
    return _unit("path", runs=[small.spec, large.spec], path=kind, **settings)


def spectrum(of: Run) -> Unit:
    """The unit that measures the Hessian: both ends, density, and Metric 2.1 in the space of its top eigenvectors.

    Of a large training set the Hessian, and f in that space, are over HESSIAN of the examples.
    """
    return _unit("spectrum", run=of.spec, **_few(of))


def directions(of: Run, epsilon: float = 1e-3) -> Unit:
    """The unit that measures how f rises along random and along Hessian directions as long as the box's
    half-diagonal.

    The Hessian is over as many examples as for `spectrum`; f is over all of them.
    """
    return _unit("directions", run=of.spec, epsilon=epsilon, **_few(of))


def _few(of):
    return {"examples": HESSIAN} if data.examples(of.dataset)[0] > HESSIAN else {}


def noise(of: Run) -> Unit:
    """The unit that measures the gradient noise scale where a run ended, in mini-batches of SB's size for SB and LB
    alike.

    With batch norm the noise depends on the mini-batch, so one size serves all.
    """
    return _unit("noise", run=of.spec, batch_size=scale().small)


def edge(of: Run) -> Unit:
    """The unit that measures the top eigenvalue of the Hessian, and of Adam's preconditioned Hessian, where a run
    ended."""
    return _unit("edge", run=of.spec)


def throughput(of: Run, device: str = "cpu") -> Unit:
    """The unit that times a training step of a run on a kind of device, "cpu" or "cuda"; it is computed on no other."""
    return _unit("throughput", run=of.spec, device=device)


def runs_of(unit: Unit) -> list[Run]:
    """The runs whose minimisers a unit needs: what it measures first, what it is matched `to` last; none where a step
    is timed."""
    return [] if unit["kind"] == "throughput" else subjects(unit)


def subjects(unit: Unit) -> list[Run]:
    """The runs that a unit is about, in the order of `runs_of`, whether they are to be trained or not."""
    return [Run(**spec) for spec in unit.get("runs", [unit.get("run")]) + ([unit["to"]] if "to" in unit else [])]


def describe(unit: Unit) -> str:
    """A unit in a line of words.

    >>> describe(train(Run("F1", "mnist", 256)))
    'train F1 batch 256 seed 0'
    """
    runs = subjects(unit)
    settings = {k: v for k, v in unit.items() if k not in ("kind", "run", "runs", "to", "revision")}
    usual = ("network", "dataset", "batch_size", "init_seed", "order_seed", "start")
    settings |= {k: v for k, v in runs[0].spec.items() if k not in usual}
    if runs[0].start:
        settings["from"] = f"batch {runs[0].start.batch_size} epoch {runs[0].start.epochs}"
    who = f"{runs[0].network} batch {' and '.join(str(r.batch_size) for r in runs)} seed {runs[0].init_seed}"
    return " ".join([unit["kind"], who, *(f"{k}={v}" for k, v in settings.items() if k != "epsilons" or len(v) != 2)])
