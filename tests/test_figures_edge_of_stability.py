"""The edge of stability's figure and verdict on made-up results whose answer is known by hand."""

import numpy as np
import pytest

from lbgap import figures
from lbgap.campaign import scales, units
from lbgap.figures import edge_of_stability as module

LEVEL = 38_000  # 38 / eta


def fill(store, arm, shares, trial=0, network="F1-5k", plain=100.0, epochs=None):
    """The preconditioned eigenvalue at the measured iterates, in units of the edge; epochs: after which the run
    ended."""
    of = scales.pair(network, trial)[arm == "LB"]
    for k, share in zip(scales.scale().iterates, shares):
        store.put(
            units.edge(scales.iterate(of, k)),
            {
                "diverged": False,
                "f": 0.1,
                "plain": plain,
                "plain_residual": 1.0,
                "preconditioned": share * LEVEL,
                "preconditioned_residual": 0.05 * share * LEVEL,
            },
            {},
        )
    if epochs:
        store.put(units.train(of), {"diverged": False, "epochs": epochs, "history": {}}, {})


def test_the_levels():
    found = module.levels(scales.pair("F1", 0)[0])
    assert found["plain"] == pytest.approx(2000) and found["preconditioned"] == pytest.approx(LEVEL)


def test_after_its_end_a_run_is_measured_once(store):
    fill(store, "SB", [0.1] * 8, epochs=10)
    found = module.along(scales.pair("F1-5k", 0)[0])
    assert list(found["epoch"]) == [1, 2, 4, 8, 10] and found["plain"] == pytest.approx(5 * [100.0])
    assert found["off"] == pytest.approx(5 * [0.05])


def test_the_first_steps_are_corrected_for_adams_bias(store):
    """LB takes 10 batches of 400 an epoch, mlp's one of 1,000: after it Adam has divided its mean gradient by 1 -
    0.9."""
    for network, factor in (("F1-5k", 1 - 0.9**10), ("mlp", 1 - 0.9)):
        fill(store, "LB", [0.5], network=network)
        assert module.along(scales.pair(network, 0)[1])["preconditioned"] == pytest.approx([0.5 * LEVEL / factor])


@pytest.mark.parametrize(
    "small, large, words",
    [
        (0.3, 0.9, "LB reaches the edge and SB stays below it"),
        (0.9, 1.1, "both reach the edge"),
        (0.3, 0.4, "neither reaches the edge"),
        (1.0, 0.7, "SB reaches the edge and LB stays below it"),
    ],
)
def test_the_verdict_follows_the_numbers(store, small, large, words):
    for trial in range(2):
        for arm, share in (("SB", small), ("LB", large)):
            fill(store, arm, [0.0001, 0.0001, 0.001, share, 0.2], trial)
    text = str(figures.edge_verdict("F1-5k"))
    assert (
        f"**Verdict, F1-5k: {words}.**" in text
        and f"LB comes up to {large:.2f} and {large:.2f} times the edge and ends at 0.20" in text
    )
    assert "(trials: SB 2, LB 2;" in text and "at most 5.0 % off" in text


def test_the_first_epochs_are_counted_in_neither_arm(store):
    """mlp's LB takes a step an epoch and has not taken ten by epochs 1 to 8: SB, with 32 steps an epoch, is not counted
    there either."""
    fill(store, "SB", [0.9, 0.9, 0.9, 0.9, 0.1, 0.1], network="mlp")
    fill(store, "LB", [5.0, 2.0, 1.0, 1.0, 0.3, 0.2], network="mlp")
    text = str(figures.edge_verdict("mlp"))
    assert "neither reaches the edge" in text and "SB comes up to 0.10 times the edge" in text
    assert (
        "from epoch 10 on, in both arms; before it SB comes up to 0.93 times the edge and LB up to 50.00." in text
    )  # 5 over 1 - 0.9
    assert (module.first_epoch("mlp"), module.first_epoch("F1-5k"), module.first_epoch("F1")) == (
        10,
        1,
        1,
    )  # of 1, 10 and 10 steps
    grey = [patch for patch in figures.edge("mlp").axes[1].patches if patch.get_label() == "not counted"]
    assert len(grey) == 1 and not figures.edge("mlp").axes[0].patches


def test_trials_that_disagree_are_not_a_verdict(store):
    for arm in ("SB", "LB"):
        fill(store, arm, [0.1, 0.1, 0.1])
    fill(store, "LB", [0.1, 0.1, 0.9], trial=1)
    assert "the trials disagree" in str(figures.edge_verdict("F1-5k"))


def test_an_arm_alone_is_no_verdict(store):
    fill(store, "LB", [0.5])
    assert "Not measured yet" in str(figures.edge_verdict("F1-5k"))


def test_the_figure_has_two_panels_a_network_and_the_levels(store):
    fill(store, "SB", [0.1] * 8, epochs=10)
    plain, preconditioned = figures.edge("F1-5k").axes
    line = {line.get_label(): line for line in plain.lines}
    assert list(line["SB"].get_xdata()) == [1, 2, 4, 8, 10] and np.unique(
        line["edge of stability"].get_ydata()
    ) == pytest.approx([2000])
    assert [
        line.get_ydata()[0] for line in preconditioned.lines if line.get_label() == "edge of stability"
    ] == pytest.approx([LEVEL])
