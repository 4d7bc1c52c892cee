"""The data of the three assignments, drawn by the student's id, and what checks an answer to them.

Public checks and hidden tests call one function with different seeds, so that both give the same hints.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..campaign.scales import USUAL
from ..metric import sharpness
from ..objective import Objective
from ..training import Minimizer, Run, train
from .checking import Answer, Unanswered, Wrong, answered, exercise, function

if TYPE_CHECKING:
    from ..claims import Contrast

SMALL, LARGE = 32, 1000  # the batches of the blind pair, of the laboratory
ZOO = {"batch_size": (64, 250, 1000), "lr": (1e-3, 3e-3), "shrink": (1, 4)}
SEEDS, MINUTES, LEVEL = range(5), 10, 0.01  # of a record
RECORDS = pathlib.Path(__file__).parent / "records"


def seed_of(student: str | int, purpose: str = "") -> int:
    """A seed that depends on the student's id, whatever its case.

    Args:
        student: the id.
        purpose: what it is for; another one has another seed.
    """
    digest = hashlib.sha256(f"{purpose}/{str(student).strip().lower()}".encode()).digest()
    return 1000 + int.from_bytes(digest[:4], "big") % 1_000_000


# -- 1. Measure sharpness from scratch ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two minimisers of one f, x (n,) each: one of a small batch and one of a large one, in an order drawn by lot."""

    f: Objective
    A: torch.Tensor
    B: torch.Tensor


def large_of(student: str) -> str:
    """Which of a student's pair is the large batch, "A" or "B"."""
    return "AB"[seed_of(student, "which") % 2]


def blind_pair(student: str) -> Pair:
    """A student's pair: the laboratory's network on 1,000 images, trained with both batches; some seconds."""
    sizes = (LARGE, SMALL) if large_of(student) == "A" else (SMALL, LARGE)
    a, b = (_trained(size, seed_of(student, "pair")) for size in sizes)
    return Pair(Objective(a), a.x.clone(), b.x.clone())


@functools.lru_cache(maxsize=32)  # a grader asks for a student's again
def _trained(batch_size, seed, **settings) -> Minimizer:
    return train(Run("mlp", "mnist-1k", batch_size, seed, **USUAL["mlp"], **settings), progress=False)


def valleys(seed: int) -> list[tuple]:
    """[(f, x, epsilon, {"exact": ..., mistake: ...})]: sums over the coordinates, whose highest point in the box is
    known."""
    random, made = np.random.default_rng(seed), []
    for moved in (0.0, 0.0, 0.01, 0.05):
        h, x, epsilon = random.uniform(0.5, 50, 30), random.normal(size=30), random.choice([1e-3, 5e-3, 2e-2])
        h, x = torch.tensor(h), torch.tensor(x)
        centre = x + moved * epsilon * torch.tensor(random.normal(size=30))
        f = lambda y, h=h, c=centre: (0.5 + (h * (y - c) ** 2).sum().item() / 2, h * (y - c))
        f0 = f(x)[0]
        top = lambda room, f=f, x=x, c=centre: f(x + room * torch.where(x - c < 0, -1.0, 1.0))[0]
        rise = top(epsilon * (x.abs() + 1)) - f0
        known = {"exact": 100 * rise / (1 + f0), "no 1 below": 100 * rise / f0, "no percent": rise / (1 + f0)}
        known["no 1 in the box"] = 100 * (top(epsilon * x.abs()) - f0) / (1 + f0)
        made.append((f, x, epsilon, known))
    return made


def verify_sharpness(answer: Callable, seed: int) -> None:
    """Check a student's Metric 2.1 on functions whose highest point in the box is known.

    Args:
        answer: answer(f, x, epsilon) -> the metric.
        seed: of the functions.

    Raises:
        Wrong: with a hint, unless it finds 90 % of the metric, and no more than there is.
    """
    function(answer)
    if "lbgap" in getattr(getattr(answer, "__code__", None), "co_names", ()):
        raise Wrong("It calls this book's package. Write the ascent yourself.")
    found = []
    for f, x, epsilon, known in valleys(seed):
        given = x.clone()
        value = answer(f, given, epsilon)
        answered(value)
        if not torch.equal(given, x):
            raise Wrong("The function changes the x that it is given. Work on a copy.")
        found.append((float(value), known))
    # at the first two, exact minima, every corner is the highest, so that only the formula is judged
    near = lambda kind: all(abs(v - known[kind]) < 0.02 * known[kind] for v, known in found[:2])
    hints = {
        "no 1 below": "The rise is divided by f. Metric 2.1 divides by 1 + f.",
        "no percent": "The factor 100 is missing: the metric is a percentage.",
        "no 1 in the box": "The box is too narrow: a parameter may move by epsilon (|x_i| + 1), not epsilon |x_i|.",
    }
    for kind, hint in hints.items():
        if near(kind):
            raise Wrong(hint)
    for value, known in found:
        share = value / known["exact"]
        if share < 1e-6:
            told = "It reports no rise, or a fall. At a minimum the gradient is 0, so an ascent that starts there stays"
            raise Wrong(f"{told}: start elsewhere in the box, and go along the gradient, not against it.")
        if share > 1.001:
            raise Wrong(f"It reports {value:.4g}, more than the box holds ({known['exact']:.4g}). A step left the box.")
        if share < 0.9:
            raise Wrong(f"It finds {100 * share:.0f} % of the metric. Go on for longer, or from more starts.")


@exercise("own-sharpness", "Metric 2.1 from scratch", "implement", "hard", 120)
def own_sharpness(answer: Answer) -> None:
    """sharpness(f, x, epsilon): Metric 2.1, see `verify_sharpness`."""
    verify_sharpness(answer, seed=0)


def verify_pair(student: str, measured: dict, large: str, measure: Callable) -> None:
    """Check what a student measured on the blind pair.

    Args:
        student: the id.
        measured: {"A": sharpness, "B": sharpness}.
        large: "A" or "B".
        measure: measure(f, x, epsilon), the student's own, with which they were measured.

    Raises:
        Wrong: unless the two are what `measure` gives and about what this package finds, and the large batch is named.
    """
    if large not in ("A", "B") or any(value in (None, ...) for value in measured.values()):
        raise Unanswered
    function(measure)
    pair = blind_pair(student)
    for name in "AB":
        known = sharpness(pair.f, getattr(pair, name), 1e-3).value
        if not 0.5 * known < measured[name] < 1.5 * known:
            told = f"{name} measures {measured[name]:.4g}; {known:.4g} was found"
            raise Wrong(f"{told}. Is it this student's pair, at epsilon 1e-3?")
        again = float(measure(pair.f, getattr(pair, name).clone(), 1e-3))
        if not abs(again - measured[name]) < 0.1 * again:
            raise Wrong(f"{name} is said to measure {measured[name]:.4g}; measured again, by question 2, {again:.4g}.")
    if large != large_of(student):
        raise Wrong(f"{large} is the small batch. What does the paper lead you to expect, and what did you measure?")


# -- 2. Bring your own measure -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Animal:
    """One minimiser of the zoo.

    Args:
        factors: what it was trained with.
        f: over its training set.
        x: where it ended (n,).
        test_error: in percent.
    """

    factors: dict
    f: Objective
    x: torch.Tensor
    test_error: float


def zoo(student: str, **factors: Sequence) -> list[Animal]:
    """Every combination of batch size, rate and width, trained to one f from the student's seed; about half a minute.

    Args:
        student: the id.
        factors: other values, for example batch_size=(64, 1000).
    """
    values, out = ZOO | factors, []
    for chosen in itertools.product(*values.values()):
        picked = dict(zip(values, chosen))
        minimizer = _trained(picked["batch_size"], seed_of(student, "zoo"), lr=picked["lr"], shrink=picked["shrink"])
        error = 100 - minimizer.history["test_accuracy"][-1]
        out.append(Animal(picked, Objective(minimizer), minimizer.x.clone(), error))
    return out


# A table by hand. By batch size tau is 1 among the first three and -1/3 among the last, 1/3 on average; by rate it is 1
# in all three pairs; over all at once it is 0.6.
TABLE = [{"batch_size": b, "lr": r} for r in (1e-3, 3e-3) for b in (64, 250, 1000)]
VALUES, ERRORS = [1.0, 2.0, 3.0, 4.0, 6.0, 2.5], [5.0, 6.0, 9.0, 10.0, 8.0, 8.5]
BY_HAND = {"batch_size": 1 / 3, "lr": 1.0}


@exercise("by-factor", "Kendall's tau by factor", "implement", "medium", 40)
def by_factor(answer: Answer) -> None:
    """tau(table, values, errors, factor): Kendall's tau among what agrees in every other factor."""
    function(answer)
    found = [answer(TABLE, VALUES, ERRORS, name) for name in BY_HAND]
    answered(found[0])
    right = list(BY_HAND.values())
    if np.allclose(found, 0.6):
        raise Wrong("That is tau over all at once. Compare within groups that agree in every other factor; take means.")
    if np.allclose(found, right[::-1]):
        raise Wrong("The groups are turned round: within a group the *other* factors are equal, and this one varies.")
    if np.allclose(found, [-value for value in right]):
        raise Wrong("The sign is turned round: a measure that rises with the error has a tau of 1.")
    if not np.allclose(found, right):
        ours, theirs = (" and ".join(f"{value:.3f}" for value in pair) for pair in (right, found))
        raise Wrong(f"On the table of this check it gives {theirs}; {ours} are right.")


def verify_measure(measure: Callable, student: str, animals: list[Animal] | None = None) -> list[float]:
    """Check a student's measure of minimisers.

    Args:
        measure: measure(f, x) -> a number.
        student: the id.
        animals: on which; some of the student's zoo by default.

    Returns:
        Its values.

    Raises:
        Wrong: unless it is a finite number, the same twice, and leaves x.
    """
    function(measure)
    values = []
    for animal in animals or zoo(student, batch_size=(1000,), lr=(3e-3,)):
        x = animal.x.clone()
        value, again = (measure(animal.f, x) for _ in range(2))
        answered(value)
        if not torch.equal(x, animal.x):
            raise Wrong("The measure changes the x that it is given. Work on a copy.")
        if not np.isfinite(float(value)):
            raise Wrong(f"The measure is {value} for one minimiser. It must be a finite number for all.")
        if float(value) != float(again):
            raise Wrong("Asked twice, the measure gives two numbers. Fix the seed of what is random in it.")
        values.append(float(value))
    if len(set(values)) == 1:
        raise Wrong("The measure gives every minimiser the same number, so it can rank nothing.")
    return values


# -- 3. Close the gap --------------------------------------------------------------------------------------------------


def plain(seed: int) -> Run:
    """LB of the `mlp` bench: what a remedy is to beat."""
    return Run("mlp", "mnist-1k", LARGE, seed, **USUAL["mlp"])


def verify_remedy(remedied: Callable) -> None:
    """Check that a student's remedy keeps the rules of the bench.

    Args:
        remedied: seed -> a `Run`.

    Raises:
        Wrong: where it does not.
    """
    function(remedied)
    for seed in SEEDS[:2]:
        run = remedied(seed)
        answered(run)
        if not isinstance(run, Run):
            raise Wrong(f"It gives {type(run).__name__}; expected a `lbgap.Run`, from a seed.")
        rules = {"network": "mlp", "dataset": "mnist-1k", "batch_size": LARGE, "init_seed": seed, "shrink": 1}
        rules |= {"start": None, "label_noise": 0.0, "init": "glorot", "activation": "relu"}
        for name, value in rules.items():
            if getattr(run, name) != value:
                told = f"{name} is {getattr(run, name)!r}; on this bench it stays {value!r}"
                raise Wrong(f"{told}, so that only the remedy differs.")
        if run == plain(seed):
            raise Wrong("That is plain LB. A remedy changes something: `remedies=[...]`, the rate, the decay, ...")


@exercise("remedy", "A remedy by the rules", "implement", "medium", 120)
def remedy(answer: Answer) -> None:
    """remedied(seed): the run of a remedy, see `verify_remedy`."""
    verify_remedy(answer)


def race(remedied: Callable, folder: str | os.PathLike) -> None:
    """Train the five seeds of a remedy, and leave a record's documents in a folder.

    Args:
        remedied: seed -> a `Run`.
        folder: of the record.

    Raises:
        Wrong: where it breaks the rules.
    """
    from .. import campaign, results
    from ..campaign import units

    verify_remedy(remedied)
    wanted = [units.train(remedied(seed)) for seed in SEEDS]
    campaign.run(wanted, results.Store(folder, packaged=None), keep_weights=False, progress=False)


def judged(folder: str | os.PathLike) -> Contrast:
    """What a record shows: the gain in test accuracy over plain LB, in points, seed by seed.

    Args:
        folder: of the record, see `race`.

    Raises:
        Wrong: where a byte was changed, a seed is missing, the five are not one remedy, or they took too long.
    """
    from .. import claims, results
    from ..results import arrays

    store = results.Store(folder, packaged=None)
    if damaged := store.verify():
        raise Wrong(f"`lbgap verify` finds: {damaged[0]}")
    documents = [results.read(path) for path in store.paths()]
    runs = {run.init_seed: run for run in (Run(**document["spec"]["run"]) for document in documents)}
    if len(documents) > len(SEEDS):
        told = f"The record has {len(documents)} documents, of more than one remedy"
        raise Wrong(f"{told}; expected {len(SEEDS)}. Race each remedy into a folder of its own.")
    if sorted(runs) != list(SEEDS):
        raise Wrong(f"The record has seeds {sorted(runs)}; expected {list(SEEDS)}, one document each.")
    verify_remedy(runs.__getitem__)
    if len({dataclasses.replace(run, init_seed=0, order_seed=0) for run in runs.values()}) > 1:
        raise Wrong("The five runs are not one remedy: they differ in more than the seed.")
    minutes = sum(d["provenance"]["seconds"] * d["provenance"]["threads"] for d in documents) / 60
    if minutes > MINUTES:
        raise Wrong(f"The five seeds took {minutes:.1f} CPU minutes; a record may take {MINUTES}.")
    if any(document["result"]["diverged"] for document in documents):
        raise Wrong("A seed diverged. A remedy must come to its goal on all five.")
    accuracy = lambda document: document["result"]["final"]["recalibrated"]["test"]["accuracy"]
    ours = {Run(**document["spec"]["run"]).init_seed: accuracy(document) for document in documents}
    theirs = arrays.final([plain(seed) for seed in SEEDS])
    if np.array_equal([ours[seed] for seed in SEEDS], theirs):
        raise Wrong("On all five seeds it tests exactly as plain LB does: it changes nothing.")
    return claims.contrast([ours[seed] for seed in SEEDS], theirs)


def records() -> str:
    """Every record, best first, as a Markdown table."""
    rows = []
    for folder in sorted(path for path in RECORDS.iterdir() if path.is_dir()):
        found = judged(folder)
        title = (folder / "README.md").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        low, high = found.interval
        rows.append((found.value, f"| {title} | {found.value:.2f} ({low:.2f} to {high:.2f}) | {found.p:.1e} |"))
    head = ["| remedy | points over plain LB, 95 % interval | p |", "| --- | --- | --- |"]
    return "\n".join(head + [row for _, row in sorted(rows, reverse=True)])
