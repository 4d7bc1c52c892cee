"""Compute the units that the store lacks: most valuable first, inside a budget, nothing twice, on any Executor."""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import multiprocessing
import os
import pathlib
import platform
import threading
import time
from collections.abc import Callable, Iterable

import torch

from .. import machine, results
from ..training import OutOfTime
from . import cost
from .measurements import compute
from .units import Unit, describe, runs_of, train

# a unit's own fault; OSError is the machine's
WRONG = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, MemoryError)


def run(
    units: Iterable[Unit],
    store: results.Store | None = None,
    *,
    budget: float | None = None,
    device: str | torch.device = "cpu",
    keep_weights: bool = True,
    progress: bool = True,
    executor: futures.Executor | None = None,
    at_once: int = 32,
    threads: int | None = None,
    retry: bool = False,
    on_document: Callable | None = None,
) -> dict[str, int]:
    """Compute the units that the store lacks.

    Several campaigns may share a store: each leaves a run that another one trains or measures until later, and ends
    when all units are done. A unit that times a step is left unless `device` is of its kind, and computed while no
    other unit of this campaign is. A unit that fails is recorded in work/ with its error, and the next unit is tried;
    another time it counts as failed at once. A damaged document, checkpoint or error is set aside, and its unit
    computed again.

    Args:
        units: most valuable first, see `order.wanted`.
        store: where results go, and checkpoints in its work/; `results.Store()` by default.
        budget: seconds; no unit is started after it, and one that is under way stops at its next epoch or evaluation,
            so that the next campaign goes on from the checkpoint. A line says so where it ends before any unit does.
        device: where.
        keep_weights: False deletes the checkpoints that no unit of this list needs any more.
        progress: bars, without an executor.
        executor: any concurrent.futures.Executor, such as a ProcessPoolExecutor or dask's Client.get_executor(); its
            workers see the store's folder at the same path, or else train each minimiser anew. None computes here, one
            unit at a time.
        at_once: units handed to the executor at a time, as many as it has workers: with more, value does not decide the
            order.
        threads: PyTorch threads of each worker.
        retry: try again what failed before.
        on_document: on_document(path), called for each new one.

    Returns:
        How many units are "done", "failed" and "left".

    Raises:
        OSError: when the folder cannot be written.
        RuntimeError: when a worker died.
    """
    store, inside = store or results.Store(), executor is None
    executor = executor or _Here()
    ends = None if budget is None else time.monotonic() + budget
    folders, late = [str(folder) for folder in store.folders], None  # late: the first unit that the budget left
    count = {"done": 0, "failed": 0, "left": 0}
    work = store.folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    waiting, running, busy = [], {}, []  # busy: what another campaign is at work on
    kind = torch.device(device).type
    for unit in units:
        if unit in store:
            continue
        store.make_room(unit)
        if (error := failure(unit, store)) is None and (path := _error_file(unit, work)).exists():
            machine.set_aside(path, f"{path} is damaged")
        if unit.get("device", kind) != kind:
            count["left"] += 1
        elif error and not retry:
            count["failed"] += 1
            print(f"failed before, left out (--retry tries it again): {error}", flush=True)
        else:
            waiting.append(unit)
    wanted = _wanted(waiting)
    try:
        while waiting or running or busy:
            under_way = set().union(*(trajectories for _, trajectories in running.values()))
            for unit in list(waiting):
                if len(running) >= (1 if inside or any(_alone(other) for other, _ in running.values()) else at_once):
                    break
                trajectories = _trajectories(unit, work)
                if trajectories & under_way or (running and _alone(unit)):
                    continue
                waiting.remove(unit)
                under_way |= trajectories
                keep = {name: wanted[name] for name in _trajectories(unit)}
                until = ends and (_clock(), ends, ends - time.monotonic())
                task = executor.submit(_attempt, unit, folders, device, until, progress and inside, threads, keep)
                running[task] = unit, trajectories
            for task in futures.wait(running, 2, futures.FIRST_COMPLETED).done if running else ():
                unit, _ = running.pop(task)
                try:
                    outcome, told = task.result()
                except futures.BrokenExecutor as error:
                    raise RuntimeError(
                        f"a worker died ({error}); was there memory enough? It left undone {describe(unit)}, "
                        f"and {len(running)} more; what was done is stored, and the same command goes on"
                    ) from error
                if outcome == "busy":
                    busy.append(unit)
                    continue
                count[outcome] += 1
                late = late or (outcome == "left" and unit)
                waiting, busy = busy + waiting, []  # what was busy is taken up as soon as it may be free
                _record(unit, outcome, told, store, work, on_document)
            if busy and not (waiting or running):
                time.sleep(2)
                waiting, busy = busy, []
    finally:
        for task in running:
            task.cancel()
    if not keep_weights:
        left = [run for unit in units if unit not in store for run in runs_of(unit)]
        needed = {of.id for run in left for of in (run, run.start) if of}
        for path in work.glob("*.pt"):
            if path.stem not in needed and path.is_file():
                path.unlink()
    if ends and late and not count["done"]:
        here = device if torch.cuda.is_available() else "cpu"
        takes = cost.clock(max(1, cost.projected([late], cost.rate(here), store)))
        print(f"no unit was done in the budget of {budget:g} s: {describe(late)} takes about {takes} on {here}")
    return count


def end_with_parent() -> None:
    """Of a worker process: end it when the process that started it has ended, however that was, also killed."""
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _clock() -> str:
    """Whose time.monotonic() this is: all processes of a machine share it, until the machine starts anew."""
    try:
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return platform.node()


def _alone(unit) -> bool:
    """Whether anything else at work on the machine would spoil the unit's result."""
    return unit["kind"] == "throughput"


def failure(unit: dict, store: results.Store) -> str | None:
    """The error that is recorded of a unit, in a line, or None, also where its file is damaged.

    Args:
        unit: what failed, perhaps.
        store: in whose work/ it is recorded.
    """
    with contextlib.suppress(OSError, ValueError):
        what, error, end = _error_file(unit, store.folder / "work").read_text("utf-8").split("\n")
        return f"{what}: {error}" if what and error and not end else None
    return None


def _error_file(unit, work):
    return work / f"{results.content_id(unit)}.error"


def _record(unit, outcome, told, store, work, on_document):
    if outcome == "done" and told:
        path = store.accept(told)
        _error_file(unit, work).unlink(missing_ok=True)
        print(f"{time.strftime('%H:%M')} done: {describe(unit)}{_elsewhere(unit, told, store)}", flush=True)
        if on_document:
            on_document(path)
    elif outcome == "failed":
        _error_file(unit, work).write_text(f"{describe(unit)}\n{told}\n", "utf-8")
        print(f"failed: {describe(unit)}: {told}", flush=True)


def _elsewhere(unit, document, store) -> str:
    """A warning where a run of the unit was trained again and ended elsewhere than its stored training document
    says."""
    x = document["provenance"].get("x", {})
    for of in runs_of(unit):
        with contextlib.suppress(ValueError):  # a damaged document is `lbgap verify`'s to name
            held = store.get(train(of))
            if held and held["provenance"].get("x", {}).get(of.id, x.get(of.id)) != x.get(of.id):
                return "; not on the minimiser that is stored as trained: `lbgap verify` says what to measure again"
    return ""


def _attempt(unit, folders, device, until, progress, threads, keep) -> tuple[str, dict | str | None]:
    """Compute one unit, here or in a worker: ("done", document, or None if it was there), ("failed", error), ("left" |
    "busy", None).

    until: None, or the `_clock`, the deadline by it, and the seconds left, which count from here by another clock.
    """
    deadline = until and (until[1] if until[0] == _clock() else time.monotonic() + until[2])
    if until and time.monotonic() > deadline:
        return "left", None
    if threads:
        torch.set_num_threads(threads)
    store, work = results.Store(folders[0], packaged=next(iter(folders[1:]), None)), pathlib.Path(folders[0], "work")
    work.mkdir(parents=True, exist_ok=True)
    try:
        with _claims(work, _trajectories(unit, work)) as claimed:
            if not claimed:
                return "busy", None
            if unit in store:  # another campaign was quicker
                return "done", None
            started = time.monotonic()
            result, told = compute(unit, work, device, deadline, progress, keep)
            seconds = result.pop("seconds", None) or time.monotonic() - started
            return "done", results.read(store.put(unit, result, results.provenance(device, seconds, **told)))
    except OutOfTime:
        return "left", None
    except WRONG as error:
        return "failed", repr(error)


def _trajectories(unit, work: pathlib.Path | None = None) -> set[str]:
    """Those of a unit's runs, and of the runs that they start from, unless these lie in `work` already.

    A trajectory is one run's path, whichever epoch it stops at (`Run.trajectory`); one worker at a time goes along it.
    """
    runs = runs_of(unit)
    return {of.trajectory for of in runs} | {
        of.start.trajectory for of in runs if of.start and not (work and (work / f"{of.start.id}.pt").exists())
    }


def _wanted(units) -> dict[str, list[int]]:
    """The epochs at which the units want each trajectory's iterate: {Run.trajectory: epochs}."""
    wanted = {}
    for unit in units:
        for run in runs_of(unit):
            for of in (run, run.start) if run.start else (run,):
                wanted.setdefault(of.trajectory, set()).add(of.epochs)
    return {trajectory: sorted(epochs) for trajectory, epochs in wanted.items()}


@contextlib.contextmanager
def _claims(work: pathlib.Path, trajectories):
    """Hold the locks of some trajectories, or none; another process that holds one of them keeps it to itself.

    Returns:
        Whether they are held, of `with`.
    """
    from filelock import FileLock, Timeout  # torch needs it too

    with contextlib.ExitStack() as held:
        try:
            for name in sorted(trajectories):
                held.enter_context(FileLock(work / f"{name}.lock", timeout=0))
            free = True
        except Timeout:
            held.close()
            free = False
        yield free


class _Here(futures.Executor):
    """An executor that computes at once, in this process."""

    def submit(self, function, /, *arguments, **settings):
        task = futures.Future()
        try:
            task.set_result(function(*arguments, **settings))
        except Exception as error:
            task.set_exception(error)
        return task
