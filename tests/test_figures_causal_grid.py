"""The causal grid's rules, each answer at least once, on made-up results whose answer is known by hand."""

import numpy as np
import pytest

from lbgap import figures
from lbgap.campaign import treatments, units
from lbgap.figures import causal_grid as causal
from lbgap.figures.statistics import Contrast

JITTER = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])  # deviation 0.158
APART = np.array([0.1, -0.2, 0.0, 0.2, -0.1])  # the same values, uncorrelated with JITTER
SHAPES = {"flatter": 0.1, "as it is": 1.0, "sharper": 10.0}
PLAIN = {("SB", s): 95.0 for s in SHAPES} | {
    (n, s): 93.0 for n in ("LB", "LB, noise injected", "LB, ghosts") for s in SHAPES
}
SHARP = {(n, s): (1.0 if n == "SB" else 10.0) * c for (n, s), c in zip(PLAIN, 4 * list(SHAPES.values()))}
FLAT, LB, SB, STEEP, NOISY = (
    ("LB", "flatter"),
    ("LB", "as it is"),
    ("SB", "as it is"),
    ("SB", "sharper"),
    ("LB, noise injected", "as it is"),
)


def fill(store, network="mlp", accuracy={}, sharp={}, trials=range(5), missed=(), lucky=(), diverged=(), wide=()):
    """The whole grid: SB at 95 %, LB at 93, sharpness 1 and 10, a tenth of it where flatter and ten times where
    sharper, or as given."""
    for trial in trials:
        for cell, of in treatments.cells(network, trial).items():
            value = {**PLAIN, **accuracy}[cell] + JITTER[trial] * (20 if cell in wide else 1)
            loss, f = 1.0 if cell in missed else 1e-4, 1.0 if cell in (*missed, *lucky) else 1e-4
            final = {split: {"loss": f, "accuracy": value} for split in ("train", "test")}
            store.put(
                units.train(of),
                {
                    "diverged": cell in diverged,
                    "epochs": 7,
                    "final": {"batch": final, "recalibrated": final},
                    "history": {"running_loss": [1.0] + 3 * [loss], "train_loss": [1.0] + 3 * [f]},
                },
                {},
            )
            found = {**SHARP, **sharp}[cell] * np.exp((JITTER if cell[1] == "as it is" else APART)[trial])
            store.put(
                units.sharpness(of, (1e-3,)),
                {"diverged": cell in diverged, "values": [{"epsilon": 1e-3, "value": found}]},
                {},
            )


def answer(number, network="mlp"):
    (found,) = [word for question, (word, _) in causal.answers(network).items() if question.startswith(number)]
    return found


@pytest.mark.parametrize("accuracy, word", [({}, "yes"), ({SB: 93.0}, "none shown"), ({SB: 91.0}, "reversed")])
def test_whether_there_is_a_gap(store, accuracy, word):
    fill(store, accuracy=accuracy)
    assert answer("0") == word


@pytest.mark.parametrize(
    "settings, word",
    [
        (dict(accuracy={FLAT: 95.0}), "closes the gap"),
        (dict(accuracy={FLAT: 93.8}), "narrows the gap"),
        (dict(accuracy={FLAT: 94.0}), "narrows the gap"),  # half of it: the rest is not shown to be below the margin
        ({}, "does nothing"),
        (dict(accuracy={FLAT: 92.0}), "hurts"),
        (dict(wide=[FLAT]), "not settled"),
        (dict(sharp={FLAT: 3.0}), "does nothing, but it is not as flat as SB"),
        (dict(sharp={FLAT: 3.0}, accuracy={FLAT: 93.8}), "narrows the gap, but it is not as flat as SB"),
        (dict(sharp={FLAT: 3.0}, accuracy={FLAT: 95.0}), "closes the gap"),  # although not as flat
        (dict(accuracy={SB: 93.0, FLAT: 95.0}), "raises accuracy, though there is no gap"),
        (dict(accuracy={SB: 93.0}), "does nothing"),
        (dict(accuracy={SB: 93.0, FLAT: 92.0}), "hurts"),
        (dict(accuracy={SB: 93.0}, wide=[FLAT]), "not settled"),
        (dict(sharp={FLAT: 10.0}, accuracy={FLAT: 95.0}), "no answer: the manipulation check failed (LB, flatter)"),
        (dict(sharp={FLAT: 20.0}), "no answer: the manipulation check failed (LB, flatter)"),
        (dict(missed=[FLAT]), "no answer: LB, flatter did not come to the training loss"),
        (dict(diverged=[SB]), "no answer: SB, as it is did not come to the training loss"),
        (dict(trials=range(4)), "not measured"),
    ],
)
def test_a_flatter_large_batch(store, settings, word):
    fill(store, **{**settings, "sharp": {FLAT: 1.0} | settings.get("sharp", {})})
    assert answer("1") == word


@pytest.mark.parametrize(
    "settings, word",
    [
        ({}, "keeps"),
        (dict(accuracy={STEEP: 94.0}), "loses"),
        (dict(accuracy={STEEP: 96.0}), "gains"),
        (dict(wide=[STEEP]), "not settled"),
        (dict(sharp={STEEP: 3.0}), "keeps, but it is not as sharp as LB"),
        (dict(sharp={STEEP: 3.0}, accuracy={STEEP: 94.0}), "loses"),
        (dict(sharp={STEEP: 1.0}), "no answer: the manipulation check failed (SB, sharper)"),
        (dict(missed=[STEEP]), "no answer: SB, sharper did not come to the training loss"),
        (dict(trials=range(1)), "not measured"),
    ],
)
def test_a_sharper_small_batch(store, settings, word):
    fill(store, **settings)
    assert answer("2") == word


@pytest.mark.parametrize(
    "accuracy, sharp, word",
    [
        (95.0, 10.0, "closes the gap, without a change of sharpness shown"),
        (93.8, 1.0, "narrows the gap, and flattens"),
        (93.0, 50.0, "does nothing, and sharpens"),
        (92.0, 10.0, "hurts, without a change of sharpness shown"),
    ],
)
def test_noise_alone(store, accuracy, sharp, word):
    fill(store, accuracy={NOISY: accuracy}, sharp={NOISY: sharp})
    assert answer("3") == word and not any("ghosts" in question for question in causal.answers("mlp"))


def test_a_running_loss_that_is_small_by_luck_is_not_the_training_loss(store):
    fill(store, lucky=[NOISY])
    assert (
        answer("3") == "no answer: LB, noise injected, as it is did not come to the training loss"
        and answer("2") == "keeps"
    )


def test_with_batch_norm_one_epoch_below_the_loss_is_no_arrival(store):
    fill(store, "F1-5k")
    of = treatments.cells("F1-5k", 0)[SB]
    final = {split: {"loss": 1e-4, "accuracy": 95.0} for split in ("train", "test")}
    store.put(
        units.train(of),
        {
            "diverged": False,
            "epochs": 2,
            "final": {"batch": final, "recalibrated": final},
            "history": {"running_loss": [1.0, 1.0, 1e-4], "train_loss": [1e-4, 1.0, 1e-4]},
        },
        {},
    )
    assert answer("3. LB, ghosts", "F1-5k").startswith("no answer: SB, as it is")


def test_ghosts_where_there_is_batch_norm(store):
    fill(store, "F1-5k", accuracy={("LB, ghosts", "as it is"): 95.0})
    assert answer("3. LB, ghosts", "F1-5k") == "closes the gap, without a change of sharpness shown"


@pytest.mark.parametrize(
    "accuracy, word", [(93.0, "SB is still ahead"), (95.0, "no lead shown"), (97.0, "LB is ahead")]
)
def test_both_made_flatter(store, accuracy, word):
    fill(store, accuracy={FLAT: accuracy})
    assert answer("4") == word


def test_the_margin_is_half_of_a_lead_that_is_shown():
    assert causal.margin(Contrast(2.0, (1.0, 3.0), "")) == 1.0 and causal.margin(Contrast(2.0, (-1.0, 5.0), "")) == 0.5
    assert causal.margin(Contrast(-2.0, (-3.0, -1.0), "")) == 0.5


def test_a_check_is_corrected_for_being_one_of_six(store):
    """The logarithms differ by 0.3, with a deviation of 0.224 over five seeds: t = 3, p = 0.040, shown alone, but not
    as one of several such."""
    close = np.exp(-0.3)
    fill(store, sharp={FLAT: 10.0 * close})
    found = causal.checks("mlp")[FLAT]
    assert found.ratio.value == pytest.approx(close) and found.ratio.p == pytest.approx(0.0399, abs=1e-4)
    assert found.ratio.side(1) == -1 and found.p == pytest.approx(
        found.ratio.p
    )  # the largest of the six is multiplied by one
    assert found.passed
    fill(store, sharp={FLAT: 10.0 * close, STEEP: 1 / close})
    assert [round(causal.checks("mlp")[cell].p / found.ratio.p, 3) for cell in (FLAT, STEEP)] == [2.0, 2.0]
    fill(
        store,
        sharp={
            cell: SHARP[cell[0], "as it is"] * close ** (1 if cell[1] == "flatter" else -1)
            for cell in causal.checks("mlp")
        },
    )
    assert [check.passed for check in causal.checks("mlp").values()] == 6 * [False]
    text = str(figures.causal_checks("mlp"))
    assert text.count("**failed**") == 6 and "- SB, flatter: **failed** (0.74 times (0.56 to 0.98) as sharp)" in text


def test_the_checks_pass_where_both_handles_turn(store):
    fill(store, "F1-5k")
    text = str(figures.causal_checks())
    assert text.count(": passed ") == 8 and "F1-5k: 8 of 8 passed." in text
    assert "failed" not in text and "mlp" not in text


def row(text, *beginning):
    found = [line for line in str(text).splitlines() if line.startswith("| " + " | ".join(beginning) + " |")]
    assert found, text
    return found[-1][2:-2].split(" | ")  # where some columns are shown first, all come after


def test_the_table_has_every_number_of_a_cell(store):
    fill(store, missed=[STEEP])
    told = row(figures.causal_table("mlp"), "mlp", "LB, as it is")
    assert told[2] == "93.00 ± 0.16" and told[4].startswith("2.00 (95 % interval 2.00 to 2.00")
    assert told[5].startswith("10 times (10 to 10") and told[6].startswith("0.0001")
    assert told[7:] == ["7 ± 0", "yes"]  # 7 epochs of one batch: LB is all 1,000 images
    small = row(figures.causal_table("mlp"), "mlp", "SB, as it is")
    assert small[4:6] == ["0", "1"] and small[7] == "224 ± 0"  # 7 epochs of 32 batches
    assert row(figures.causal_table("mlp"), "mlp", "SB, sharper")[-1] == "**no**"
    assert "Not measured yet" in str(figures.causal_table("F1-5k"))


def test_where_f_ended_is_told_of_the_cells_that_came_to_the_loss(store):
    fill(store, missed=[STEEP])
    assert (
        "mlp, 8 cells that came to the loss: f ended at 0.0001 (SB, flatter) to 0.0001 (SB, flatter): the same training"
        " loss" in str(figures.causal_table("mlp"))
    )


def test_the_verdict_tells_answer_and_evidence(store):
    fill(store, accuracy={FLAT: 95.0}, sharp={FLAT: 1.0})
    said, told = str(figures.causal_verdict("mlp")).split("<details>")
    assert "LB made flatter **closes the gap**" in said and "points" not in said
    assert "- 1. LB made flatter gains 2.00 points (95 % interval 2.00 to 2.00)" in told
    assert "SB still ahead by 0.00 points" in told and "sharpness over SB's: 1.0 times" in told
    assert "F1-5k" not in str(figures.causal_verdict())


def test_the_figure_has_a_mark_a_trial(store):
    fill(store)
    ax = figures.causal_figure("mlp").axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    assert len(lines) == 9 and len(lines["LB, flatter"].get_xdata()) == 5
    assert lines["LB, flatter"].get_ydata() == pytest.approx(93 + JITTER) and ax.get_xscale() == "log"
    style = lambda name: (lines[name].get_color(), lines[name].get_marker(), lines[name].get_fillstyle())
    assert len({style(name)[:2] for name in lines}) == 3 and len({style(name) for name in lines}) == 9
    assert [ax.get_title() for ax in figures.causal_figure().axes] == ["mlp"]


def test_the_slider_has_every_cell_beside_sbs(store):
    """The slider turns sharpness from 1 through 10 to 100 for LB, the choice its noise; ghosts need batch norm."""
    assert "Not measured yet" in str(figures.causal_slider())
    fill(store, accuracy={FLAT: 94.0})
    slider = figures.causal_slider()
    assert (
        slider.meta["choices"] == ["LB", "LB, noise injected"] and slider.meta["names"][slider.position] == "as it is"
    )
    found = slider.arrays()
    assert found["sharpness.1"][0] == pytest.approx(np.exp([APART, JITTER, APART]) * [[1.0], [10.0], [100.0]])
    assert found["accuracy"][1, 1] == pytest.approx(95 + JITTER) and found["accuracy.1"][0, 0] == pytest.approx(
        94 + JITTER
    )
    assert found["f.1"] == pytest.approx(np.full((2, 3, 5), 1e-4))
    fill(store, "F1-5k")
    assert figures.causal_slider("F1-5k").meta["choices"][-1] == "LB, ghosts"
