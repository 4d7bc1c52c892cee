"""Every notebook of the book in Colab's versions, as a learner there runs it."""

import subprocess
import sys
import sysconfig

import pytest
from conftest import ROOT


@pytest.mark.slow
def test_every_notebook_runs_in_colabs_versions_from_an_empty_folder(tmp_path):
    """Colab's Python and torch are the weekly run's; the rest of requirements-colab.txt lies here over the tested
    set."""
    lines = (ROOT / "requirements-colab.txt").read_text().splitlines()
    pinned = [line for line in lines if "==" in line and not line.startswith("torch")]
    environment = tmp_path / "colab"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin/python"
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip()
    with open(f"{site}/tested.pth", "w") as file:
        file.write(sysconfig.get_path("purelib"))
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *pinned, "ipykernel<7"]
    subprocess.run(install, check=True)
    done = subprocess.run([python, ROOT / "tests/colab.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
