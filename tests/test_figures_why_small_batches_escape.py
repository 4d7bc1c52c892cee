"""Section 3 in the laboratory: what its pages say in prose, held to the packaged results; and rates by hand."""

import numpy as np
import pytest
from scipy import stats
from test_figures import Made, made  # noqa: F401

from lbgap import claims, figures
from lbgap.campaign import experiments, scales, units
from lbgap.figures import (
    batch_or_rate,
    comparisons,
    few_steep_directions,
    measures,
    statistics,
    why_small_batches_escape,
)
from lbgap.results import arrays

AT_ONE = lambda of: units.sharpness(of, (1e-3,))


def test_the_prose_on_warm_starts_is_true():
    """After 13 epochs of SB, LB tests better than LB from the start, and is flatter, most of the way to SB."""
    runs = arrays.pairs("mlp")
    at, accuracy = why_small_batches_escape.warm_values("mlp", arrays.final)
    _, sharp = why_small_batches_escape.warm_values("mlp", comparisons.sharpness_of)
    assert list(at) == [1, 2, 3, 5, 8, 13] and accuracy.shape == sharp.shape == (5, 6)
    small, large = (arrays.final(runs[arm]) for arm in ("SB", "LB"))
    assert claims.contrast(accuracy[:, -1], large).interval[0] > 0
    assert claims.contrast(comparisons.sharpness_of(runs["LB"]), sharp[:, -1], scale="ratio").interval[0] > 1
    assert accuracy[:, -1].mean() - large.mean() > 0.5 * (small.mean() - large.mean())
    assert sharp[:, -1].mean() < 0.5 * (
        comparisons.sharpness_of(runs["LB"]).mean() + comparisons.sharpness_of(runs["SB"]).mean()
    )


@pytest.mark.parametrize("network", scales.LABS)
def test_the_prose_on_the_way_down_is_true(network):
    """Without batch norm both rise, then fall, SB further; with it both fall. Near the start they differ little."""
    ends = {arm: [] for arm in ("SB", "LB")}
    for arm, runs in arrays.pairs(network).items():
        for of in runs:
            f, s = arrays.descent(of, 1e-3)
            assert (s.argmax() > 0) == (network == "mlp") and s[-1] < s.max() / 1.1
            ends[arm].append(s[-1])
            if network == "mlp":  # LB ends sharper than after its first epoch, SB flatter
                assert (s[-1] > s[0]) == (arm == "LB")
    start = measures._descent_ratio(network, arrays.pairs(network), "start")
    assert 0.5 < start.interval[0] and start.interval[1] < 2
    if network == "mlp":
        assert max(ends["SB"]) < min(ends["LB"])


def test_the_sliders_have_what_is_stored_and_what_the_prose_says_of_it():
    """SB ends after some twenty epochs; without batch norm each arm is sharpest where f is a few tenths."""
    warm, way = why_small_batches_escape.warm_slider(), why_small_batches_escape.way_slider()
    at, accuracy = why_small_batches_escape.warm_values("mlp-bn", arrays.final)
    assert warm.meta["at"] == list(at) and warm.meta["choices"] == ["without batch norm", "with batch norm"]
    found, runs = warm.arrays(), arrays.pairs("mlp-bn")
    np.testing.assert_allclose(found["accuracy.2"][1], accuracy.T, rtol=1e-6)
    np.testing.assert_allclose(found["sharpness.1"][1], [comparisons.sharpness_of(runs["LB"])] * 6, rtol=1e-6)
    assert way.meta["at"] == [1, 2, 4, 8, 15, 30, 60, 100]
    for key, arm in ("", "SB"), (".1", "LB"):
        f, s = (way.arrays()[of + key][0].mean(1) for of in ("f", "sharpness"))
        assert 0.1 < f[s.argmax()] < 0.4 and 0 < s.argmax() < 7 and s[-1] < s.max() / 1.5
        ends = np.concatenate([arrays.epochs(arrays.pairs(network)[arm]) for network in scales.LABS])
        assert (15 < ends).all() and ((ends < 25).all() == (arm == "SB"))


def test_the_prose_on_steep_directions_is_true():
    """Under one in twenty are steep; LB's are steeper without batch norm and not with it; a cliff after the ninth."""
    for network in scales.LABS:
        of = few_steep_directions.curved(network)
        assert len(of["SB"]["share"]) == len(of["LB"]["share"]) == 5
        low, high = {"mlp": (1 / 4000, 1 / 1000), "mlp-bn": (1 / 100, 1 / 25)}[network]  # one in 2,000, one in 50
        assert all(low < of[arm]["share"].mean() / 100 < high for arm in of)
        steeper = claims.contrast(of["LB"]["largest"], of["SB"]["largest"], scale="ratio")
        assert (steeper.interval[0] > 1) == (network == "mlp")
    of = few_steep_directions.curved("F1")
    assert 1 / 2500 < of["SB"]["share"][0] / 100 < 1 / 1900 and 1 / 9500 < of["LB"]["share"][0] / 100 < 1 / 8500
    assert 28 < of["LB"]["largest"][0] / of["SB"]["largest"][0] < 31
    for runs in arrays.pairs("mlp").values():
        for r in arrays.each(units.spectrum, runs):
            assert r["top"][8] > 2 * r["top"][9] and r["top"][7] < 2 * r["top"][8]


def test_the_prose_on_metric_and_curvature_is_true():
    said = {
        line.split(":")[0][2:]: float(line.split()[4])
        for line in str(few_steep_directions.metric_and_curvature()).splitlines()
    }
    assert said["mlp"] > 0.8 > 0.4 > said["mlp-bn"]


def test_the_prose_on_distances_is_true():
    for network in scales.LABS:
        small, large = (arrays.distance(runs).mean() for runs in arrays.pairs(network).values())
        assert small < 1.05 * large


def test_the_prose_on_rates_is_true():
    """Sharpness follows the rate more than the batch size, and says nothing about accuracy."""
    of = batch_or_rate.rates("mlp")
    there = (of.f < 5e-3).all(2)
    sharp, accuracy = np.where(there, of.sharpness.mean(2), np.nan), of.accuracy.mean(2)
    over = lambda axis: np.nanmedian(np.nanmax(sharp, axis) / np.nanmin(sharp, axis))
    assert over(0) > 10 * over(1)  # over the rates, at one batch size; over the batch sizes, at one rate
    assert abs(rank_correlation(sharp[there], accuracy[there])) < 0.3
    usual = of.rates.index(1e-3)
    assert rank_correlation(sharp[usual], accuracy[usual]) < -0.9  # at one rate the sharper tests worse
    assert all(there[k, i] for i, k in enumerate(of.chosen))
    ends = lambda values: [values[of.chosen[i], i] for i in (0, -1)]
    lead, steep = claims.contrast(*ends(of.accuracy)), claims.contrast(*ends(of.sharpness)[::-1], scale="ratio")
    assert lead.side(0) == 1 and steep.side(1) == 0  # with a rate of its own for each
    tuned = [accuracy[k, i] for i, k in enumerate(of.chosen)]
    assert int(np.argmax(tuned)) == 1  # accuracy falls from batch 16 on
    best = np.where(there, accuracy, 0).max(0)  # by the test images
    assert 0.8 < best[0] - best[-1] < 1.3 and of.accuracy.shape[2] == 5


def test_at_one_rate_the_sharper_end_tests_worse_up_to_a_rate_of_0_003():
    of = batch_or_rate.rates("mlp")
    for rate, there, sharp, accuracy in zip(of.rates, of.arrived, of.sharpness, of.accuracy):
        if rate <= 3e-3:
            assert rank_correlation(sharp[there].mean(1), accuracy[there].mean(1)) < -0.9
    (k,) = [k for k, rate in enumerate(of.rates) if rate == 1e-2]
    steep = statistics.ratio(of.sharpness[k, 0], of.sharpness[k, -1])
    assert of.arrived[k].all() and 24 < steep.value < 26 and steep.side(1) == 1
    assert [round(end, 1) for end in steep.interval] == [7.5, 84.2]
    assert abs(claims.contrast(of.accuracy[k, 0], of.accuracy[k, -1]).value) < 0.1
    said = str(figures.rates_and_sharpness())
    assert "-0.93 at 0.003, 0.10 at 0.01." in said  # at 0.03 only four sizes come to the loss


def test_the_prose_on_rates_with_batch_norm_is_true():
    """The rate says who leads, at one rate both are about as sharp, and over the rates the flatter tests better."""
    of = batch_or_rate.rates("mlp-bn")
    rate = {lr: k for k, lr in enumerate(of.rates)}
    lead = lambda first, last: claims.contrast(of.accuracy[first, 0], of.accuracy[last, -1])
    at = {lr: lead(k, k) for lr, k in rate.items()}
    assert [round(at[lr].value, 1) for lr in (3e-4, 3e-2)] == [0.3, -2.1]
    assert [at[lr].side(0) for lr in (3e-4, 1e-3, 3e-2)] == [1, 0, -1]
    own = [of.chosen[0], of.chosen[-1]]
    assert lead(*own).side(0) == -1 and own[0] == rate[3e-4]
    for values, sign in ((of.accuracy, 1), (of.sharpness, -1)):  # the two smallest end worst, and sharpest
        order = np.argsort([sign * values[k, i].mean() for i, k in enumerate(of.chosen)])
        assert set(order[:2]) == {0, 1}
    there, sharp, accuracy = of.arrived, of.sharpness.mean(2), of.accuracy.mean(2)
    assert sharp[own[0], 0] == sharp[:, 0].max()  # where batch 8 ends sharpest
    peeked = np.where(there, accuracy, 0).argmax(0)
    assert peeked[0] == rate[1e-3] and lead(peeked[0], peeked[-1]).side(0) == 0
    for k in range(1, len(rate)):  # at 1e-4 batch 1,000 does not come to the loss
        assert there[k].all() and max(sharp[k, 0] / sharp[k, -1], sharp[k, -1] / sharp[k, 0]) < 1.45
    assert not there[0, -1] and rank_correlation(sharp[there], accuracy[there]) < -0.4
    mean, flat = ([of[k][there[k]].mean() for k in range(len(rate))] for of in (accuracy, sharp))
    assert max(mean[k] for k in (0, 1, 2, 5)) < min(mean[3:5]) and np.argmin(flat) == 5
    assert flat[3] < flat[2] / 2 < flat[0] / 2 and mean[0] < mean[3] - 0.9


def test_the_prose_on_the_luck_of_rates_is_true(monkeypatch):
    picked, sure = [], []
    for count in (3, 4, 5):
        monkeypatch.setattr(batch_or_rate, "_measured", lambda network, count=count: list(range(count)))
        of = batch_or_rate.rates("mlp")
        picked.append(of.rates[of.chosen[0]])
        sure.append(claims.contrast(*(of.accuracy[of.chosen[i], i] for i in (0, -1))).side(0))
    assert picked == [0.001, 0.01, 0.003] and sure == [1, 0, 1]


def test_a_rate_that_does_not_come_to_the_loss_is_not_chosen(made, monkeypatch):  # noqa: F811
    """At batch 1,000 the last rate does best on the validation split, and stays above the goal."""
    monkeypatch.setattr(experiments, "LABORATORY_RATES", (1e-3, 1e-2))
    for b in scales.scale().laboratory:
        for lr in experiments.LABORATORY_RATES:
            made.train(experiments.laboratory_rate("mlp", b, 0, lr, True), 90 + 100 * lr)
            above = lr == 1e-2 and b == scales.scale().laboratory[-1]
            made.train(experiments.laboratory_rate("mlp", b, 0, lr), loss=1.0 if above else 1e-3)
    of = batch_or_rate.rates("mlp")
    assert [of.rates[k] for k in of.chosen] == [1e-2] * 7 + [1e-3]


def rank_correlation(x, y):
    return stats.spearmanr(x, y).statistic


def test_two_arms_are_compared_at_one_f_between_the_measured_ones():
    """On straight lines in the logarithms: sharpness 4 / f for SB, and 1 / f for LB, at f 0.01 and 1."""
    f, g = np.array([1.0, 0.1, 0.001]), np.array([4.0, 0.5, 0.01])
    of = {"SB": (f, 4 / f), "LB": (g, 1 / g)}
    assert statistics.at_one_f(of, max) == pytest.approx([4.0, 1.0])
    assert statistics.at_one_f(of, min) == pytest.approx([400.0, 100.0])


def test_a_rate_is_chosen_on_the_validation_split(made, monkeypatch):  # noqa: F811
    """Batch 8 does best at 3e-3 there, 1,000 at 1e-2; on the test set the largest rate would win."""
    monkeypatch.setattr(experiments, "LABORATORY_RATES", (1e-3, 3e-3, 1e-2))
    for trial in range(2):
        for b in scales.scale().laboratory:
            for lr in experiments.LABORATORY_RATES:
                best = 3e-3 if b < 1000 else 1e-2
                made.train(experiments.laboratory_rate("mlp", b, trial, lr, True), 95.0 - abs(np.log(lr / best)))
                of = experiments.laboratory_rate("mlp", b, trial, lr)
                made.train(of, 90.0 + 10 * lr + (b == 8) + 0.01 * trial)
                made.sharp(
                    of, b * lr * (1 + trial / 10), epsilons=(1e-3,), unit=lambda of: units.sharpness(of, (1e-3,))
                )
    of = batch_or_rate.rates("mlp")
    assert [of.rates[k] for k in of.chosen] == [3e-3] * 7 + [1e-2] and of.accuracy.shape == (3, 8, 2)
    said = str(batch_or_rate.rates_verdict("mlp"))
    assert "**At one rate, 1e-3**, batch 8 is ahead of batch 1,000 by 1 points" in said
    assert "**Each at its own rate**, batch 8 is ahead of batch 1,000 by 0.93 points" in said
    assert "8: 0.003" in said and "1,000: 0.01" in said and "2 trials" in said
