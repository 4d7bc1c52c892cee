"""The campaign at tiny scale: nothing twice, goes on after its budget, survives neighbours and failures."""

import dataclasses
import inspect
import itertools
import json
import math
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from conftest import ROOT

from lbgap import campaign, data, metric, networks, results, training
from lbgap.campaign import measurements, order, units, workers
from lbgap.objective import Objective, flat
from lbgap.training import Run


def tiny():
    """A data set of random images."""
    g = torch.Generator().manual_seed(0)
    draw = lambda k: (torch.rand(k, 1, 28, 28, generator=g), torch.arange(k) % 10)
    return data.Data("tiny", *draw(60), *draw(20), 10, "no checksum")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    dataset = tiny()
    monkeypatch.setattr(data, "load", lambda *a: dataset)


@pytest.fixture
def store(tmp_path):
    return results.Store(tmp_path, packaged=None)


SB, LB = (Run("mlp-bn", "mnist-1k", b, epochs=3) for b in (8, 60))
DIVERGES = Run("mlp", "mnist-1k", 8, epochs=3, optimizer="sgd", lr=1e30)


def go(todo, store, **settings):
    return campaign.run(todo, store, progress=False, **settings)


def result(store, unit):
    return store.get(unit)["result"]


@pytest.fixture
def trained(monkeypatch):
    """Counts the epochs that are trained."""
    epochs, epoch = [], training._epoch
    monkeypatch.setattr(training, "_epoch", lambda step, *a: epochs.append(step.run.id) or epoch(step, *a))
    return epochs


# ------------------------------------------------------------------------------------------------------- once only


def test_units_that_are_done_are_not_repeated_and_a_run_is_trained_once(store, trained):
    todo = [units.train(SB), units.sharpness(SB), units.path(SB, LB, "linear"), units.train(LB)]
    assert go(todo, store) == {"done": 4, "failed": 0, "left": 0}
    assert trained == 3 * [SB.id] + 3 * [LB.id]
    before = {p: p.read_bytes() for p in store.paths()}
    assert len(before) == 4 and store.verify() == []
    assert go(todo, store) == {"done": 0, "failed": 0, "left": 0}
    assert len(trained) == 6 and {p: p.read_bytes() for p in store.paths()} == before


def test_a_unit_that_is_packaged_is_not_computed(tmp_path, trained):
    go([units.train(SB)], results.Store(tmp_path / "packaged", packaged=None))
    trained.clear()
    user = results.Store(tmp_path / "user", packaged=tmp_path / "packaged")
    assert go([units.train(SB)], user) == {"done": 0, "failed": 0, "left": 0} and not trained


def test_weights_that_nothing_needs_are_deleted_on_request(store):
    broken = units.sharpness(LB, solver="no such solver")
    go([units.train(SB)], store)
    assert (store.folder / "work" / f"{SB.id}.pt").exists()
    go([units.train(SB), units.train(LB), broken], store, keep_weights=False)
    assert [p.stem for p in (store.folder / "work").glob("*.pt")] == [LB.id]  # the broken unit needs it still


def test_the_provenance_names_the_data_the_time_and_the_commit(store):
    unit = units.train(SB)
    go([unit], store)
    p = store.get(unit)["provenance"]
    assert p["data"] == "no checksum" and p["threads"] == 1 and p["seconds"] >= 0 and p["commit"]


# ----------------------------------------------------------------------------------------------------- budget, kill


def test_the_provenance_names_the_minimiser_and_a_run_that_ends_elsewhere_is_told(store, capsys):
    units_of = [units.train(SB), units.sharpness(SB, (1e-3,), iterations=1), units.path(SB, LB, "linear", points=3)]
    go(units_of, store)
    named = [store.get(unit)["provenance"]["x"] for unit in units_of]
    checksums = {of.id: training.train(of, progress=False).checksum for of in (SB, LB)}
    assert named == [{SB.id: checksums[SB.id]}] * 2 + [checksums]
    assert store.verify() == [] and "not on the minimiser" not in capsys.readouterr().out
    state = torch.load(store.folder / f"work/{SB.id}.pt", weights_only=True)
    state["network"]["0.weight" if "0.weight" in state["network"] else next(iter(state["network"]))] += 1e-6
    torch.save(state, store.folder / f"work/{SB.id}.pt")  # as another machine would have rounded
    go([units.sharpness(SB, (5e-4,), iterations=1)], store)
    assert "not on the minimiser that is stored as trained" in capsys.readouterr().out
    (told,) = store.verify()
    assert SB.id in told


def test_a_budget_stops_it_and_the_next_call_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """The clock goes on by a second each time that it is read, so that it stops within training and measurement."""
    todo = [units.train(SB), units.sharpness(SB), units.path(SB, LB, "linear")]
    whole, pieces = (results.Store(tmp_path / name, packaged=None) for name in ("whole", "pieces"))
    go(todo, whole)
    counts = []
    with monkeypatch.context() as m:
        m.setattr(workers.time, "monotonic", itertools.count().__next__)
        for budget in itertools.chain([1, 5, 5, 5, 8, 20], itertools.count(40, 20)):
            counts.append(go(todo, pieces, budget=budget))
            if not counts[-1]["left"]:
                break
    assert len(counts) > 4 and counts[0] == {"done": 0, "failed": 0, "left": 3}
    assert sum(c["done"] for c in counts) == 3 and all(c["failed"] == 0 for c in counts)
    for unit in todo:
        assert result(pieces, unit) == result(whole, unit)


def test_a_budget_counts_seconds_and_not_the_clock_on_the_wall(store, monkeypatch):
    """Somebody sets the clock on by a million seconds each time that it is read."""
    monkeypatch.setattr(time, "time", itertools.count(0, 1_000_000).__next__)
    todo = [units.train(SB), units.sharpness(SB, [1e-3], iterations=1), units.path(SB, LB, "linear", points=3)]
    assert go(todo, store, budget=1000) == {"done": 3, "failed": 0, "left": 0}


@pytest.mark.parametrize("offset", [-1e9, 1e9])
@pytest.mark.parametrize("budget, expected", [(1000, "done"), (1e-9, "left")])
def test_a_worker_on_another_machine_counts_by_its_own_clock(store, monkeypatch, offset, budget, expected):
    """Another machine began to count at another moment, and has another boot id."""

    class Elsewhere(workers._Here):
        def submit(self, function, /, *arguments, **settings):
            now = time.monotonic
            with monkeypatch.context() as m:
                m.setattr(time, "monotonic", lambda: now() + offset)
                m.setattr(workers, "_clock", lambda: "another")
                return super().submit(function, *arguments, **settings)

    assert go([units.train(SB)], store, budget=budget, executor=Elsewhere())[expected] == 1


def test_units_that_wait_for_a_worker_of_this_machine_get_no_time_of_their_own(store, monkeypatch):
    """The second unit is handed over before the budget ends, and begins after it."""
    tasks = []

    class Slow(workers._Here):
        def submit(self, *arguments):
            task = workers.futures.Future()
            tasks.append((task, arguments))
            if len(tasks) == 2:
                for k, (waiting, (function, *rest)) in enumerate(tasks):
                    monkeypatch.setattr(time, "monotonic", lambda k=k: 50 + 100 * k)
                    waiting.set_result(function(*rest))
            return task

    monkeypatch.setattr(time, "monotonic", lambda: 0)
    done = go([units.train(SB), units.train(LB)], store, budget=100, executor=Slow())
    assert done == {"done": 1, "failed": 0, "left": 1}


def test_a_budget_in_which_no_unit_is_done_says_what_the_next_one_takes(store, monkeypatch, capsys):
    monkeypatch.setattr(workers.cost, "rate", lambda device: workers.cost.work(units.train(SB)) / 200)
    go([units.train(SB), units.train(LB)], store, budget=1e-6)
    (said,) = capsys.readouterr().out.splitlines()
    assert "no unit was done in the budget of 1e-06 s" in said
    assert f"{units.describe(units.train(SB))} takes about 3 min on cpu" in said
    go([units.train(SB)], store, budget=1000)
    assert "no unit" not in capsys.readouterr().out
    other = units.throughput(SB, "cuda")  # left for another reason
    go([other], store, budget=1000)
    assert "no unit" not in capsys.readouterr().out


DAMAGES = {
    "empty": lambda path, content: path.write_bytes(b""),
    "cut": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "foreign": lambda path, content: path.write_bytes(b"\x89PNG\r\n\x1a\n\xff"),
    "a folder": lambda path, content: path.mkdir(),
}


@pytest.mark.parametrize("which", ["document", "checkpoint", "error"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_costs_its_own_unit_alone(store, capsys, which, damage):
    todo = [units.train(SB), units.train(LB)]
    broken = units.sharpness(LB, solver="guess")
    go([*todo, broken], store)
    first = [store.get(unit)["result"] for unit in todo]
    path = {
        "document": store.path(todo[0]),
        "checkpoint": store.folder / "work" / f"{SB.id}.pt",
        "error": store.folder / "work" / f"{results.content_id(broken)}.error",
    }[which]
    if which == "checkpoint":
        store.path(todo[0]).unlink()
    content = path.read_bytes()
    path.unlink()
    damage(path, content)
    store.path(todo[1]).unlink()
    capsys.readouterr()
    count = go([broken, *todo], store)
    said = capsys.readouterr().out
    assert count == {"done": 1 if which == "error" else 2, "failed": 1, "left": 0}
    told = [line for line in said.splitlines() if str(path) in line]
    assert len(told) == 1 and f"{path.name}.damaged" in told[0] and path.with_name(f"{path.name}.damaged").exists()
    assert ("failed before" in said) == (which != "error")  # else it is tried again
    assert path.is_file() and [store.get(unit)["result"] for unit in todo] == first and store.verify() == []
    assert workers.failure(broken, store).startswith(f"{units.describe(broken)}: ValueError(")


def test_two_campaigns_on_one_store_neither_double_nor_tear(store):
    runs = [Run("mlp", "mnist-1k", 8, seed=s, epochs=4) for s in range(3)]
    todo = [u for r in runs for u in (units.train(r), units.sharpness(r, [1e-3]))]
    script = inspect.getsource(tiny) + textwrap.dedent(f"""
        import json, sys, time, torch
        from lbgap import campaign, data, results
        from lbgap.campaign import workers
        torch.set_num_threads(1)
        dataset = tiny()
        data.load = lambda *a: dataset
        sleep = time.sleep
        workers.time.sleep = lambda seconds: sleep(0.05)
        print("ready", flush=True)
        input()
        store = results.Store({str(store.folder)!r}, None)
        print(campaign.run(json.loads({json.dumps(json.dumps(todo))}), store, progress=False))
    """)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in both]
    assert [p.returncode for p in both] == [0, 0], said
    computed = sum(out.count("done: ") for out, _ in said)
    assert computed == len(todo) == len(store.paths()) and store.verify() == []
    assert not [p for p in store.folder.rglob("*.json.*")]
    alone = results.Store(store.folder / "alone", packaged=None)
    go(todo, alone)
    for unit in todo[1::2]:
        assert result(alone, unit) == result(store, unit)


def test_a_run_that_another_campaign_holds_is_left_until_it_is_free(store, monkeypatch):
    todo = [units.train(SB), units.train(LB)]
    (store.folder / "work").mkdir()
    other = workers._claims(store.folder / "work", [SB.trajectory])
    assert other.__enter__()
    done = []

    def wait(_):
        done.append([unit in store for unit in todo])
        other.__exit__(None, None, None)

    monkeypatch.setattr(workers.time, "sleep", wait)
    assert go(todo, store) == {"done": 2, "failed": 0, "left": 0}
    assert done == [[False, True]]


def test_the_locks_are_all_or_none(tmp_path):
    with workers._claims(tmp_path, {"a"}) as first, workers._claims(tmp_path, {"a", "b"}) as second:
        assert first and not second
        with workers._claims(tmp_path, {"b"}) as third:
            assert third
    with workers._claims(tmp_path, {"b", "a"}) as free:
        assert free


# --------------------------------------------------------------------------------------------------- what goes wrong


def test_a_unit_that_fails_is_recorded_and_the_others_go_on(store, capsys):
    bad = units.sharpness(SB, solver="guess")
    large = units.train(Run("mlp", "mnist-1k", 61, epochs=1))
    good = units.train(SB)
    assert go([bad, large, good], store) == {"done": 1, "failed": 2, "left": 0}
    assert good in store and bad not in store and large not in store
    errors = {p.stem: p.read_text() for p in (store.folder / "work").glob("*.error")}
    assert errors.keys() == {results.content_id(bad), results.content_id(large)}
    assert "guess" in errors[results.content_id(bad)] and "batch_size is 61" in errors[results.content_id(large)]
    assert capsys.readouterr().out.count("failed: ") == 2


def test_a_diverged_run_is_recorded_as_diverged_whatever_was_to_be_measured(store):
    todo = [units.train(DIVERGES), units.sharpness(DIVERGES), units.path(DIVERGES, DIVERGES, "linear")]
    assert go(todo, store)["done"] == 3
    train, *others = (result(store, unit) for unit in todo)
    assert others == 2 * [{"diverged": True}]
    assert train["diverged"] is True and train["history"]["train_loss"][-1] is None
    assert store.verify() == []


# ------------------------------------------------------------------------------------------------- what is measured


@pytest.fixture(scope="module")
def minimizers():
    with pytest.MonkeyPatch.context() as m:
        dataset = tiny()
        m.setattr(data, "load", lambda *a: dataset)
        yield [training.train(run, progress=False) for run in (SB, LB)]


def test_a_trained_document_has_all_modes_and_the_history(store, minimizers):
    unit = units.train(SB)
    go([unit], store)
    r, m = result(store, unit), minimizers[0]
    assert (
        r["history"] == m.history
        and r["epochs"] == 3
        and r["distance"] == m.history["distance"][-1]
        and not r["diverged"]
    )
    assert r["final"].keys() == {"batch", "recalibrated", "frozen"}
    for mode, splits in r["final"].items():
        for split in ("train", "test"):
            loss, accuracy = Objective(m, split, mode).evaluate(m.x)
            assert splits[split] == {"loss": loss, "accuracy": accuracy}
    assert r["final"]["batch"]["train"]["loss"] == r["history"]["train_loss"][-1]
    assert r["final"]["recalibrated"]["test"]["accuracy"] == r["history"]["test_accuracy"][-1]


@pytest.mark.parametrize("kind", ["linear", "curvilinear"])
def test_a_path_ends_at_the_losses_of_the_trained_documents(store, kind):
    unit = units.path(SB, LB, kind)
    go([unit, units.train(SB), units.train(LB)], store)
    p = result(store, unit)
    assert len(p["alpha"]) >= 25 and all(len(v) == len(p["alpha"]) for k, v in p.items() if k != "diverged")
    for alpha, run in ((0, SB), (1, LB)):
        final = result(store, units.train(run))["final"]["batch"]
        for split in ("train", "test"):
            assert p[f"{split}_loss"][p["alpha"].index(alpha)] == final[split]["loss"]
            assert p[f"{split}_accuracy"][p["alpha"].index(alpha)] == final[split]["accuracy"]
    assert max(p["train_loss"]) > max(p["train_loss"][p["alpha"].index(a)] for a in (0, 1))


def test_a_sharpness_document_is_the_metric_with_its_controls(store, minimizers):
    unit = units.sharpness(SB, [1e-3, 5e-4])
    go([unit], store)
    m, (one, half) = minimizers[0], result(store, unit)["values"]
    f = Objective(m)
    for record, epsilon in ((one, 1e-3), (half, 5e-4)):
        s = metric.sharpness(f, m.x, epsilon, keep_point=True)
        assert {
            k: record[k] for k in ("value", "f0", "fmax", "evaluations", "first_order", "epsilon", "solver", "by_start")
        } == {
            "value": s.value,
            "f0": s.f0,
            "fmax": s.fmax,
            "evaluations": s.evaluations,
            "first_order": s.first_order,
            "epsilon": epsilon,
            "solver": "best",
            "by_start": s.by_start,
        }
        assert record["accuracy_at_maximizer"] == f.accuracy(s.point)
        for mode in ("recalibrated", "frozen"):
            other = Objective(m, batch_norm=mode)
            f0, fmax = other.evaluate(m.x)[0], other.evaluate(s.point)[0]
            assert record[mode] == {"f0": f0, "fmax": fmax, "value": 100 * (fmax - f0) / (1 + f0)}
    assert half["exponent"] == pytest.approx(math.log2(one["value"] / half["value"]), rel=1e-6)
    assert "exponent" not in one  # nothing was measured at 2e-3
    assert one["f0"] == pytest.approx(m.history["train_loss"][-1], rel=1e-6)


@pytest.mark.parametrize(
    "settings, objective, solver",
    [
        ({}, {}, {}),
        ({"dtype": "float64"}, {"dtype": torch.float64}, {}),
        ({"batch_size": 30}, {"batch_size": 30}, {}),
        ({"split": "test"}, {"split": "test"}, {}),
        ({"subspace": 7, "seed": 2}, {}, {"subspace": 7, "seed": 2}),
        ({"solver": "literal", "scale": "metric"}, {}, {"solver": "literal", "scale": "metric"}),
        ({"iterations": 2, "random_starts": 0}, {}, {"iterations": 2, "random_starts": 0}),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, dict) else str(v),
)
def test_a_units_settings_reach_the_objective_and_the_metric(store, minimizers, settings, objective, solver):
    m = minimizers[0]
    unit = units.sharpness(SB, [1e-3], **settings)
    go([unit], store)
    f = Objective(m, **objective)
    expected = metric.sharpness(f, m.x.to(f.dtype), 1e-3, **solver)
    (found,) = result(store, unit)["values"]
    assert (
        found["value"] == expected.value and found["evaluations"] == expected.evaluations and found["f0"] == expected.f0
    )
    plain = metric.sharpness(Objective(m), m.x, 1e-3)
    assert not settings or (expected.value, expected.evaluations) != (plain.value, plain.evaluations)


def test_augmented_images_are_always_the_same_and_draw_nothing_from_outside(store, minimizers):
    before = torch.get_rng_state()
    first = measurements.augmented(tiny())
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    again = measurements.augmented(tiny())
    assert torch.equal(again.x_train, first.x_train) and (first.x_train != tiny().x_train).any((1, 2, 3)).all()
    assert torch.equal(first.y_train, tiny().y_train) and torch.equal(first.x_test, tiny().x_test)
    unit = units.sharpness(SB, [1e-3], augmented=True, iterations=1, random_starts=0)
    go([unit], store)
    m = minimizers[0]
    assert (
        result(store, unit)["values"][0]["f0"]
        == Objective(m, dataset=first).evaluate(m.x)[0]
        != Objective(m).evaluate(m.x)[0]
    )


def test_the_share_of_wrong_labels_that_a_network_gives_by_hand(monkeypatch):
    """Four labels are wrong, and the network gives three of these; all others it gets wrong."""
    run = Run("mlp", "mnist-1k", 8, label_noise=0.2)
    network = networks.build("mlp")
    x, images = flat(network.parameters()), tiny()
    with torch.no_grad():
        given = network(images.x_train).argmax(1)
    right = (given + 1) % 10
    wrong = right.clone()
    wrong[:3], wrong[3] = given[:3], (given[3] + 2) % 10
    monkeypatch.setattr(data, "load", lambda *a: dataclasses.replace(images, y_train=right))
    m = training.Minimizer(run, x, {}, {"epoch": [1], "train_loss": [1.0], "distance": [0.0]})
    assert (
        measurements.train({}, measurements.Subject([m], dataclasses.replace(images, y_train=wrong)))["memorised"] == 75
    )
    m = training.Minimizer(dataclasses.replace(run, label_noise=0.0), x, {}, m.history)
    assert "memorised" not in measurements.train({}, measurements.Subject([m], data.load()))


def test_with_neighbours_sharpness_grows_with_epsilon(store):
    grid = [float(f"{a}e{k}") for k in (-4, -3, -2) for a in (1, 2, 5)]
    for run in (SB, LB):
        unit = units.sharpness(run, grid[::-1], neighbours=True, iterations=0, random_starts=0)
        go([unit], store)
        values = result(store, unit)["values"]
        assert [v["epsilon"] for v in values] == grid[::-1]
        by_size = [v["value"] for v in values[::-1]]
        assert all(b >= a * (1 - 1e-6) for a, b in zip(by_size, by_size[1:])) and by_size[0] > 0
        for smaller, larger in zip(values[:0:-1], values[-2::-1]):  # the smaller box's maximiser is tried as it is
            assert larger["by_start"][f"from {smaller['epsilon']:g}"] == pytest.approx(smaller["value"], rel=1e-3)
        assert not any(k.startswith("from") for k in values[-1]["by_start"])


# ------------------------------------------------------------------------------------------------------------ words


def test_a_unit_in_words():
    assert units.describe(units.train(SB)) == "train mlp-bn batch 8 seed 0 epochs=3"
    assert units.describe(units.sharpness(SB, subspace=100)) == "sharpness mlp-bn batch 8 seed 0 subspace=100 epochs=3"
    assert units.describe(units.path(SB, LB, "linear")) == "path mlp-bn batch 8 and 60 seed 0 path=linear epochs=3"


def test_every_experiment_makes_units_that_can_be_run_once_each():
    todo = order.wanted()
    ids = [results.content_id(unit) for unit in todo]
    assert len(set(ids)) == len(ids) > 100
    for unit in todo:
        assert unit["kind"] in measurements.KINDS and units.describe(unit)
        assert all(run.network in networks.NETWORKS for run in units.runs_of(unit))
        assert json.loads(json.dumps(unit)) == unit  # what is stored is what was asked


def test_iterates_of_a_run_are_trained_on_its_way(store, trained):
    """Fig. 6: the run comes first, and its iterates are not trained again; nor is what Fig. 5 starts from."""
    warm = Run("mlp-bn", "mnist-1k", 60, epochs=2, start=SB.until(2))
    todo = [units.train(SB), units.sharpness(SB.until(1), iterations=0), units.train(warm)]
    assert go(todo, store)["done"] == 3
    assert trained == 3 * [SB.id] + 2 * [warm.id]
