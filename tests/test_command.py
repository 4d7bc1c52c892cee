"""The command `lbgap`, as a reader types it, on a tiny experiment."""

import json
import re

import numpy as np
import pytest
import torch

from lbgap import __main__, data, results
from lbgap.campaign import experiments, order, units
from lbgap.training import Run


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """One experiment of two short runs on random images, and no packaged documents."""
    g = torch.Generator().manual_seed(0)
    draw = lambda k: (torch.rand(k, 1, 28, 28, generator=g), torch.arange(k) % 10)
    dataset = data.Data("tiny", *draw(40), *draw(20), 10, "no checksum")
    monkeypatch.setattr(data, "load", lambda *a: dataset)
    run = lambda trial: Run("mlp", "mnist-1k", 10, seed=trial, epochs=2)
    monkeypatch.setattr(
        experiments,
        "EXPERIMENTS",
        {
            "one": experiments.Experiment("the first", lambda network, trial: [units.train(run(trial))], ("F1",)),
            "two": experiments.Experiment(
                "the second", lambda network, trial: [units.sharpness(run(trial), [1e-3])], ("F1",)
            ),
        },
    )
    monkeypatch.setattr(order, "FIRST", ((("two",), ("F1",), (1,)), (("one",), ("F1",), None)))
    monkeypatch.delenv("LBGAP_SCALE", raising=False)
    monkeypatch.setattr(results.Store.__init__, "__defaults__", (None, None))
    monkeypatch.setenv("LBGAP_RESULTS", str(tmp_path / "results"))


@pytest.fixture
def lbgap(capsys):
    def call(*words):
        code = __main__.main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


SELECTION = "--networks", "F1", "--trials", "0", "1"


def rows(text):
    """{name: (done, missing)} of `lbgap status`."""
    return {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r"^(\w+) +the \w+ +(\d+) +(\d+) +\d+  ", text, re.M)}


def test_status_run_status(lbgap, tmp_path):
    code, out, _ = lbgap("status", *SELECTION)
    assert code == 0 and rows(out) == {"one": (0, 2), "two": (0, 2)} and str(tmp_path / "results") in out
    code, out, _ = lbgap("run", "one", "--quiet", *SELECTION)
    assert code == 0 and "2 done, 0 failed, 0 left" in out and "done: train mlp batch 10 seed 1" in out
    assert rows(lbgap("status", *SELECTION)[1]) == {"one": (2, 0), "two": (0, 2)}
    assert rows(lbgap("status", "two", *SELECTION)[1]) == {"two": (0, 2)}
    code, out, _ = lbgap("run", "--quiet", *SELECTION)
    assert code == 0 and "2 done" in out
    assert "0 done, 0 failed, 0 left" in lbgap("run", "--quiet", *SELECTION)[1]


def test_status_tells_failures_and_the_cost_of_what_is_missing(lbgap, monkeypatch):
    out = lbgap("status", *SELECTION)[1]
    assert re.search(r"^two +the second +0 +2 +0  .*\d (s|min|h|days)$", out, re.M) and "GFLOP/s" in out
    assert "all that is missing" in out
    monkeypatch.setitem(
        experiments.EXPERIMENTS,
        "one",
        experiments.Experiment("the first", lambda *a: [units.train(Run("mlp", "mnist-1k", 41))], ("F1",)),
    )
    lbgap("run", "one", "--quiet", *SELECTION)
    assert re.search(r"^one +the first +0 +1 +1  ", lbgap("status", "one", *SELECTION)[1], re.M)


def test_without_a_name_a_cpu_computes_in_the_order_that_status_shows(lbgap):
    code, out, _ = lbgap("status")
    (at,) = re.findall(r"^F1: two, trial 1 +0 +(\d+)  .*\nF1: one, trials 0, 1, 2, 3, 4 +0 +(\d+)  ", out, re.M)
    assert code == 0 and at == ("1", "5")
    code, out, _ = lbgap("run", "--quiet")
    assert code == 0 and [line.split()[2] for line in out.splitlines() if " done: " in line][:2] == [
        "sharpness",
        "train",
    ]


def test_run_carries_results_home_and_merge_brings_them_in(lbgap, tmp_path, monkeypatch):
    out = tmp_path / "out"
    lbgap("run", "one", "--quiet", *SELECTION)  # an earlier call, whose results did not come home
    code, _, err = lbgap("run", "--out", str(out), "--forget-weights", *SELECTION)
    assert code == 0 and not list((tmp_path / "results" / "work").glob("*.pt"))
    assert "epoch" in err or not err  # a bar, where something was trained, as --quiet was not said
    assert sum(len(f.read_bytes().splitlines()) for f in out.iterdir()) == 4
    monkeypatch.setenv("LBGAP_RESULTS", str(tmp_path / "home"))
    assert "4 documents added" in lbgap("merge", str(out))[1]
    assert rows(lbgap("status", *SELECTION)[1]) == {"one": (2, 0), "two": (2, 0)}
    code, _, err = lbgap("merge", str(tmp_path))
    assert code == 2 and "results-*.jsonl" in err


@pytest.mark.parametrize(
    "words, expected",
    [
        (("--workers", "0"), "--workers is 0; expected 1 to"),
        (("--workers", "2", "--dask", "tcp://x"), "expected no --workers beside it"),
    ],
)
def test_engines_that_make_no_sense_are_refused(lbgap, words, expected):
    code, _, err = lbgap("run", *words)
    assert code == 2 and expected in err


def test_dask_that_is_not_installed_is_told(lbgap, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    code, _, err = lbgap("run", "--dask", "tcp://127.0.0.1:1")
    assert code == 2 and "lbgap[cluster]" in err


def test_run_leaves_what_its_budget_does_not_allow(lbgap):
    code, out, _ = lbgap("run", "--quiet", "--budget", "0.000001s", *SELECTION)
    assert code == 0 and "0 done, 0 failed, 4 left" in out


def test_a_unit_that_fails_makes_the_exit_code(lbgap, monkeypatch):
    monkeypatch.setitem(
        experiments.EXPERIMENTS,
        "one",
        experiments.Experiment("the first", lambda *a: [units.train(Run("mlp", "mnist-1k", 41))], ("F1",)),
    )
    for words in ((), (), ("--retry",)):
        code, out, _ = lbgap("run", "one", "--quiet", *words, *SELECTION)
        assert code == 1 and "1 failed" in out and "batch_size is 41" in out


def test_show_lists_the_documents_and_prints_one(lbgap):
    lbgap("run", "--quiet", *SELECTION)
    lines = lbgap("show")[1].splitlines()
    assert len(lines) == 4 and sum("train mlp batch 10 seed 0" in line for line in lines) == 1
    name = lines[0].split()[0]
    code, out, _ = lbgap("show", name[:10])
    assert code == 0 and json.loads(out)["id"] == name
    code, out, err = lbgap("show", "no-such-id")
    assert code == 2 and "no-such-id" in err and not out


def test_verify_names_the_damaged_file(lbgap, tmp_path):
    lbgap("run", "--quiet", *SELECTION)
    code, out, _ = lbgap("verify")
    assert code == 0 and out.startswith("4 documents")
    path = sorted((tmp_path / "results").glob("*/*.json"))[2]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, out, _ = lbgap("verify")
    assert code == 1 and str(path) in out and len(out.splitlines()) == 1
    code, _, err = lbgap("show")
    assert code == 2 and str(path) in err


def test_verify_and_run_name_what_cannot_be_read(lbgap, tmp_path):
    lbgap("run", "--quiet", *SELECTION)
    path = sorted((tmp_path / "results").glob("*/*.json"))[2]
    path.unlink()
    path.mkdir()
    code, out, _ = lbgap("verify")
    assert code == 1 and str(path) in out and len(out.splitlines()) == 1
    code, out, err = lbgap("run", "--quiet", "--out", str(tmp_path / "out"), *SELECTION)
    assert code == 0 and str(path) in out and "1 done, 0 failed, 0 left" in out
    assert sum(len(f.read_bytes().splitlines()) for f in (tmp_path / "out").iterdir()) == 4
    assert lbgap("verify")[0] == 0


@pytest.mark.parametrize("text, expected", [("90s", 90), ("9m", 540), ("2h", 7200), ("1.5m", 90), ("30", 30)])
def test_a_time(text, expected):
    assert __main__._seconds(text) == expected


@pytest.mark.parametrize("text", ["soon", "-3m", "0s", "", "m", "nan", "5d"])
def test_a_bad_budget_is_refused_by_name(lbgap, capsys, text):
    with pytest.raises(SystemExit) as stop:
        lbgap("run", f"--budget={text}")
    assert stop.value.code == 2 and repr(text) in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, expected",
    [
        (("run", "table9"), "'table9'.*one, two"),
        (("status", "table9"), "'table9'"),
        (("run", "one", "--networks", "F9"), "'F9'.*F1"),
        (("status", "--networks", "F9"), "'F9'"),
    ],
)
def test_an_unknown_experiment_or_network_is_refused_by_name(lbgap, words, expected):
    code, _, err = lbgap(*words)
    assert code == 2 and re.search(expected, err) and err.startswith("lbgap: ")


def test_an_interrupted_run_says_that_it_goes_on(lbgap, monkeypatch):
    from lbgap import campaign

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "run", interrupt)
    code, _, err = lbgap("run", "--quiet")
    assert code == 130 and "goes on" in err


def test_data_packs_a_set_for_a_machine_without_torchvision(lbgap, tmp_path, monkeypatch):
    arrays = np.zeros((4, 1, 28, 28), np.uint8), np.arange(4), np.ones((2, 1, 28, 28), np.uint8), np.arange(2)
    monkeypatch.setattr(data, "raw", lambda name, folder: arrays)
    code, out, _ = lbgap("data", "mnist", "--out", str(tmp_path))
    path = tmp_path / "lbgap-mnist.npz"
    assert code == 0 and out.strip() == str(path)
    monkeypatch.undo()
    monkeypatch.setenv("LBGAP_DATA", str(tmp_path))
    assert all(map(np.array_equal, data.raw("mnist", str(tmp_path)), arrays))
    code, _, err = lbgap("data", "mnist", "--out", str(tmp_path / "nowhere"))
    assert code == 2 and err
    code, _, err = lbgap("data", "mnits")
    assert code == 2 and "'mnits'" in err
