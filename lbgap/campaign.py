"""Compute the units that the store lacks: most valuable first, inside a budget, nothing twice, goes on next time."""

from __future__ import annotations

import dataclasses
import pathlib
import time

import torch

from . import data, landscape, metric, results
from .objective import Objective
from .training import OutOfTime, Run, train

OBJECTIVE = ("split", "batch_size")  # settings of a unit that are the objective's, not the metric's


def run(units, store: results.Store | None = None, *, budget: float | None = None, device="cpu",
        keep_weights: bool = True, progress: bool = True) -> dict[str, int]:
    """Compute the units (see `experiments`) that the store lacks; returns how many are done, failed and left.

    budget: seconds; no unit is started after it, and one that is under way stops at its next epoch or evaluation, so
      that the next campaign goes on from the checkpoint. Training checkpoints lie in the store's folder, in work/;
      keep_weights=False deletes those that no unit of this list needs any more.
    Several campaigns may share a store: each leaves a run that another one trains or measures until later, and ends
    when all units are done.
    A unit that fails is recorded in work/ with its error, and the next unit is tried.
    """
    store = store or results.Store()
    deadline = None if budget is None else time.monotonic() + budget
    count = {"done": 0, "failed": 0, "left": 0}
    work = store.folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    waiting = [unit for unit in units if unit not in store]
    while waiting:
        for unit in waiting:  # always from the top, so that what was busy is taken up as soon as it is free
            outcome = _attempt(unit, store, work, device, deadline, progress)
            if outcome != "busy":
                count[outcome] += 1
                waiting.remove(unit)
                break
        else:
            time.sleep(2)  # another campaign is at work on all that is left
    if not keep_weights:
        needed = {of.id for unit in units if unit not in store for of in runs_of(unit)}
        for path in work.glob("*.pt"):
            if path.stem not in needed:
                path.unlink()
    return count


def _attempt(unit, store, work, device, deadline, progress) -> str:
    """Compute one unit, unless another campaign holds one of its runs; "done", "failed", "left" or "busy"."""
    if deadline is not None and time.monotonic() > deadline:
        return "left"
    try:
        with _Claims(work, runs_of(unit)) as claimed:
            if not claimed:
                return "busy"
            if unit not in store:  # another campaign may have been quicker
                started = time.monotonic()
                result, checksum = compute(unit, work, device, deadline, progress)
                seconds = result.pop("seconds", None) or time.monotonic() - started
                store.put(unit, result, results.provenance(device, seconds, checksum))
                print(f"{time.strftime('%H:%M')} done: {describe(unit)}", flush=True)
            return "done"
    except OutOfTime:
        return "left"
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        (work / f"{results.content_id(unit)}.error").write_text(f"{describe(unit)}\n{error!r}\n")
        print(f"failed: {describe(unit)}: {error}", flush=True)
        return "failed"


def runs_of(unit: dict) -> list[Run]:
    """The runs whose minimisers a unit needs."""
    return [Run(**spec) for spec in unit.get("runs", [unit.get("run")])]


def describe(unit: dict) -> str:
    """A unit in a line of words."""
    runs = runs_of(unit)
    settings = {k: v for k, v in unit.items() if k not in ("kind", "run", "runs")}
    who = f"{runs[0].network} batch {' and '.join(str(r.batch_size) for r in runs)} seed {runs[0].init_seed}"
    return " ".join([unit["kind"], who, *(f"{k}={v}" for k, v in settings.items() if k != "epsilons" or len(v) != 2)])


class _Claims:
    """Hold the locks of some runs, or none; another process that holds one of them keeps its run to itself."""

    def __init__(self, work: pathlib.Path, runs):
        from filelock import FileLock  # torch needs it too

        self.locks, self.held = [FileLock(work / f"{name}.lock") for name in sorted({r.id for r in runs})], []

    def __enter__(self) -> bool:
        from filelock import Timeout

        try:
            for lock in self.locks:
                lock.acquire(timeout=0)
                self.held.append(lock)
        except Timeout:
            self.__exit__()
        return len(self.held) == len(self.locks)

    def __exit__(self, *_):
        while self.held:
            self.held.pop().release()


def compute(unit: dict, work: pathlib.Path, device="cpu", deadline=None, progress=True) -> tuple[dict, str]:
    """The result of a unit, and the checksum of its data. Trains what it needs, from the checkpoint where there is one."""
    minimizers = [train(of, device=device, checkpoint=work / f"{of.id}.pt", deadline=deadline, progress=progress)
                  for of in runs_of(unit)]
    of = minimizers[0].run
    dataset = data.load(of.dataset, device, *of.noise)
    if any(m.diverged for m in minimizers):
        result = {"diverged": True}
        if unit["kind"] == "train":
            result["history"] = minimizers[0].history
    else:
        result = {"train": trained, "sharpness": measured, "path": walked}[unit["kind"]](unit, minimizers, dataset, deadline)
    return result, dataset.checksum


def trained(unit, minimizers, dataset, deadline) -> dict:
    """History, distance, and loss and accuracy on both splits in all three batch-norm modes (reading.md, 7)."""
    (m,) = minimizers
    final = {mode: {split: dict(zip(("loss", "accuracy"), Objective(m, split, mode, dataset=dataset).evaluate(m.x)))
                    for split in ("train", "test")} for mode in ("batch", "recalibrated", "frozen")}
    return {"diverged": False, "epochs": len(m.history["train_loss"]), "distance": m.history["distance"][-1],
            "final": final, "history": m.history, "seconds": m.seconds}


def measured(unit, minimizers, dataset, deadline) -> dict:
    """Metric 2.1 at each epsilon, with the controls that are stored beside every value."""
    (m,) = minimizers
    settings = {k: v for k, v in unit.items() if k not in ("kind", "run", "epsilons", "neighbours", "dtype", *OBJECTIVE)}
    dtype = getattr(torch, unit.get("dtype", "float32"))
    options = dict(dataset=dataset, dtype=dtype, **{k: unit[k] for k in OBJECTIVE if k in unit})
    f, x = Objective(m, **options), m.x.to(dtype)
    others = {mode: Objective(m, batch_norm=mode, **options) for mode in ("recalibrated", "frozen")}
    g, found = _Punctual(f, deadline), {}
    smaller = None  # a box holds every smaller one, so a warm start makes sharpness grow with epsilon
    for epsilon in sorted(unit["epsilons"]):
        warm = {f"from {smaller:g}": found[smaller].position * (smaller / epsilon)} if smaller else {}
        found[epsilon] = metric.sharpness(g, x, epsilon, warm=warm, keep_point=True, **settings)
        smaller = epsilon if unit.get("neighbours") else None
    values = []
    for epsilon in unit["epsilons"]:
        s = found[epsilon]
        record = {field.name: getattr(s, field.name) for field in dataclasses.fields(s)}
        del record["point"], record["position"]
        record["accuracy_at_maximizer"] = f.accuracy(s.point)
        for mode, other in others.items():
            at = other.evaluate(x)[0], other.evaluate(s.point)[0]
            record[mode] = {"f0": at[0], "fmax": at[1], "value": 100 * (at[1] - at[0]) / (1 + at[0])}
        double = found.get(2 * epsilon)
        if double and s.value > 0 and double.value > 0:
            record["exponent"] = float(torch.tensor(double.value / s.value).log2())
        values.append(record)
    return {"diverged": False, "values": values}


def walked(unit, minimizers, dataset, deadline) -> dict:
    """Loss and accuracy along a path, on both splits."""
    small, large = minimizers
    along = landscape.KINDS[unit["path"]]
    out = {"diverged": False}
    for split in ("train", "test"):
        p = along(_Punctual(Objective(small, split, dataset=dataset), deadline), small.x, large.x)
        out |= {"alpha": p.alpha.tolist(), f"{split}_loss": p.loss.tolist(), f"{split}_accuracy": p.accuracy.tolist()}
    return out


class _Punctual:
    """f, which raises OutOfTime after a deadline."""

    def __init__(self, f, deadline):
        self.f, self.deadline = f, deadline

    def __call__(self, x):
        self._check()
        return self.f(x)

    def evaluate(self, x):
        self._check()
        return self.f.evaluate(x)

    def _check(self):
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTime("in the middle of a measurement")
