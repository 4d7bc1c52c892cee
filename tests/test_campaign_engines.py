"""Campaigns on other engines, and on machines that misbehave: processes, Dask, a killed worker, a full disk."""

import concurrent.futures
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT

from lbgap import campaign, results, training
from lbgap.campaign import measurements, units, workers
from lbgap.training import Run

RUNS = [Run("mlp", "tiny-mnist", b, epochs=4) for b in (16, 64)]
TODO = [unit for run in RUNS for unit in (units.train(run), units.sharpness(run, [1e-3], iterations=1))] + [
    units.path(*RUNS, "linear", points=4)
]


@pytest.fixture
def store(tmp_path):
    return results.Store(tmp_path / "store", packaged=None)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a campaign in this process gives: the oracle for the other engines."""
    store = results.Store(tmp_path_factory.mktemp("alone"), packaged=None)
    campaign.run(TODO, store, progress=False)
    return [store.get(unit)["result"] for unit in TODO]


def go(store, todo=TODO, **settings):
    return campaign.run(todo, store, progress=False, threads=1, **settings)


# ----------------------------------------------------------------------------------------------------------- engines


def test_two_processes_give_what_one_gives(store, alone):
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert go(store, executor=pool) == {"done": 5, "failed": 0, "left": 0}
        assert [store.get(unit)["result"] for unit in TODO] == alone
        assert go(store, executor=pool, budget=1) == {"done": 0, "failed": 0, "left": 0}
    assert store.verify() == []


def test_no_two_units_of_one_run_are_under_way_at_once(store, monkeypatch):
    under_way, most = [], []

    def compute(unit, *_):
        names = {of.trajectory for of in units.runs_of(unit)}
        assert not names & set().union(*under_way)
        under_way.append(names)
        most.append(len(under_way))
        time.sleep(0.1)
        under_way.remove(names)
        return {"diverged": True}, {"data": "none"}

    monkeypatch.setattr(workers, "compute", compute)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert go(store, executor=pool)["done"] == 5
    assert max(most) == 2  # the two runs side by side


def test_an_executor_gets_the_most_valuable_units_first(store, monkeypatch):
    """With as many units at a time as there are workers, what is measured on the first run comes before a third run."""
    done = []

    def compute(unit, *_):
        done.append(units.describe(unit))
        time.sleep(0.05)
        return {"diverged": True}, {"data": "none"}

    monkeypatch.setattr(workers, "compute", compute)
    third = units.train(Run("mlp", "tiny-mnist", 128, epochs=4))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert go(store, [*TODO, third], executor=pool, at_once=2)["done"] == 6
    assert {d.split(" epochs")[0] for d in done[:4]} == {units.describe(u).split(" epochs")[0] for u in TODO[:4]}


def test_a_worker_that_was_killed_stops_a_pool_plainly_and_the_same_call_goes_on(store, alone):
    long = [units.train(Run("mlp", "tiny-mnist", 8, epochs=100_000)), *TODO]
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        worker = pool.submit(os.getpid).result()
        threading.Timer(3, os.kill, (worker, signal.SIGKILL)).start()
        with pytest.raises(RuntimeError, match="a worker died.*left undone.*same command goes on"):
            go(store, long, executor=pool)
    assert go(store)["failed"] == 0 and [store.get(unit)["result"] for unit in TODO] == alone


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_loses_nothing(store, alone, tmp_path):
    """A real cluster of two worker processes; the one that trains is killed, another one takes the run up."""
    distributed = pytest.importorskip("distributed")
    run = Run("mlp", "tiny-mnist", 8, epochs=100)
    todo = [units.train(run), *TODO]
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        killed = []

        def kill():
            while not killed:
                for address, tasks in client.processing().items():
                    if tasks and (store.folder / "work" / f"{run.trajectory}.lock").exists():
                        killed.append(client.run(os.getpid, workers=[address])[address])
                        os.kill(killed[0], signal.SIGKILL)
                        return
                time.sleep(0.05)

        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        assert go(store, todo, executor=client.get_executor()) == {"done": 6, "failed": 0, "left": 0}
        thread.join(10)
    assert killed
    assert [store.get(unit)["result"] for unit in TODO] == alone and store.verify() == []
    assert store.get(todo[0])["result"]["history"] == training.train(run, progress=False).history


PARENT = """
import os, signal, sys, time
from types import SimpleNamespace
from lbgap.__main__ import _executor

if __name__ == "__main__":
    with _executor(SimpleNamespace(workers=2, dask=None), 1)[0] as pool:
        print(*sorted({*pool.map(work, range(2))}), flush=True)
        [pool.submit(time.sleep, 600) for _ in range(2)]
        os.kill(os.getpid(), signal.SIGKILL)
"""
WORK = """
def work(_):
    import os, time
    time.sleep(1)  # so that each worker takes one
    return os.getpid()
"""


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    """The workers hold the pipe that the parent wrote into: its end is theirs."""
    (tmp_path / "parent.py").write_text(WORK + PARENT)
    parent = subprocess.Popen(
        [sys.executable, "parent.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    pids = parent.stdout.readline().split()
    assert pids and parent.wait(60) == -signal.SIGKILL
    try:
        assert parent.communicate(timeout=60)[0] == ""
    except subprocess.TimeoutExpired:
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)
        pytest.fail(f"the workers {pids} are still there")


# ------------------------------------------------------------------------------------------------------------ failures


def test_a_failure_is_recorded_and_retried_on_request_only(store, monkeypatch, capsys):
    calls = []

    def broken(*a):
        calls.append(1)
        raise ValueError("no luck")

    whole = measurements.KINDS["train"]
    monkeypatch.setitem(measurements.KINDS, "train", broken)
    assert go(store, TODO[:1]) == {"done": 0, "failed": 1, "left": 0}
    assert "no luck" in workers.failure(TODO[0], store)
    assert go(store, TODO[:1]) == {"done": 0, "failed": 1, "left": 0} and len(calls) == 1
    assert "failed before" in capsys.readouterr().out
    monkeypatch.setitem(measurements.KINDS, "train", whole)
    assert go(store, TODO[:1], retry=True) == {"done": 1, "failed": 0, "left": 0}
    assert workers.failure(TODO[0], store) is None and go(store, TODO[:1])["failed"] == 0


def test_a_full_disk_stops_the_campaign_and_leaves_the_store_whole(store, monkeypatch, alone):
    go(store, TODO[:1])
    before = {p: p.read_bytes() for p in store.paths()}

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as m:
        m.setattr(results.store.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            go(store)
    assert {p: p.read_bytes() for p in store.paths()} == before and store.verify() == []
    assert not [p for p in store.folder.rglob("*") if p.name.startswith(".")]  # no half-written document
    assert go(store)["done"] == 4 and [store.get(unit)["result"] for unit in TODO] == alone


def test_a_full_disk_under_a_checkpoint_says_so_and_keeps_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    path.write_bytes(b"old")

    def save(state, file):
        file.write_bytes(b"half of")
        raise RuntimeError(
            "[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file"
        )  # PyTorch's words

    monkeypatch.setattr(training.torch, "save", save)
    with pytest.raises(OSError, match="run.pt could not be written.*is the disk full"):
        training._save(path, {})
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        go(results.Store(tmp_path / "file" / "results", packaged=None))


@pytest.mark.parametrize("when", ["training", "writing"])
def test_an_interrupt_leaves_the_store_whole_and_the_next_call_goes_on(store, monkeypatch, alone, when):
    go(store, TODO[:1])
    count = []

    def interrupt(*a):
        count.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(*((training, "_epoch") if when == "training" else (results.store.os, "replace")), interrupt)
        with pytest.raises(KeyboardInterrupt):
            go(store, TODO[2:])
    assert count and store.verify() == [] and len(store.paths()) == 1
    assert go(store)["done"] == 4 and [store.get(unit)["result"] for unit in TODO] == alone
