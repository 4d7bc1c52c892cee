"""Threads and memory: one thread for a small network unless the caller said otherwise, and everything put back."""

import os
import subprocess
import sys
import textwrap

import pytest
import torch
from conftest import ROOT

import lbgap
from lbgap import machine
from lbgap.campaign import units


def fresh(code: str, **environment) -> str:
    """What a new process prints, with no word in its environment about threads or malloc."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_", "MALLOC_"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, env=clean | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


CODE = """
    import torch
    torch.get_num_threads = lambda now=[4]: now[0]
    torch.set_num_threads = lambda n, now=torch.get_num_threads.__defaults__[0]: now.__setitem__(0, n)
    from lbgap import machine
    {said}
    print([machine.threads(n) for n in (118282, 1462794)])
    with machine.sparing(118282):
        with machine.sparing(1462794):
            print(torch.get_num_threads())
    print(torch.get_num_threads())
"""


@pytest.mark.parametrize(
    "said, environment, lines",
    [
        ("", {}, ["[1, 4]", "1", "4"]),
        ("torch.set_num_threads(3)", {}, ["[3, 3]", "3", "3"]),
        ("", {"OMP_NUM_THREADS": "4"}, ["[4, 4]", "4", "4"]),
        ("", {"MKL_NUM_THREADS": "4"}, ["[4, 4]", "4", "4"]),
    ],
    ids=["nothing said", "said in the program", "OMP_NUM_THREADS", "MKL_NUM_THREADS"],
)
def test_a_small_network_takes_one_thread_unless_the_caller_said_how_many(said, environment, lines):
    assert fresh(CODE.format(said=said), **environment).splitlines() == lines


def test_training_and_measuring_go_through_it_and_put_the_number_back(monkeypatch):
    inside = []
    monkeypatch.setattr(machine, "threads", lambda n: 2)
    monkeypatch.setattr(
        machine.torch, "set_num_threads", lambda n, put=torch.set_num_threads: (inside.append(n), put(n))
    )
    before = torch.get_num_threads()
    m = lbgap.train(lbgap.Run("mlp", "mnist-1k", 500, epochs=1), progress=False)
    assert inside == [2, before] and torch.get_num_threads() == before
    f = lbgap.Objective(m)
    for measure in (
        lambda: f(m.x),
        lambda: f.evaluate(m.x),
        lambda: f.hits(m.x),
        lambda: f.hvp(m.x, m.x),
        lambda: lbgap.sharpness(f, m.x, 1e-3, iterations=1, random_starts=0),
    ):
        inside.clear()
        measure()
        assert inside[0] == 2 and inside[-1] == before and torch.get_num_threads() == before
    with pytest.raises(ValueError):
        f(m.x[1:])
    assert torch.get_num_threads() == before


FAULTS = """
    import resource, torch
    from lbgap import machine
    {keep}
    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.zeros(12_000_000)  # 48 MB, which glibc gives back at once
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    torch.set_num_threads(1)
    faults()
    print(faults())
"""


@pytest.mark.skipif(machine.platform.libc_ver()[0] != "glibc", reason="no glibc here: there is nothing to set")
def test_memory_that_is_kept_is_not_faulted_in_again():
    given_back, kept = (int(fresh(FAULTS.format(keep=keep))) for keep in ("", "assert machine.keep_memory()"))
    assert kept < given_back / 10
    own = "assert not machine.keep_memory()"
    assert int(fresh(FAULTS.format(keep=own), MALLOC_TRIM_THRESHOLD_="100000")) > 10 * kept


def test_a_document_says_on_how_many_threads_it_was_computed(monkeypatch, tmp_path):
    from lbgap.campaign import measurements

    monkeypatch.setattr(machine, "threads", lambda n: 1 if n < machine.SMALL else 7)
    unit = units.train(lbgap.Run("mlp", "tiny-mnist", 64, epochs=1))
    assert measurements.compute(unit, tmp_path, progress=False)[1]["threads"] == 1
