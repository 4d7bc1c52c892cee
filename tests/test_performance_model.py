"""Appendix C: the break-even where two times meet, a step's speed by a clock that is known, and who may take it
where."""

import concurrent.futures
import dataclasses
import random
import re
import threading

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from test_figures import made, words  # noqa: F401

from lbgap import __main__, campaign, figures, machine, performance_model, remedies, results, training
from lbgap.campaign import cost, measurements, order, scales, units
from lbgap.training import Run

SMALL = Run("F1", "tiny-mnist", 32, shrink=8)


# --------------------------------------------------------------------------------------------------------- the model


def test_the_papers_example():
    assert performance_model.break_even(0.2, 0.1) == 0.5
    assert performance_model.time(10, 256, 4, 0.5) == 1280


@pytest.mark.parametrize("seed", range(5))
def test_the_break_even_is_where_the_two_times_meet(seed):
    draw = random.Random(seed)
    small, large = sorted(draw.sample(range(1, 10000), 2))
    processors, f_small, f_large = draw.randint(1, 500), draw.uniform(0.01, 1), draw.uniform(0.01, 1)
    of_small = performance_model.time(1000, small, processors, f_small)
    meet = brentq(
        lambda iterations: performance_model.time(iterations, large, processors, f_large) - of_small,
        1e-6,
        1e9,
        xtol=1e-9,
    )
    assert meet / 1000 == pytest.approx(performance_model.break_even(f_small, small / large, f_large))


def test_on_one_device_speeds_stand_for_efficiencies():
    """2,000 examples a second at batch 10, 5,000 at batch 100: 50 iterations of SB take 0.25 s, and so do 12.5 of
    LB."""
    assert (
        performance_model.time(50, 10, efficiency=2000)
        == pytest.approx(0.25)
        == performance_model.time(12.5, 100, efficiency=5000)
    )
    assert performance_model.break_even(2000, 0.1, 5000) == pytest.approx(12.5 / 50)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: performance_model.break_even(0, 0.1), "f_small is 0; expected a positive number"),
        (lambda: performance_model.break_even(0.2, 0.1, -1), "f_large is -1; expected a positive"),
        (lambda: performance_model.break_even(float("nan"), 0.1), "f_small is nan"),
        (
            lambda: performance_model.break_even(0.2, 10),
            r"batch_ratio is 10; expected B_SB / B_LB, at most 1: exchange",
        ),
        (lambda: performance_model.time(10, 0), "batch_size is 0"),
        (lambda: performance_model.time(10, 1, float("inf")), "processors is inf"),
        (lambda: performance_model.throughput(SMALL, seconds=0), "seconds is 0; expected a positive"),
        (
            lambda: performance_model.throughput(dataclasses.replace(SMALL, remedies=remedies.SAM())),
            r"remedies is \(SAM\(.*expected a run without",
        ),
    ],
)
def test_what_makes_no_sense_is_told_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------------------------------------ a step's speed


@pytest.fixture
def steps(monkeypatch):
    """A clock on which only the optimiser's steps take time: as many seconds as the list says, one after another."""
    taken, clock = [], [0.0]

    class Optimizer:
        def zero_grad(self, set_to_none):
            pass

        def step(self):
            clock[0] += taken.pop(0)

    monkeypatch.setattr(training, "make_optimizer", lambda run, parameters: Optimizer())
    monkeypatch.setattr(performance_model, "perf_counter", lambda: clock[0])
    return taken


def test_examples_over_the_median_step_after_the_warm_up(steps):
    steps += [50.0] * performance_model.WARM + [2.0, 2.0, 100.0, 1.0, 4.0]
    found = performance_model.throughput(SMALL, seconds=109)
    assert found == performance_model.Throughput(32 / 2, 32 / 4, 32 / 2, 5) and not steps


def test_slow_steps_are_taken_a_few_times_all_the_same(steps):
    steps += [1.0] * performance_model.WARM + [10.0] * 9
    found = performance_model.throughput(dataclasses.replace(SMALL, batch_size=128), seconds=0.5)
    assert (found.value, found.low, found.high, found.steps) == (12.8, 12.8, 12.8, performance_model.LEAST)


@pytest.mark.parametrize(
    "network, dataset", [("F1", "tiny-mnist"), ("F2", "tiny-timit"), ("C1", "tiny-cifar10"), ("C4", "tiny-cifar100")]
)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_real_step_of_any_network_is_timed_and_leaves_the_random_state(network, dataset, precision):
    before = torch.get_rng_state()
    found = performance_model.throughput(Run(network, dataset, 4, shrink=8, precision=precision), seconds=1e-6)
    assert 0 < found.low <= found.value <= found.high < 1e9 and found.steps == performance_model.LEAST
    assert torch.equal(before, torch.get_rng_state())


# --------------------------------------------------------------------------------------------- on what, and in what
# company


def test_a_step_is_timed_on_its_own_device_only_without_data_or_training(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("nothing is to be trained"))
    monkeypatch.setattr(measurements.data, "load", lambda *_: pytest.fail("no data is needed"))
    here, there = (units.throughput(SMALL, device) | {"seconds": 1e-6} for device in ("cpu", "cuda"))
    store = results.Store(tmp_path, packaged=None)
    assert campaign.run([there, here], store, progress=False) == {"done": 1, "failed": 0, "left": 1}
    document = store.get(here)
    assert (
        document["result"]["value"] > 0 and document["result"]["steps"] == performance_model.LEAST
    )  # for no longer than it says
    assert document["provenance"]["data"] is None and there not in store and not store.verify()
    with pytest.raises(ValueError, match="device is cpu, but the unit times a step on cuda; expected that device"):
        measurements.compute(there, tmp_path)
    assert units.describe(here) == "throughput F1 batch 32 seed 0 device=cpu seconds=1e-06 shrink=8"


class Watched(concurrent.futures.Executor):
    """An executor whose tasks take a moment; seen: what was at work when each began, itself included."""

    def __init__(self):
        self.running, self.seen = {}, []

    def submit(self, function, unit, *rest):
        task = concurrent.futures.Future()
        self.running = {other: kind for other, kind in self.running.items() if not other.done()} | {task: unit["kind"]}
        self.seen.append(sorted(self.running.values()))
        threading.Timer(0.1, task.set_result, [("left", None)]).start()
        return task


def test_a_step_is_timed_while_nothing_else_of_the_campaign_is_at_work(tmp_path):
    others = [units.train(dataclasses.replace(SMALL, batch_size=b)) for b in (8, 16, 64)]
    timed = [units.throughput(dataclasses.replace(SMALL, batch_size=b)) for b in (8, 16)]
    watched = Watched()
    campaign.run([timed[0], *others, timed[1]], results.Store(tmp_path, packaged=None), executor=watched, at_once=4)
    assert watched.seen == [["throughput"], ["train"], ["train"] * 2, ["train"] * 3, ["throughput"]]


def test_the_experiment_has_every_size_up_to_lb_on_either_device(monkeypatch):
    monkeypatch.delenv("LBGAP_SCALE", raising=False)
    found = order.wanted(["throughput"], ["F1"])
    sizes = [32, 64, 128, 256, 512, 1024, 2048, 4096, 6000]
    assert [(u["device"], u["run"]["batch_size"]) for u in found] == [(d, b) for d in ("cpu", "cuda") for b in sizes]
    assert {units.subjects(u)[0].init_seed for u in found} == {0} and not any(map(units.runs_of, found))
    monkeypatch.setenv("LBGAP_SCALE", "tiny")
    assert {u["device"] for u in order.wanted(["throughput"])} == {"cpu"}


def test_it_costs_its_seconds_and_the_least_steps(tmp_path):
    store, unit = results.Store(tmp_path, packaged=None), units.throughput(SMALL)
    least = 5 * 32 * cost.flops("F1", shrink=8, gradient=True)
    assert cost.work(unit) == least
    assert cost.projected([unit, unit | {"seconds": 2.0}], 1e6, store) == pytest.approx(5 + 2 + 2 * least / 1e6)
    store.put(unit, {"diverged": False}, {})
    assert cost.projected([unit], 1e6, store) == 0


def test_status_lists_the_other_devices_units_but_not_what_they_would_cost_here(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LBGAP_RESULTS", str(tmp_path))
    monkeypatch.setattr(cost, "rate", lambda device: 1e15)
    monkeypatch.setattr(machine, "devices", lambda: ["cpu", "cuda:0"])
    for unit in order.wanted(["throughput"], ["F1"]):
        if unit["device"] == "cpu":
            results.Store().put(unit, {"diverged": False}, {})
    for device, words in (("cpu", "0 s"), ("cuda:0", f"{9 * performance_model.SECONDS:.0f} s")):
        assert __main__.main(["status", "throughput", "--networks", "F1", "--device", device]) == 0
        out = capsys.readouterr().out
        assert re.search(rf"^throughput .* 9 +9 +0  {words}$.*counted once: {words}$", out, re.M | re.S), out


# ---------------------------------------------------------------------------------------------------- figure and
# verdict


def speed(made, batch_size, value, device="cpu", spread=2.0):  # noqa: F811
    made.store.put(
        units.throughput(scales.run("F1", batch_size, 0), device),
        {"diverged": False, "value": value, "low": value / spread, "high": spread * value, "steps": 9},
        {},
    )


def test_the_figure_has_what_is_measured_by_device(made):  # noqa: F811
    speed(made, 32, 1000.0), speed(made, 256, 3000.0), speed(made, 256, 50000.0, "cuda")
    figure = figures.throughput("F1")
    (ax,) = figure.axes
    drawn = {bar.get_label(): bar.lines[0].get_xydata().tolist() for bar in ax.containers}
    assert drawn == {"CPU core": [[32, 1000], [256, 3000]], "GPU": [[256, 50000]]}
    bars = [segment.tolist() for bar in ax.containers for segment in bar.lines[2][0].get_segments()]
    assert bars[1] == [[256, 1500], [256, 6000]]


def test_whether_it_pays_by_hand(made):  # noqa: F811
    """LB ends at 98.0 and 97.0 %. 97.5 % is there after 2 and 1 epochs of 235 steps of SB, after 3 epochs of 10 of LB,
    and never."""
    for (sb, lb), trial in zip((([97.0, 98.4], [97.0, 97.4, 98.0]), ([97.6, 97.0], [97.0, 97.4, 97.0])), (0, 1)):
        for of, accuracies in zip(scales.pair("F1", trial), (sb, lb)):
            made.train(of, accuracies[-1], test_accuracy=accuracies)
    assert "Not measured yet" in str(figures.pays())  # the speeds are not there
    speed(made, 256, 1000.0, spread=1.01), speed(made, 6000, 2000.0, spread=1.01)
    text = str(figures.pays())  # breaks even at 2 * 256 / 6000 = 0.085
    assert text.startswith(
        "**Verdict: F1 on one CPU core: the large batch pays in 1 and does not pay in 1 of 2 trials.**"
    )
    assert "97.50 % in the mean" in text
    assert "| 0 | 470 | 30 | 0.064 | pays |\n| 1 | 235 | never | never | does not pay |" in text
    assert "less than 0.085 times SB's iterations; a trial between 0.084 and 0.087 is" in text  # times 1.01 squared
    speed(made, 6000, 1400.0, spread=1.01)  # at 0.0597, 30 / 470 is 0.0638
    assert "the large batch does not pay.**" in str(figures.pays())
    speed(made, 6000, 1400.0, spread=1.1)  # times 1.01 * 1.1 = 1.111 is 0.0664
    assert "the large batch does not pay in 1 and is undecided in 1 of 2 trials.**" in str(figures.pays())
    assert "Not measured yet" in str(figures.pays("F1", "cuda"))


@pytest.mark.parametrize(
    "values, words",
    [
        (
            (1000.0, 2000.0, 3000.0),
            (
                "a larger batch is the faster one.",
                "1,000 examples a second at batch 32, 3,000 examples a second at batch 6,000.",
            ),
        ),
        (
            (3000.0, 2000.0, 1000.0),
            (
                "a larger batch is the slower one.",
                "3,000 examples a second at batch 32, 1,000 examples a second at batch 6,000. That need",
            ),
        ),
        ((1000.0, 3000.0, 2000.0), ("the fastest batch is neither the smallest nor the largest.",)),
        ((1000.0, 1005.0, 1000.0), ("no batch size is shown to be the faster one.",)),
    ],
)
def test_whether_larger_batches_are_faster_follows_the_speeds(made, values, words):  # noqa: F811
    assert "Not measured yet" in str(figures.fills("F1"))
    for size, value in zip((32, 256, 6000), values):
        speed(made, size, value, spread=1.01)
    text = str(figures.fills("F1"))
    assert text.startswith(f"F1 on one CPU core: {words[0]}") and words[-1] in text


def test_a_trial_in_which_neither_comes_there_decides_nothing(made):  # noqa: F811
    for of in scales.pair("F1", 0):
        made.train(of, 98.0, test_accuracy=[90.0, 91.0])
    np.testing.assert_array_equal(figures.when_it_pays.iterations(scales.pair("F1", 0), 98.0), [np.inf, np.inf])
    assert "Not measured yet" in str(figures.pays())
    for of, last in zip(scales.pair("F1", 1), (91.0, 98.0)):  # LB alone
        made.train(of, 98.0, test_accuracy=[90.0, last])
    speed(made, 256, 1000.0, spread=1.01), speed(made, 6000, 1000.0, spread=1.01)
    text = str(figures.pays())
    assert "98.00 % in the mean" in text and "| 1 | never | 20 | 0.000 | pays |" in text
    assert "large batch pays.**" in text
