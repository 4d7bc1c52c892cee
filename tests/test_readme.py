"""Every line of code in the README is run, from a wheel in an empty folder; its numbers are the stored ones."""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap

import pytest
from conftest import ROOT

from lbgap import __main__, results
from lbgap.campaign import scales, units

README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", README, re.S | re.M)
PYTHON = [textwrap.dedent(block) for _, kind, block in FENCES if kind == "python"]
PLAIN = [block for _, kind, block in FENCES if not kind]
COMMANDS = [line.split("#")[0].strip() for block in PLAIN for line in block.splitlines()]
# What the reader brings to "Your own network and data", and to a course's cluster.
OWN = """
import torch
network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
inputs, labels = torch.randn(60, 4), torch.arange(60) % 3
optimizer = torch.optim.Adam(network.parameters())
"""
AFTER = "\nassert step(inputs, labels) > 0 and large.epochs == 100"
SLURM = """
from distributed import LocalCluster

class SLURMCluster(LocalCluster):
    def __init__(self, cores, memory, walltime):
        super().__init__(n_workers=1, threads_per_worker=cores, processes=False, dashboard_address=None)

    def adapt(self, maximum):
        pass
"""


def test_every_block_of_code_is_one_that_is_run_here():
    assert len(PYTHON) == 4 and "SLURMCluster" in PYTHON[3]
    assert len(re.findall(r"^ *```", README, re.M)) == 2 * (len(PYTHON) + len(PLAIN))
    assert {line.split()[0] for line in COMMANDS if line} == {"make", "lbgap"}  # `make` is what runs these tests


def test_every_call_of_the_command_is_one_that_it_understands():
    calls = [line for line in COMMANDS if line.startswith("lbgap ")] + re.findall(r"`(lbgap [^`]+)`", README)
    assert len(calls) > 12
    for call in calls:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            __main__._parser().parse_args(shlex.split(call)[1:])
        told = said.getvalue()  # one that is named only, such as `lbgap merge`, lacks what it works on
        assert not told or "arguments are required" in told, told


def test_the_numbers_beside_the_snippet_are_the_stored_ones():
    runs = [scales.laboratory("mlp", batch_size, 0) for batch_size in (32, 1000)]
    small, large = (results.Store().get(units.train(run))["result"]["history"]["test_accuracy"][-1] for run in runs)
    (small_s, small_5), (large_s, large_5) = (
        [value["value"] for value in results.Store().get(units.sharpness(run))["result"]["values"]] for run in runs
    )
    text = " ".join(README.split())
    assert f"ends sharper, {large_s:.1f} beside {small_s:.1f}" in text
    assert f"lower test accuracy, {large:.1f} % beside {small:.1f} %" in text
    assert f"at epsilon 5e-4 the two are alike, {large_5:.1f} and {small_5:.1f}" in text


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, unpacked into a folder of its own: its environment, in an empty folder beside it."""
    pytest.importorskip("setuptools")
    made = tmp_path_factory.mktemp("wheel")
    for name in ("lbgap", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, made / "source" / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    for words in (
        ["wheel", "./source", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist"],
        ["install", "--no-deps", "--no-index", "--find-links", "dist", "--target", "site", "lbgap"],
    ):
        subprocess.run([*pip, *words], cwd=made, check=True, timeout=300)
    (made / "empty").mkdir()
    (made / "home").mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LBGAP_", "OMP_"))}
    return made, clean | {"PYTHONPATH": str(made / "site"), "HOME": str(made / "home")}


def run(installed, words, **more):
    made, environment = installed
    done = subprocess.run(
        words, cwd=made / "empty", env=environment | more, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_wheel_is_what_is_imported(installed):
    code = "import lbgap, lbgap.results as r; print(lbgap.__file__, r.commit())"
    where, version = run(installed, [sys.executable, "-c", code]).split(maxsplit=1)
    assert where.startswith(str(installed[0] / "site")) and version.startswith("release ")


@pytest.mark.slow
def test_the_snippets_run(installed):
    out = run(installed, [sys.executable, "-W", "error", "-c", PYTHON[0] + OWN + PYTHON[1] + PYTHON[2] + AFTER])
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines[:2]] == ["32", "1000"] and float(lines[1][2]) > float(lines[0][2]) > 1


@pytest.mark.slow
def test_the_course_on_a_cluster_runs(installed):
    pytest.importorskip("distributed")
    (installed[0] / "site" / "dask_jobqueue.py").write_text(SLURM)
    out = run(installed, [sys.executable, "-c", PYTHON[3]], LBGAP_SCALE="tiny")
    assert "done: sharpness F1" in out


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("lbgap ")])
def test_the_commands_run(installed, line):
    """As an installed script; what trains does so at tiny scale."""
    script = installed[0] / "site" / "bin" / "lbgap"
    out = run(
        installed,
        [sys.executable, str(script), *shlex.split(line)[1:]],
        **({"LBGAP_SCALE": "tiny"} if " run " in line else {}),
    )
    assert out
