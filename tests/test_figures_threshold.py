"""A threshold or a slope: bends against curves that are made with one and without, and the page's prose."""

import numpy as np
import pytest
from test_figures import Made, curves, made  # noqa: F401

from lbgap.campaign import scales
from lbgap.claims import holm
from lbgap.figures import statistics, threshold
from lbgap.results import arrays

SIZES = scales.scale().laboratory


def knee(at, below, above):
    """A curve over the logarithm of the batch size with one knee, a trial of it shifted by each of three numbers."""
    x = np.log2(SIZES) - np.log2(at)
    return lambda trial: 90 + 0.1 * trial + np.where(x < 0, below * x, above * x)


def store(made, curve, sharp=lambda b, trial: 2.0 + trial):  # noqa: F811
    for trial in range(3):
        for b, value in zip(SIZES, curve(trial)):
            of = scales.laboratory("mlp", b, trial)
            made.train(of, value)
            made.sharp(of, sharp(b, trial))


def test_a_knee_is_found_where_it_is_and_a_slope_has_no_bend(made):  # noqa: F811
    store(made, knee(128, -0.1, -0.6), lambda b, trial: (1 + trial) * b**0.5)
    found = threshold.bends("mlp", threshold.WHAT["test accuracy (%)"])
    assert list(found) == list(SIZES[1:-1])
    assert max(found, key=lambda b: found[b].value) == 128 and found[128].value == pytest.approx(0.5)
    straight = threshold.bends("mlp", threshold.WHAT["log2 of sharpness"])
    assert np.allclose([of.value for of in straight.values()], 0, atol=1e-9)
    assert threshold.slope("mlp", threshold.WHAT["log2 of sharpness"]).value == pytest.approx(0.5)


def test_a_curve_is_told_in_words_with_its_signs_right(made):  # noqa: F811
    steep, random = np.array([-0.2, -0.25, -0.3]), np.random.default_rng(0)
    noise = random.normal(0, 0.01, (3, len(SIZES)))
    x = np.log2(SIZES)
    noise -= [np.polyval(np.polyfit(x, row, 1), x) for row in noise]  # so that the slopes stay what they are
    rates = dict(zip(SIZES, np.exp(noise.T)))
    store(
        made,
        lambda trial: 90 + steep[trial] * x + noise[trial],
        lambda b, trial: (1 + trial) * b ** (-0.9 - 0.1 * trial) * rates[b][trial],
    )
    said = str(threshold.told(["mlp"]))
    assert "`mlp`, 3 trials: with each doubling of the batch test accuracy falls by 0.25 points" in said
    assert "(95 % interval 0.13 to 0.37 points)" in said  # 4.303 * 0.05 / sqrt(3) to either side
    assert "sharpness falls by 50 %" in said and "at none, and sharpness surely grows slower at none" in said


def test_over_an_empty_store_nothing_is_claimed(made):  # noqa: F811
    assert "Not measured yet" in str(threshold.told())
    assert "None of the paper's networks" in str(threshold.of_the_paper())
    assert str(threshold.verdicts()).count("not measured") == 3
    threshold.bends_figure()


def test_networks_at_a_third_size_are_drawn(made):  # noqa: F811
    for b in (64, 256, 6000):
        made.train(scales.run("F1", b, 0), 98.0)
    (ax, _) = threshold.of_the_paper().axes
    assert list(curves(ax)["test accuracy"][0]) == [64, 256, 6000]


def test_the_two_axes_show_the_same_points():
    one, other = (curves_of(ax) for ax in threshold.two_axes().axes)
    assert np.array_equal(one, other)
    assert [ax.get_xscale() for ax in threshold.two_axes().axes] == ["linear", "log"]


def curves_of(ax):
    return np.concatenate([np.array(line.get_data(), float) for line in ax.lines], 1)


def test_the_prose_on_the_threshold_is_true():
    """mlp: a slope, no settled bend, all bends of sharpness upward, some off zero alone; mlp-bn: no slope at all."""
    steep = {n: [threshold.slope(n, what).side(0) for what in threshold.WHAT.values()] for n in scales.LABS}
    assert steep == {"mlp": [-1, 1], "mlp-bn": [0, 0]}
    alone = 0
    for network in scales.LABS:
        for words, what in threshold.WHAT.items():
            found = list(threshold.bends(network, what).values())
            assert min(holm([of.p for of in found])) >= 0.05
            alone += sum(of.p < 0.05 for of in found)
            widths = [of.interval[1] - of.interval[0] for of in found]
            assert widths[0] == max(widths)  # "the interval at 16 is the longest"
            if (network, words) == ("mlp", "log2 of sharpness"):
                assert min(of.value for of in found) > 0
    assert alone > 1
    assert np.log2(15000 / 250) == pytest.approx(5.9, abs=0.05)


def test_on_c1_sharpness_climbs_and_accuracy_sinks_without_a_leap():
    """The page's prose on C1 as printed."""
    sizes, accuracy = (np.ravel(side) for side in arrays.sweep(arrays.final, "C1-text"))
    _, sharp = (np.ravel(side) for side in arrays.sweep(lambda runs: arrays.sharpness(runs, 1e-3), "C1-text"))
    assert len(sizes) == 13
    at = lambda values: dict(zip(sizes.tolist(), values))
    assert [round(at(sharp)[b]) for b in (128, 1000, 5000)] == [10, 178, 786]
    per_doubling = lambda one, other: (at(sharp)[other] / at(sharp)[one]) ** (1 / np.log2(other / one))
    growth = {b: per_doubling(a, b) for a, b in zip(sizes.tolist(), sizes[1:].tolist())}
    assert all(1.9 < growth[b] < 2.2 for b in (128, 256)) and all(2.5 < growth[b] < 3.4 for b in (512, 1000, 1500))
    assert round(per_doubling(1500, 5000), 1) == 1.7
    assert [round(at(accuracy)[b]) for b in (64, 128, 5000)] == [72, 72, 68]
    fall = at(accuracy)[1000] - at(accuracy)[1500]
    assert 1.4 < fall < 1.6 and 0.4 < (at(accuracy)[3000] - at(accuracy)[1500]) / fall < 0.55
    runs = [scales.run("C1-text", b, 0) for b in sizes.tolist()]
    learned, f = at(arrays.final(runs, "train")), at(arrays.final(runs, "train", "batch", "loss"))
    assert min(at(sharp), key=lambda b: at(sharp)[b] if b > 2000 else np.inf) == 4500 and round(at(sharp)[4500]) == 459
    assert (
        at(accuracy)[4500] == max(at(accuracy)[b] for b in sizes if b > 1000) and round(at(accuracy)[4500], 1) == 69.7
    )
    assert round(learned.pop(4500), 1) == 98.2 and min(learned.values()) > 99
    assert 1.6 < f[4500] / f[5000] < f[4500] / f[4000] < 2.5 and min(f.values()) > 0.01 and round(f[4500], 2) == 0.06
    second = [scales.run("C1-text", b, 1) for b in (512, 1000)]
    assert [round(v) for v in arrays.sharpness(second, 1e-3)] == [65, 159] and round(at(sharp)[512]) == 70
    assert 0.6 < at(accuracy)[1000] - arrays.final(second)[1] < 0.75 and 0.4 < 0.68 / fall < 0.6
    assert 50_000 % 4500 == 500 and 50_000 // 4500 == 11
    said = str(threshold.read_of_the_paper(["C1-text"]))
    assert "sharpness is multiplied by 2.04 up to there, and by 1.92 beyond" in said


def test_on_f1_sharpness_leaps_where_accuracy_is_level_and_accuracy_drops_elsewhere():
    """The page's prose on F1, one trial a size."""
    at = lambda what: dict(zip(*(np.ravel(side).tolist() for side in arrays.sweep(what, "F1"))))
    accuracy, sharp = at(arrays.final), at(lambda runs: arrays.sharpness(runs, 1e-3))
    learned, far = at(lambda runs: arrays.final(runs, "train")), at(arrays.distance)
    assert len(accuracy) == len(sharp) == 12 and min(learned.values()) > 99.9
    assert all((value < 1) == (b <= 512) for b, value in sharp.items()) and 200 < sharp[1024] / sharp[512] < 210
    assert [round(sharp[b]) for b in (1024, 4096, 60_000)] == [198, 605, 459] and max(sharp, key=sharp.get) == 4096
    flatter = [sharp[b] for b in (4096, 6000, 15_000, 30_000, 60_000)]
    assert flatter == sorted(flatter, reverse=True)
    level = [value for b, value in accuracy.items() if b <= 2048]
    assert 98.35 < min(level) and max(level) < 98.7 and accuracy[1024] > accuracy[512] - 0.05
    falling = [accuracy[b] for b in (2048, 4096, 6000, 15_000, 30_000, 60_000)]
    assert falling == sorted(falling, reverse=True) and falling[1::4] == [98.25, 97.97]
    assert [round(far[b]) for b in (512, 1024)] == [88, 23]
    own = arrays.pairs("F1")["SB"]
    fall = statistics.gap(*arrays.pairs("F1").values())
    assert [round(v, 2) for v in (fall.value, *fall.interval)] == [0.33, 0.2, 0.45] and fall.n == 5
    assert np.nanmax(arrays.final(own)) - np.nanmin(arrays.final(own)) < 0.25
    assert [round(v, 1) for v in np.sort(arrays.sharpness(own, 1e-3))[2:4]] == [1.1, 1.7]  # "in one of four 1.7"
    assert np.nanmax(arrays.sharpness(own, 1e-3)) < 4.1 * np.nanmin(arrays.sharpness(own, 1e-3))
    (below,), (above,) = (arrays.curves_of([scales.run("F1", b, 0)], "train_loss") for b in (512, 1024))
    assert 5e-6 < below[1].min() < 7e-6 and below[0][below[1].argmin()] == 70 and below[1][-5:].max() > 4e-3
    assert (above[1][above[0] >= 25] < 1e-4).all() and (above[1][above[0] < 25] > 1e-3).all()
    flat, second = ([scales.run("F1", b, 1)] for b in scales.LEAP)
    assert round(arrays.sharpness(second, 1e-3)[0]) == 141 and round(arrays.final(second)[0], 2) == 98.66
    assert round(arrays.sharpness(flat, 1e-3)[0], 2) == 0.21 and round(arrays.final(flat)[0], 2) == 98.71
    assert round(arrays.final(flat, "train", "batch", "loss")[0], 6) == 7e-6
    ((epochs, f),) = arrays.curves_of(second, "train_loss")
    assert (f[epochs >= 40] < 1e-4).all() and (f[epochs < 40] > 1e-4).all()
    said = str(threshold.read_of_the_paper(["F1"]))
    assert "F1, 1 trial" in said  # the second, at four sizes, is no sweep
    assert "up to 600 test accuracy falls by 0.03 points, and beyond by 0.12; sharpness is multiplied by 1.85" in said
    assert "by 1.85 up to there, and by 1.13 beyond" in said
    logs = [np.log(b) / np.log(a) for a, b in ((204, 6.6), (663, 6.8), (204, 43), (663, 147))]
    assert all(0.2 < 1 - part < 0.72 for part in logs)  # "a quarter to seven tenths"
    assert str(threshold.leap()).split("| F1 | ")[1:] == [
        "each as it is | 0.97 and 0.21 | 200 and 140 | 200 and 660 |\n",
        "both with the short filters of 1,024 | 30 and 21 | 200 and 140 | 6.6 and 6.8 |\n",
        "both with the long filters of 512 | 0.97 and 0.21 | 42 and 31 | 43 and 150 |",
    ]
    assert [ax.get_title() for ax in threshold.on_either_side().axes] == ["F1, batch 512", "F1, batch 1,024"]
