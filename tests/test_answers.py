"""The sentences in which a page opens with its answer follow from the stored results that the page shows."""

import json
import math
import re

import numpy as np
import pytest
import scipy.stats
import torch
from conftest import ROOT

import lbgap
from lbgap import claims, figures, paper
from lbgap.campaign import experiments, scales, units
from lbgap.figures import (
    batch_or_rate,
    comparisons,
    edge_of_stability,
    few_steep_directions,
    same_function,
    scores,
    statistics,
    threshold,
    when_it_pays,
    why_small_batches_escape,
)
from lbgap.results import arrays

WAY = ("f", "sharpness")
MEASURED = ("F1", "F2-lj", "C1-text")
ANSWERED = (
    "generalisation_gap walking_between_minima measuring_sharpness same_function edge_of_stability causal_grid remedies"
    " after_the_paper when_it_pays noisy_labels controls speech threshold why_small_batches_escape batch_or_rate"
    " few_steep_directions ten_iterations so_was_the_paper_right"
).split()
# on remedies, controls and verdicts, each part of the page has its own; speech is another data set
NO_QUESTION = "remedies after_the_paper controls speech so_was_the_paper_right".split()


def fallen(runs):
    """{arm: its runs after the epochs in which the rate falls to 0}."""
    return {arm: list(map(experiments.settled, of)) for arm, of in runs.items()}


def cells(page):
    return [
        "".join(cell["source"])
        for cell in json.loads((ROOT / f"book/{page}.ipynb").read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "markdown"
    ]


@pytest.mark.parametrize("page", ANSWERED)
def test_a_page_opens_with_its_answer(page):
    first = cells(page)[0].split("\n\n")[1]
    assert not first.startswith("*You will be able to*") and first.rstrip().endswith((".", "?", '."', "why."))


@pytest.mark.parametrize("page", ANSWERED)
def test_a_chapter_ends_with_its_answer_what_came_later_and_something_to_do(page):
    whole = "\n".join(cells(page))
    if page not in NO_QUESTION:
        assert whole.index("## What came later") < whole.lower().index("the answer again")
    if page != "so_was_the_paper_right":
        assert re.search(r"^## (Try|Exercises)$", whole, re.M)


def test_every_work_in_the_bibliography_is_cited():
    entries = re.findall(r"^@\w+{(\w+),", (ROOT / "book/references.bib").read_text(encoding="utf-8"), re.M)
    pages = [*ROOT.glob("book/*.ipynb"), *ROOT.glob("book/*.md"), *ROOT.glob("lbgap/**/*.py")]
    cited = {key for page in pages for key in re.findall(r"[`\w]+", page.read_text(encoding="utf-8"))}
    assert len(set(entries)) == len(entries) and not [key for key in entries if f"`{key}`" not in cited]


def loss(runs):
    return comparisons.training_loss(runs)


def test_the_small_batch_tests_better_once_it_is_trained_to_the_end():
    leads = {n: statistics.gap(*arrays.pairs(n).values()) for n in MEASURED}
    assert 0.3 < leads["F1"].value < 0.4 and 2.9 < leads["C1-text"].value < 3.3
    assert leads["F1"].side(0) == leads["C1-text"].side(0) == 1 and leads["F2-lj"].side(0) == -1
    runs = {arm: of[:3] for arm, of in arrays.pairs("F2-lj").items()}
    assert 25 < loss(runs["SB"]).mean() / loss(runs["LB"]).mean() < 35
    after = fallen(runs)
    assert statistics.gap(*after.values()).side(0) == 1 and figures.matched(*map(loss, after.values()))


def test_the_large_batchs_valley_is_narrower_on_the_line_and_on_the_curve():
    for network, low, high, bent in (("F1", 2000, 10_000, 49), ("F2-lj", 20, 35, 15), ("C1-text", 14, 20, 10)):
        both = arrays.paths(*arrays.pairs(network).values())
        line, curve = statistics.rises(both["linear"]), statistics.rises(both["curvilinear"], 0.25)
        assert low < statistics.ratio(line["SB"], line["LB"]).value < high
        assert statistics.ratio(curve["SB"], curve["LB"]).value == pytest.approx(bent, rel=0.05)


def test_the_curve_s_claim_was_amended_since_half_a_unit_tells_no_two_networks_apart():
    """There the curve is at 0.7 times x_s less x_l, beyond LB at its negative, and inside at one point for both."""
    curve = lambda a: np.array([np.cos(a * np.pi / 2), np.sin(a * np.pi / 2)])  # the shares of SB and of LB
    np.testing.assert_allclose(curve(-0.5), -curve(1.5))
    for network in MEASURED:
        half = statistics.rises(arrays.paths(*arrays.pairs(network).values())["curvilinear"])
        assert 0.9 < statistics.ratio(*half.values()).value < 1.1
    said = str(figures.verdicts())
    assert "Amended on 2026-11-27. Registered was half a unit" in said and "does not hold here)" in said
    assert claims.get("curved-path").test.measure.endswith("/0.25")
    assert figures.walking_between_minima.PATH["curvilinear"][2] == 0.25  # what the chapter says is what is judged


def test_just_beyond_the_large_batch_the_curve_leaps_and_beyond_the_small_one_it_is_level():
    curve = arrays.paths(*arrays.pairs("F1").values())["curvilinear"]
    at = lambda alpha: curve["train_loss"][:, np.abs(curve["alpha"] - alpha).argmin()]
    assert at(1.125).min() > 4 and at(-0.25).max() < 0.062
    ends = {arm: loss(runs[:3]).mean() for arm, runs in arrays.pairs("F1").items()}
    assert 25 < ends["SB"] / ends["LB"] < 35


def test_the_wall_on_f1_s_line_is_beyond_the_large_batch_where_the_network_is_turned_round():
    line = arrays.paths(*arrays.pairs("F1").values())["linear"]
    beyond = line["alpha"] > 1
    between = (line["alpha"] >= -1) & ~beyond
    assert (line["train_loss"][:, between] < 0.02).all() and line["train_loss"][:, beyond].max(1).min() > 5
    assert (line["train_accuracy"].min(1) < 2).all() and (line["train_accuracy"][:, between] > 99).all()
    small, large = (lbgap.minimizer(f"F1-{arm}").x.norm() for arm in ("SB", "LB"))
    assert 2 < small / large < 2.5 and 1 / 4 < small / 8 / large < 0.3
    for network in ("F2-lj", "C1-text"):
        line = arrays.paths(*arrays.pairs(network).values())["linear"]
        on = lambda low, high, line=line: line["train_loss"][:, (line["alpha"] > low) & (line["alpha"] < high)].max(1)
        assert np.allclose(on(0.5, 1) / on(1, 1.6), 1 / 5, atol=0.04) and (on(0.5, 1) > on(0, 0.6)).all()
    rise = {
        n: statistics.rises(arrays.paths(*arrays.pairs(n).values(), match="norms")["linear"]) for n in MEASURED[::2]
    }
    assert 500 < statistics.ratio(*rise["F1"].values()).value
    left = statistics.ratio(*rise["C1-text"].values())
    assert left.value < 2 and left.side(1) == 1 and left.n == 3


def test_in_a_very_small_box_the_leftover_gradient_ranks_the_ends():
    said = str(figures.at_every_epsilon(same_function.ends("mlp")))
    assert said.startswith(
        "**By epsilon: from 1e-05 to 5e-05 LB is the flatter; from 0.0001 to 0.0002 the two are not told apart; from"
        " 0.0005 to 0.05 LB is the sharper.**"
    )
    adaptive = [str(figures.at_every_epsilon(same_function.ends(n), offset=0.0)) for n in scales.LABS]
    assert "from 0.005 to 0.05 LB is the sharper" in adaptive[0] and "LB is the sharper" not in adaptive[1]
    assert " would be 99 % at 1e-05, 5.6 % at 0.001, 0.02 % at 0.05 (mean" in said


def test_the_large_batchs_minimum_is_ten_to_a_thousand_times_as_sharp():
    for network in MEASURED:
        for epsilon in scales.EPSILONS:
            both = (arrays.sharpness(runs, epsilon) for runs in arrays.pairs(network).values())
            found = statistics.ratio(*(values[~np.isnan(values)] for values in both))
            assert 10 < found.value < 1200 and found.side(1) == 1
    both = (arrays.sharpness(runs, 1e-3, solver="literal") for runs in arrays.pairs("F1").values())
    assert statistics.ratio(*(values[~np.isnan(values)] for values in both)).side(1) == -1


def test_scale_makes_a_part_of_the_contrast():
    for network, low, high, least in (("F1", 10, 200, 6.5), ("C1-text", 1.5, 3.6, 10)):
        runs = arrays.pairs(network)
        rows = [comparisons.row(network, "", runs, match=m) for m in (None, {"LB": "norms"}, {"SB": "norms"})]
        both = ~np.isnan(sum(of.sharp[arm] for of in rows for arm in runs))
        found = [statistics.ratio(*(of.sharp[arm][both] for arm in runs)) for of in rows]
        plain, *exchanged = (ratio.value for ratio in found)
        assert [ratio.side(1) for ratio in found] == [1, 1, 1] and found[0].n == 3
        assert low < min(exchanged) < max(exchanged) < high and plain / max(exchanged) > least
        assert 900 < plain < 1400 if network == "F1" else 34 < plain < 40
    _, found = same_function.along("mlp")
    assert (found["SB"].max(0) / found["SB"].min(0) > 200).all()


def test_in_the_half_box_the_two_ways_to_exchange_f1_s_norms_change_places():
    for network, told in (("F1", {"LB": 18, "SB": 98}), ("C1-text", {"LB": 3.4, "SB": 2.8})):
        runs = arrays.pairs(network)
        for arm, other in (("LB", "SB"), ("SB", "LB")):
            sharp = {a: arrays.sharpness(of, 5e-4) for a, of in runs.items()}
            sharp[arm] = arrays.sharpness(runs[arm], 5e-4, "value", runs[other], match="norms")
            there = ~np.isnan(sharp["SB"] * sharp["LB"])
            found = statistics.ratio(sharp["SB"][there], sharp["LB"][there])
            assert there.sum() == 3 and found.side(1) == 1 and found.value == pytest.approx(told[arm], rel=0.02)


def test_where_the_rate_has_fallen_to_0_the_half_box_tells_more_of_a_contrast():
    for network, before, after in (("F2-lj", 17, 48), ("C1-text", 42.6, 132), ("F1", 1022, 21700)):
        plain = arrays.pairs(network)
        sharp = [{arm: arrays.sharpness(runs[arm], 5e-4) for arm in runs} for runs in (plain, fallen(plain))]
        there = ~np.isnan(sharp[1]["SB"] * sharp[1]["LB"])
        for of, told in zip(sharp, (before, after)):
            assert statistics.ratio(of["SB"][there], of["LB"][there]).value == pytest.approx(told, rel=0.03)
    f1 = fallen(arrays.pairs("F1"))
    small, large = (comparisons.sharpness_of(runs[:3]) for runs in arrays.pairs("F1").values())
    plain = large / small
    assert 520 < np.nanmin(plain) < 540 and 1390 < np.nanmax(plain) < 1410
    after = comparisons.sharpness_of(f1["LB"]) / comparisons.sharpness_of(f1["SB"])
    assert 11000 < np.nanmin(after) < np.nanmax(after) < 12500 and (~np.isnan(after)).sum() == 3


def test_another_goal_gives_another_answer_to_whether_f1_pays():
    runs = arrays.pairs("F1")
    sure = 256 / 6000 * when_it_pays.speeds("F1")[6000]["low"] / when_it_pays.speeds("F1")[256]["high"]
    for level, pays in ((97.7, 0), (97.9, 4), (98.0, 0)):
        small, large = (when_it_pays.iterations(of, level) for of in runs.values())
        assert (large / small < sure).sum() == pays and len(large) == 5
        if pays:
            assert [large.min(), large.max(), small.min(), small.max()] == [60, 100, 940, 1645]
    assert round(np.mean(arrays.final(runs["LB"])), 1) == 98.1
    assert max(when_it_pays.speeds("C1")) == 2048


def test_a_rate_by_luck_decides_which_end_of_the_laboratory_is_the_sharper():
    """The split's choice for a thousand over the first four trials, and over all five."""
    of, size = batch_or_rate.rates("mlp"), 1000
    on = [[experiments.laboratory_rate("mlp", size, t, lr, True) for t in range(5)] for lr in of.rates]
    split = np.array([arrays.final(runs) for runs in on])
    there = of.arrived[:, -1, None]
    first, all_five = (int(np.where(there, split[:, :count], -1).mean(1).argmax()) for count in (4, 5))
    assert of.rates[first] == 3e-4 and of.rates[all_five] == of.rates[of.chosen[-1]] == 3e-2
    small = of.sharpness[of.chosen[0], 0]
    assert statistics.ratio(small, of.sharpness[first, -1]).side(1) == 1
    assert statistics.ratio(small, of.sharpness[all_five, -1]).side(1) == 0
    norm = batch_or_rate.rates("mlp-bn")
    for k, rate in enumerate(norm.rates[1:], 1):
        sharper = statistics.ratio(norm.sharpness[k, 0], norm.sharpness[k, -1])
        lead = statistics.contrast(norm.accuracy[k, 0], norm.accuracy[k, -1])
        assert sharper.side(1) == (rate >= 0.01) and 0.75 < sharper.value < 1.4
        assert (lead.p * 6 < 0.05) == (rate == 0.03)


def test_on_c1_as_printed_both_curves_peak_and_fall():
    peaks = {}
    runs = arrays.pairs("C1-text")
    for arm, fall in (("SB", 1.8), ("LB", 2.5)):
        ways = [way for way in arrays.history(runs[arm], "test_accuracy") if len(way)]
        peaks[arm] = np.mean([max(way) for way in ways])
        assert peaks[arm] - np.mean([way[-1] for way in ways]) == pytest.approx(fall, abs=0.05)
        assert all(at[way.argmax()] < 50 for at, way in arrays.curves_of(runs[arm], "test_accuracy"))
    last = statistics.contrast(*(arrays.final(runs[arm]) for arm in ("SB", "LB"))).value
    assert (round(peaks["SB"] - peaks["LB"], 1), round(last, 1)) == (2.5, 3.2)
    assert last - (peaks["SB"] - peaks["LB"]) < last / 4
    curves = [dict(zip(*c)) for arm in ("SB", "LB") for c in arrays.curves_of(runs[arm], "test_accuracy")]
    small, large = (
        [np.mean([c[at] for c in some]) for at in sorted(set.intersection(*map(set, curves)))]
        for some in (curves[:3], curves[3:])
    )
    assert len(small) > 10 and np.all(np.subtract(small, large) > 0)


def test_what_warm_starts_gain():
    for network, low, high, sure in (("mlp", 0.35, 1.05, 1), ("mlp-bn", 0.25, 0.5, 1)):
        at, accuracy = why_small_batches_escape.warm_values(network, arrays.final)
        found = [statistics.contrast(of, arrays.final(arrays.pairs(network)["LB"])) for of in accuracy.T]
        assert len(at) == 6 and low < min(of.value for of in found) < max(of.value for of in found) < high
        below = [p < 0.05 for p in claims.holm([of.p for of in found])]
        assert sum(below) == sure and below[0] == (network == "mlp-bn")
        assert network == "mlp" or sum(of.side(0) == 1 for of in found) == 5
        if network == "mlp":
            assert (at[0], at[-1]) == (1, 13) and found[0].side(0) == 0 and round(found[-1].value, 2) == 0.99
            second = found[list(at).index(2)]
            assert [round(value, 1) for value in (second.value, *second.interval)] == [0.7, 0.2, 1.1]


def test_of_sharpness_itself_no_bend_is_off_zero():
    found = threshold.bends("mlp", comparisons.sharpness_of).values()
    assert len(found) == 6 and all(of.value > 0 > of.interval[0] for of in found)


def test_the_steepest_directions():
    tops = lambda runs: arrays.spectra(runs, lambda result: result["top"][0])
    for network, low, high in (("mlp", 1.4, 1.6), ("mlp-bn", 0.8, 1.1), ("F1", 28, 32)):
        small, large = (tops(runs) for runs in arrays.pairs(network).values())
        there = ~np.isnan(small * large)
        found = statistics.ratio(small[there], large[there])
        assert low < found.value < high and (there.sum() == 1 or found.side(1) == (network == "mlp"))


def test_in_random_subspaces_of_the_half_box_f1_misses_the_paper():
    both = [arrays.sharpness(runs, 5e-4, subspace=100) for runs in arrays.pairs("F1").values()]
    found = statistics.ratio(*(values[~np.isnan(values)] for values in both))
    assert [f"{v:.2g}" for v in (found.value, *found.interval)] == ["0.71", "0.18", "2.8"] and found.n == 3
    theirs = paper.cell("table4", "F1")
    assert [theirs[key]["LB"][0] for key in ("1e-3", "5e-4")] == [9.22, 9.17]
    assert round(theirs["5e-4"]["LB"][0] / theirs["5e-4"]["SB"][0]) == 183
    for network in MEASURED:
        whole = [arrays.sharpness(runs, 1e-3, subspace=100) for runs in arrays.pairs(network).values()]
        assert (whole[1] > whole[0])[~np.isnan(sum(whole))].all()
    small, large = (comparisons.sharpness_of(runs) for runs in arrays.pairs("C1-bf16", (0,)).values())
    theirs = paper.cell("table3", "C1")["1e-3"]
    assert 165 < large[0] / small[0] < 180 and round(theirs["LB"][0] / theirs["SB"][0]) == 25


def test_with_moments_reset_conservative_training_ends_flatter_and_not_surely_better():
    reset, plain = scores.treated("conservative_reset", "mlp")["LB"], arrays.pairs("mlp")["LB"]
    gain = statistics.gap(reset, plain)
    assert round(gain.value, 1) == 0.4 and gain.side(0) == 0
    assert statistics.ratio(*map(comparisons.sharpness_of, (plain, reset))).side(1) == -1


def test_neither_batch_is_near_the_edge():
    first = edge_of_stability.first_epoch("mlp")
    for arm, low, high in (("SB", 0.005, 0.011), ("LB", 0.2, 0.27)):
        for of in arrays.pairs("mlp", arrays.trials("edge"))[arm]:
            way = edge_of_stability.along(of)
            share = way["preconditioned"] / edge_of_stability.levels(of)["preconditioned"]
            assert low < share[way["epoch"] >= first].max() < high


def test_flatness_may_be_a_part_of_the_cause_and_is_not_the_whole():
    said = {question: word for question, (word, _) in figures.causal_grid.answers("mlp").items()}
    assert said["1. LB made flatter"] == "narrows the gap"
    assert said["3. LB, noise injected"] == "narrows the gap, and flattens"
    assert said["4. Both made flatter"] == "SB is still ahead"
    grid = figures.causal_grid.cells("mlp")
    small, large = grid["SB", "as it is"], grid["LB", "as it is"]
    gap = statistics.gap(small, large).value
    for cell, stays in ((("LB", "flatter"), 1 / 2), (("LB, noise injected", "as it is"), 1 / 3)):
        flat = statistics.ratio(*map(comparisons.sharpness_of, (small, grid[cell])))
        left = statistics.gap(small, grid[cell])
        assert flat.side(1) == 0 and left.side(0) == 1 and abs(left.value / gap - stays) < 0.06
        lags, whole = (arrays.final(small) - arrays.final(runs) for runs in (grid[cell], large))
        shares = np.linspace(0, 1, 1001)  # Fieller: those that a t test of lags - share * whole does not refuse
        kept = shares[[scipy.stats.ttest_1samp(lags - share * whole, 0).pvalue > 0.05 for share in shares]]
        assert kept[[0, -1]].round(1).tolist() == ([0.4, 0.9] if stays == 1 / 2 else [0.1, 0.6])


def test_two_of_twenty_remedies_gain_five_flatten_and_one_does_both():
    words, titles = scores.judgements("mlp"), {s.title for s in scores.scores("mlp")}
    told = lambda what, word: {title for title in titles if words.get((title, what)) == word}
    gain, flat = told("gain", "gains"), told("ratio", "flatter")
    assert len(titles) == 20 and gain == {"batch doubles", "SAM, perturbed SB by SB"}
    assert len(flat) == 5 and gain & flat == {"SAM, perturbed SB by SB"}
    own = {s.title: s.gain.side(0) for s in scores.scores("mlp")}
    assert [title for title in flat if own[title] < 1] == ["rate times B ratio"]
    assert len([title for title in flat if own[title] == 1]) == 4
    by = {s.title: s for s in scores.scores("mlp")}
    assert words["SAM", "small"] == "gains" and round(by["SAM"].small.value, 1) == 1.6
    assert sorted(flat, key=lambda title: by[title].ratio.value).index("rate times B ratio") == 1
    assert by["longer training"].gain.side(0) == 0 and abs(by["longer training"].gain.value) < 0.1
    paper = {t.title for n, t in experiments.TREATMENTS.items() if n in ("conservative", "adversarial", "stability")}
    assert all(words[title, what] == "not settled" for title in paper for what in ("gain", "ratio"))


def test_half_the_box_has_a_hundredth_of_f1_s_rise_in_random_subspaces():
    whole, half = (arrays.sharpness(arrays.pairs("F1")["LB"][:2], e, subspace=100) for e in scales.EPSILONS)
    assert ((whole / half > 100) & (whole / half < 170)).all()


def test_f1_large_batch_does_not_surely_pay_on_one_cpu():
    said = str(figures.pays("F1"))
    assert said.startswith("**Verdict: F1 on one CPU core: the large batch does not pay.**") and "| 4 |" in said
    found = figures.when_it_pays.speeds("F1", "cpu")
    assert round(found[6000]["value"] / found[256]["value"], 1) == 1.4


def test_on_wrong_labels_the_large_batch_can_be_sharper_and_better():
    said = str(figures.noisy_verdict())
    assert "20 % wrong labels: LB is shown to be both sharper and better" in said
    assert "at a matched loss it is so in 1 of 2." in said and "at a matched loss it is so in none of 2." in said
    assert ", loss 0.1, equal updates" in said
    leads = {
        (share, end): statistics.gap(*pair.values())
        for share in (0.2, 0.4)
        for end, pair in figures.noisy_labels.ends(share).items()
    }
    stands = [key for key, p in zip(leads, claims.holm([of.p for of in leads.values()])) if p < 0.05]
    assert len(leads) == 10 and stands == [(0.2, "15 epochs"), (0.2, "equal updates")]


def test_the_code_s_c1_has_the_papers_accuracy_and_the_texts_has_not():
    theirs, off = paper.cell("table2", "C1")["test"], {}
    for network in ("C1-bf16", "C1-text"):
        found = {arm: arrays.final(runs) for arm, runs in arrays.pairs(network).items()}
        off[network] = {arm: abs(np.nanmean(values) - theirs[arm][0]) for arm, values in found.items()}
        assert 2.5 < np.nanmean(found["SB"]) - np.nanmean(found["LB"]) < 3.6  # the paper's 2.78
    assert max(off["C1-bf16"].values()) < 1 and 8.5 < min(off["C1-text"].values()) < 9.5
    told = paper.cell("table3", "C1")["1e-3"]
    for network, times in {"C1-bf16": {"SB": 1 / 5, "LB": 1.4}, "C1-text": {"SB": 0.7, "LB": 1.1}}.items():
        for arm, runs in arrays.pairs(network).items():
            sharp = np.nanmean(arrays.sharpness(runs, 1e-3))
            assert sharp / told[arm][0] == pytest.approx(times[arm], abs=0.04)
    for arm, runs in arrays.pairs("C1-bf16", (0,)).items():
        assert arrays.final(runs, "train")[0] > paper.cell("table2", "C1")["train"][arm][0]


def test_one_training_loss_and_one_scale_of_norms_each_take_off_about_as_much_on_f1():
    plain, settled = arrays.pairs("F1", (0,)), comparisons.run_settings("matched_loss", "F1")[0]
    of = lambda runs: statistics.ratio(*map(comparisons.sharpness_of, runs.values())).value
    assert 1150 < of(plain) < 1250 and 135 < of(arrays.pairs("F1", (0,), **settled)) < 145
    assert "| F1 | at the higher loss | 840 times |" in str(figures.temperature("F1"))
    for network in ("F1", "C1-text"):  # and SB keeps the lead
        goal = comparisons.run_settings("matched_loss", network)[0]
        assert statistics.gap(*arrays.pairs(network, (0,), **goal).values()).value > 0.5
    f = {arm: np.nanmean(loss(runs)) for arm, runs in arrays.pairs("C1-text").items()}
    assert [round(f[arm], 3) for arm in ("SB", "LB")] == [0.018, 0.030]


def test_what_to_hold_against_the_causal_grid_s_words():
    grid = figures.causal_grid.cells("mlp")
    updates = {cell: round(np.nanmean(arrays.updates(runs))) for cell, runs in grid.items()}
    assert updates["LB", "as it is"] == 131 and updates["LB", "flatter"] == 227 and updates["SB", "as it is"] == 570
    assert updates["LB, noise injected", "as it is"] == 551
    small = grid["SB", "as it is"]
    margin = statistics.gap(small, grid["LB", "as it is"]).value / 2
    left = statistics.gap(small, grid["LB, noise injected", "as it is"])
    assert round(margin, 2) == round(left.interval[1], 2) == 0.48
    both = (grid[arm, "flatter"] for arm in ("SB", "LB"))
    assert round(statistics.ratio(*map(comparisons.sharpness_of, both)).value, 1) == 8.8
    assert statistics.gap(grid["SB", "sharper"], grid["LB", "as it is"]).side(0) == 0  # "cannot say"
    noise, plain = grid["LB, noise injected", "flatter"], grid["SB", "as it is"]  # SAM and the noise at once
    assert statistics.ratio(*map(comparisons.sharpness_of, (plain, noise))).side(1) == -1
    assert statistics.gap(noise, plain).side(0) == statistics.gap(grid["SB", "flatter"], noise).side(0) == 1
    assert statistics.ratio(*map(comparisons.sharpness_of, (noise, grid["SB", "flatter"]))).side(1) == -1


def test_bf16_moves_c1_as_printed_by_little_more_than_seeds_do():
    plain, coarse = (arrays.pairs("C1-text", (0,), **more) for more in ({}, {"precision": "bf16"}))
    for arm in ("SB", "LB"):
        assert abs(arrays.final(plain[arm]) - arrays.final(coarse[arm])).max() < 0.25
        ratio = (comparisons.sharpness_of(coarse[arm]) / comparisons.sharpness_of(plain[arm])).item()
        assert 0.9 < ratio < 1.1


def test_f1_s_large_batch_is_three_times_as_sharp_here_as_in_the_paper():
    ours = np.nanmean(comparisons.sharpness_of(arrays.pairs("F1")["LB"]))
    assert 2.5 < ours / paper.cell("table3", "F1")["1e-3"]["LB"][0] < 3.3


def test_counted_by_steps_the_small_batch_is_nearer_the_edge():
    """For its first epoch or two: after 32, 64 and 128 steps, and after 30, 60 and 100."""
    share = {}
    for arm, at in (("SB", (1, 2, 4)), ("LB", (30, 60, 100))):
        runs = arrays.pairs("mlp", arrays.trials("edge"))[arm]
        ways = [(edge_of_stability.along(of), edge_of_stability.levels(of)["preconditioned"]) for of in runs]
        share[arm] = [[way["preconditioned"][list(way["epoch"]).index(k)] / level for way, level in ways] for k in at]
    assert min(share["SB"][0]) > 0.55 and max(share["LB"][0]) < 0.27
    assert min(share["SB"][1]) > 0.995 * max(share["LB"][1])
    assert np.round(np.sort(share["LB"][2]), 2).tolist() == [0.07, 0.09]
    assert np.round(np.sort(share["SB"][2]), 2).tolist() == [0.03, 0.05]


def test_the_curve_of_speech_leaps_up_just_beyond_the_large_batch():
    curve = arrays.paths(*arrays.pairs("F2-lj").values())["curvilinear"]
    at = lambda alpha: curve["train_loss"][:, np.abs(curve["alpha"] - alpha).argmin()]
    assert at(1.125).min() > 4 and at(-0.125).max() < 0.2 and at(-0.5).min() > 2


def test_at_one_loss_the_large_batch_of_speech_stays_as_sharp():
    runs = arrays.pairs("F2-lj", (0,))
    after = fallen(runs)
    assert figures.matched(*map(loss, after.values()))
    plain, settled = (statistics.ratio(*map(comparisons.sharpness_of, of.values())).value for of in (runs, after))
    assert 1 < settled / plain < 1.2


def test_with_the_metric_handed_over_one_of_four_lies_within_the_papers_spread_and_a_second_nearly():
    ours, distance = {}, {}
    for epsilon, key in ((1e-3, "1e-3"), (5e-4, "5e-4")):
        for arm in ("SB", "LB"):
            handed = arrays.sharpness(arrays.pairs("F1")[arm], epsilon, solver="literal", scale="metric")
            mean, spread = paper.cell("table3", "F1")[key][arm]
            ours[arm, key] = np.nanmean(handed) / mean
            distance[arm, key] = abs(np.nanmean(handed) - mean) / spread
    assert [cell for cell, far in distance.items() if far < 1] == [("LB", "5e-4")]
    assert 1 < distance["SB", "1e-3"] < 1.02  # "just below its spread"
    assert ours["SB", "1e-3"] == pytest.approx(1 / 3, rel=0.05) and ours["SB", "5e-4"] == pytest.approx(1 / 5, rel=0.05)
    assert 1.7 < ours["LB", "1e-3"] < 1.95  # "nearly twice"


def test_five_digits_have_four_steep_directions(capsys):
    """The code in the answer of Few steep directions, run as it stands there."""
    exec(re.search(r"```python\n(.*?)```", cells("few_steep_directions")[-1], re.S)[1], {})
    top = [float(value) for value in re.findall(r"[\d.]+", capsys.readouterr().out)]
    assert len(top) == 7 and top[4] < top[3] / 2 and top[4] < 1.5 * top[6]


def test_two_bowls_with_one_largest_eigenvalue_differ_elevenfold():
    values = []
    for rest in (0.0, 0.1):
        h = torch.cat([torch.tensor([10.0]), torch.full((999,), rest)]).double()
        f = lambda x: ((h * x * x).sum().item() / 2, h * x)
        values.append(lbgap.sharpness(f, torch.zeros(1000, dtype=torch.float64), epsilon=1e-3).value)
    assert values[1] / values[0] == pytest.approx(10.99, rel=1e-3)


def test_after_equally_many_steps_the_large_batch_has_learned_more():
    way = figures.way_slider()
    f, sharp = ({arm: way.arrays()[of + key][0].mean(1) for arm, key in (("SB", ""), ("LB", ".1"))} for of in WAY)
    first, later = (list(way.meta["at"]).index(epoch) for epoch in (1, 30))
    assert [round(f["SB"][first], 1), round(f["LB"][later], 2)] == [0.7, 0.26]
    assert [round(sharp["SB"][first]), round(sharp["LB"][later])] == [16, 22]


def test_the_root_rule_s_rate_ends_flatter_with_a_thousand_than_the_usual_one_with_eight():
    of = batch_or_rate.rates("mlp")
    sharp = of.sharpness.mean(2)
    at = {rate: k for k, rate in enumerate(of.rates)}
    assert sharp[at[1e-2], -1] < sharp[at[1e-3], 0] < sharp[at[1e-3], -1]


def test_on_its_way_f1_s_large_batch_only_sharpens_and_its_small_one_only_flattens():
    way = {arm: arrays.descent(runs[0], 1e-3) for arm, runs in arrays.pairs("F1").items()}
    assert (np.diff(way["LB"][1]) > 0).all() and (np.diff(way["SB"][1]) < 0).all()
    (small, large), (small_end, large_end) = (statistics.at_one_f(way, pick) for pick in (max, min))
    assert 1.4 < large / small < 1.6 and 900 < large_end / small_end < 1000
    assert 2.6 < way["LB"][1][-1] / way["LB"][1][0] < 2.8 and 340 < way["SB"][1][0] / way["SB"][1][-1] < 360
    assert "| F1 | f 0.001 | 280 times | open |" in str(figures.fig6_read("F1"))
    (one,) = [trial for trial, of in enumerate(arrays.pairs("F1")["SB"]) if len(arrays.descent(of, 1e-3)[0]) > 1]
    assert one == 0


def test_on_its_way_c1_text_s_large_batch_sharpens_and_its_small_one_stays_and_then_falls():
    starts = []
    for pair in list(zip(*arrays.pairs("C1-text").values()))[:2]:
        way = {arm: arrays.descent(of, 1e-3) for arm, of in zip(("SB", "LB"), pair)}
        (f, small), (_, large) = way["SB"], way["LB"]
        assert (np.diff(large) > 0).all() and round(large[-1] / large[0]) == 22
        assert 29.5 < small[f > 0.04].min() < small[f > 0.04].max() < 50.5 and round(small[-1]) == 21 and f[-1] < 0.04
        start = statistics.at_one_f(way, max)
        starts.append(round(start[1] / start[0], 1))
    assert starts == [1.6, 1.9]
    read = str(figures.fig6_read("C1-text", (1, 1e-1)))
    assert "| f 1 | 2.4 times (1.6 to 3.6) | LB" in read and "| f 0.1 | 15 times (14 to 16) | LB" in read
    assert [len(arrays.descent(of, 1e-3)[0]) > 1 for of in arrays.pairs("C1-text")["SB"]].count(True) == 2
    of = figures.judged_claims()["large-sharpens"]
    assert of.direction == "undecided" and [cell.said.direction for cell in of.cells] == ["undecided", "holds"]
    assert [round(value) for value in of.cells[1].ours.interval] == [18, 26]


def test_once_the_rate_has_fallen_to_0_the_small_batch_has_the_lower_loss_and_leads_and_f1_is_12_000_times_apart():
    for network in MEASURED:
        after = fallen(arrays.pairs(network))
        small, large = (loss(runs) for runs in after.values())
        there = ~np.isnan(small * large)
        assert there.any() and (small < large)[there].all()
        assert (arrays.final(after["SB"]) > arrays.final(after["LB"]))[there].all()
        lead = statistics.gap(*([run for run, ok in zip(runs, there) if ok] for runs in after.values()))
        assert lead.n == 3 and lead.side(0) == 1  # "surely ahead on all three networks"
        if network == "F1":
            ratio = np.divide(*(comparisons.sharpness_of(after[arm])[0] for arm in ("LB", "SB")))
            assert ratio == pytest.approx(12_000, rel=0.05)


def test_on_the_line_nearly_all_of_the_rise_lies_beyond_the_large_batch():
    for network in MEASURED:
        line = arrays.paths(*arrays.pairs(network).values())["linear"]
        end, inside, beyond = (line["train_loss"][:, np.abs(line["alpha"] - a).argmin()] for a in (1, 0.5, 1.5))
        assert ((beyond - end) > 0.94 * (beyond + inside - 2 * end)).all()


def test_f1_s_tenth_eigenvalue_is_above_the_small_batchs_first_and_no_end_is_a_saddle_point():
    for network in ("F1", *scales.LABS):
        of = few_steep_directions.curved(network)
        assert np.nanmax(-of["LB"]["smallest"] / of["LB"]["largest"]) < 0.02
        tenth = np.nanmean(of["LB"]["tenth"] / of["SB"]["largest"])
        assert 3.8 < tenth < 4.2 if network == "F1" else tenth < 0.5


def test_no_random_direction_of_f1_is_steep():
    for first, *_ in arrays.pairs("F1").values():
        (found,) = arrays.each(units.directions, [first])
        assert len(found["random"]) == 100 and max(found["random"]) < 0.05 * max(found["hessian"])


def test_on_c1_text_the_units_hardly_matter():
    small, large = (runs[0] for runs in arrays.pairs("C1-text").values())
    for scale in ({}, {"scale": "metric"}, {"scale": 1e4}):
        found = [arrays.sharpness([of], 1e-3, solver="literal", **scale)[0] for of in (small, large)]
        assert 34 < found[1] / found[0] < 36.5


def test_flatter_ends_that_lag_and_a_sharper_one_that_does_not():
    """So, was the paper right? and the introduction: what speaks against sharpness as the cause."""
    grid, sam = figures.measures.grid_values("mlp"), scores.scores("mlp", ["sam"])[0]
    assert 0.3 < statistics.ratio(grid["SB", "as it is"][1], sam.sharp).value < 0.36 and sam.left.side(0) == 1
    runs = arrays.pairs("F1-5k")
    sharp = [arrays.sharpness(runs[arm], 1e-3) for arm in ("SB", "LB")]
    assert statistics.ratio(*sharp).value == pytest.approx(240, rel=0.03)
    assert statistics.gap(*runs.values()).side(0) == 0
    said, page = str(figures.headline()), " ".join(cells("so_was_the_paper_right"))
    numbers = lambda of: [f"{value:.2f}" for value in (of.value, *of.interval)]
    assert (
        numbers(statistics.gap(*runs.values())) == ["0.12", "-0.44", "0.68"] and "(0.12 points, -0.44 to 0.68)" in page
    )
    cell = figures.causal_grid.cells("mlp")
    plain, noise = cell["LB", "as it is"], cell["LB, noise injected", "as it is"]
    assert numbers(statistics.gap(cell["LB", "flatter"], plain)) == ["0.43", "0.07", "0.78"]
    assert numbers(statistics.gap(noise, plain)) == ["0.67", "0.26", "1.07"]
    assert numbers(statistics.gap(cell["SB", "as it is"], cell["SB", "sharper"])) == ["0.43", "0.11", "0.75"]
    assert "0.43 of 0.96 points (0.07 to 0.78), with the noise of SB 0.67 (0.26 to 1.07)" in page
    (of,) = figures.judged_claims()["correlated"].cells
    assert numbers(of.ours) == ["0.03", "-0.80", "0.82"] and of.setting == "6 networks"
    six = ("F1", "F2-lj", "C1-text", "mlp", "mlp-bn", "F1-5k")
    small, large = ([arrays.pairs(n)[arm] for n in six] for arm in ("SB", "LB"))
    gaps = [statistics.gap(*pair).value for pair in zip(small, large)]
    ratios = [statistics.ratio(*(arrays.sharpness(of, 1e-3) for of in pair)).value for pair in zip(small, large)]
    assert round(scipy.stats.spearmanr(gaps, ratios).statistic, 2) == 0.03
    accuracy = [arrays.final([scales.run("F1", b, trial) for b in scales.LEAP]) for trial in (0, 1)]
    assert max(abs(a - b) for a, b in accuracy) <= 0.0501  # "within a twentieth of a point"
    assert "closes 0.43 of the 0.96 points" in said and "SB still ahead by 0.38 (0.17 to 0.58) points" in said


def test_test_images_drawn_anew_would_change_no_answer_of_the_causal_grid():
    """A standard error over images, without what seeds add to it, beside that over seeds: t of four and 1.96."""
    cell = figures.causal_grid.cells("mlp")

    def halves(a, b):
        right = 100 * (np.array(arrays.hits(cell[a]), float) - np.array(arrays.hits(cell[b]), float))
        seeds, n = right.mean(1), len(right)
        images = max(right.mean(0).var(ddof=1) - right.var(0, ddof=1).mean() / n, 0) / right.shape[1]
        own = 2.776 * seeds.std(ddof=1) / math.sqrt(n)
        return seeds.mean(), own, math.hypot(own, 1.96 * math.sqrt(images))

    small, large, flat, sharp = ("SB", "as it is"), ("LB", "as it is"), ("LB", "flatter"), ("SB", "sharper")
    noise = ("LB, noise injected", "as it is")
    for pair in ((small, large), (flat, large), (small, sharp), (noise, large), (("SB", "flatter"), flat)):
        value, own, both = halves(*pair)
        assert value > both and both / own < 1.355
    value, own, both = halves(small, flat)
    assert value > both and round(both / own, 2) == 1.35 and value + own > 0.48  # the margin


def test_against_the_logarithm_of_the_steps_all_three_large_batches_stay_nearer_than_their_steps():
    """Hoffer et al. (2017): the distance from the start grows with the logarithm of the number of steps."""
    for network in MEASURED:
        runs = arrays.pairs(network)
        far, steps = ([what(runs[arm]) for arm in ("SB", "LB")] for what in (arrays.distance, arrays.updates))
        logarithms = math.log(np.nanmax(steps[0])) / math.log(np.nanmin(steps[1]))
        assert statistics.ratio(far[1], far[0]).interval[0] > 1.5 * logarithms
    own = {n: of["1e-3"]["LB"][0] / of["1e-3"]["SB"][0] for n, of in paper.numbers()["table3"].items()}
    low, high = claims.get("orders").test.claimed
    assert {n: round(v, 1) for n, v in own.items() if not low <= v <= high} == {
        "F1": 166.8,
        "F2": 223.5,
        "C2": 106.6,
        "C3": 8.7,
    }


def test_the_eigenvalues_claim_is_judged_one_network_at_a_time():
    """Pooled, the two laboratories agree; within mlp-bn ten minimisers cannot say."""
    of = figures.judged_claims()["metric-spectrum"]
    assert {cell.network: cell.said.direction for cell in of.cells} == {"mlp": "holds", "mlp-bn": "undecided"}
    both = {}
    for network in scales.LABS:
        runs = sum(arrays.pairs(network).values(), [])
        both[network] = arrays.sharpness(runs, 5e-4), arrays.spectra(runs, lambda r: r["top"][0])
    alone = {network: statistics.correlation(*pair).value for network, pair in both.items()}
    assert {cell.network: round(cell.ours.value, 6) for cell in of.cells} == {k: round(v, 6) for k, v in alone.items()}
    assert statistics.correlation(*(np.concatenate(side) for side in zip(*both.values()))).value > 0.8


def numbers_of(of, digits=2):
    """A contrast and its interval, to so many digits."""
    return [f"{value:.{digits}g}" for value in (of.value, *(of.interval or ()))]


def test_at_equal_loss_the_large_batch_of_speech_was_ahead_before_the_rate_fell():
    small, large, at = [], [], []
    for one, other in list(zip(*arrays.pairs("F2-lj").values()))[:3]:
        goal = arrays.curves_of([one], "train_loss")[0][1][-1]
        epochs, f = arrays.curves_of([other], "train_loss")[0]
        nearest = np.abs(np.log(f / goal)).argmin()
        at.append(epochs[nearest])
        small.append(arrays.curves_of([one], "test_accuracy")[0][1][-1])
        large.append(arrays.curves_of([other], "test_accuracy")[0][1][nearest])
    assert set(at) == {19, 20} and numbers_of(statistics.contrast(large, small)) == ["1.2", "0.96", "1.5"]


def test_running_averages_cost_c1_s_large_batch_three_points():
    runs = arrays.pairs("C1-text")
    lost = {arm: arrays.final(of)[:3] - arrays.final(of, "test", "frozen")[:3] for arm, of in runs.items()}
    assert round(lost["LB"].mean(), 1) == 2.9
    assert [round(v, 1) for v in (lost["SB"].min(), lost["SB"].max())] == [1.3, 2.8]
    assert round(statistics.gap(*runs.values()).value + lost["LB"].mean() - lost["SB"].mean(), 1) == 4.2
    for network, low, high in (("F1", 70, 80), ("F2-lj", 30, 32)):
        both = [np.nanmean(loss(of)) for of in arrays.pairs(network).values()]
        assert low < both[0] / both[1] < high  # "some seventy-five times lower, on F2-lj some thirty"


def test_how_much_steeper_depends_on_the_step():
    steps = (1 / 2, 1 / 4, 1 / 8)

    def times(runs, **match):
        line = arrays.paths(*runs, **match)["linear"]
        return [numbers_of(statistics.ratio(*statistics.rises(line, step).values())) for step in steps]

    own = {n: [float(of[0]) for of in times(arrays.pairs(n).values())] for n in MEASURED}
    assert all(far < near < nearest for far, near, nearest in own.values())
    assert all(550 < own[n][2] < 650 for n in ("F2-lj", "C1-text"))
    assert times(arrays.pairs("C1-text").values(), match="norms") == [
        ["1.6", "1.6", "1.7"],
        ["3.1", "2.6", "3.6"],
        ["4.5", "3.3", "5.9"],
    ]
    assert [round(float(of[0]), 1) for of in times(arrays.pairs("F2-lj").values(), match="norms")] == [5.7, 27, 22]
    assert [of[0] for of in times(same_function.ends("mlp").values())] == ["3.4", "1.7", "1.7"]


def test_with_one_ruler_the_large_batch_has_more_steep_directions():
    above = lambda of, height: sum(w for w, node in zip(of["weights"], of["nodes"]) if node >= height)
    for network, told in (("F1", ["14"]), ("mlp", ["1.2", "1", "1.4"]), ("mlp-bn", ["1.5", "1.1", "2.2"])):
        both = [arrays.each(units.spectrum, runs) for runs in arrays.pairs(network).values()]
        pairs = [pair for pair in zip(*both) if all(pair)]
        counted = [[above(of, 0.01 * small["top"][0]) for of in (small, large)] for small, large in pairs]
        assert numbers_of(statistics.ratio(*np.array(counted).T)) == told
        lowest = [[-of["bottom"] / of["top"][0] for of in pair] for pair in pairs]
        assert np.max(lowest, 0)[0] < 0.055 and np.max(lowest, 0)[1] < 0.02


def test_in_the_half_box_the_best_search_too_makes_the_small_batch_of_mlp_bn_the_sharper():
    runs = [[scales.laboratory("mlp-bn", b, t) for t in scales.scale().trials] for b in (8, 1000)]
    whole, half = (statistics.ratio(*(arrays.sharpness(of, e) for of in reversed(runs))) for e in (1e-3, 5e-4))
    assert whole.side(1) == 0 and numbers_of(half) == ["2", "1.2", "3.4"]


def test_a_hundred_times_the_loss_finds_over_half_in_the_whole_box_and_under_a_third_in_the_half_box():
    large = arrays.pairs("F1")["LB"][:2]
    part = [
        arrays.sharpness(large, e, solver="literal", scale="metric") / arrays.sharpness(large, e) for e in (1e-3, 5e-4)
    ]
    assert (part[0] > 0.5).all() and (part[1] < 1 / 3).all()
    small = arrays.sharpness(arrays.pairs("F1")["SB"][:3], 1e-3)
    assert small[2] > 2 * small[:2].max()


def test_c1_text_s_distance_at_one_loss_is_below_three():
    runs = arrays.pairs("C1-text", (0,), **next(iter(figures.comparisons.run_settings("matched_loss", "C1-text"))))
    far = [arrays.distance(of)[0] for of in runs.values()]
    assert round(far[0] / far[1], 1) == 2.5


def test_in_half_the_box_the_way_down_of_mlp_is_told_otherwise():
    both = zip(*arrays.pairs("mlp").values())
    found = [{arm: arrays.descent(of, 5e-4) for arm, of in zip(("SB", "LB"), pair)} for pair in both]
    at = [np.array([why_small_batches_escape.at_one_f(of, pick) for of in found]).T for pick in (max, min)]
    start, end = (statistics.ratio(*pair) for pair in at)
    assert numbers_of(end) == ["1.2", "1.1", "1.3"] and 0.6 < start.value < 0.68 and start.side(1) == -1


def test_the_batch_size_matters_for_sharpness_at_two_of_the_rates():
    of = batch_or_rate.rates("mlp")
    at, sizes = {rate: k for k, rate in enumerate(of.rates)}, scales.scale().laboratory
    for rate in (3e-3, 1e-2):
        sharp = np.exp(np.log(of.sharpness[at[rate]]).mean(1))
        assert of.arrived[at[rate]].all() and sharp.max() > 20 * sharp.min()
    k, middle = at[1e-2], list(sizes).index(128)
    ahead = [statistics.contrast(of.accuracy[k, middle], of.accuracy[k, end]) for end in (0, -1)]
    assert [numbers_of(lead, 1) for lead in ahead] == [["0.8", "0.2", "1"], ["0.8", "0.1", "2"]]
    assert [round(lead.interval[1], 1) for lead in ahead] == [1.4, 1.5]


def test_longer_training_is_flatter_in_half_the_box_and_gains_nothing():
    (longer,) = (s for s in scores.scores("mlp") if s.title == "longer training")
    half = [arrays.sharpness(runs, 5e-4) for runs in (arrays.pairs("mlp")["LB"], longer.runs)]
    assert numbers_of(statistics.ratio(*half)) == ["0.25", "0.21", "0.3"]
    assert [round(v, 1) for v in longer.gain.interval] == [-0.3, 0.3]


def test_conservative_and_stability_training_move_the_large_batch_by_an_eighth_of_a_point():
    by = {s.title: s.gain for s in scores.scores("mlp")}
    for title in ("conservative training", "stability training"):
        assert max(map(abs, by[title].interval)) <= 0.13
    assert by["adversarial training"].interval[0] < -1 and by["adversarial training"].interval[1] > 1


def test_the_large_batchs_minimum_is_from_fifteen_to_some_seven_hundred_and_fifty_times_as_sharp():
    told = {"F1": (756, 4), "F2-lj": (15, 3), "C1-text": (38, 3)}
    for network, (times, pairs) in told.items():
        found = statistics.ratio(*map(comparisons.sharpness_of, arrays.pairs(network).values()))
        assert found.side(1) == 1 and found.n == pairs and found.value == pytest.approx(times, rel=0.03)
    steep = {k: statistics.rises(p, 0.25) for k, p in arrays.paths(*arrays.pairs("F1").values()).items()}
    assert {k: int((~np.isnan(of["SB"])).sum()) for k, of in steep.items()} == {"linear": 4, "curvilinear": 4}
