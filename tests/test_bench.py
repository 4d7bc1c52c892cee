"""The live bench: what a choice trains, what is drawn and said of it, and its controls without a browser."""

import dataclasses
import re

import pytest
import torch

from lbgap import metric, objective
from lbgap.course import bench


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Trials of a few epochs, at a loss that is reached in them."""
    monkeypatch.setattr(bench, "GOAL", 0.5)
    monkeypatch.setattr(bench, "SHRINK", dict.fromkeys(bench.NETWORKS, 8))


QUICK = bench.Choice(small=128, large=512, lr=1e-2)


def test_both_arms_differ_in_the_batch_and_the_remedy_alone():
    for network in bench.NETWORKS:
        small, large = dataclasses.replace(QUICK, network=network, remedy="noise injected").runs().values()
        assert large.remedies and not small.remedies
        assert dataclasses.replace(large, batch_size=128, remedies=()) == small
        assert torch.equal(objective.flat(small.build().parameters()), objective.flat(large.build().parameters()))
    with pytest.raises(ValueError, match="the smaller first"):
        dataclasses.replace(QUICK, small=1000).runs()


@pytest.mark.parametrize("network", bench.NETWORKS)
def test_a_trial_tells_of_each_step_and_measures_what_it_trained(network):
    seen = []
    tell = lambda trial: seen.append((len(trial.accuracy), len(trial.sharpness), len(trial.path)))
    trial = bench.attempt(dataclasses.replace(QUICK, network=network), tell)
    assert seen == sorted(seen) and seen[0] == (1, 0, 0) and seen[-1] == (2, 2, len(bench.ALPHAS))
    for arm, minimizer in trial.minimizers.items():
        assert trial.accuracy[arm][-1] == (minimizer.epochs, minimizer.history["test_accuracy"][-1])
        f = objective.Objective(minimizer)
        assert trial.sharpness[arm] == metric.sharpness(f, minimizer.x, 1e-3, iterations=6).value
        assert trial.path[bench.ALPHAS.index({"SB": 0.0, "LB": 1.0}[arm])] == pytest.approx(f.evaluate(minimizer.x)[0])


@pytest.mark.parametrize("remedy", bench.REMEDIES)
def test_every_remedy_can_be_chosen(remedy):
    network = "mlp-bn" if remedy == "ghost batch norm" else "mlp"
    trial = bench.attempt(dataclasses.replace(QUICK, network=network, remedy=remedy))
    assert "sharpness" in bench.said(trial).split("large batch")[1]


def test_a_trial_stops_after_the_epoch_in_which_it_is_asked_to():
    seen = []
    with pytest.raises(bench.Stopped):
        bench.attempt(QUICK, lambda trial: seen.append(trial.accuracy["SB"][-1][0]), lambda: len(seen) == 2)
    assert seen == [1, 2]


def test_the_picture_says_what_it_shows():
    first, second = (bench.attempt(dataclasses.replace(QUICK, seed=seed)) for seed in (0, 1))
    axes = bench.draw([first, second]).axes
    assert len(axes[2].lines) == 2 * 3  # a line and two dots a trial
    filled = [line.get_markerfacecolor() for line in axes[2].lines if line.get_marker() in "os"]
    assert filled[:2] == ["white"] * 2 and "white" not in filled[2:]
    alt = re.search('alt="([^"]*)"', bench.picture([first, second])).group(1)
    assert alt == bench.said(second) and f"{second.sharpness['LB']:.2f}" in alt
    assert bench.draw([bench.Trial(QUICK, {"SB": []})])  # before the first look


def test_the_controls_train_keep_and_stop(monkeypatch):
    pytest.importorskip("ipywidgets")
    box = bench.controls()
    for name, value in (("small", 128), ("large", 512), ("lr", 1e-2)):
        box.controls[name].value = value
    box.go.click()
    box.thread.join(60)
    (trial,) = box.trials
    assert trial.choice == QUICK and trial.path
    assert box.words.value == bench.said(trial) and "<img" in box.shown.value
    assert not box.go.disabled and box.stop.disabled

    monkeypatch.setattr(bench, "GOAL", 1e-9)  # would go on for all its epochs
    box.go.click()
    box.stop.click()
    box.thread.join(60)
    assert len(box.trials) == 1 and box.words.value.startswith("Stopped") and not box.go.disabled

    box.controls["small"].value = 1000
    box.go.click()
    box.thread.join(60)
    assert "Not possible" in box.words.value and len(box.trials) == 1 and not box.go.disabled
