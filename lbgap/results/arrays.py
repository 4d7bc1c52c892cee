"""What the store holds, as arrays: one entry a run, NaN where a result is missing or the run diverged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from .. import data, results
from ..campaign import experiments, scales, units
from ..objective import spans
from ..run import Run

Runs = Sequence[Run]
What = Callable[[Runs], np.ndarray]  # a function of runs (R,) that gives a number for each (R,), such as `final`


def document(unit: dict) -> dict | None:
    """The stored document of a unit, that of a former revision until it is measured anew, or None.

    Args:
        unit: see `units`.
    """
    store = results.Store()
    return next((held for spec in [unit, *results.former(unit)] if (held := store.get(spec))), None)


def result(unit: dict) -> dict | None:
    """The stored result of a unit, or None when it is missing or its run diverged."""
    found = document(unit)
    return None if found is None or found["result"]["diverged"] else found["result"]


def each(measure: Callable, runs: Runs) -> list[dict | None]:
    """The `result` of a unit for every run.

    Args:
        measure: run -> unit: units.train, units.spectrum, ...
        runs: (R,).
    """
    return [result(measure(of)) for of in runs]


def spectra(runs: Runs, what: Callable) -> np.ndarray:
    """what(result) of each run's spectrum (R,), NaN where there is none."""
    return np.array([np.nan if r is None else what(r) for r in each(units.spectrum, runs)], float)


def diverged(runs: Runs) -> int:
    """How many of the runs are stored as diverged."""
    found = [document(units.train(of)) for of in runs]
    return sum(held is not None and held["result"]["diverged"] for held in found)


# -- which runs -------------------------------------------------------------------------------------------------------


def waiting(network: str) -> str | None:
    """Why a network cannot be run at this scale, or None."""
    return None if network in scales.scale().datasets else "no data set at this scale"


def stand_in(network: str) -> str | None:
    """What a network is trained on in place of the paper's data, in words, or None."""
    return scales.STAND_INS.get(scales.scale().datasets.get(network))


def trials(experiment: str) -> list[int]:
    """The trials that an experiment has at this scale."""
    return sorted(experiments.trials_of(experiment))


def pairs(network: str, trials: Iterable[int] | None = None, **settings: object) -> dict[str, list[Run]]:
    """{"SB": runs, "LB": runs} of a network's trials, none while it is `waiting`.

    Args:
        network: "F1", "C1-text", ...
        trials: all of the scale's by default.
        settings: fields of `Run` that are others.
    """
    chosen = () if waiting(network) else scales.scale().trials if trials is None else trials
    both = [scales.pair(network, trial, **settings) for trial in chosen]
    return {"SB": [small for small, _ in both], "LB": [large for _, large in both]}


# -- trained ----------------------------------------------------------------------------------------------------------


def final(runs: Runs, split: str = "test", mode: str = "recalibrated", what: str = "accuracy") -> np.ndarray:
    """A number where each run ended (R,).

    Args:
        runs: (R,).
        split: "train" or "test".
        mode: of batch norm, see `Objective`.
        what: "accuracy" (percent) or "loss".
    """
    return np.array([np.nan if r is None else r["final"][mode][split][what] for r in each(units.train, runs)], float)


def history(runs: Runs, key: str) -> list[np.ndarray]:
    """A history by epoch for each run that has one; the keys are those of `Minimizer.history`."""
    return [np.array(r["history"][key], float) for r in each(units.train, runs) if r and key in r["history"]]


def curves_of(runs: Runs, key: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(epochs, values) of a history for each run that has one.

    Args:
        runs: whose.
        key: as in `history`, but for those of every epoch.
    """
    found = [r["history"] for r in each(units.train, runs) if r and key in r["history"]]
    return [(np.array(h.get("epoch", range(1, len(h[key]) + 1))), np.array(h[key], float)) for h in found]


def epochs(runs: Runs) -> np.ndarray:
    """How many epochs each run took (R,)."""
    return np.array([np.nan if r is None else r["epochs"] for r in each(units.train, runs)], float)


def updates(runs: Runs) -> np.ndarray:
    """How many steps of the optimiser each run took (R,), with those to the last epoch of the run it starts from.

    Stored with remedies, which may take several steps a batch or change its size; one a batch without.
    """

    def steps(of, r):
        before = batches(of.start) * of.start.epochs if of.start else 0
        return before + (sum(r["history"].get("updates", ())) or r["epochs"] * batches(of))

    return np.array([np.nan if r is None else steps(of, r) for of, r in zip(runs, each(units.train, runs))], float)


def batches(of: Run) -> int:
    """The batches of a run's epoch."""
    return len(spans(data.examples(of.dataset)[0], of.batch_size))


def distance(runs: Runs) -> np.ndarray:
    """||x - x0|| at the end of each run (R,)."""
    return np.array([np.nan if r is None else r["distance"] for r in each(units.train, runs)], float)


def hits(runs: Runs) -> list[np.ndarray]:
    """Which test examples are classified right, (N,) bool, for each run that has it stored."""
    out = []
    for r in each(units.train, runs):
        if r and "hits" in r:
            right = np.unpackbits(np.frombuffer(bytes.fromhex(r["hits"]), np.uint8)).astype(bool)
            accuracy = r["final"]["recalibrated"]["test"]["accuracy"]  # tells N; the bits are filled up to whole bytes
            out.append(right[: round(100 * right.sum() / accuracy)] if accuracy else right)
    return out


# -- Metric 2.1 -------------------------------------------------------------------------------------------------------


def entries(of: Run, grid_first: bool = False, **settings: object) -> dict[float, dict]:
    """All that is stored of one run's sharpness, by epsilon, ascending.

    Args:
        of: the run.
        grid_first: where several units hold an epsilon, take the grid's value, which grows with epsilon, and not Table
            3's.
        settings: those of the unit, solver="literal", subspace=100, ...
    """
    held = [units.grid(of, **settings), units.sharpness(of, (1e-3,), **settings), units.sharpness(of, **settings)]
    found = {}
    for unit in held[::-1] if grid_first else held:
        found |= {value["epsilon"]: value for value in (result(unit) or {"values": ()})["values"]}
    return dict(sorted(found.items()))


def entry(of: Run, epsilon: float, **settings: object) -> dict | None:
    """All that is stored of one run's sharpness at epsilon, or None; settings as in `entries`."""
    return entries(of, **settings).get(epsilon)


def sharpness(
    runs: Runs, epsilon: float, what: str = "value", to: Runs | None = None, **settings: object
) -> np.ndarray:
    """Metric 2.1 of each run (R,).

    Args:
        runs: (R,).
        epsilon: the box's size.
        what: another number that is stored beside it; "recalibrated" and "frozen" are the values in these batch-norm
            modes.
        to: with match=, the run that each is matched to.
        settings: as in `entries`.
    """
    out = []
    for i, of in enumerate(runs):
        value = (entry(of, epsilon, **settings, **({"to": to[i]} if to else {})) or {}).get(what)
        value = value["value"] if isinstance(value, dict) else value
        out.append(np.nan if value is None else value)
    return np.array(out, float)


def curves(small_runs: Runs, large_runs: Runs) -> dict[str, dict[str, np.ndarray]]:
    """Sharpness over the scale's grid of epsilon, by solver and space, what is stored.

    Args:
        small_runs, large_runs: (T,) each.

    Returns:
        {label: {"small": (T, E), "large": (T, E)}}.
    """
    out, grid = {}, scales.scale().grid
    for label, settings in (
        ("full space, best", {}),
        ("full space, literal", {"solver": "literal"}),
        ("subspace p = 100, best", {"subspace": 100}),
    ):
        found = {}
        for side, runs in (("small", small_runs), ("large", large_runs)):
            held = [entries(of, grid_first=True, **settings) for of in runs]
            found[side] = np.array([[h[e]["value"] if e in h else np.nan for e in grid] for h in held], float)
        if not np.isnan(found["small"] * found["large"]).all():
            out[label] = found
    return out


# -- along a path, along training, against the batch size -------------------------------------------------------------


def paths(small_runs: Runs, large_runs: Runs, **settings: object) -> dict[str, dict[str, np.ndarray]]:
    """Loss and accuracy along the paths of the pairs that have them.

    Args:
        small_runs, large_runs: (T,) each.
        settings: the unit's.

    Returns:
        {"linear" | "curvilinear": {"alpha": (P,), "train_loss": (T, P), "test_loss", "train_accuracy",
        "test_accuracy"}}.
    """
    out = {}
    for kind in ("linear", "curvilinear"):
        found = [r for pair in zip(small_runs, large_runs) if (r := result(units.path(*pair, kind, **settings)))]
        if found:
            keys = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
            out[kind] = {key: np.array([r[key] for r in found], float) for key in keys}
            out[kind]["alpha"] = np.array(found[0]["alpha"])
    return out


def iterates(of: Run, what: What) -> tuple[list[int], np.ndarray]:
    """Fig. 6's epochs of a run (K,), and what(runs) -> (R,) at its iterates there (K,)."""
    at = sorted({min(k, of.epochs) for k in scales.scale().iterates})
    return at, what([scales.iterate(of, k) for k in at])


def descent(of: Run, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Fig. 6: f and the sharpness at a run's iterates, in their order, those of which both are measured and above 0."""
    f, s = (iterates(of, lambda runs: sharpness(runs, epsilon, what))[1] for what in ("f0", "value"))
    both = ~np.isnan(f * s) & (f > 0) & (s > 0)
    return f[both], s[both]


def warm(network: str, what: What, trial: int = 0) -> tuple[list[int], dict[str, np.ndarray]]:
    """Fig. 5's epochs (K,), and what(runs) (K,) of LB started there, "restarted", and of its controls, by name."""
    at = [] if waiting(network) else sorted(scales.scale().warm)
    out = {"restarted": np.full(len(at), np.nan)}
    for i, k in enumerate(at):
        controls = experiments.warm_controls(network, trial, k) if k in experiments.CONTROLLED else {}
        for name, of in {"restarted": experiments.warm(network, trial, k), **controls}.items():
            if document(units.train(of)):  # most of a hundred are not there
                out.setdefault(name, np.full(len(at), np.nan))[i] = what([of])[0]
    return at, out


def noise(runs: Runs) -> np.ndarray:
    """The gradient noise scale where each run ended (R,), NaN also where the squared gradient came out below 0."""
    return np.array([np.nan if r is None or r["value"] is None else r["value"] for r in each(units.noise, runs)], float)


def laboratory(what: What, networks: Iterable[str] = scales.LABS) -> np.ndarray:
    """what(runs) -> (T,) for every network and batch size of the one-minute laboratory: (networks, K, T)."""
    s = scales.scale()
    runs = [[[scales.laboratory(name, b, t) for t in s.trials] for b in s.laboratory] for name in networks]
    return np.array([[what(trials) for trials in sizes] for sizes in runs])


def sweep(what: What, network: str = "F1", trials: Sequence[int] = (0,)) -> tuple[list[int], np.ndarray]:
    """Fig. 4's batch sizes that are measured, ascending (K,), and what(runs) there (K, T)."""
    s = scales.scale()
    given = (*s.sweep.get(network, ()), *s.whole.get(network, ()))
    sizes = [] if waiting(network) else sorted({*given, s.small, s.large[network]})
    found = [what([scales.run(network, b, trial) for trial in trials]) for b in sizes]
    return there(sizes, np.array(found).reshape(len(sizes), len(trials)))


def there(sizes: Sequence[int], values: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The sizes of which anything is measured, and their values (K, T)."""
    some = ~np.isnan(values).all(1)
    return [b for b, t in zip(sizes, some) if t], values[some]
