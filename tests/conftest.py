"""What all tests share: a results folder of their own, fixed seeds, and the book, built once."""

import os
import random
import re
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


def build_book(source, output, *options, **environment):
    """Run jupyter-book on the folder `source`; the pages are in `.html`, the log without colours in `.log`, and `.returncode`."""
    pytest.importorskip("jupyter_book")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source, "--path-output", output, *options]
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return SimpleNamespace(html=Path(output) / "_build" / "html", log=log, returncode=done.returncode)


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """The book, built from nothing as strictly as `make book` builds it."""
    built = build_book(ROOT, tmp_path_factory.mktemp("book"), "-W", "--keep-going", "-n")
    if built.returncode:
        pytest.fail(f"the book does not build strictly:\n{built.log[-6000:]}", pytrace=False)
    return built
