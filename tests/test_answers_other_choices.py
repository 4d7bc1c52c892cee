"""Sentences that say how an answer would read by another choice: another goal, loss, box, mode, step or epoch."""

import numpy as np
import pytest
import scipy.stats
import torch

import lbgap
from lbgap import claims, figures, paper
from lbgap.campaign import experiments, scales
from lbgap.figures import comparisons, noisy_labels, statistics
from lbgap.results import arrays

BASE, HALF = scales.EPSILONS


def apart(runs, **what):
    """SB less LB of what was evaluated at the end, by seed."""
    return claims.contrast(*(arrays.final(runs[arm], **what) for arm in ("SB", "LB")))


def three(network, change=lambda of: of):
    """The first three pairs of a network, or what they go on to."""
    return {arm: [change(of) for of in runs[:3]] for arm, runs in arrays.pairs(network).items()}


def test_by_the_test_loss_the_small_batch_wins_on_f1_and_mlp_only():
    side = {
        n: apart(arrays.pairs(n), what="loss").side(0) for n in ("F1", "C1-text", "F1-5k", "F2-lj", "mlp", "mlp-bn")
    }
    assert side == {"F1": -1, "C1-text": 0, "F1-5k": 1, "F2-lj": 1, "mlp": -1, "mlp-bn": 0}
    small = arrays.final(three("F2-lj")["SB"], what="loss").mean()
    assert small == pytest.approx(np.log(345), rel=0.05) and round(np.log(345), 2) == 5.84
    fallen = {n: apart(three(n, experiments.settled), what="loss").side(0) for n in ("F1", "F2-lj", "C1-text")}
    assert fallen == {"F1": 0, "F2-lj": 1, "C1-text": 1}
    told = str(figures.loss2(("F1", "F2-lj")))
    assert "| F1 | 0.080 ± 0.003" in told and "| SB |" in told and "| F2-lj | 5.622 ± 0.039 | 3.839 ± 0.019 |" in told


def test_f2_lj_s_small_batch_is_ahead_once_the_rate_has_fallen_and_has_nearly_learned_before():
    before, after = three("F2-lj"), three("F2-lj", experiments.settled)
    assert round(arrays.final(before["SB"], "train").mean(), 1) == 97.6
    lost = [arrays.final(of[arm], what="loss").mean() for of in (before, after) for arm in ("LB", "SB")]
    assert np.round(lost, 2).tolist() == [3.84, 5.62, 3.86, 5.45]
    assert round(statistics.gap(*after.values()).value, 1) == 0.8
    assert (arrays.epochs(before["SB"] + before["LB"]) == 60).all()
    sharp = {
        e: [arrays.sharpness(of["LB"], e) / arrays.sharpness(of["SB"], e) for of in (before, after)]
        for e in (BASE, HALF)
    }
    assert [round(v[0]) for v in (*sharp[BASE], *sharp[HALF])] == [15, 17, 17, 48]  # of the one pair measured after


def test_how_steep_f2_lj_s_large_batch_is_hangs_on_how_far_one_walks():
    both = arrays.paths(*arrays.pairs("F2-lj").values())
    times = lambda kind, step: statistics.ratio(*statistics.rises(both[kind], step).values()).value
    assert [round(times("linear", step)) for step in (1 / 4, 1 / 2)] == [198, 27]
    assert round(times("curvilinear", 1 / 4)) == 15 and times("curvilinear", 3 / 8) < 1.6


def test_on_wrong_labels_the_test_loss_says_otherwise_at_equal_updates_and_the_same_elsewhere():
    sides = {(s, end): apart(of, what="loss").side(0) for s in (0.2, 0.4) for end, of in noisy_labels.ends(s).items()}
    assert {key for key, side in sides.items() if side == -1} == {(s, "equal updates") for s in (0.2, 0.4)}
    assert len(sides) == 10 and 0 not in sides.values()
    fifth, two = (noisy_labels.ends(s) for s in (0.2, 0.4))
    assert fifth["15 epochs"]["SB"] == fifth["equal updates"]["SB"]
    assert round(apart(fifth["equal updates"]).value, 1) == -1.3
    f = {arm: comparisons.training_loss(runs) for arm, runs in two["15 epochs"].items()}
    assert 1.45 < f["LB"].mean() / f["SB"].mean() < 1.5
    for ends, lead in ((fifth, 0.2), (two, 0.3)):
        best = statistics.best_and_last(ends["60 epochs"] | {"LB": ends["equal updates"]["LB"]})
        found = claims.contrast(best["LB"][0], best["SB"][0])
        assert round(found.value, 1) == lead and found.side(0) == 0


def test_on_wrong_labels_the_sharper_ends_of_the_large_batch_test_worse():
    told = {0.2: {"LB": (-0.66, -0.68), "SB": (-0.21, 0.02)}, 0.4: {"LB": (-0.86, -0.79), "SB": (0.26, -0.50)}}
    for share, by_arm in told.items():
        for arm, wanted in by_arm.items():
            every = list({of.id: of for end in noisy_labels.ends(share).values() for of in end[arm]}.values())
            values = comparisons.sharpness_of(every), noisy_labels.memorised(every)
            found = [scipy.stats.spearmanr(v, arrays.final(every)).statistic for v in values]
            assert np.round(found, 2).tolist() == list(wanted)


def test_filters_of_one_length_leave_another_contrast_in_half_the_box():
    told = {"F1": ((18, 98), (56, 10)), "C1-text": ((3.4, 2.8), None)}
    for network, (times, taken) in told.items():
        runs = three(network)
        plain = [arrays.sharpness(runs[arm], HALF) for arm in ("SB", "LB")]
        small, large = runs.values()
        with_small = plain[0], arrays.sharpness(large, HALF, "value", small, match="norms")
        with_large = arrays.sharpness(small, HALF, "value", large, match="norms"), plain[1]
        found = [statistics.ratio(*of) for of in (with_small, with_large)]
        assert all(of.side(1) == 1 for of in found)
        assert [of.value for of in found] == pytest.approx(times, rel=0.03)
        if taken:
            assert [round(statistics.ratio(*plain).value / of.value) for of in found] == list(taken)


def test_with_frozen_statistics_half_of_the_eight_contrasts_at_one_length_are_shown():
    shown = {}
    for network in ("F1", "C1-text"):
        small, large = three(network).values()
        for epsilon in (BASE, HALF):
            plain = [arrays.sharpness(runs, epsilon, "frozen") for runs in (small, large)]
            longer = arrays.sharpness(large, epsilon, "frozen", small, match="norms")
            shorter = arrays.sharpness(small, epsilon, "frozen", large, match="norms")
            shown[network, epsilon, "SB's"] = statistics.ratio(plain[0], longer).side(1)
            shown[network, epsilon, "LB's"] = statistics.ratio(shorter, plain[1]).side(1)
    not_shown = [("F1", HALF, "SB's"), ("C1-text", BASE, "SB's"), ("C1-text", BASE, "LB's"), ("C1-text", HALF, "LB's")]
    assert shown == dict.fromkeys(shown, 1) | dict.fromkeys(not_shown, 0) and len(shown) == 8


def test_at_one_loss_f1_s_ratio_is_by_the_epoch_at_which_the_small_batch_is_taken():
    plain = arrays.pairs("F1", (0,))
    goal = arrays.pairs("F1", (0,), **comparisons.run_settings("matched_loss", "F1")[0])
    assert arrays.epochs(goal["SB"]) == 62
    on = {arm: arrays.iterates(of[0], lambda runs: arrays.sharpness(runs, BASE)) for arm, of in plain.items()}
    at = lambda arm, epoch: on[arm][1][on[arm][0].index(epoch)]
    small = [arrays.sharpness(goal["SB"], BASE)[0], at("SB", 60), at("SB", 100)]
    large = [arrays.sharpness(goal["LB"], BASE)[0], at("LB", 15), at("LB", 15)]
    assert np.round(np.divide(large, small), -1).tolist() == [140, 330, 940]
    assert 6.5 < small[0] / small[2] < 7.5
    f, _ = zip(*(arrays.descent(of[0], BASE) for of in plain.values()))
    assert np.allclose([f[0][-2], f[0][-1], f[1][4], comparisons.training_loss(goal["SB"])[0]], 0.0009, atol=1e-4)
    half = [arrays.sharpness(of["LB"], HALF)[0] / arrays.sharpness(of["SB"], HALF)[0] for of in (plain, goal)]
    assert np.round(half, -1).tolist() == [1160, 440]


def test_the_falling_rate_puts_twelve_times_on_f1_s_ratio_and_parts_c1_text_s_losses():
    def change(network, epsilon):
        before, after = (
            [arrays.sharpness(of[arm], epsilon) for arm in ("SB", "LB")]
            for of in (three(network), three(network, experiments.settled))
        )
        return statistics.ratio(*before).value, statistics.ratio(*after).value

    assert [round(after / before) for before, after in (change("F1", BASE), change("F1", HALF))] == [12, 21]
    assert [round(v) for v in change("C1-text", BASE)] == [38, 50]
    assert change("C1-text", HALF)[0] > 40 and change("C1-text", HALF)[1] > 120
    f = {arm: comparisons.training_loss(runs).mean() for arm, runs in three("C1-text", experiments.settled).items()}
    assert round(f["LB"] / f["SB"]) == 14


def test_only_with_frozen_statistics_does_c1_text_s_ratio_change_much():
    for network, values in (("F1", (756, 780)), ("F2-lj", (15, 15, 15)), ("C1-text", (38, 38, 12))):
        runs = arrays.pairs(network)
        for what, value in zip(("value", "recalibrated", "frozen"), values):
            found = statistics.ratio(*(arrays.sharpness(runs[arm], BASE, what) for arm in ("SB", "LB")))
            assert found.value == pytest.approx(value, rel=0.03)
    assert [round(v) for v in found.interval] == [6, 26]
    for epsilon, most in ((BASE, 0.1), (HALF, 0.205)):
        plain, coarse = three("C1-text"), arrays.pairs("C1-text", (0,), precision="bf16")
        moved = [arrays.sharpness(coarse[a], epsilon)[0] / arrays.sharpness(plain[a], epsilon)[0] - 1 for a in coarse]
        assert most - 0.02 < np.abs(moved).max() < most


def test_with_filters_of_one_length_c1_text_s_wall_all_but_goes():
    for network, value in (("C1-text", 1.6), ("F2-lj", 5.7), ("F1", 640)):
        line = arrays.paths(*arrays.pairs(network).values(), match="norms")["linear"]
        found = statistics.ratio(*statistics.rises(line).values())
        assert found.value == pytest.approx(value, rel=0.02)
        assert network != "C1-text" or (found.n == 3 and found.interval[1] < 2)


def test_ten_iterations_on_the_metric_do_not_turn_f1_s_ranking():
    ends = {arm: runs[:2] for arm, runs in arrays.pairs("F1").items()}
    small, large = (arrays.sharpness(ends[arm], BASE, solver="literal", scale="metric") for arm in ends)
    assert (large / small > 500).all()
    theirs = paper.cell("table3", "F1")
    assert np.mean(large) / theirs["1e-3"]["LB"][0] == pytest.approx(1.8, abs=0.2)  # twice
    half = arrays.sharpness(ends["LB"], HALF, solver="literal", scale="metric")
    assert np.mean(half) / theirs["5e-4"]["LB"][0] == pytest.approx(1.1, abs=0.05)
    best = [np.nanmean(arrays.sharpness(arrays.pairs("F1")["LB"], e)) for e in (BASE, HALF)]
    assert [round(b / theirs[key]["LB"][0]) for b, key in zip(best, ("1e-3", "5e-4"))] == [3, 4]


def test_entries_twice_as_large_would_make_the_half_subspace_box_the_whole_one():
    """The columns' part of x is small beside 1, so that the box of z = A y goes with A times epsilon."""
    x = lbgap.minimizer("F1-LB").x
    A = torch.randn(len(x), 100, generator=torch.Generator().manual_seed(0))
    assert (torch.linalg.lstsq(A, x[:, None]).solution.abs() < 0.01).all()
    runs = arrays.pairs("F1")
    found = statistics.ratio(*(arrays.sharpness(runs[arm], BASE, subspace=100) for arm in ("SB", "LB")))
    assert round(found.value) == 48


def test_the_paper_s_box_is_too_small_for_the_laboratory_with_batch_norm():
    ends = [[scales.laboratory("mlp-bn", b, t) for t in scales.scale().trials] for b in (8, 1000)]
    said = str(figures.at_every_epsilon(dict(zip(("SB", "LB"), ends))))
    assert "from 1e-05 to 0.0005 LB is the flatter; from 0.001 to 0.002 the two are not told apart; " in said
    assert "from 0.005 to 0.01 LB is the sharper; from 0.02 to 0.05 LB is the flatter." in said


def test_the_paper_s_largest_contrasts():
    ratio = lambda key: {n: row[key]["LB"][0] / row[key]["SB"][0] for n, row in paper.numbers()["table3"].items()}
    base, half = ratio("1e-3"), ratio("5e-4")
    assert {n: round(base[n]) for n in sorted(base, key=base.get)[-3:]} == {"C2": 107, "F1": 167, "F2": 223}
    assert half["C2"] > half["F1"]


def test_how_far_the_test_curves_fall_from_their_peaks():
    told = {"C1-text": (1.8, 2.5), "C1-bf16": (0.3, 0.7), "F2-lj": (1.1, None)}
    for network, wanted in told.items():
        for (best, last), fall in zip(statistics.best_and_last(arrays.pairs(network)).values(), wanted):
            assert fall is None or np.nanmean(best - last) == pytest.approx(fall, abs=0.05)
