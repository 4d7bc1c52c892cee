"""Sentences that say how an answer would read by another choice: another goal, loss, box, mode, step or epoch."""

import numpy as np
import pytest
import scipy.stats

from lbgap import claims, figures
from lbgap.campaign import experiments, scales
from lbgap.figures import comparisons, noisy_labels, statistics, when_it_pays
from lbgap.results import arrays

BASE, HALF = scales.EPSILONS


def apart(runs, **what):
    """SB less LB of what was evaluated at the end, by seed."""
    return claims.contrast(*(arrays.final(runs[arm], **what) for arm in ("SB", "LB")))


def three(network, change=lambda of: of):
    """The first three pairs of a network, or what they go on to."""
    return {arm: [change(of) for of in runs[:3]] for arm, runs in arrays.pairs(network).items()}


def test_f1_s_large_batch_pays_where_its_goal_is_a_fifth_of_a_point_lower():
    runs, found = arrays.pairs("F1"), when_it_pays.speeds("F1")
    last = np.nanmean(arrays.final(runs["LB"]))
    sure = 256 / 6000 * found[6000]["low"] / found[256]["high"]
    for level in (last - 0.2, 97.9, 97.88, 97.91):
        small, large = (when_it_pays.iterations(runs[arm], level)[:4] for arm in ("SB", "LB"))
        assert (large / small < sure).all()
        assert (large.min(), large.max()) == (60, 80) and (small.min(), small.max()) == (1175, 1645)
    for level in (97.85, 98.05):
        small, large = (when_it_pays.iterations(runs[arm], level)[:4] for arm in ("SB", "LB"))
        assert not (large / small < sure).all()


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


def test_with_frozen_statistics_two_of_the_eight_contrasts_at_one_length_are_not_shown():
    for network, epsilon, which, value in (("C1-text", BASE, "LB's lengths", 0.58), ("F1", HALF, "SB's lengths", 1.5)):
        small, large = three(network).values()
        if which == "LB's lengths":
            small = arrays.sharpness(small, epsilon, "frozen", large, match="norms")
            large = arrays.sharpness(large, epsilon, "frozen")
        else:
            large = arrays.sharpness(large, epsilon, "frozen", small, match="norms")
            small = arrays.sharpness(small, epsilon, "frozen")
        found = statistics.ratio(small, large)
        assert found.side(1) == 0 and found.value == pytest.approx(value, rel=0.03)
