"""Intervals, corrections and interpolations against closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from lbgap import claims, figures
from lbgap.figures import few_steep_directions, statistics, why_small_batches_escape, words


def test_welch_is_scipys():
    a, b = [98.1, 98.0, 98.25, 98.3], [97.8, 97.9, 97.7]
    ours = claims.contrast(a, b, seeds="independent").interval
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert ours == pytest.approx((theirs.low, theirs.high))
    one, none = (claims.contrast(side, [0.5], seeds="independent") for side in ([1.0], []))
    assert (one.value, one.interval) == (0.5, None) and np.isnan(none.value)


def test_as_many_on_either_side_are_compared_by_seed():
    a, b = [98.1, 98.0, 98.25, np.nan], [97.8, 97.9, 97.7, 97.0]
    value, pair = claims.contrast(a, b)[:2]
    theirs = stats.ttest_rel(a[:3], b[:3]).confidence_interval(0.95)
    assert value == pytest.approx(0.95 / 3) and pair == pytest.approx((theirs.low, theirs.high))


def test_holm_is_rs():
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")"""
    p = [0.01, np.nan, 0.04, 0.03, 0.005]
    np.testing.assert_allclose(figures.holm(p), [0.03, np.nan, 0.06, 0.06, 0.02])
    assert figures.holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_a_ratio_is_one_of_geometric_means():
    found = figures.ratio([1.0, 4.0], [10.0, 40.0])
    assert found.value == pytest.approx(10) and found.interval[0] * found.interval[1] == pytest.approx(100)
    assert figures.ratio([1.0, 4.0], [10.0, 80.0]).interval == pytest.approx(
        [math.sqrt(200) * 2 ** (s * 12.7062 / 2) for s in (-1, 1)], rel=1e-4
    )
    assert np.isnan(figures.ratio([0.0, 1.0], [1.0, 1.0]).value)
    assert figures.ratio([1.0], [2.0]).interval is None


def test_the_papers_ratio_has_an_interval_from_means_and_deviations():
    found = statistics.paper_ratio({"SB": [1.0, 0.1], "LB": [10.0, 1.0]})
    rounded = 0.01**2 / 12 * (1 + 0.01)  # of two decimals, on a mean of 1 and on one of 10
    half = stats.t.ppf(0.975, 8) * math.sqrt(2 * 0.01 / 5 + rounded)
    assert found.interval == pytest.approx((10 * math.exp(-half), 10 * math.exp(half)), rel=1e-4)


def test_a_power_law_is_crossed_where_it_is():
    x = np.array([1e-4, 1e-3, 1e-2])
    assert figures.crossing(x, 1e4 * x**2, 0.1) == pytest.approx(math.sqrt(1e-5))
    assert figures.crossing(x, 1e4 * x**2, 1e-3) == pytest.approx(math.sqrt(1e-7))
    assert np.isnan(figures.crossing(x, x, 1.0)) and np.isnan(figures.crossing([], [], 1.0))
    assert why_small_batches_escape.at_loss(
        np.array([1.0, np.nan, 1e-2]), np.array([5.0, 1.0, 50.0]), 0.1
    ) == pytest.approx(math.sqrt(250))


def test_a_density_is_smoothed_to_mass_one():
    u, density = few_steep_directions.smoothed(np.array([-1.0, 2.0]), np.array([0.25, 0.75]), 0.3)
    assert density.sum() * (u[1] - u[0]) == pytest.approx(1, abs=1e-3)
    assert density[np.abs(u - 2).argmin()] == pytest.approx(0.75 * stats.norm.pdf(0, scale=0.3), rel=1e-3)


@pytest.mark.parametrize(
    "losses, same",
    [
        (([1.0, 2.0], [2.25]), True),
        (([1.0, 2.0], [2.26]), False),
        (([2.26], [1.0, 2.0]), False),
        (([1.0], [1.4], [1.6]), False),
        (([1.0], [np.nan]), False),
        (([1.0], []), False),
        (([0.0], [0.0]), False),
    ],
)
def test_one_training_loss_is_within_a_factor_of_a_half_more(losses, same):
    assert figures.matched(*losses) is same


def test_where_f_ended_is_told_with_what_it_may_be_called():
    assert figures.ended({"SB": [0.004, 0.004], "LB": [0.005]}) == (
        "f ended at 0.0040 ± 0.0000 for SB and 0.0050 for LB: the same training loss, within a factor of 1.5"
    )
    assert figures.ended({"a": [0.2], "b": [0.1], "c": [0.4]}) == (
        "f ended at 0.1000 (b) to 0.4000 (c): not the same training loss, the highest is 4.0 times the lowest"
    )
    assert figures.ended({"SB": [0.1], "LB": []}) == "where f ended is not measured"


@pytest.mark.parametrize(
    "value, pair, said",
    [
        (
            0.5,
            (-0.1, 1.1),
            "SB is ahead of LB by 0.50 points (95 % interval: from LB ahead by 0.10 to SB ahead by 1.10)",
        ),
        (
            -0.5,
            (-1.1, 0.1),
            "LB is ahead of SB by 0.50 points (95 % interval: from SB ahead by 0.10 to LB ahead by 1.10)",
        ),
        (-1.0, None, "LB is ahead of SB by 1.00 points (no interval)"),
    ],
)
def test_the_leader_stands_first(value, pair, said):
    assert statistics.ahead(statistics.Contrast(value, pair, "")) == said


@pytest.mark.parametrize(
    "values, said",
    [
        ([], ""),
        ([np.nan], ""),
        ([98.0], "98.00"),
        ([1.0, 3.0], "2.00 ± 1.41"),
        ([4.24e-4], "0.00042"),
        ([1234.5], "1,234.50"),
    ],
)
def test_numbers_in_words(values, said):
    assert words.spread(values) == said
