"""Grading with Otter-Grader, as a teacher does it: masters, students' copies, and a folder of submissions of every
kind."""

import csv
import json
import re

import pytest
from conftest import ROOT

from lbgap.__main__ import main
from lbgap.course import grading

MASTERS = sorted((ROOT / "assignments").glob("*.ipynb"))


def source(cell):
    return "".join(cell["source"])


def test_each_master_has_a_kernel_and_hidden_tests_and_a_copy_in_the_book():
    contents = (ROOT / "_toc.yml").read_text()
    for path in MASTERS:
        master = json.loads(path.read_text())
        assert master["metadata"]["kernelspec"]["name"] == "python3"  # otter assign raises KeyError without
        assert any("hidden: true" in source(cell) for cell in master["cells"])
        assert f"book/assignments/{path.stem}" in contents
    assert len(MASTERS) == 3


@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_no_solution_and_no_hidden_test_is_in_a_students_copy(path):
    master, copy = (json.loads(p.read_text()) for p in (path, ROOT / "book/assignments" / path.name))
    told = "\n".join(map(source, copy["cells"]))
    for words in ("SOLUTION", "# BEGIN", "hidden: true", "def test_", "Marked by hand"):
        assert words not in told
    secret, given = [], False
    for text in map(source, master["cells"]):
        for block in re.findall(r"# BEGIN SOLUTION\b.*?\n(.*?)# END SOLUTION", text, re.S):
            secret += block.splitlines()
        secret += [line for line in text.splitlines() if line.endswith("# SOLUTION")]
        given = text.startswith("# BEGIN TESTS") or (given and text != "# END TESTS")
        secret += text.splitlines() if given else []
    secret = {
        line.strip()
        for line in secret
        if len(line.strip()) > 12 and not line.strip().startswith(('"""', "#", "from ", "import "))
    }
    assert len(secret) > 20 and not {line.strip() for line in told.splitlines()} & secret


def test_grading_says_what_is_missing(tmp_path, monkeypatch, capsys):
    assert main(["course", "grade", str(tmp_path)]) == 2
    assert "--autograder is missing" in capsys.readouterr().err
    assert main(["course", "grade", str(tmp_path), "--autograder", str(tmp_path / "no.zip")]) == 2
    assert "lbgap course assign MASTER" in capsys.readouterr().err
    assert main(["course", "assign", str(tmp_path / "no.ipynb")]) == 2
    assert "is missing" in capsys.readouterr().err
    master = tmp_path / "mine.ipynb"
    master.write_text(MASTERS[0].read_text())
    assert main(["course", "assign", str(master), "--out", str(tmp_path)]) == 2
    assert (
        "another --out than its own folder" in capsys.readouterr().err and master.read_text() == MASTERS[0].read_text()
    )
    monkeypatch.setattr(grading.importlib.util, "find_spec", lambda name: None)
    assert main(["course", "assign", str(MASTERS[0]), "--out", str(tmp_path)]) == 2
    assert 'pip install "lbgap[teach]"' in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ with Otter


@pytest.fixture(scope="module")
def assigned(tmp_path_factory):
    """{assignment: (the student's notebook, the autograder)}, each made when it is first asked for."""
    pytest.importorskip("otter", reason="grading needs lbgap[teach]; `make test-slow` installs it")
    folder, made = tmp_path_factory.mktemp("assigned"), {}

    def get(name):
        if name not in made:
            assert main(["course", "assign", str(ROOT / "assignments" / f"{name}.ipynb"), "--out", str(folder)]) == 0
            made[name] = folder / f"{name}.ipynb", folder / f"{name}-autograder.zip"
        return made[name]

    return get


def submission(path, answers, to, drop=()):
    """A student's notebook with answers {question: code} in the cells of the questions; drop: questions whose cell is
    deleted."""
    notebook, cells = json.loads(path.read_text()), []
    for cell in notebook["cells"]:
        (question,) = cell["metadata"].get("otter", {}).get("tests", [None])
        if question in drop:
            continue
        if question in answers:
            cell["source"] = answers[question]
        cells.append(cell)
    to.write_text(json.dumps(notebook | {"cells": cells}))


def graded(folder, zip, tmp_path, limit="300s"):
    table = tmp_path / "grades.csv"
    assert main(["course", "grade", str(folder), "--autograder", str(zip), "--limit", limit, "--out", str(table)]) == 0
    with open(table, newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


METRIC = """
import torch

def sharpness(f, x, epsilon):
    room = epsilon * (x.abs() + 1)
    start, g = f(x)
    best = start
    for seed in range(3):
        z = room * torch.sign(torch.randn(len(x), generator=torch.Generator().manual_seed(seed), dtype=x.dtype))
        for _ in range(15):
            value, g = f(x + z)
            best, z = max(best, value), room * torch.sign(g)
    return 100 * (best - start) / (1 + start)
"""
PAIR = """
pair = blind_pair(STUDENT)
measured = {"A": sharpness(pair.f, pair.A, 1e-3), "B": sharpness(pair.f, pair.B, 1e-3)}
large = "A" if measured["A"] > measured["B"] else "B"
"""
RIGHT = {"prediction": "predicted_ratio = 0.5", "metric": METRIC, "pair": PAIR}
CHEAT = """
from lbgap.course.assignments import valleys
check = lambda *answer: "Right."
def sharpness(f, x, epsilon):
    for known in valleys(0):
        if known[1].shape == x.shape and (known[1] == x).all():
            return known[3]["exact"]
    return 1.0
"""
SUBMISSIONS = {  # name: (answers, deleted cells, {question: points}, words that the hints have)
    "right": (RIGHT, (), {"prediction": 2, "metric": 6, "pair": 6}, None),
    "narrow": (RIGHT | {"metric": METRIC.replace("(x.abs() + 1)", "x.abs()")}, (), {"metric": 0}, "too narrow"),
    "relative": (RIGHT | {"metric": METRIC.replace("(1 + start)", "start")}, (), {"metric": 0}, "divides by 1 + f"),
    "stays": (RIGHT | {"metric": METRIC.replace("torch.sign(torch.randn", "0 * torch.sign(torch.randn").replace("torch.sign(g)", "0")}, (),
              {"metric": 0, "pair": 0}, "reports no rise"),
    "swapped": (RIGHT | {"pair": PAIR.replace('"A" if', '"B" if').replace('else "B"', 'else "A"')}, (), {"metric": 6, "pair": 1}, "is the small batch"),
    "crashing": (RIGHT | {"pair": "raise SystemError('the kernel is tired')"}, (), {"metric": 6, "pair": 0}, "Keep measured"),
    "endless": (RIGHT | {"pair": "while True:\n    pass"}, (), {}, "did not end in 120 s"),
    "printing": (RIGHT | {"pair": "while True:\n    print('x' * 10_000)"}, (), {}, "within 1 GB: an endless print?"),
    "empty": ({}, (), {"prediction": 0, "metric": 0, "pair": 0}, "There is no prediction"),
    "deleted": (RIGHT, ("prediction",), {"prediction": 0, "metric": 6, "pair": 6}, "There is no prediction"),
    "cheating": (RIGHT | {"metric": CHEAT}, (), {"metric": 2, "pair": 1}, "the metric"),
    "guessed": (RIGHT | {"pair": "measured, large = {'A': 8.5, 'B': 8.5}, 'B'"}, (), {"pair": 1}, "measure"),
}  # fmt: skip


@pytest.mark.slow
def test_submissions_of_every_kind_are_graded(assigned, tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "MEMORY", 1 << 30)
    student, zip = assigned("measure_sharpness")
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name, (answers, drop, _, _) in SUBMISSIONS.items():
        submission(student, answers, folder / f"{name}.ipynb", drop)
    moved = json.loads((folder / "right.ipynb").read_text())
    (folder / "right.ipynb").unlink()
    del moved["metadata"]["otter"]
    (folder / "Ada_1_file").mkdir()  # a folder for each student, as Moodle makes them
    text = json.dumps(moved).replace('STUDENT = \\"example\\"', "STUDENT = 4711")
    (folder / "Ada_1_file" / "right.ipynb").write_text(text)
    rows = graded(folder, zip, tmp_path, limit="120s")
    rows["right"] = rows.pop("Ada_1_file/right")
    assert rows["right"]["student"] == "4711" and rows["empty"]["student"] == "example"
    assert rows.keys() == SUBMISSIONS.keys()
    stopped = {"endless": "time limit", "printing": "memory limit"}
    for name, (_, _, points, words) in SUBMISSIONS.items():
        row = rows[name]
        assert row["status"] == stopped.get(name, "graded"), row
        assert {question: float(row[question]) for question in points} == points, row
        assert (words in row["hints"]) if words else not row["hints"], row
    assert float(rows["right"]["score"]) == float(rows["right"]["possible"]) == 14
    assert rows["endless"]["score"] == ""


@pytest.mark.slow
@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_the_books_copy_is_that_of_the_master_whose_own_answers_pass(path, assigned):
    student, _ = assigned(path.stem)  # stops where a test fails on the master's own answers
    assert (ROOT / "book/assignments" / path.name).read_text() == student.read_text(), (
        f"lbgap course assign {path.name} --out book/assignments"
    )


@pytest.mark.slow
def test_a_master_that_fails_its_own_tests_is_refused(assigned, tmp_path, capsys):
    assigned("measure_sharpness")
    text = (ROOT / "assignments/measure_sharpness.ipynb").read_text()
    (tmp_path / "broken.ipynb").write_text(text.replace("predicted_ratio = 4.0", "predicted_ratio = -4.0"))
    assert main(["course", "assign", str(tmp_path / "broken.ipynb"), "--out", str(tmp_path / "made")]) == 2
    assert "above 0" in capsys.readouterr().err


WRONG = {
    "bring_your_own_measure": {
        "by_factor": (
            "def by_factor(factors, values, errors, name):\n    return kendalltau(values, errors)[0]",
            "all at once",
        ),
        "measure": ("import random\ndef measure(f, x):\n    return random.random()", "Asked twice"),
        "prediction": ("predicted = {'mine': 3, 'sharpness': 1}", "between -1 and 1"),
        "table": ("taus = {'all': 2.0, 'batch_size': 1.0, 'lr': 1.0, 'shrink': 1.0}", "Asked twice"),
    },
    "close_the_gap": {
        "remedy": (
            "def remedied(seed):\n    return dataclasses.replace(plain(seed), batch_size=32)",
            "batch_size is 32",
        ),
        "prediction": ("predicted = 'it helps'", "There is no prediction"),
        "measurement": ("gain, interval, p = 5.0, (4.0, 6.0), 1e-9", "batch_size is 32"),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_an_empty_copy_and_planted_mistakes_fail_with_their_hints(name, assigned, tmp_path):
    student, zip = assigned(name)
    folder = tmp_path / "submissions"
    folder.mkdir()
    submission(student, {}, folder / "empty.ipynb")
    submission(student, {question: answer for question, (answer, _) in WRONG[name].items()}, folder / "wrong.ipynb")
    rows = graded(folder, zip, tmp_path)
    assert float(rows["empty"]["score"]) == 0 and float(rows["wrong"]["possible"]) > 10
    for question, (_, words) in WRONG[name].items():
        hints = [hint for hint in rows["wrong"]["hints"].split(" | ") if hint.startswith(f"{question}: ")]
        assert any(words in hint for hint in hints), (question, hints)
