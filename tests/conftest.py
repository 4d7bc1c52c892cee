"""What all tests share: a results folder of their own, fixed seeds, and the book, built once."""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config):
    # No test may read or write the user's results, also not while modules are collected.
    config.lbgap_results = tempfile.TemporaryDirectory(prefix="lbgap-results-")
    os.environ["LBGAP_RESULTS"] = config.lbgap_results.name
    import torch

    torch.set_num_threads(1)  # bit for bit the same sums on every machine, and no waiting for a busy core


def pytest_unconfigure(config):
    config.lbgap_results.cleanup()


@pytest.fixture(autouse=True)
def seeds():
    """The same random numbers in each test, in whatever order the tests run."""
    import numpy
    import torch

    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def nothing_remembered(monkeypatch):
    """No LBGAP_DATA, and what a test makes of the files is forgotten."""
    from lbgap import data

    monkeypatch.delenv("LBGAP_DATA", raising=False)
    yield
    data._load.cache_clear()


@pytest.fixture
def store(monkeypatch, tmp_path):
    """An empty store, into which a test writes."""
    from lbgap import results

    monkeypatch.delenv("LBGAP_SCALE", raising=False)
    made = results.Store(tmp_path, packaged=None)
    monkeypatch.setattr(results, "Store", lambda *_: made)
    return made


def build_book(source, output, *options, **environment):
    """Run jupyter-book on the folder `source`; the pages are in `.html`, the log without colours in `.log`, and
    `.returncode`."""
    pytest.importorskip("jupyter_book")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source, "--path-output", output, *options]
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return SimpleNamespace(html=Path(output) / "_build" / "html", log=log, returncode=done.returncode)


BLOCK = """
import importlib.abc, importlib.machinery, sys

class Bare(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in {"tqdm", "matplotlib", "torchvision", "mlxtend", "safetensors", "curvlinops", "distributed",
                    "IPython"}:
            return importlib.machinery.ModuleSpec(name, self)  # torch asks for specs of what it never imports

    def exec_module(self, module):
        raise ImportError(f"{module.__name__} is not here: a bare machine")

sys.meta_path.insert(0, Bare())
"""
# Every experiment, each on the cheapest network that has it, and every network in the paper's own tables. Two processes
# side by side on one store: the first computes on two workers, and carries its results home; the second is several
# calls in one.
CARRIED = ["--networks F1 wide --trials 0 2 --workers 2 --out out"]
BESIDE = [
    "table2 table3 fig3 fig7 table4 --networks F2 --trials 0 1",
    "fig4 fig5 fig6 conservative known_voices --networks F2 --trials 0",
    "table2 table3 --networks F1 --trials 1",
    "table2 table3 fig3 --networks C1 C2 C3 C4 --trials 0",
    "table4 fig7 text_variant no_dropout fig4_whole --networks C1 --trials 0",
    "augmentation augmented_loss bf16 --networks C1-text --trials 0",
    "laboratory tuning benches bench_paths conservative_half --networks mlp --trials 0",
    "laboratory_way laboratory_hessian laboratory_rates --networks mlp --trials 0",
]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Every experiment, computed at tiny scale as on another machine: a bare folder, torch, numpy and scipy, two
    processes.

    .store: the results folder; .out: what would be carried home; .said: what the commands printed.
    """
    bare = tmp_path_factory.mktemp("bare")
    shutil.copytree(ROOT / "lbgap", bare / "lbgap", ignore=shutil.ignore_patterns("store", "minimizers", "__pycache__"))
    (bare / "sitecustomize.py").write_text(BLOCK)
    environment = {
        **os.environ,
        "PYTHONPATH": str(bare),
        "LBGAP_RESULTS": str(bare / "results"),
        "LBGAP_COMMIT": "0" * 40,
    }
    environment.pop("LBGAP_DATA", None)
    both = []
    for calls in (CARRIED, BESIDE):
        words = [["run", *call.split(), "--scale", "tiny", "--quiet", "--threads", "1"] for call in calls]
        code = (
            "import sys, lbgap.__main__ as m\nif __name__ == '__main__': sys.exit(max([m.main(words) for words in"
            f" {words}]))"
        )
        (bare / f"calls{len(calls)}.py").write_text(code)
        both.append(
            subprocess.Popen(
                [sys.executable, f"calls{len(calls)}.py"],
                cwd=bare,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
    said = [process.communicate(timeout=900)[0] for process in both]
    for process, out in zip(both, said):
        if process.returncode:
            pytest.fail(out[-6000:], pytrace=False)
    return SimpleNamespace(store=bare / "results", out=bare / "out", said=said)


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """The book, built from nothing as strictly as `make book` builds it."""
    built = build_book(ROOT, tmp_path_factory.mktemp("book"), "-W", "--keep-going", "-n")
    if built.returncode:
        pytest.fail(f"the book does not build strictly:\n{built.log[-6000:]}", pytrace=False)
    return built
