"""What the store holds, as arrays: one entry a run, NaN where a result is missing or the run diverged."""

from __future__ import annotations

import numpy as np

from . import results, units


def result(unit: dict) -> dict | None:
    """The stored result of a unit, or None when it is missing or its run diverged."""
    document = results.Store().get(unit)
    return None if document is None or document["result"]["diverged"] else document["result"]


def pairs(network: str, trials=None, **settings) -> dict[str, list]:
    """{"SB": runs, "LB": runs} of a network's trials, all of the scale's by default; settings: those of the runs."""
    both = [units.pair(network, trial, **settings) for trial in (units.scale().trials if trials is None else trials)]
    return {"SB": [small for small, _ in both], "LB": [large for _, large in both]}


def final(runs, split="test", mode="recalibrated", what="accuracy") -> np.ndarray:
    """Accuracy (percent) or "loss" where each run ended (R,), in a batch-norm mode."""
    found = [result(units.train(of)) for of in runs]
    return np.array([np.nan if r is None else r["final"][mode][split][what] for r in found])


def history(runs, key: str) -> list[np.ndarray]:
    """A history by epoch for each run that has one; the keys are those of `Minimizer.history`."""
    found = [result(units.train(of)) for of in runs]
    return [np.array(r["history"][key], float) for r in found if r is not None]


def distance(runs) -> np.ndarray:
    """||x - x0|| at the end of each run (R,)."""
    found = [result(units.train(of)) for of in runs]
    return np.array([np.nan if r is None else r["distance"] for r in found])


def sharpness(runs, epsilon: float, what="value", **settings) -> np.ndarray:
    """Metric 2.1 (or another number stored beside it, `what`) of each run at epsilon (R,).

    settings: those of the unit, solver="literal", subspace=100, ...; from the paper's two epsilons or from the grid.
    """
    found = [entry(of, epsilon, **settings) for of in runs]
    return np.array([np.nan if e is None else e.get(what, np.nan) for e in found], float)


def entry(of, epsilon: float, **settings) -> dict | None:
    """All that is stored of one run's sharpness at epsilon, or None."""
    for unit in (units.sharpness(of, **settings), units.grid(of, **settings)):
        for value in (result(unit) or {"values": []})["values"]:
            if value["epsilon"] == epsilon:
                return value
    return None


def paths(small_runs, large_runs) -> dict[str, dict[str, np.ndarray]]:
    """{"linear" | "curvilinear": {"alpha": (P,), "train_loss": (T, P), ...}} of the pairs that have both."""
    out = {}
    for kind in ("linear", "curvilinear"):
        found = [r for pair in zip(small_runs, large_runs) if (r := result(units.path(*pair, kind)))]
        if found:
            keys = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
            out[kind] = {"alpha": np.array(found[0]["alpha"]), **{k: np.array([r[k] for r in found], float) for k in keys}}
    return out


def curves(small_runs, large_runs) -> dict[str, dict[str, np.ndarray]]:
    """Sharpness over the scale's grid of epsilon by solver and space: {label: {"small": (T, E), "large": (T, E)}}, what is stored."""
    out = {}
    for label, settings in (("full space, best", {}), ("full space, literal", {"solver": "literal"}),
                            ("subspace p = 100, best", {"subspace": 100})):
        found = {side: np.stack([sharpness(runs, e, **settings) for e in units.scale().grid], 1)
                 for side, runs in (("small", small_runs), ("large", large_runs))}
        if not np.isnan(found["small"] * found["large"]).all():
            out[label] = found
    return out


def laboratory(what, networks=units.LABS) -> np.ndarray:
    """what(runs) -> (T,) for every network and batch size of the one-minute laboratory: (networks, K, T)."""
    s = units.scale()
    return np.array([[what([units.laboratory(name, b, t) for t in s.trials]) for b in s.laboratory] for name in networks])


def sweep(what, network: str = "F1", trials=(0,)) -> tuple[list[int], np.ndarray]:
    """Fig. 4's batch sizes that are measured, ascending (K,), and what(runs) there (K, T)."""
    s = units.scale()
    sizes = sorted({*s.sweep[network], *s.whole.get(network, ()), s.small, s.large[network]})
    values = np.array([what([units.run(network, b, trial) for trial in trials]) for b in sizes])
    there = ~np.isnan(values).all(1)
    return [b for b, t in zip(sizes, there) if t], values[there]


def hits(runs) -> list[np.ndarray]:
    """Which test examples are classified right, (N,) bool, for each run that has it stored."""
    found = [result(units.train(of)) for of in runs]
    return [np.unpackbits(np.frombuffer(bytes.fromhex(r["hits"]), np.uint8)).astype(bool) for r in found if r and "hits" in r]
