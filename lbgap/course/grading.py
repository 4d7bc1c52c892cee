"""Grading with Otter-Grader: a master becomes a student notebook and an autograder, and a folder of notebooks a table.

Each submission runs in processes of its own, for a limited time, as the user who grades: not in a sandbox. Who does not
trust the submissions grades in a container.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable

LIMIT = 600.0  # seconds a submission may take
MEMORY = 6 << 30  # bytes that it may hold; a loop that prints without end takes them in a minute


def assign(master: str | os.PathLike, out: str | os.PathLike) -> tuple[pathlib.Path, pathlib.Path]:
    """Make the students' notebook and the autograder of a master; the master's own answers must pass every test.

    Args:
        master: the notebook, in the format of `otter assign`.
        out: the folder for NAME.ipynb and NAME-autograder.zip.

    Returns:
        The two paths.

    Raises:
        ImportError: without Otter-Grader.
        FileNotFoundError: without the master.
        ValueError: where a test fails on the master's own answers, and where the copy would replace the master.
    """
    master, out = pathlib.Path(master).resolve(), pathlib.Path(out)
    if not master.is_file():
        raise FileNotFoundError(f"{master} is missing; expected a master, such as assignments/measure_sharpness.ipynb")
    try:
        json.loads(master.read_bytes())["cells"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{master} is damaged ({type(error).__name__}: {error}); expected a notebook") from error
    if (out / master.name).resolve() == master:
        raise ValueError(
            f"{master} would be replaced by the students' copy; expected another --out than its own folder"
        )
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder)
        copy = shutil.copy(master, made)
        said, code = _otter(["assign", "--no-pdfs", copy, str(made / "made")], None)
        if code:
            raise ValueError(f"otter assign stopped at {master.name}:\n{said[-3000:]}")
        out.mkdir(parents=True, exist_ok=True)
        student, grader = out / master.name, out / f"{master.stem}-autograder.zip"
        student.write_text(_clean(made / "made" / "student" / master.name), encoding="utf-8")
        shutil.copy(next((made / "made" / "autograder").glob("*.zip")), grader)
    return student, grader


def grade(
    folder: str | os.PathLike,
    autograder: str | os.PathLike,
    limit: float = LIMIT,
    out: str | os.PathLike = "grades.csv",
    progress: Callable = print,
) -> list[dict]:
    """Grade every notebook of a folder, and write a table with a row for each.

    Args:
        folder: of .ipynb files, in it or in folders of it.
        autograder: the zip of `assign`.
        limit: seconds that one submission may take, with its tests.
        out: the CSV file: submission, the id that the notebook gives its student, status, score, possible (both
            without what is marked by hand), a column for each question, and the hints of what failed.
        progress: told each row as a line of words.

    Returns:
        The rows. A submission that does not end, or that cannot be run, has a row that says so and no score.

    Raises:
        ImportError: without Otter-Grader.
        FileNotFoundError: where there is no autograder or no notebook.
    """
    autograder = pathlib.Path(autograder).resolve()
    folder = pathlib.Path(folder)
    notebooks = sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    if not autograder.is_file():
        raise FileNotFoundError(f"{autograder} is missing; `lbgap course assign MASTER` makes it")
    if not zipfile.is_zipfile(autograder):
        raise ValueError(f"{autograder} is no zip; expected what `lbgap course assign MASTER` made")
    if not notebooks:
        raise FileNotFoundError(f"{folder} has no notebooks; expected submissions, NAME.ipynb")
    rows = []
    for path in notebooks:
        name = path.relative_to(folder).with_suffix("").as_posix()
        rows.append({"submission": name, **_graded(path.resolve(), autograder, limit)})
        progress(f"{name}: {rows[-1]['status']}, {rows[-1].get('score', '-')} of {rows[-1].get('possible', '-')}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    first = ("submission", "student", "status", "score", "possible")
    names.sort(key=lambda name: first.index(name) if name in first else len(first) + (name == "hints"))
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def command(options: argparse.Namespace) -> int:
    """`lbgap course assign MASTER` and `lbgap course grade FOLDER`."""
    if options.what == "assign":
        print(*assign(options.path, options.out or "."), sep="\n")
    else:
        rows = grade(options.path, options.autograder, options.limit or LIMIT, options.out or "grades.csv")
        print(f"{options.out or 'grades.csv'}: {len(rows)} submissions")
    return 0


def _graded(path, autograder, limit) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        student, copy = _submitted(path, autograder, pathlib.Path(folder))
        said, code = _otter(["run", "-a", str(autograder), "-o", folder, "--no-logo", str(copy)], limit)
        results = pathlib.Path(folder) / "results.json"
        if isinstance(code, str):
            told = {"time limit": f"in {limit:g} s.", "memory limit": f"within {MEMORY >> 30} GB: an endless print?"}
            return {"student": student, "status": code, "hints": f"It did not end {told[code]}"}
        if not results.is_file():
            return {"student": student, "status": "cannot be run", "hints": " ".join(said.split())[-300:]}
        tests = json.loads(results.read_text(encoding="utf-8"))["tests"]
    row = {"student": student, "status": "graded", "score": 0.0, "possible": 0.0}
    hints = []
    for test in tests:
        if test.get("max_score") is None:  # the summary of the public tests
            continue
        row[test["name"]] = test["score"]
        row["score"] += test["score"]
        row["possible"] += test["max_score"]
        found = re.findall(r"^\s*(?:\w+): (.+)$", test.get("output", ""), re.M)
        hints += [f"{test['name']}: {hint}" for hint in dict.fromkeys(found) if test["score"] < test["max_score"]]
    return row | {"hints": " | ".join(hints)}


def _submitted(path, autograder, folder) -> tuple[str, pathlib.Path]:
    """The id that a submission gives its student, and a copy that names its assignment, as not every editor does."""
    copy = folder / path.name
    try:
        notebook = json.loads(path.read_bytes())
        code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
        with zipfile.ZipFile(autograder) as made:
            name = json.loads(made.read("otter_config.json"))["assignment_name"]
        notebook["metadata"].setdefault("otter", {}).setdefault("assignment_name", name)
        copy.write_text(json.dumps(notebook), encoding="utf-8")
    except (ValueError, TypeError, KeyError, AttributeError):  # no notebook, as Otter will say
        return "", path
    found = re.search(r"""^STUDENT *= *["']?([^"'#\n]*)""", code, re.M)
    return found[1].strip() if found else "", copy


def _otter(arguments, limit) -> tuple[str, int | str]:
    """What Otter said, and its exit code, or the limit at which it was stopped, together with its kernels."""
    if importlib.util.find_spec("otter") is None:
        raise ImportError('grading needs Otter-Grader, which is not installed; pip install "lbgap[teach]"')
    import psutil

    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([sys.executable, "-m", "otter", *arguments], stdout=log, stderr=subprocess.STDOUT)
        code, end = None, time.monotonic() + (limit or float("inf"))
        try:
            while code is None:
                if time.monotonic() > end:
                    code = "time limit"
                elif _held(process.pid) > MEMORY:
                    code = "memory limit"
                else:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        code = process.wait(0.5)
        finally:  # a kernel is in a session of its own, and goes on without its parent
            if process.poll() is None:
                for left in (*psutil.Process(process.pid).children(recursive=True), process):
                    left.kill()
            process.wait()
        log.seek(0)
        return log.read(), code


def _held(pid) -> int:
    """The bytes that a process and its children hold."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    return 0


def _clean(path) -> str:
    """A student's notebook without outputs, and with the ids of its cells in order, so that it is the same each
    time."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"cell-{number}"
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
