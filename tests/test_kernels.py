"""The kernels of the book's pages, forked from a process that has imported what the pages import."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each kernel starts anew")


@pytest.fixture(scope="module")
def forked():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        from kernels import forked
    finally:
        del sys.path[0]
    with forked(3, imports=["wave", "no_such_module"]):
        yield forked


def execute(folder, *cells):
    """What each cell prints, in a kernel of its own that runs in `folder`."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made = nbclient.execute(made, cwd=folder, timeout=60, kernel_name="python3")
    return ["".join(output.get("text", "") for output in cell.outputs).strip() for cell in made.cells]


def test_each_kernel_is_a_process_of_its_own_with_the_imports_made(forked, tmp_path, monkeypatch):
    monkeypatch.setenv("LBGAP_TOLD", "this page")
    ask = (
        "import os, sys; print(os.getpid(), os.getppid(), 'wave' in sys.modules, hasattr(sys, 'left'))",
        "sys.left = 1",
    )
    where = ("print(os.getcwd(), os.environ['LBGAP_TOLD'], 'kernels.py' in sys.argv[0], '' in sys.path)",)
    (first, _, _), (second, _, place) = execute(tmp_path, *ask, *where), execute(tmp_path, *ask, *where)
    (one, parent, *same), (other, *rest) = first.split(), second.split()
    assert one != other and [parent, *same] == rest and same == ["True", "False"] and int(parent) != os.getpid()
    assert place == f"{tmp_path} this page False True"
    with pytest.raises(ProcessLookupError):
        os.kill(int(one), 0)


def test_a_cell_that_raises_and_a_kernel_that_dies_are_told(forked, tmp_path):
    exceptions = pytest.importorskip("nbclient.exceptions")
    with pytest.raises(exceptions.CellExecutionError, match="the cell raised"):
        execute(tmp_path, "raise RuntimeError('the cell raised')")
    with pytest.raises(exceptions.DeadKernelError):
        execute(tmp_path, "import os; os._exit(1)")


def test_few_notebooks_and_what_comes_after_have_kernels_as_usual(forked, tmp_path):
    with forked(3, imports=[]):
        (inside,) = execute(tmp_path, "import os, sys; print('wave' in sys.modules, os.getppid())")
    assert inside.split()[0] == "False"
    with pytest.raises(ProcessLookupError):
        os.kill(int(inside.split()[1]), 0)
    factory = pytest.importorskip("jupyter_client.provisioning").KernelProvisionerFactory.instance()
    before = factory.default_provisioner_name
    with forked(2):
        assert factory.default_provisioner_name == before


def test_a_kernel_that_does_not_end_can_be_made_to(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book/_ext")
    kernels = pytest.importorskip("kernels")
    for end in ("terminate", "kill"):
        asleep = subprocess.Popen(["sleep", "60"])
        process = kernels.Process(asleep.pid)
        getattr(process, end)()
        assert asleep.wait(10) < 0 and process.poll() == 0
        getattr(process, end)()  # once it is gone, nothing happens
