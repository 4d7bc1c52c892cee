"""CONTRIBUTING's way to add something, followed to the letter on a copy of the package."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

FENCE = re.compile(r"```(?:python|json|yaml)\n(?:#|//) ([\w./]+)(?:, (above|below): *(.*?))?\n(.*?)```", re.S)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A copy of the package and the table of contents with every example of CONTRIBUTING in it."""
    folder = tmp_path_factory.mktemp("fork")
    shutil.copytree(
        ROOT / "lbgap", folder / "lbgap", ignore=shutil.ignore_patterns("store", "minimizers", "__pycache__")
    )
    shutil.copy(ROOT / "_toc.yml", folder)
    for path, where, line, text in FENCE.findall((ROOT / "CONTRIBUTING.md").read_text()):
        file = folder / path
        if not where:
            assert not file.exists(), f"{path} is new in CONTRIBUTING, but is there"
            file.write_text(text)
            continue
        lines = file.read_text().split("\n")
        at = [number for number, there in enumerate(lines) if there.strip() == line.strip()]
        assert len(at) == 1, f"{path} has the line {line!r}, which CONTRIBUTING names, {len(at)} times"
        cut = at[0] + (where == "below")
        file.write_text("\n".join([*lines[:cut], *text.rstrip("\n").split("\n"), *lines[cut:]]))
    return folder


def python(folder, code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "LBGAP_RESULTS": str(folder / "results"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_remedy_of_the_example_clips_and_can_be_run(followed):
    code = """
import dataclasses, torch
from lbgap.campaign import treatments
from lbgap.__main__ import main
from lbgap.remedies import Clip, Step
from types import SimpleNamespace
x = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
step = Step(SimpleNamespace(remedies=[Clip(0.5)]), None, torch.optim.SGD([x], 1.0), None)
step.loss = lambda batch: (x * x).sum() / 2
step(torch.zeros(1), torch.zeros(1))
print(x.detach() - torch.tensor([3.0, 4.0]))
assert main("run clip --networks mlp --trials 0 --scale tiny --quiet".split()) == 0
"""
    assert "[-0.3000, -0.4000]" in python(followed, code)


def test_the_network_of_the_example_is_built(followed):
    code = "from lbgap import networks; print(sum(p.numel() for p in networks.build('small').parameters()))"
    assert int(python(followed, code)) == (784 + 1) * 32 + 2 * 32 + (32 + 1) * 10  # with batch norm


def test_the_claim_of_the_example_is_read(followed):
    code = "from lbgap import claims; print(claims.get('toy').verdict(claims.contrast([99.1, 99.2, 99.0])).direction)"
    assert "holds" in python(followed, code)


def test_the_exercise_of_the_example_is_listed_and_checks(followed):
    code = """
from lbgap import course
print("Twice" in course.catalogue(), course.check("toy", lambda x: x + x), course.check("toy", lambda x: x**2))
"""
    assert python(followed, code).strip() == "True Right. Not yet. That is the square."


def test_the_chapter_of_the_example_is_in_the_contents(followed):
    assert "  - file: book/controls\n  - file: book/toy\n" in (followed / "_toc.yml").read_text()
