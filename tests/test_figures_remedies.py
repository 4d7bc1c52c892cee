"""Remedies' tables, verdicts and scoreboard against numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from test_figures import curves, made, row, words  # noqa: F401

from lbgap import figures
from lbgap.campaign import scales, treatments, units
from lbgap.remedies import SAM, GradientPenalty
from lbgap.results import arrays

BASE = {"SB": ([90.0, 90.2, 90.4], (1.0, 2.0, 4.0)), "LB": ([88.0, 88.2, 88.4], (10.0, 20.0, 40.0))}


def put(made, runs, accuracies, sharp=(), **history):  # noqa: F811
    for of, accuracy in zip(runs, accuracies):
        made.train(of, accuracy, **history)
    for of, value in zip(runs, sharp):
        made.sharp(of, value)


def plain(made, network="mlp"):  # noqa: F811
    for arm, (accuracies, sharp) in BASE.items():
        put(made, arrays.pairs(network)[arm], accuracies, sharp)


def remedy(made, name, accuracies, sharp=(), arm="LB", network="mlp", **history):  # noqa: F811
    put(made, figures.treated(name, network)[arm], accuracies, sharp, **history)


# -- how many updates --------------------------------------------------------------------------------------------------


def test_updates_are_counted_where_they_are_stored_and_worked_out_elsewhere(made):  # noqa: F811
    small, large = scales.pair("F1", 0)
    tried = treatments.TREATMENTS["conservative"].run("mlp", 0)
    switched = treatments.TREATMENTS["switch"].run("mlp", 0)
    for of in (small, large, scales.pair("mlp", 0)[0], switched):
        made.train(of)  # two epochs
    made.train(tried, updates=[3, 3, 5])
    found = arrays.updates([small, large, scales.pair("mlp", 0)[0], tried, switched, scales.pair("C1", 0)[0]])
    # 60,000 / 256 = 234.4; 60,000 / 6,000 = 10; 1,000 / 32 = 31.25; six epochs at 32 and then two at 1,000
    np.testing.assert_array_equal(found, [2 * 235, 2 * 10, 2 * 32, 11, 6 * 32 + 2, np.nan])


# -- Tables 6 and 7 ----------------------------------------------------------------------------------------------------


def test_table_6_has_both_arms_and_both_training_sets_beside_the_papers(made):  # noqa: F811
    runs = figures.treated("augmentation", "C1-text")
    put(made, runs["SB"], [80.0, 82.0], (1.0, 3.0))
    put(made, runs["LB"], [79.0], (50.0,))
    made.sharp(runs["LB"][0], 70.0, augmented=True)
    text = figures.table6()
    assert row(text, "C1-text", "81.00 ± 1.41") == ["C1-text", "81.00 ± 1.41", "83.63 ± 0.14", "79.00", "82.50 ± 0.67"]
    assert row(text, "C1-text", "1e-3", "as it is")[3:] == ["2.00 ± 1.41 (1.00, 3.00)", "50.00", "231.77 ± 30.50"]
    assert row(text, "C1-text", "5e-4", "augmented")[3:] == ["", "35.00", "45.89 ± 3.83"]
    assert "C4" not in str(text)
    assert "C1 with stride 2" in str(text) and "stride 2" not in str(figures.table6("C1"))


def test_verdict_6_weighs_what_is_left_of_the_gap_and_of_the_sharpness(made):  # noqa: F811
    runs = figures.treated("augmentation", "C1-text")
    put(made, runs["SB"], [83.0, 83.2], (2.0, 2.0))
    put(made, runs["LB"], [80.0, 80.2], (10.0, 10.0))
    text = str(figures.verdict6("C1-text"))
    assert (
        "Verdict: a gap remains.** C1-text: both augmented, SB is ahead of LB by 3 points." in text
        and "2 trials: both augmented, SB is ahead of LB by 3.00 points" in text
    )
    assert "on the training set as it is 5.0 times (5.0 to 5.0)." in text and "ithout augmentation" not in text


def test_table_7_stands_beside_the_papers(made):  # noqa: F811
    made.pairs()
    remedy(made, "conservative", [98.2, 98.4], (30.0, 50.0), network="F1")
    text = figures.table7()
    assert row(text, "F1", "98.10 ± 0.10")[1:] == [
        "98.10 ± 0.10",
        "98.03 ± 0.07",
        "97.80 ± 0.10",
        "97.81 ± 0.07",
        "98.30 ± 0.14",
        "98.12 ± 0.01",
    ]
    assert row(text, "F1", "5e-4")[2:] == [
        "62.50 ± 17.68 (50.00, 75.00)",
        "20.00 ± 7.07 (15.00, 25.00)",
        "46.02 ± 12.58",
        "42.90 ± 17.14",
    ]
    assert "mlp" not in str(text)


def test_the_papers_significance_is_recomputed_from_five_numbers_with_its_means_and_deviations():
    five = lambda mean, deviation: (
        mean + deviation * np.array([-2, -1, 0, 1, 2]) / math.sqrt(2.5)
    )  # deviation 1, ddof 1
    text = str(figures.verdict7_paper())
    p = []
    for network, after, before in (
        ("F1", (98.12, 0.01), (97.81, 0.07)),
        ("F2", (61.94, 1.10), (59.45, 1.05)),
        ("C1", (78.41, 0.22), (77.26, 0.42)),
        ("C2", (88.495, 0.63), (87.26, 0.07)),
        ("C3", (45.98, 0.54), (46.45, 0.43)),
        ("C4", (62.51, 0.67), (57.81, 0.17)),
    ):
        test = stats.ttest_ind(five(*after), five(*before), equal_var=False)
        low, high = test.confidence_interval()
        assert f"- {network}: {after[0] - before[0]:.2f} points (95 % interval {low:.2f} to {high:.2f};" in text
        p.append(test.pvalue)
    assert p[4] == max(p) > 0.05 > 2 * sorted(p)[4]  # Holm multiplies the last but one by 2
    assert (
        "significant for F1, F2, C1, C2, C4: 5 of 6" in text
        and "worse than plain LB for C3 (45.98 < 46.45), and" in text
    )
    assert "sharper at epsilon 1e-3 for F1, F2, C3." in text


@pytest.mark.parametrize(
    "accuracies, word",
    [
        ([97.8, 97.9, 97.7], "not settled"),
        ([98.8, 98.9, 98.7], "an improvement"),
        ([96.8, 96.9, 96.7], "a loss"),
        ([98.8], "open"),
    ],
)
def test_verdict_7_follows_the_numbers(made, accuracies, word):  # noqa: F811
    made.pairs()
    remedy(made, "conservative", accuracies, (10.0, 15.0), network="F1")
    text = str(figures.verdict7())
    gain, left = np.mean(accuracies) - 97.8, 98.1 - np.mean(accuracies)
    leads = lambda value, first, second: (
        f"{first} is ahead of {second} by {value:.2f} points" if value > -1e-9 else leads(-value, second, first)
    )
    assert (
        f"Verdict: {word}.** F1" in text
        and leads(gain, "conservative LB", "plain LB") in text
        and leads(left, "SB", "conservative LB") in text.replace(" Conservative LB is", " conservative LB is")
    )
    assert "sharpness over plain LB's: 0.10 times" in text
    assert (
        f"comparisons: F1 {2 if len(accuracies) > 1 else 1}." in text
    )  # its accuracy and its sharpness, of which two values are stored


def test_moments_kept_and_reset_stand_below_plain_lb(made):  # noqa: F811
    plain(made)
    remedy(made, "conservative_reset", [89.0, 89.0, 89.0], (5.0, 5.0, 5.0), updates=[3, 3])
    text = figures.moments("mlp")
    assert "moments kept" not in str(text)  # not measured, and so not drawn
    reset = row(text, "mlp", "conservative LB, moments reset")
    assert (
        reset[3].startswith("89.00") and reset[4].startswith("1.20 (") and reset[5:7] == ["64.00 ± 0.00", "6.00 ± 0.00"]
    )


# -- E.3 ---------------------------------------------------------------------------------------------------------------


def test_similar_is_judged_by_intervals(made):  # noqa: F811
    plain(made)
    remedy(made, "stability", [88.2, 88.4, 88.0], (20.0, 40.0, 10.0))  # the same, in other trials
    remedy(made, "stability", [94.4, 94.0, 94.2], (1.0, 2.0, 4.0), "SB")  # four points better
    text = str(figures.robust_verdict(("mlp", "F1")))
    assert "Verdict: 1 of 4 comparisons differ from the baseline" in text and "F1" not in text
    assert (
        "mlp, 3 trials: LB with stability training is ahead of plain LB by 0.00 points (95 % interval: from plain LB"
        " ahead by 0.86 to LB with stability training ahead by 0.86), not settled; " in text
    )
    assert (
        "SB with stability training is ahead of plain SB by 4.00 points (95 % interval 3.14 to 4.86), better; sharpness"
        " 1.0 times" in text
    )
    assert row(figures.robust("mlp"), "mlp", "stability training")[4].startswith("6.00 (")


def test_a_remedys_paths_are_those_of_its_own_ends(made):  # noqa: F811
    runs = figures.treated("stability", "mlp")
    made.store.put(
        units.path(runs["SB"][0], runs["LB"][0], "linear"),
        {
            "diverged": False,
            "alpha": [0, 1],
            **{f"{split}_{what}": [3.0, 4.0] for split in ("train", "test") for what in ("loss", "accuracy")},
        },
        {},
    )
    figure = figures.remedy_paths("stability", "mlp")
    after = figure.axes[0]  # of the plain pair no path is stored
    assert curves(after)["loss, train"].tolist() == [[0, 1], [3.0, 4.0]]
    assert "mlp, stability training" in words(figure)


# -- tuning ------------------------------------------------------------------------------------------------------------


def test_the_best_number_is_that_of_the_validation_split_once_all_are_measured(made):  # noqa: F811
    for trial in arrays.trials("tuning"):
        for (name, arm, value), of in treatments.candidates("mlp", trial).items():
            assert of.dataset == "mnist-1k-val"
            if arm == "SB" or name == "penalty":
                best = value == {"sam": 0.2, "penalty": 0.03}[name]
                made.train(of, 91.0 if best else 90.0, diverged=name == "penalty" and value == 0.3)
    assert figures.chosen_numbers("mlp") == {
        ("sam", "SB"): 0.2,
        ("sam", "LB"): None,
        ("penalty", "SB"): 0.03,
        ("penalty", "LB"): 0.03,
    }
    cells = row(figures.tuning("mlp"), "mlp", "SAM", "SB")
    assert "0.1: 90.00 ± 0.00; 0.2: 91.00 ± 0.00" in cells[3] and cells[4:] == [
        "**0.2**",
        str(treatments.TUNED["sam"]["mlp"]["SB"]),
    ]
    assert "| mlp | SAM | LB |" not in str(figures.tuning("mlp"))


def test_remedies_run_at_the_numbers_that_did_best_in_the_packaged_validation_runs():
    """Where any of these is not measured, at the number as published."""
    published = {"sam": SAM().rho, "penalty": GradientPenalty().weight}
    for name, networks in treatments.TUNED.items():
        for network, used in networks.items():
            best = figures.chosen_numbers(network)
            assert used == {arm: best[name, arm] or published[name] for arm in figures.ARMS}, (name, network)


# -- the scoreboard ----------------------------------------------------------------------------------------------------


def test_the_scoreboard_has_points_with_intervals_and_the_ratio_of_sharpness(made):  # noqa: F811
    plain(made)
    remedy(made, "sam", [91.4, 91.0, 91.2], (0.2, 0.1, 0.4), loss=0.004)
    remedy(made, "sam", [90.4, 90.0, 90.2], (1.0, 2.0, 4.0), "SB")
    remedy(made, "injected", [88.0, 88.2, 88.4], (10.0, 20.0, 40.0), updates=[1, 1])
    text = figures.scoreboard("mlp")
    half = stats.t.ppf(0.975, 2) * 0.2  # by seed 3.4, 2.8, 2.8: a standard error of 0.2, two degrees of freedom
    sam = row(text, "mlp", "SAM (Foret et al. 2021)")
    assert sam[2] == "91.20 ± 0.20"
    assert (
        sam[3] == f"3.00 ({3 - half:.2f} to {3 + half:.2f}), gains"
        and sam[4] == f"-1.00 ({-1 - half:.2f} to {-1 + half:.2f})"
    )
    factor = math.exp(stats.t.ppf(0.975, 2) * math.log(2) / math.sqrt(3))  # by seed 0.02, 0.005, 0.01
    assert sam[6] == f"0.010 times ({0.01 / factor:.2g} to {0.01 * factor:.2g}), flatter"
    assert sam[7] == "0.0040" and sam[9] == f"0.00 ({-half:.2f} to {half:.2f}), not settled"
    assert sam[10] == "3"
    noise = row(text, "mlp", "SB's gradient noise injected (Wu et al. 2020)")
    assert noise[3].endswith("not settled") and noise[8] == "2" and noise[9] == "not tried"
    assert row(text, "mlp", "*plain SB*")[3].startswith("2.00 (") and row(text, "mlp", "*plain LB*")[4].startswith(
        "2.00 ("
    )
    assert "comparisons: mlp 6." in str(text)  # a gain and a ratio of either, and SAM's two at SB
    assert "- mlp, plain: f ended at 0.1000 ± 0.0000 for SB and 0.1000 ± 0.0000 for LB: the same training loss" in str(
        text
    )
    assert "Not within a factor of 1.5 of plain LB's f: SAM (0.0040)." in str(text)
    assert "conservative training" not in str(text)
    said = str(figures.scoreboard_verdict("mlp"))
    assert (
        "1 of 2 remedies measured gains on plain LB; 1 ends flatter" in said
        and "- End flatter: 1 (SAM)\n" in said
        and "- End flatter and gain: 1 (SAM)\n" in said
        and "Lose" not in said
    )


def test_a_gain_that_stands_alone_may_fall_among_many(made):  # noqa: F811
    """p is about 0.02: enough for one or two comparisons, too much for four."""
    plain(made)
    remedy(made, "sam_m", [88.45, 88.8, 89.15])
    assert row(figures.scoreboard("mlp", "sam_m"), "mlp", "SAM, perturbed SB by SB (Foret et al. 2021)")[3].endswith(
        "), gains"
    )
    for name in ("ghost", "equal_updates", "decay", "growth"):
        if "mlp" in treatments.TREATMENTS[name].networks:
            remedy(made, name, [88.0, 88.2, 88.4])
    assert row(figures.scoreboard("mlp"), "mlp", "SAM, perturbed SB by SB (Foret et al. 2021)")[3].endswith(
        "), not settled"
    )


def test_a_comparison_has_one_word_on_every_page(made):  # noqa: F811
    """Two pages ask of few remedies and one of all; p is about 0.02, so either page alone would call conservative
    training a gain."""
    plain(made)
    gains = [88.6, 89.0, 89.4]
    remedy(made, "conservative", gains, (1.0, 2.0, 4.0))
    word = lambda: (
        figures.judgements("mlp")["conservative training", "gain"],
        "an improvement.** mlp" in str(figures.verdict7()),
        row(figures.scoreboard("mlp", "conservative"), "mlp", "conservative training (E.2, Table 7)")[3].split("), ")[
            1
        ],
        row(figures.scoreboard("mlp"), "mlp", "conservative training (E.2, Table 7)")[3].split("), ")[1],
        "- Gain: 1 (conservative training)\n" in str(figures.scoreboard_verdict("mlp", "conservative")),
    )
    assert word() == ("gains", True, "gains", "gains", True)
    remedy(made, "stability", gains)
    remedy(made, "stability", [90.6, 91.0, 91.4], arm="SB")
    found = str(figures.robust_verdict("mlp"))
    assert (
        word() == ("not settled", False, "not settled", "not settled", False)
        and "1 of 2" not in found
        and "Verdict: 0 of 2" in found
    )


@pytest.mark.parametrize(
    "accuracy, said",
    [
        (BASE["LB"][0], "Batch 32 against 1,000, which is the whole training set; 3 trials: SB is ahead of LB by"),
        (BASE["LB"][0], "**mlp: a gap.** SB is ahead of LB by"),
        ([90.1, 90.2, 90.3], "**mlp: no gap that the trials can tell.**"),
        ([95.0, 95.1, 95.2], "**mlp: no gap: LB is the better.**"),
    ],
)
def test_whether_a_bench_has_a_gap(made, accuracy, said):  # noqa: F811
    put(made, arrays.pairs("mlp")["SB"], BASE["SB"][0])
    put(made, arrays.pairs("mlp")["LB"], accuracy)
    assert said in str(figures.bench_gaps("mlp")) and "Not measured yet" in str(figures.bench_gaps("F1-5k"))
    for of in arrays.pairs("F1-5k").values():
        put(made, of, [95.0, 95.1])
    assert "Batch 32 against 400, which is 10 % of the training set" in str(figures.bench_gaps("F1-5k"))


def test_half_the_pull_is_half_of_lambda_and_is_held_against_the_whole(made):  # noqa: F811
    of = treatments.TREATMENTS["conservative_half"].run("mlp", 0)
    whole = treatments.TREATMENTS["conservative"].run("mlp", 0)
    assert of.remedies[0].strength == whole.remedies[0].strength / 2
    remedy(made, "conservative", [89.0, 89.2, 89.4], (1.0, 2.0, 4.0))
    remedy(made, "conservative_half", [89.0, 89.2, 89.4], (1.0, 2.0, 4.0))
    assert "lambda: no difference that the trials can tell.** mlp: " in str(figures.half_pull())
    remedy(made, "conservative_half", [79.0, 79.2, 79.4])
    text = str(figures.half_pull())
    assert "lambda: it makes a difference.**" in text and "the whole is ahead of half the pull by 10.00 points" in text


def test_one_trial_is_shown_and_left_open(made):  # noqa: F811
    plain(made)
    remedy(made, "asam", [89.2], (5.0,))
    cells = row(figures.scoreboard("mlp", "asam"), "mlp", "ASAM (Kwon et al. 2021)")
    assert cells[2:4] == ["89.20", "1.20, open"] and cells[6] == "0.50 times, open" and cells[9:] == ["", "1"]


def test_the_scoreboards_picture_has_every_trial_and_interval(made):  # noqa: F811
    plain(made)
    remedy(made, "sam", [91.0, 91.2, 91.4], (1.0, 2.0, 4.0))
    left, right = figures.scoreboard_figure("mlp").axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["SAM"]
    assert curves(left)["a trial"][0] == pytest.approx([3.0, 3.0, 3.0]) and curves(left)["plain SB"][
        0
    ] == pytest.approx([2.0, 2.0])
    assert curves(right)["a trial"][0] == pytest.approx([0.1, 0.1, 0.1]) and curves(right)["plain SB"][
        0
    ] == pytest.approx([0.1, 0.1])
    (whisker,) = [line for line in left.lines if line.get_linestyle() == "-" and line.get_label().startswith("_")]
    assert np.mean(whisker.get_xdata()) == pytest.approx(3.0)


def test_the_explorer_gets_the_networks_that_have_anything(made):  # noqa: F811
    plain(made)
    plain(made, "mlp-bn")
    remedy(made, "sam", [91.0, 91.2, 91.4], (1.0, 2.0, 4.0))
    remedy(made, "ghost", [89.0, 89.2, 89.4], network="mlp-bn")
    data = figures.scoreboard_data(("F1-5k", "mlp", "mlp-bn"))
    assert data["networks"] == ("mlp", "mlp-bn") and data["remedies"][0] == "plain SB"
    sam, ghost = map(data["remedies"].index, ("SAM", "ghost batch norm"))
    assert data["gain"][0][0][0] == pytest.approx(2.0) and data["gain"][0][sam][0] == pytest.approx(3.0)
    assert data["left"][0][sam][0] == pytest.approx(-1.0) and data["ratio"][0][sam][0] == pytest.approx(0.1)
    assert (
        data["gain"][1][ghost][0] == pytest.approx(1.0) and np.isnan(data["gain"][0][ghost]).all()
    )  # the mlp has no batch norm
    assert np.isnan(data["ratio"][1][ghost]).all() and data["trials"][0][sam] == 3 and data["trials"][0][ghost] == 0


def test_the_benches_are_compared_as_table_2_and_3(made):  # noqa: F811
    plain(made)
    cells = row(figures.benches(), "mlp", "mlp on mnist-1k")
    assert cells[4].startswith("2.00 (") and cells[5:9] == ["2.00 ± 0.00", "2.00 ± 0.00", "64.00 ± 0.00", "2.00 ± 0.00"]
    assert cells[11].startswith("10 times") and "C1-text" not in str(figures.benches())
