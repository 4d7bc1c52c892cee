"""Malformed calls of `lbgap`: each is refused in one line that names the value, with exit code 2; nothing is lost."""

import os
import shutil

import pytest
import torch
from conftest import ROOT

from lbgap import __main__

SOME = sorted((ROOT / "lbgap" / "store" / "train").iterdir())[0].stem  # a document's id
# (words after `lbgap`, what the line must name). WORLD says what lies in the folder where each is called.
SELECTIONS = [
    (("table9",), "table9"),
    (("Table2",), "Table2"),
    (("table", "2"), "table"),
    (("table2", "tabel3"), "tabel3"),
    (("../table2",), "../table2"),
    (("F1",), "F1"),
    (("table2,table3",), "table2,table3"),
    (("",), "''"),
    (("table2", "--networks", "F9"), "F9"),
    (("table2", "--networks", "f1"), "f1"),
    (("--networks", "F1", "table2"), "table2"),
    (("--networks", "F1,C1"), "F1,C1"),
    (("--networks", ""), "''"),
    (("--networks",), "--networks"),
    (("table2", "--networks", "mlp"), "mlp"),
    (("table2", "--networks", "F1", "mlp"), "mlp"),
    (("laboratory", "--networks", "C1"), "C1"),
    (("--trials", "99"), "99"),
    (("table2", "--trials", "0", "99"), "99"),
    (("table2", "--trials", "7"), "7"),
    (("--trials", "-1"), "-1"),
    (("--trials", "x"), "x"),
    (("--trials", "1.5"), "1.5"),
    (("--trials", "nan"), "nan"),
    (("--trials", "0-4"), "0-4"),
    (("--trials", ""), "''"),
    (("--trials",), "--trials"),
    (("--scale", "big"), "big"),
    (("--scale", "FULL"), "FULL"),
    (("--scale", ""), "''"),
    (("--scale",), "--scale"),
    (("--scale", "tiny", "--trials", "4"), "4"),
    (("--scale", "tiny", "--networks", "F2-timit"), "F2-timit"),
    (("--device", "gpu"), "gpu"),
    (("--device", "CPU"), "CPU"),
    (("--device", "cpu:"), "cpu:"),
    (("--device", "cuda:99"), "cuda:99"),
    (("--device", "meta"), "meta"),
    (("--device", "0"), "0"),
    (("--device", ""), "''"),
    (("--device",), "--device"),
    (("--experiments", "table2"), "--experiments"),
    (("--verbose",), "--verbose"),
]
RUNS = [
    *((("--budget", text), text or "''") for text in ("soon", "0s", "", "5d", "nan", "inf", "1e999s", "m", "1h30")),
    (("--budget=-3m",), "-3m"),
    *((("--threads", text), text or "''") for text in ("0", "-1", "1.5", "x", "", "2000", "9" * 30)),
    *((("--workers", text), text or "''") for text in ("0", "-1", "1.5", "x", "", "2000", "9" * 30)),
    (("--workers", "2", "--dask", "tcp://x:1"), "tcp://x:1"),
    (("--dask", ""), "''"),
    (("--dask", "nowhere://x"), "nowhere://x"),
    (("--dask", "tcp://127.0.0.1:1"), "tcp://127.0.0.1:1"),
    (("--dask", "tcp://127.0.0.1:1", "--device", "gpu"), "gpu"),
    (("--dask", "tcp://127.0.0.1:1", "--threads", "5000"), "5000"),
    (("--out", "file.txt"), "file.txt"),
    (("--out", "file.txt/inside"), "file.txt/inside"),
    (("--out", "~nobody-of-that-name/out"), "~nobody-of-that-name/out"),
    (("--out", "x" * 300), "x" * 300),
    (("--out", ""), "''"),
    (("--out",), "--out"),
    (("--retry=1",), "1"),
    (("--quiet=yes",), "yes"),
    (("--forget-weights=all",), "all"),
    (("--keep-weights",), "--keep-weights"),
]
MERGES = [
    ((), "folder"),
    (("nowhere",), "nowhere"),
    (("file.txt",), "file.txt"),
    (("file.txt/inside",), "file.txt/inside"),
    (("empty",), "empty"),
    (("",), "''"),
    (("~nobody-of-that-name",), "~nobody-of-that-name"),
    (("notebooks",), "notebooks"),
    (("empty", "empty"), "empty"),
    (("empty", "--replace=yes"), "yes"),
    (("empty", "--out", "x"), "--out"),
    (("--replace",), "folder"),
    (("x" * 300,), "x" * 300),
    (("damaged",), "damaged"),
    (("foreign",), "foreign"),
    (("foreign/bundle",), "foreign/bundle"),
    (("foreign", "--replace"), "foreign"),
]
SHOWS = [
    (("table9",), "table9"),
    (("TABLE2",), "TABLE2"),
    (("verdict2x",), "verdict2x"),
    (("zzzz",), "zzzz"),
    (("0" * 24,), "0" * 24),
    (("file.txt",), "file.txt"),
    (("-1",), "-1"),
    (("",), "''"),
    (("table2", "table3"), "table3"),
    (("table2", "--networks", "mlp"), "mlp"),
    (("table2", "--networks", "F9"), "F9"),
    (("table2", "--networks", "F1", "F9"), "F9"),
    (("table2", "--networks"), "--networks"),
    (("table2", "--networks", ""), "''"),
    (("fig4", "--networks", "mlp-bn"), "mlp-bn"),
    (("laboratory", "--networks", "F1"), "F1"),
    (("noisy_labels", "--networks", "wide"), "wide"),
    (("table2", "--to", "table2.png"), "table2.png"),
    (("fig4", "--to", "empty"), "empty"),
    (("fig4", "--to", "empty/"), "empty/"),
    (("fig4", "--to", "nowhere/fig4.png"), "nowhere"),
    (("fig4", "--to", "file.txt/fig4.png"), "file.txt"),
    (("fig4", "--to", "fig4"), "fig4"),
    (("fig4", "--networks", "F1", "--to", "fig4.xyz"), "xyz"),
    (("fig4", "--to", ""), "''"),
    (("fig4", "--to"), "--to"),
    (("fig4", "--to", "~nobody-of-that-name/fig4.png"), "~nobody-of-that-name"),
    (("table2", "--scale", "big"), "big"),
    (("table2", "--scale", "tiny", "--networks", "F2-timit"), "F2-timit"),
    (("table2", "--trials", "0"), "--trials"),
    (("--networks", "F1"), "F1"),
    (("--to", "out.png"), "out.png"),
    (("0", "--networks", "F1"), "F1"),
    (("0", "--to", "out.png"), "out.png"),
]
VERIFIES = [(("all",), "all"), (("--fix",), "--fix"), (("file.txt",), "file.txt"), (("--out", "x"), "x")]
NAMES = [
    "mnits",
    "MNIST",
    "mnist-val",
    "mnist-5k-val",
    "mnist-1k-val",
    "cifar10-val",
    "speech-val",
    "tiny-mnist-val",
    "make",
]
DATA = [
    ((), "NAME"),
    *(((name,), name) for name in NAMES),
    (("",), "''"),
    (("file.txt",), "file.txt"),
    (("mnist", "cifar10"), "mnist cifar10"),
    (("take", "speech"), "take speech"),
    (("make", "mnist"), "mnist"),
    (("make", "timit"), "timit"),
    (("make", "speech", "speech-lj"), "speech-lj"),
    (("make", ""), "''"),
    (("make", "speech", "--out", "file.txt"), "file.txt"),
    (("make", "speech-lj"), "LJ001-0001.wav"),
    (("tiny-mnist", "--out", "nowhere"), "nowhere"),
    (("tiny-mnist", "--out", "file.txt"), "file.txt"),
    (("tiny-mnist", "--out", "file.txt/inside"), "file.txt/inside"),
    (("tiny-mnist", "--out", ""), "''"),
    (("tiny-mnist", "--out"), "--out"),
    (("tiny-mnist", "--folder", "empty"), "--folder"),
    (("timit",), "timit"),
    (("speech",), "speech"),
    (("mnist",), "mnist"),
]
COURSES = [
    ((), "what"),
    (("mark",), "mark"),
    (("grade",), "MASTER|FOLDER"),
    (("assign",), "MASTER|FOLDER"),
    (("grade", "notebooks"), "--autograder"),
    (("grade", "notebooks", "--autograder"), "--autograder"),
    (("grade", "notebooks", "--autograder", "nowhere.zip"), "nowhere.zip"),
    (("grade", "notebooks", "--autograder", "empty"), "empty"),
    (("grade", "notebooks", "--autograder", "no.zip"), "no.zip"),
    (("grade", "notebooks", "--autograder", ""), "''"),
    (("grade", "nowhere", "--autograder", "empty.zip"), "nowhere"),
    (("grade", "empty", "--autograder", "empty.zip"), "empty"),
    (("grade", "file.txt", "--autograder", "empty.zip"), "file.txt"),
    (("grade", "", "--autograder", "empty.zip"), "''"),
    (("grade", "notebooks", "--autograder", "empty.zip", "--out", "empty"), "empty"),
    (("grade", "notebooks", "--autograder", "empty.zip", "--out", "nowhere/g.csv"), "nowhere"),
    (("grade", "notebooks", "--autograder", "empty.zip", "--out", "file.txt/g.csv"), "file.txt"),
    *((("grade", "notebooks", "--autograder", "empty.zip", "--limit", t), t or "''") for t in ("soon", "0", "", "inf")),
    (("assign", "nowhere.ipynb"), "nowhere.ipynb"),
    (("assign", "empty"), "empty"),
    (("assign", "file.txt"), "file.txt"),
    (("assign", "notebooks/broken.ipynb"), "broken.ipynb"),
    (("assign", "notebooks/foreign.ipynb"), "foreign.ipynb"),
    (("assign", "notebooks/plain.ipynb", "--out", "file.txt"), "file.txt"),
    (("assign", "notebooks/plain.ipynb", "--autograder", "empty.zip"), "empty.zip"),
    (("assign", "notebooks/plain.ipynb", "--limit", "9m"), "540"),
    (("assign", "notebooks/plain.ipynb", "notebooks"), "notebooks"),
]
OTHERS = [
    ((), "command"),
    (("",), "''"),
    (("stauts",), "stauts"),
    (("Run",), "Run"),
    (("table2",), "table2"),
    (("status", "--verison"), "--verison"),
    (("-x", "status"), "-x"),
]
IN_ENVIRONMENT = [
    *(
        (words, value, {"LBGAP_RESULTS": value})
        for words in (
            ("status", "table2"),
            ("run", "table2", "--networks", "F1"),
            ("show",),
            ("show", "table2"),
            ("verify",),
            ("merge", "empty"),
        )
        for value in ("file.txt", "file.txt/inside", "~nobody-of-that-name/results")
    ),
    *((words, "big", {"LBGAP_SCALE": "big"}) for words in (("status",), ("run",), ("show", "table2"))),
    *(
        (("data", "mnist"), value, {"LBGAP_DATA": value})
        for value in ("nowhere", "file.txt", "empty", "~nobody-of-that-name")
    ),
    (("data", "make", "speech-lj"), "empty", {"LBGAP_DATA": "empty"}),
    (("show",), "is damaged", {"LBGAP_RESULTS": "damaged"}),
    (("show", SOME), SOME, {"LBGAP_RESULTS": "damaged"}),
    (("show", SOME[:9]), SOME, {"LBGAP_RESULTS": "damaged"}),
    (("data", "make", "speech"), "file.txt", {"LBGAP_DATA": "file.txt"}),
]
CALLS = [
    *((("status", *words), value, {}) for words, value in SELECTIONS),
    *((("run", *words), value, {}) for words, value in SELECTIONS + RUNS),
    *((("merge", *words), value, {}) for words, value in MERGES),
    *((("show", *words), value, {}) for words, value in SHOWS),
    *((("verify", *words), value, {}) for words, value in VERIFIES),
    *((("data", *words), value, {"LBGAP_DATA": "empty"}) for words, value in DATA),
    *((("course", *words), value, {}) for words, value in COURSES),
    *((words, value, {}) for words, value in OTHERS),
    *IN_ENVIRONMENT,
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with three documents in results/, a file, an empty folder, and notebooks and zips that are none."""
    world = tmp_path_factory.mktemp("world")
    for path in sorted((ROOT / "lbgap" / "store" / "train").iterdir())[:3]:
        (world / "results" / "train").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, world / "results" / "train")
    (world / "damaged" / "train").mkdir(parents=True)
    whole = (world / "results" / "train" / f"{SOME}.json").read_bytes()
    (world / "damaged" / "train" / f"{SOME}.json").write_bytes(whole.replace(b"1", b"2", 1))
    (world / "foreign" / "package").mkdir(parents=True)
    (world / "foreign" / "package" / "package.json").write_text('{"name": "foreign", "version": "1.0"}')
    (world / "foreign" / "bundle").mkdir()
    (world / "foreign" / "bundle" / "results-0.jsonl").write_text('{"id": 1}\n[]\nnull\n{"spec": {"kind": "../x"}}\n')
    (world / "file.txt").write_text("a file")
    (world / "empty").mkdir()
    (world / "notebooks").mkdir()
    (world / "notebooks" / "broken.ipynb").write_text('{"cells": [')
    (world / "notebooks" / "foreign.ipynb").write_text('["not", "a", "notebook"]')
    (world / "notebooks" / "plain.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    (world / "no.zip").write_text("not a zip")
    (world / "empty.zip").write_bytes(b"PK\5\6" + bytes(18))
    return world


def lies(world):
    """{path: content} of all that lies there."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in world.rglob("*")}


@pytest.fixture
def called(world, monkeypatch, capsys):
    """A call of `lbgap` in that folder: its exit code, what it said, and that it left all as it was."""
    monkeypatch.chdir(world)
    monkeypatch.setenv("LBGAP_RESULTS", "results")
    for name in ("LBGAP_SCALE", "LBGAP_DATA"):
        monkeypatch.setenv(name, "")  # `--scale` sets it
    monkeypatch.setenv("HOME", str(world))
    monkeypatch.setenv("MPLCONFIGDIR", str(world.parent))

    def call(words, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        before = lies(world)
        try:
            code = __main__.main(list(words))
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        assert lies(world) == before
        return code, said.out, said.err

    return call


def test_there_are_200_of_them_and_no_two_are_the_same():
    assert len({repr(call) for call in CALLS}) == len(CALLS) >= 200


@pytest.mark.parametrize(
    "words, value, environment", CALLS, ids=lambda v: " ".join(v)[:60] if isinstance(v, tuple) else ""
)
def test_a_malformed_call_is_refused_in_one_line_that_names_the_value(called, words, value, environment):
    if "--dask" in words:
        config = pytest.importorskip("dask").config
        pytest.importorskip("distributed")
        with config.set({"distributed.comm.timeouts.connect": "0.3s"}):
            code, out, err = called(words, environment)
    else:
        code, out, err = called(words, environment)
    assert code == 2 and (not out or words[0] == "merge"), out  # which lists what it refuses
    assert err.startswith("lbgap: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert value in err and "Traceback" not in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("command", ["status", "run"])
def test_a_gpu_that_is_not_there_is_refused(called, command):
    code, _, err = called((command, "--device", "cuda"), {})
    assert code == 2 and err == "lbgap: --device is cuda; expected what is here, cpu\n"


def test_a_folder_that_may_not_be_written_is_refused_by_name(tmp_path):
    """As a user who may not: root may write everywhere, so it lays its rights down for the moment."""
    if not hasattr(os, "seteuid"):
        pytest.skip("no users here")
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.chmod(0o555)
    opened = [path for path in (tmp_path, *tmp_path.parents) if not path.stat().st_mode & 0o011 == 0o011]
    modes = [path.stat().st_mode for path in opened]
    root = os.geteuid() == 0
    try:
        for path, mode in zip(opened, modes):
            path.chmod(mode | 0o011) if root else None
        if root:
            os.seteuid(65534)
        with pytest.raises(ValueError, match="--out is .*theirs/new; expected a folder of yours, but .*theirs may not"):
            __main__._folder("--out", folder / "new")
    finally:
        if root:
            os.seteuid(0)
        for path, mode in zip(opened, modes):
            path.chmod(mode) if root else None
