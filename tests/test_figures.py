"""Tables, verdicts and pictures against numbers worked out by hand, and the packaged store against its checksums."""

import math
import re

import numpy as np
import pytest
from scipy import stats

import lbgap
from lbgap import experiments, figures, paper, results, stored


@pytest.fixture
def store(monkeypatch, tmp_path):
    """An empty store, into which a test writes made-up results."""
    made = results.Store(tmp_path, packaged=None)
    monkeypatch.setattr(results, "Store", lambda *_: made)

    def write(network="F1", small=(98.1, 98.0, 98.2), large=(97.8, 97.9, 97.7), sharp=((1.0, 2.0), (100.0, 150.0))):
        for arm, accuracies, values in zip((0, 1), (small, large), sharp):
            for trial, accuracy in enumerate(accuracies):
                run = units.pair(network, trial)[arm]
                both = {split: {"loss": 0.1, "accuracy": accuracy} for split in ("train", "test")}
                made.put(units.train(run), {
                    "diverged": False, "epochs": 2, "distance": 12.0 if arm == 0 else 3.0,
                    "final": {mode: both for mode in ("batch", "recalibrated", "frozen")},
                    "history": {"train_accuracy": [99.0, 99.5], "test_accuracy": [97.0, accuracy]}}, {})
            for trial, value in enumerate(values):
                run = units.pair(network, trial)[arm]
                entries = [{"epsilon": e, "value": value * e / 1e-3, "first_order": 0.5} for e in units.EPSILONS]
                made.put(units.sharpness(run), {"diverged": False, "values": entries}, {})
                made.put(units.sharpness(run, solver="literal"), {"diverged": False, "values": [
                    {**entry, "value": 0.9 if arm == 0 else 0.1} for entry in entries]}, {})
    made.write = write
    return made


def test_welch_is_scipys():
    a, b = [98.1, 98.0, 98.25, 98.3], [97.8, 97.9, 97.7]
    ours = figures.difference(a, b)[1]
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert ours == pytest.approx((theirs.low, theirs.high))


def test_table_2_has_our_mean_and_deviation_beside_the_papers(store):
    store.write()
    row = str(figures.table2()).splitlines()[-1]
    assert row == "| F1 | test | 98.10 ± 0.10 % | 98.03 ± 0.07 % | 97.80 ± 0.10 % | 97.81 ± 0.07 % |"


@pytest.mark.parametrize("small, large, word", [
    ((98.1, 98.0, 98.2), (97.8, 97.9, 97.7), "reproduced"),
    ((97.8, 97.9, 97.7), (98.1, 98.0, 98.2), "reversed"),
    ((98.1, 97.0, 98.2), (97.8, 97.9, 98.7), "not settled"),
])
def test_verdict_2_follows_the_numbers(store, small, large, word):
    store.write(small=small, large=large)
    text = str(figures.verdict2())
    assert f"the gap is {word}" in text and "3 trials of 5, the others pending" in text


def test_verdict_3_compares_on_a_log_scale(store):
    store.write()
    text = str(figures.verdict3())
    ratio = math.sqrt(100 * 150) / math.sqrt(1 * 2)
    assert f"LB is {ratio:.1f} times as sharp as SB" in text and "in the paper, 166.8 times" in text


def test_verdict_3_is_withheld_when_the_ranking_turns(store):
    store.write(sharp=((100.0, 150.0), (1.0, 2.0)))
    assert "Verdict: not reproduced" in str(figures.verdict3())


def test_the_solver_story_says_when_the_literal_metric_flips(store):
    store.write()
    text = str(figures.solver_verdict())
    assert "turns the ranking round" in text and "LB comes out flatter than SB in 2 of 2" in text


def test_distances_know_the_papers_range(store):
    store.write()
    assert "inside the paper's range" in str(figures.distances()) and "4.8" in str(figures.distances())  # sqrt(235 / 10)


def test_everything_says_pending_over_an_empty_store(store):
    for name in ("table2", "verdict2", "distances", "modes2", "table3", "table4", "solvers", "solver_verdict", "path_verdict"):
        assert re.search("pending", str(getattr(figures, name)())), name
    assert "pending" in str(figures.laboratory_verdict("mlp"))
    assert stored.paths([], []) == {}


def test_figures_are_drawn_from_what_is_there(store):
    store.write()
    assert len(figures.fig2().axes[1].lines) == 3 + 3 + 2  # every trial and two means
    for figure in (figures.fig1(), figures.path("linear")):
        assert figure.get_facecolor()[:3] == (1, 1, 1)  # opaque, for dark mode


def test_the_papers_numbers_are_complete():
    numbers = paper.numbers()
    assert numbers["table2"]["C1"]["test"] == {"SB": [80.04, 0.12], "LB": [77.26, 0.42]}
    assert all(set(numbers[t]) == {"F1", "F2", "C1", "C2", "C3", "C4"} for t in ("table2", "table3", "table4"))


# -- what is packaged -------------------------------------------------------------------------------------------------


def test_no_packaged_document_was_changed(tmp_path):
    store = results.Store(tmp_path)
    assert store.verify() == [] and len(store.paths()) > 100


def test_packaged_documents_say_where_they_come_from(tmp_path):
    for path in results.Store(tmp_path).paths():
        document = results.read(path)
        assert set(document["provenance"]) == {"device", "threads", "seconds", "date", "commit", "data", "versions"}
        runs = [document["spec"][k] for k in ("run", "runs") if k in document["spec"]]
        dataset = np.ravel(runs)[0]["dataset"]
        assert document["provenance"]["data"] == lbgap.data.CHECKSUMS[dataset]


@pytest.mark.parametrize("arm, name", [(0, "F1-SB"), (1, "F1-LB")])
def test_packaged_minimizers_are_those_of_the_stored_runs(arm, name):
    minimizer, run = lbgap.minimizer(name), units.pair("F1", 0)[arm]
    document = stored.result(units.train(run))
    assert minimizer.run == run and minimizer.history == document["history"]
    x0 = lbgap.objective.flat(lbgap.networks.build("F1", seed=run.init_seed).parameters())
    assert (minimizer.x - x0).double().norm().item() == pytest.approx(document["distance"], rel=1e-6)


def test_packaged_paths_end_at_the_stored_losses():
    for path in results.Store().paths():
        document = results.read(path)
        if document["spec"]["kind"] != "path":
            continue
        result = document["result"]
        for run, alpha in zip(document["spec"]["runs"], (0.0, 1.0)):
            end = stored.result(units.train(lbgap.Run(**run)))["final"]["batch"]
            i = result["alpha"].index(alpha)
            for split in ("train", "test"):
                assert result[f"{split}_loss"][i] == end[split]["loss"], document["id"]


def test_packaged_minimizers_are_under_15_mb():
    folder = lbgap.training.pathlib.Path(lbgap.__file__).parent / "minimizers"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 15e6
