"""The file of claims, and the rule of the verdicts, against hand-made numbers, SciPy and simulation."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from lbgap import claims
from lbgap.campaign import experiments, scales
from lbgap.claims import Contrast, Verdict

# -- the file ---------------------------------------------------------------------------------------------------------


def test_every_claim_has_one_primary_test_and_no_verdict():
    found = claims.load()
    assert len(found) == len({claim.id for claim in found}) >= 40
    words = json.loads(claims.FILE.read_text())
    for entry, claim in zip(words["claims"], found):
        assert isinstance(entry["test"], dict) and isinstance(claim.test, claims.Test)
        assert set(claim.test.experiments) <= set(experiments.EXPERIMENTS)
        assert set(claim.test.networks) <= set(scales.SCALES["full"].datasets)
        assert not {"verdict", "direction", "size", "holds"} & (set(entry) | set(entry["test"])) and claim.seen
        assert claim.test.networks or claim.test.seeds == "none"  # arithmetic needs none
    assert "verdict" not in json.dumps(words["claims"])
    assert claims.rules()["verdicts"] == list(claims.DIRECTIONS) and claims.rules()["sizes"] == list(claims.SIZES)


def test_every_part_of_the_paper_is_claimed_from():
    where = " ".join(f"{claim.section}, {claim.element}" for claim in claims.load())
    parts = (
        "Table 2",
        "Table 3",
        "Table 4",
        "Table 6",
        "Table 7",
        *(f"Fig. {k}" for k in range(2, 8)),
        "(i)",
        "(ii)",
        "(iii)",
        "(iv)",
        "E.1",
        "E.2",
        "E.3",
        "abstract",
        "4, text",
        "C, text",
    )
    assert [part for part in parts if part not in where] == []
    assert len([claim for claim in claims.load() if claim.paper]) == 9


def test_a_claim_is_had_by_its_id():
    assert claims.get("gap").test.claimed == (0, None) and claims.get("distance-3-10").test.claimed == (3, 10)
    with pytest.raises(ValueError, match="claim 'gpa' is unknown; expected one of gap, "):
        claims.get("gpa")


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda c: c["test"].update(networks=["F7"]), "claim 'gap': networks .*F7"),
        (lambda c: c["test"].update(experiments=["table9"]), "claim 'gap': experiments .*table9"),
        (lambda c: c.update(verdict="holds"), r"claim 'gap' has \['verdict'\] too much"),
        (lambda c: c["test"].update(holds=True), r"claim 'gap', test has \['holds'\] too much"),
        (lambda c: c.pop("seen"), r"claim 'gap' .*lacks \['seen'\]"),
        (lambda c: c.update(seen=""), "claim 'gap': empty"),
        (lambda c: c.update(test=[c["test"], c["test"]]), "claim 'gap', test is tuple; expected one object"),
        (lambda c: c.update(id="The gap"), "claim 'The gap': id"),
        (lambda c: c.update(id="sharper"), "claim 'sharper' stands there twice"),
        (lambda c: c.update(paper="table5"), "claim 'gap': paper 'table5'"),
        (lambda c: c.update(numbers=False), "claim 'gap': numbers"),
        (lambda c: c.update(page=17), "claim 'gap': page 17"),
        (lambda c: c["test"].update(scale="log"), "claim 'gap': scale 'log'"),
        (lambda c: c["test"].update(seeds="bootstrap"), "claim 'gap': seeds 'bootstrap'"),
        (lambda c: c["test"].update(least=9), "claim 'gap': least 9"),
        (lambda c: c["test"].update(claimed=[None, None]), "claim 'gap': claimed"),
        (lambda c: c["test"].update(claimed=[2, 1]), "claim 'gap': claimed"),
        (lambda c: c["test"].update(claimed=[0]), "claim 'gap': claimed"),
    ],
)
def test_a_broken_claim_is_named(change, told):
    words = json.loads(claims.FILE.read_text())
    change(words["claims"][0])
    with pytest.raises(ValueError, match=told):
        claims.read(json.dumps(words))


# -- contrasts --------------------------------------------------------------------------------------------------------


def test_a_paired_interval_is_students_by_hand_and_scipys():
    """1, 2, 3: a mean of 2, a standard error of 1 / sqrt(3), t = 4.303 with two degrees of freedom."""
    found = claims.contrast([11.0, 22.0, 33.0, np.nan], [10.0, 20.0, 30.0, 5.0])
    assert found[:2] == (2.0, pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))) and (
        found.n,
        found.df,
    ) == (3, 2)
    theirs = stats.ttest_rel([11, 22, 33], [10, 20, 30])
    assert found.p == pytest.approx(theirs.pvalue) and found.interval == pytest.approx(
        tuple(theirs.confidence_interval(0.95))
    )
    assert claims.contrast([1.0, 2.0, 3.0]).interval == pytest.approx(found.interval)  # one number a seed


def test_an_unpaired_interval_is_welchs():
    a, b = [98.1, 98.0, 98.25, 98.3], [97.8, np.nan, 97.9, 97.7, 97.0]
    found, theirs = (
        claims.contrast(a, b, seeds="independent"),
        stats.ttest_ind(a, [97.8, 97.9, 97.7, 97.0], equal_var=False),
    )
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert found.p == pytest.approx(theirs.pvalue) and found.df == pytest.approx(theirs.df) and found.n == 4
    ours = claims.summarised([98.03, 0.07], [97.81, 0.07], unit=0)  # equal deviations of five: eight degrees of freedom
    half = 2.306004 * 0.07 * math.sqrt(2 / 5)
    assert ours.interval == pytest.approx((0.22 - half, 0.22 + half))
    rounded = claims.summarised([9.0, 0.0], [0.05, 0.0], scale="ratio")  # 0.05 is anything from 0.045 to 0.055
    half = stats.t.ppf(0.975, 4) * 0.01 / math.sqrt(12) / 0.05  # a uniform error of one unit's width
    assert rounded.interval == pytest.approx((180 * math.exp(-half), 180 * math.exp(half)), rel=1e-3)


def test_a_ratio_is_one_of_geometric_means():
    found = claims.contrast([2.0, 8.0], [1.0, 1.0], scale="ratio")
    assert found.value == pytest.approx(4) and found.interval == pytest.approx(
        (4 / 2**12.7062, 4 * 2**12.7062), rel=1e-4
    )


def test_what_has_no_value_has_no_interval():
    assert claims.contrast([1.0, np.nan], [0.5, 2.0])[:2] == (0.5, None)
    nothing = claims.contrast([np.nan, 1.0], [1.0, np.nan], diverged=2)
    assert math.isnan(nothing.value) and nothing.n == 0 and nothing.diverged == 2
    flat = claims.contrast([0.0, 1.0], [1.0, 1.0], scale="ratio")
    assert math.isnan(flat.value) and flat.diverged == 1
    same = claims.contrast([1.0, 1.0], [1.0, 1.0])
    assert same.interval == (0.0, 0.0) and same.p == 1.0 and claims.contrast([1.0, 1.0]).p == 0.0


@pytest.mark.parametrize(
    "given, told",
    [
        (dict(b=[1.0]), "paired sides have 2 and 1 seeds"),
        (dict(scale="log"), "'log' is unknown"),
        (dict(seeds="some"), "'some' is unknown"),
    ],
)
def test_a_contrast_says_what_it_cannot_compare(given, told):
    with pytest.raises(ValueError, match=told):
        claims.contrast([1.0, 2.0], **given)


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.6])
def test_paired_intervals_cover_95_percent_whatever_a_start_does_to_both(n, correlation):
    rng, held, count = np.random.default_rng(n), 0, 1500
    for x, y, start in rng.standard_normal((count, 3, n)):
        shared = start * abs(correlation) ** 0.5
        own = (1 - abs(correlation)) ** 0.5
        low, high = claims.contrast(own * x + shared, own * y + math.copysign(1, correlation) * shared).interval
        held += low < 0 < high
    assert 0.935 < held / count < 0.965  # the standard error of a share of 1,500 is 0.0056


def test_welchs_intervals_cover_95_percent_of_independent_sides():
    rng, count = np.random.default_rng(1), 1500
    held = [
        low < 0 < high
        for low, high in (
            claims.contrast(x, 3 * y, seeds="independent").interval for x, y in rng.standard_normal((count, 2, 4))
        )
    ]
    assert 0.935 < np.mean(held) < 0.97


def test_holm_is_rs():
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")"""
    np.testing.assert_allclose(claims.holm([0.01, np.nan, 0.04, 0.03, 0.005]), [0.03, np.nan, 0.06, 0.06, 0.02])


# -- verdicts ---------------------------------------------------------------------------------------------------------

HIGHER, LOWER, EITHER = [1.0, 1.1, 1.2], [-1.0, -1.1, -1.2], [-1.0, 1.1, 1.2]


@pytest.mark.parametrize(
    "values, diverged, claimed, word",
    [
        (HIGHER, 0, 0, "holds"),
        (HIGHER, 1, 0, "holds in part"),
        (LOWER, 0, 0, "does not hold here"),
        (LOWER, 1, 0, "does not hold here"),
        (EITHER, 0, 0, "undecided"),
        ([5.0], 0, 0, "undecided"),
        ([np.nan] * 3, 0, 0, "not measured"),
        ([np.nan] * 3, 3, 0, "undecided"),
        (HIGHER, 0, (0, 2), "holds"),
        (HIGHER, 0, (2, 3), "does not hold here"),
        (HIGHER, 0, (1.1, 3), "undecided"),
        (LOWER, 0, (None, 0), "holds"),
        (HIGHER, 0, (None, 0), "does not hold here"),
        ([0.5, 0.5], 0, (0.5, 0.5), "holds"),
        ([0.6, 0.6], 0, (0.5, 0.5), "does not hold here"),
    ],
)
def test_the_five_words_of_direction(values, diverged, claimed, word):
    found = claims.verdict(claims.contrast(values, diverged=diverged), claimed)
    assert found.direction == word and found.size is None and found.diverged == diverged
    assert {word} < {*claims.DIRECTIONS}


def made(value, low, high, scale="ratio"):
    return Contrast(value, (low, high), "", scale=scale)


@pytest.mark.parametrize(
    "ours, theirs, size",
    [
        (made(100, 90, 110), made(100, 95, 105), "reproduced"),
        (made(1000, 900, 1100), made(100, 95, 105), "differs"),
        (made(10, 9, 11), made(100, 95, 105), "differs"),
        (made(100, 40, 250), made(100, 95, 105), "undecided"),
        (made(180, 150, 216), made(100, 95, 105), "undecided"),
        (Contrast(100, None, "", scale="ratio"), made(100, 95, 105), "undecided"),
        (made(100, 90, 110), made(100, 30, 300), "undecided"),  # the paper's own interval counts too
        (made(0.3, 0.25, 0.35, "difference"), made(0.22, 0.2, 0.24, "difference"), "reproduced"),
        (made(-1.3, -2.3, -0.3, "difference"), made(4.6, 3.3, 5.9, "difference"), "differs"),
        (made(-0.1, -0.4, 0.2, "difference"), made(4.6, 3.3, 5.9, "difference"), "differs"),
        (made(-0.1, -2.4, 2.2, "difference"), made(4.6, 3.3, 5.9, "difference"), "undecided"),
        (made(-4.0, -4.5, -3.5, "difference"), made(-4.6, -5.0, -4.2, "difference"), "reproduced"),
        (made(4.0, 3.5, 4.5, "difference"), made(-4.6, -5.0, -4.2, "difference"), "differs"),
    ],
)
def test_the_three_words_of_size(ours, theirs, size):
    found = claims.verdict(ours, 0, theirs)
    assert found.size == size and {size} < {*claims.SIZES}
    assert claims.verdict(made(2, 1.9, 2.1), 5, made(2, 1.9, 2.1))[:2] == (
        "does not hold here",
        "reproduced",
    )  # apart from each other


def test_a_size_has_mover_s_interval():
    """On a log scale both intervals are symmetric, so that it is x - y +- sqrt(h^2 + k^2)."""
    low, high = claims.over(made(40, 40 / 1.5, 40 * 1.5), made(10, 10 / 1.2, 10 * 1.2))
    half = math.hypot(math.log(1.5), math.log(1.2))
    assert (low, high) == pytest.approx((4 * math.exp(-half), 4 * math.exp(half)))
    low, high = claims.over(made(4, 1, 8, "difference"), made(2, 2, 2, "difference"))  # lopsided: the ends as they are
    assert (low, high) == pytest.approx((0.5, 4.0))
    low, high = claims.over(made(4, 4, 4, "difference"), made(2, 1, 8, "difference"))
    assert (low, high) == pytest.approx((0.5, 4.0))
    assert claims.over(made(4, -1, 8, "difference"), made(2, 1, 3, "difference"))[0] == 0.0
    assert claims.over(made(4, 3, 8, "difference"), made(2, -1, 3, "difference"))[1] == math.inf


def test_the_interval_of_a_size_covers_95_percent():
    rng, held, count = np.random.default_rng(3), 0, 600
    for _ in range(count):
        ours = claims.contrast(np.exp(1 + 0.3 * rng.standard_normal(3)), scale="ratio")
        small, large = rng.normal(1, 0.1, 5), rng.normal(10, 2, 5)
        theirs = claims.summarised([large.mean(), large.std(ddof=1)], [small.mean(), small.std(ddof=1)], scale="ratio")
        low, high = claims.over(ours, theirs)
        held += low < math.e / 10 < high
    assert 0.93 < held / count < 0.985


def test_contrasts_of_other_scales_are_not_compared():
    with pytest.raises(ValueError, match="the paper's contrast is a difference; expected a ratio"):
        claims.verdict(made(1, 1, 1), 0, made(1, 1, 1, "difference"))


def test_p_is_twice_the_one_sided_one_in_the_direction_claimed():
    up = claims.contrast(HIGHER)
    assert (
        claims.verdict(up, 0).p == pytest.approx(stats.ttest_1samp(HIGHER, 0).pvalue) and claims.verdict(up, 2).p == 1.0
    )
    assert claims.verdict(up, (0, 1.5)).p == pytest.approx(stats.ttest_1samp(HIGHER, 1.5).pvalue)  # the nearer border
    twice = claims.contrast([3.0, 4.0, 5.0], scale="ratio")
    assert claims.verdict(twice, 2).p == pytest.approx(stats.ttest_1samp(np.log([3, 4, 5]), math.log(2)).pvalue)
    assert claims.verdict(claims.contrast(LOWER), (None, 0)).p == pytest.approx(stats.ttest_1samp(LOWER, 0).pvalue)
    assert math.isnan(claims.verdict(claims.contrast([1.0]), 0).p)


def cell(direction, p=0.01):
    return Verdict(direction, None, 1.0, (0.5, 1.5), "", 3, 0, p, None)


YES, NO, OPEN, PART, NONE = (
    cell(word) for word in ("holds", "does not hold here", "undecided", "holds in part", "not measured")
)


@pytest.mark.parametrize(
    "cells, least, word",
    [
        ([("F1", YES), ("C1", YES)], 2, "holds"),
        ([("F1", YES), ("C1", NONE)], 2, "holds in part"),
        ([("F1", YES)], 1, "holds"),
        ([("C1", YES), ("C1-text", YES)], 2, "holds in part"),
        ([("F2", YES), ("F2-lj", YES)], 2, "holds in part"),  # forms of one network
        ([("F1", YES), ("F1", YES)], 2, "holds in part"),
        ([("F1", YES), ("C1", OPEN)], 2, "holds in part"),
        ([("F1", YES), ("C1", NO)], 1, "holds in part"),
        ([("F1", PART), ("C1", PART)], 2, "holds in part"),
        ([("F1", NO), ("C1", NO)], 2, "does not hold here"),
        ([("F1", NO), ("C1", OPEN)], 2, "undecided"),
        ([("F1", OPEN)], 1, "undecided"),
        ([("F1", NONE)], 1, "not measured"),
        ([], 1, "not measured"),
    ],
)
def test_how_networks_combine(cells, least, word):
    assert claims.combined(cells, least).direction == word


def test_networks_combine_their_p_by_fishers_method_each_with_its_greatest():
    found = claims.combined([("F1", cell("holds", 0.01)), ("F1", cell("holds", 0.03)), ("C1", cell("holds", 0.02))], 2)
    assert found.p == pytest.approx(stats.combine_pvalues([0.03, 0.02]).pvalue)
    assert claims.combined([("F1", cell("holds", 0.01)), ("C1", cell("undecided", math.nan))]).p == pytest.approx(
        stats.combine_pvalues([0.01, 1.0]).pvalue
    )  # one trial speaks for nothing
    assert math.isnan(claims.combined([("F1", cell("undecided", math.nan))]).p)


def test_holm_over_the_claims_undecides_what_does_not_stand_it():
    found = {
        name: claims.Combined(word, p)
        for name, word, p in (
            ("a", "holds", 0.001),
            ("b", "holds", 0.03),
            ("c", "holds in part", 0.02),
            ("d", "does not hold here", 0.9),
            ("e", "not measured", math.nan),
        )
    }
    assert claims.corrected(found) == {
        "a": "holds",
        "b": "undecided",
        "c": "undecided",
        "d": "does not hold here",
        "e": "not measured",
    }
    assert claims.corrected({"b": found["b"]}) == {"b": "holds"}
